"""Skeletons from pictures: volumes that are known, an untrained network, and what users get wrong."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scenes import detection, load_body_once, posed_scene, shipped_body
from test_animated_glb import load as load_glb
from torch import Tensor, nn

from monobody import hub
from monobody.body.skeleton import SKELETONS
from monobody.camera import Camera
from monobody.cli import main
from monobody.data.crop import Crop
from monobody.errors import UserError
from monobody.hypothesis import MOST_KEPT, checked_kept
from monobody.models.detectors import build_detector
from monobody.models.output import HMROutput, standing_pose
from monobody.models.storage import save_weights
from monobody.predict.detect import Detection
from monobody.predict.estimate import Seen
from monobody.predict.fit_picture import load_fitter
from monobody.predict.mask_file import box_in_mask
from monobody.predict.predictor import Predictor, load
from monobody.predict.skeletons import SkeletonEstimator
from monobody.scene import Scene

SET = "xas18"
XAS18 = SKELETONS[SET]
WRIST = XAS18.index("left_wrist")
CELLS = 64


class Painted(nn.Module):
    """A network that has made up its mind: it answers every crop with the volumes that it was given."""

    joint_set, input_size, depth_range = SET, 64, 1.0

    def __init__(self, volumes: Tensor) -> None:
        super().__init__()
        self.volumes = volumes

    def forward(self, images: Tensor) -> Tensor:
        assert images.min() >= 0
        assert images.max() <= 1
        return self.volumes.expand(len(images), -1, -1, -1, -1)


def painted(points: np.ndarray, *, also: dict[int, tuple[float, float]] | None = None) -> Tensor:
    """Logits of blobs at (18, 3) crop coordinates; `also` gives joints a second depth and its share."""
    middles = (2 * torch.arange(CELLS) + 1) / CELLS - 1
    x, y, z = (torch.exp(-0.5 * ((middles - torch.tensor(points[:, a, None])) / 0.04) ** 2) for a in range(3))
    for joint, (depth, share) in (also or {}).items():
        z[joint] = (1 - share) * z[joint] + share * torch.exp(-0.5 * ((middles - depth) / 0.04) ** 2)
    volume = z[:, :, None, None] * y[:, None, :, None] * x[:, None, None, :]
    return (volume + 1e-12).log()[None].float()


def standing_scene() -> Scene:
    """One person of the mean shape, so that bones are as long as they usually are."""
    pose = standing_pose()
    pose[16:20] += torch.tensor([0.1, 0.4, 0.2])
    rotations = torch.linalg.matrix_exp(torch.stack([_cross(row) for row in pose]))[None]
    output = HMROutput(camera=torch.tensor([[0.9, 0.0, 0.1]]), rotations=rotations, betas=torch.zeros(1, 10))
    return posed_scene(people=1, seed=1, output=output)


def _cross(axis: Tensor) -> Tensor:
    x, y, z = axis.tolist()
    return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0.0]])


def crop_points(scene: Scene, crop: Crop) -> np.ndarray:
    """What a perfect network sees in a crop: places in it, depth in halves of it by the true size of these halves."""
    person = scene.people[0]
    joints_m, joints_px = (person.joints_cam_m[SET].astype(float), person.joints_px[SET].astype(float))
    half_m = crop.size_px / 2 * joints_m[0, 2] / scene.camera.focal_px
    depth = (joints_m[:, 2] - joints_m[0, 2]) / half_m
    return np.column_stack([crop.to_crop(joints_px), depth])


def ask(volumes: Tensor, scene: Scene, crop: Crop, **options: object) -> tuple[Scene, tuple[str, ...]]:
    estimator = SkeletonEstimator(network=Painted(volumes), device=torch.device("cpu"), body=shipped_body(), **options)  # pyright: ignore
    assert scene.picture is not None
    seen = Seen(rgb=scene.picture, detections=[detection(crop)], camera=scene.camera)
    ((people, told),) = estimator.people([seen])
    return replace(scene, people=people), told


@pytest.fixture(scope="module")
def scene() -> Scene:
    return standing_scene()


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the smallest detector as it comes into the world."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    card = {"model": "xas-mini", "size": 64, "bins": 32, "joint_set": SET, "terms": "test"}
    widths: dict[str, Any] = {"width": 16, "first": 8}
    detector = build_detector("xas-mini", size=64, bins=32, **widths)
    save_weights(detector, path, card=card | {"widths": widths}, int8=False)
    return path


def find(rgb: np.ndarray, box: Any = None, *, name: str | None = None) -> list[Detection]:
    """A detector without a network: one person in each box, or in the middle."""
    boxes = [(10, 10, 60, 80)] if box is None else box
    return [
        replace(detection(Crop(((x0 + x1) / 2, (y0 + y1) / 2), y1 - y0)), box_px=np.array([x0, y0, x1, y1]))
        for x0, y0, x1, y1 in boxes
    ]


@pytest.mark.parametrize("angle_rad", [0.0, 0.7])
def test_a_perfect_network_puts_people_where_they_are(scene: Scene, angle_rad: float) -> None:
    """The picture shows the joints to a cell, and in metres they lie about the root as the true ones."""
    old = scene.people[0].crop
    crop = Crop(old.centre_px, 1.1 * old.size_px, angle_rad)
    found, told = ask(painted(crop_points(scene, crop)), scene, crop)
    assert told == ()
    true, (person,) = scene.people[0], found.people
    off_px = np.linalg.norm(person.joints_px[SET] - true.joints_px[SET], axis=1)
    assert off_px.max() < crop.size_px / CELLS / 2
    about = [joints - joints[0] for joints in (person.joints_cam_m[SET], true.joints_cam_m[SET])]
    assert np.linalg.norm(about[0] - about[1], axis=1).mean() < 0.03
    depth = [one.joints_cam_m[SET][0, 2] for one in (person, true)]
    assert depth[0] == pytest.approx(depth[1], rel=0.03)
    assert sum(one.weight for one in person.hypotheses) == pytest.approx(1)


def test_a_wrist_of_two_depths_gives_two_hypotheses(scene: Scene) -> None:
    """One pose has it where most of the probability is, another where the rest is; all look alike in the picture."""
    crop = scene.people[0].crop
    points = crop_points(scene, crop)
    elbow = points[XAS18.index("left_elbow"), 2]
    # The forearm mirrored at the picture's plane is as long as before.
    points[WRIST, 2], other = elbow - 0.26, elbow + 0.26
    found, _ = ask(painted(points, also={WRIST: (other, 0.3)}), scene, crop)
    first, *others = found.people[0].hypotheses
    apart = [np.linalg.norm(first.joints_cam_m[SET] - one.joints_cam_m[SET], axis=1) for one in others]
    flipped = int(np.argmax([one[WRIST] for one in apart]))
    assert apart[flipped][WRIST] > 0.4
    # The blobs that were painted are 4 cm wide, and nothing else moves by more than its own blob.
    assert np.delete(apart[flipped], WRIST).max() < 0.1
    assert others[flipped].joints_cam_m[SET][WRIST, 2] > first.joints_cam_m[SET][WRIST, 2]
    assert [one.weight for one in (first, *others)] == sorted((one.weight for one in (first, *others)), reverse=True)
    np.testing.assert_allclose(first.joints_px[SET], others[flipped].joints_px[SET], atol=0.01)
    assert found.people[0].best is first
    best, _ = ask(painted(points, also={WRIST: (other, 0.3)}), scene, crop, kept="best")
    assert [one.weight for one in best.people[0].hypotheses] == [1.0]
    np.testing.assert_array_equal(best.people[0].joints_cam_m[SET], first.joints_cam_m[SET])


def test_bodies_are_lifted_from_every_hypothesis(scene: Scene, tmp_path: Path) -> None:
    crop = scene.people[0].crop
    points = crop_points(scene, crop)
    points[WRIST, 2] = points[XAS18.index("left_elbow"), 2] - 0.26
    volumes = painted(points, also={WRIST: (points[WRIST, 2] + 0.52, 0.3)})
    skeletons, _ = ask(volumes, scene, crop, kept=2)
    bodies, _ = ask(volumes, scene, crop, kept=2, lift=True)
    assert bodies.has_bodies
    for one, other in zip(skeletons.people[0].hypotheses, bodies.people[0].hypotheses, strict=True):
        assert one.weight == other.weight
        off_m = np.linalg.norm(one.joints_cam_m[SET] - other.joints_cam_m[SET], axis=1)
        assert off_m.mean() < 0.03
    first, second = bodies.people[0].hypotheses
    np.testing.assert_allclose(first.betas, second.betas)
    bodies.save(tmp_path / "scene.bvh")
    assert (tmp_path / "scene.bvh").stat().st_size > 1000


def test_side_views_tell_a_weight_that_all_have_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    crop = scene.people[0].crop
    points = crop_points(scene, crop)
    elbow = points[XAS18.index("left_elbow"), 2]
    points[WRIST, 2] = elbow - 0.26
    (person,) = ask(painted(points, also={WRIST: (elbow + 0.26, 0.3)}), scene, crop, kept=2)[0].people
    told: list[list[str]] = []
    monkeypatch.setattr(
        "monobody.render.figures.draw_sides", lambda rgb, views, camera: told.append([words for _, words in views])
    )
    one, other = (replace(each, weight=weight) for each, weight in zip(person.hypotheses, (0.7, 0.3), strict=True))
    alike, surer = (replace(person, hypotheses=(one, replace(other, weight=weight))) for weight in (0.3, 0.2))
    for people in ((alike, alike), (alike, surer)):
        replace(scene, people=people).side()
    assert told == [["70 %", "30 %"], ["70 %", "30 %, 20 %"]]


def test_a_network_without_an_opinion_says_so(scene: Scene) -> None:
    volumes, crop = torch.zeros(1, 18, CELLS, CELLS, CELLS), scene.people[0].crop
    found, told = ask(volumes, scene, crop, kept=3)
    assert told == ("person 0: the network cannot tell where most joints are; do not rely on them",)
    for one in found.people[0].hypotheses:
        assert np.isfinite(one.joints_cam_m[SET]).all()
        assert np.isfinite(one.joints_px[SET]).all()
    assert sum(one.weight for one in found.people[0].hypotheses) == pytest.approx(1)
    with pytest.raises(UserError, match="one and the same place"):
        ask(volumes, scene, crop, kept=3, lift=True)


def test_a_limb_at_the_edge_of_the_volume_stays_before_the_camera(scene: Scene) -> None:
    """With a wide angle of view a crop's near side lies behind the camera; no joint does."""
    points = crop_points(scene, scene.people[0].crop)
    points[WRIST, 2] = -0.98
    near = replace(scene, camera=Camera(focal_px=60.0, principal_px=scene.camera.principal_px, source="user"))
    found, _ = ask(painted(points), near, scene.people[0].crop)
    assert (found.people[0].joints_cam_m[SET][:, 2] > 0).all()


def test_numbers_that_are_none_are_refused(scene: Scene, untrained: Path, tmp_path: Path) -> None:
    volumes = painted(crop_points(scene, scene.people[0].crop))
    volumes[0, 3] = torch.nan
    with pytest.raises(UserError, match="no number"):
        ask(volumes, scene, scene.people[0].crop)
    detector = build_detector("xas-mini", size=64, bins=32, width=16, first=8)
    with torch.no_grad():
        next(iter(detector.parameters())).fill_(torch.nan)
    path = tmp_path / "nan.safetensors"
    card = {"model": "xas-mini", "size": 64, "bins": 32, "joint_set": SET, "widths": {"width": 16, "first": 8}}
    save_weights(detector, path, card=card, int8=False)
    with pytest.raises(UserError, match="not finite"):
        load(path, body=shipped_body())
    save_weights(detector, path, card={**card, "bins": 16}, int8=False)
    with pytest.raises(UserError, match="do not fit"):
        load(path, body=shipped_body())


@pytest.mark.parametrize("wrong", ["some", "0", -1, "1.5", MOST_KEPT + 1])
def test_hypotheses_that_do_not_exist_are_refused(wrong: str | int) -> None:
    with pytest.raises(UserError, match="hypotheses"):
        checked_kept(wrong)


def test_nobody_is_nobody(scene: Scene) -> None:
    volumes = painted(crop_points(scene, scene.people[0].crop))
    estimator = SkeletonEstimator(network=Painted(volumes), device=torch.device("cpu"), body=shipped_body())  # pyright: ignore
    predictor = Predictor(estimator, shipped_body(), model="painted", terms="test")
    nobody = predictor(np.zeros((40, 30, 3), np.uint8), detector=lambda *_, **__: [])
    assert nobody.people == ()
    assert nobody.has_bodies


def test_the_api_gives_what_is_asked_for(untrained: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (90, 70, 3)).astype(np.uint8)
    model = load(untrained, body=shipped_body())
    scene = model(pixels, detector=find)
    assert len(scene.people[0].hypotheses) == 5
    assert any("cannot tell" in note for note in scene.notes)
    assert set(scene.people[0].joints_cam_m) == {SET}
    assert len(model.asked(2)(pixels, detector=find).people[0].hypotheses) == 2
    lifted = load(untrained, body=shipped_body(), hypotheses="best", lift=True)(pixels, detector=find)
    assert lifted.model.endswith(", lifted")
    assert lifted.people[0].rotations.shape == (24, 3, 3)
    with pytest.raises(UserError, match="--lift"):
        model(pixels, detector=find, refine=True)
    for film in (model.video, model.stream):
        with pytest.raises(UserError, match="--lift"):
            film("dance.mp4")


def test_fits_start_from_lifted_bodies(untrained: Path) -> None:
    start = load_fitter(untrained, body=shipped_body()).start
    assert start is not None
    assert not start.gives_skeletons
    assert start.model.endswith(", lifted")


def test_other_models_give_their_one_and_have_nothing_to_lift() -> None:
    body = shipped_body()
    assert load("mean-pose", body=body, hypotheses=3).model == "mean-pose"
    with pytest.raises(UserError, match="nothing to lift"):
        load("mean-pose", body=body, lift=True)
    with pytest.raises(UserError, match="hypotheses"):
        load("mean-pose", body=body, hypotheses="worst")  # pyright: ignore[reportArgumentType]


def test_xas_is_the_best_that_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "published_sha256", lambda name: None)
    with pytest.raises(UserError, match="comes without weights"):
        hub.find_weights("xas")
    said = hub.table()
    assert all(name in said for name in (*hub.XAS, "xas "))
    monkeypatch.setattr(
        hub, "published_sha256", lambda name: "0" if name.startswith(("xas-mini", "xas-blaze")) else None
    )
    assert hub.resolved("xas") == "xas-blaze"
    assert hub.resolved("lift") == "lift"
    assert "another name of xas-blaze" in hub.table()


def test_masks_say_where_to_look(untrained: Path) -> None:
    mask = np.zeros((90, 70), np.uint8)
    mask[20:61, 10:31] = 255
    assert box_in_mask(mask, 70, 90) == (10, 20, 31, 61)
    assert box_in_mask(mask > 0, 70, 90) == (10, 20, 31, 61)
    pixels = np.full((90, 70, 3), 128, np.uint8)
    model = load(untrained, body=shipped_body())
    (person,) = model(pixels, mask=mask, detector=find).people
    np.testing.assert_array_equal(person.box_px, (10, 20, 31, 61))
    speck = np.zeros_like(mask)
    speck[40, 30] = 255
    wrongs = (np.zeros_like(mask), "empty"), (np.ones_like(mask), "covers 100 %"), (mask[:50], "pixels"), (speck, "1 p")
    for wrong, word in wrongs:
        with pytest.raises(UserError, match=word):
            model(pixels, mask=wrong)
    with pytest.raises(UserError, match="not both"):
        model(pixels, mask=mask, boxes=[[0, 0, 20, 20]])


def test_the_command_line_writes_every_kind(
    untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A photo that is not cropped, a mask that says where; overlay, side views, GLB, NPZ and JSON of skeletons."""
    load_body_once(monkeypatch)
    photo, mask = tmp_path / "a.png", tmp_path / "a_mask.png"
    inside = np.zeros((96, 80), np.uint8)
    inside[10:90, 20:60] = 255
    Image.fromarray(np.random.default_rng(2).integers(60, 200, (96, 80, 3)).astype(np.uint8)).save(photo)
    Image.fromarray(inside).save(mask)
    command = ["predict", str(photo), "--model", str(untrained), "--mask", str(mask), "--hypotheses", "3"]
    out = tmp_path / "out"
    assert main([*command, "-o", str(out), "--save", "overlay,side,glb,npz,json"]) == 0
    (person,) = json.loads((out / "a.json").read_text())["people"]
    assert person["box"] == [20, 10, 60, 90]
    assert len(person["hypotheses"]) == 3
    assert sum(one["weight"] for one in person["hypotheses"]) == pytest.approx(1)
    assert all(len(one["joints"][SET]["cam_m"]) == 18 for one in person["hypotheses"])
    with Image.open(out / "a_overlay.png") as overlay, Image.open(out / "a_side.png") as side:
        assert overlay.size == (80, 96)
        assert side.size[0] % 3 == 0
    assert len(load_glb(out / "a.glb").meshes) == 3
    again = Scene.load(out / "a.npz")
    np.testing.assert_allclose(
        again.people[0].hypotheses[2].joints_cam_m[SET], person["hypotheses"][2]["joints"][SET]["cam_m"], atol=1e-5
    )
    assert main([*command, "-o", str(out), "--save", "obj"]) == 2
    assert "--lift" in capsys.readouterr().err
    assert main([*command[:-1], "best", "--lift", "-o", str(out), "--save", "obj,npz"]) == 0
    assert Scene.load(out / "a.npz").has_bodies
    assert main([*command[:-1], "none", "-o", str(out)]) == 2
    assert "hypotheses" in capsys.readouterr().err
    Image.fromarray(np.zeros_like(inside)).save(mask)
    assert main([*command, "-o", str(out)]) == 2
    assert "is black" in capsys.readouterr().err
    Image.fromarray(inside[:50]).save(mask)
    assert main([*command, "-o", str(out)]) == 2
    assert "pixels" in capsys.readouterr().err
