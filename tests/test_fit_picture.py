"""`monobody fit` and `--refine`: known people are found again from their keypoints; what cannot be is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scenes import HEIGHT, WIDTH, load_body_once, posed_scene, shipped_body

from monobody.body.model import Body
from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS
from monobody.cli import main
from monobody.data.keypoint_files.read_people import read_file
from monobody.errors import UserError
from monobody.fit.settings import Settings, Stage
from monobody.image import read_image
from monobody.metrics import pa_mpjpe
from monobody.models.output import HMROutput, standing_pose
from monobody.predict.detection import Detection
from monobody.predict.fit_picture import Fitter
from monobody.predict.given_keypoints import mapped
from monobody.predict.predictor import Predictor
from monobody.predict.somebody_else import doubt_about
from monobody.scene import Scene, save_png

STAGES = (
    Stage(evaluations=25, prior=2, outlier=0.3),
    Stage(evaluations=25, prior=1, outlier=0.2, mask_px=32),
)
QUICK = Settings(stages=STAGES, start_stages=STAGES)
FOCAL = 800.0
SAMPLES = Path(__file__).resolve().parents[1] / "samples"


@pytest.fixture(autouse=True)
def _one_body(monkeypatch: pytest.MonkeyPatch) -> None:
    load_body_once(monkeypatch)


# Turned in the picture plane, radians: nothing about these poses is hidden from one picture.
POSES = (
    {"left_shoulder": 0.4, "right_shoulder": 0.2, "left_hip": 0.5, "right_hip": -0.1, "left_elbow": 0.7, "neck": 0.2},
    {"left_shoulder": -1.2, "right_shoulder": -0.6, "left_hip": 0.1, "right_hip": -0.6, "spine2": 0.25},
)


def people() -> HMROutput:
    """Two people who face the camera, arms and legs apart."""
    pose = torch.stack([standing_pose(), standing_pose()])
    for row, turns in enumerate(POSES):
        for joint, angle in turns.items():
            pose[row, SKELETONS["smpl24"].index(joint), 2] = angle
    camera = torch.tensor([[0.8, 0.02, 0.1], [0.75, 0.0, 0.1]])
    betas = 0.5 * torch.randn(2, 10, generator=torch.Generator().manual_seed(0))
    return HMROutput(camera=camera, rotations=axis_angle_to_matrix(pose), betas=betas)


@pytest.fixture(scope="module")
def truth() -> Scene:
    """Two people about whom everything is known."""
    return posed_scene(people=2, seed=0, output=people())


@pytest.fixture(scope="module")
def photo(truth: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_png(truth.overlay(), tmp_path_factory.mktemp("photo") / "a.png")


def openpose(truth: Scene, *, order: list[int] | None = None, shift_px: float = 0.0) -> dict[str, Any]:
    """What OpenPose would have found."""
    found = []
    for person in truth.people:
        points = person.joints_px["openpose25"][order or slice(None)] - 0.5 + shift_px
        found.append({"pose_keypoints_2d": np.column_stack([points, np.full(25, 0.9)]).ravel().tolist()})
    return {"version": 1.3, "people": found}


def with_nobody(truth: Scene, people: int = 1) -> dict[str, Any]:
    """What OpenPose writes where it begins to see somebody and then finds no joint."""
    content = openpose(truth)
    return {**content, "people": [*content["people"][:people], {"pose_keypoints_2d": [0.0] * 75}]}


def written(folder: Path, content: Any, name: str = "a_keypoints.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def aligned_mm(found: Scene, truth: Scene) -> list[float]:
    return [
        float(pa_mpjpe(ours.joints_cam_m["lsp14"][None], theirs.joints_cam_m["lsp14"][None]).mean())
        for ours, theirs in zip(found.people, truth.people, strict=True)
    ]


@pytest.mark.slow
def test_the_command_finds_people_again(
    truth: Scene, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keypoints, out = written(tmp_path, openpose(truth)), tmp_path / "out"
    command = ["fit", str(photo), "--keypoints", str(keypoints), "-o", str(out), "--focal-px", str(FOCAL)]
    assert main([*command, "--save", "overlay,npz,json"]) == 0
    found = Scene.load(out / "a.npz")
    assert max(aligned_mm(found, truth)) < 80  # The standing body is 174 and 193 mm away.
    for ours, theirs in zip(found.people, truth.people, strict=True):
        off = np.linalg.norm(ours.joints_px["openpose25"] - theirs.joints_px["openpose25"], axis=1)
        assert off.mean() < 4
        assert abs(ours.translation_m[2] / theirs.translation_m[2] - 1) < 0.15
    table = json.loads((out / "a.json").read_text())
    assert table["model"] == "fit from mean"
    said = capsys.readouterr().out
    for number, note in enumerate(table["notes"]):
        assert note.startswith(f"person {number} ")
        assert "px off" in note
        assert note in said
    # Laid over the photo, the bodies are where the people are.
    overlay = np.asarray(Image.open(out / "a_overlay.png")).astype(int)
    drawn = np.abs(overlay - np.asarray(Image.open(photo)).astype(int)).sum(2) > 30
    person = np.abs(np.asarray(Image.open(photo)).astype(int) - 180).sum(2) > 30
    assert (drawn & person).sum() > 0.7 * drawn.sum()


def test_python_alike(truth: Scene, photo: Path, tmp_path: Path) -> None:
    """A person by number; the weak camera sees the body where the scene's camera does."""
    fitter = Fitter(shipped_body(), settings=QUICK)
    scene = fitter(photo, written(tmp_path, openpose(truth)), person=1, focal_px=FOCAL)
    (person,) = scene.people
    assert np.linalg.norm(person.joints_px["coco17"] - truth.people[1].joints_px["coco17"], axis=1).mean() < 10
    scale, x, y = person.camera_weak
    pelvis = person.joints_cam_m["smpl24"][0] - person.translation_m
    seen = person.upright_crop.to_picture(scale * (pelvis[:2] + np.array([x, y]))[None])[0]
    np.testing.assert_allclose(seen, person.joints_px["smpl24"][0], atol=0.05 * person.crop.size_px)


def test_a_mask_is_followed(truth: Scene, photo: Path, tmp_path: Path) -> None:
    """With a mask the fit tells how well it fills it."""
    from monobody.render.overlay import draw_overlay

    one = draw_overlay(np.zeros((HEIGHT, WIDTH, 3), np.uint8), truth.meshes()[:1], truth.faces, truth.camera)
    mask = np.where(one.max(2) > 0, 255, 0).astype(np.uint8)
    scene = Fitter(shipped_body(), settings=QUICK)(
        photo, written(tmp_path, openpose(truth)), person=0, mask=mask, focal_px=FOCAL
    )
    (note,) = scene.notes
    assert float(note.split("silhouette IoU ")[1].split(",")[0]) > 0.7


def test_a_mask_of_something_else_is_noticed(truth: Scene, photo: Path, tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:40, -40:] = 255
    keypoints, fitter = written(tmp_path, openpose(truth)), Fitter(shipped_body(), settings=QUICK)
    with pytest.raises(UserError, match="none of the 25 keypoints is in the mask: is it of another person"):
        fitter(photo, keypoints, person=0, mask=mask, focal_px=FOCAL)
    scene = fitter(photo, keypoints, person=0, mask=mask, focal_px=FOCAL, trust=True)
    assert "is the mask of another person" in scene.notes[0]


@pytest.mark.parametrize("person", ["best", "0"])
def test_somebody_without_joints_does_not_stand_in_the_way(
    person: str, truth: Scene, photo: Path, tmp_path: Path
) -> None:
    """Who is chosen is fitted, whoever else is listed."""
    keypoints = written(tmp_path, with_nobody(truth))
    scene = Fitter(shipped_body(), settings=QUICK)(photo, keypoints, person=person, focal_px=FOCAL)
    off = scene.people[0].joints_px["coco17"] - truth.people[0].joints_px["coco17"]
    assert np.linalg.norm(off, axis=1).mean() < 10


def test_results_on_somebodys_own_body_have_its_terms() -> None:
    own = Body(replace(shipped_body().data, name="SMPL_NEUTRAL"))
    assert Fitter(shipped_body()).terms == "Apache-2.0"
    assert Fitter(own).terms == "those of the body SMPL_NEUTRAL"


@pytest.mark.slow
def test_keypoints_in_another_order_are_refused(truth: Scene, photo: Path, tmp_path: Path) -> None:
    """The right number of joints in the wrong order is nobody in the picture; it fits no body either, the notes say."""
    fitter = Fitter(shipped_body(), settings=QUICK)
    keypoints = written(tmp_path, openpose(truth, order=list(range(24, -1, -1))))
    with pytest.raises(UserError, match="person 0: the detector sees"):
        fitter(photo, keypoints, person=0, focal_px=FOCAL)
    assert "bad fit" in fitter(photo, keypoints, person=0, focal_px=FOCAL, trust=True).notes[0]
    fine = fitter(photo, written(tmp_path, openpose(truth)), person=0, focal_px=FOCAL)
    assert "bad fit" not in fine.notes[0]


@pytest.mark.slow
def test_keypoints_of_somebody_else_are_suspected() -> None:
    """At the person's own place nothing speaks against them; beside it or upside down something does."""
    photo = read_image(SAMPLES / "synthetic_one_b.jpg").rgb
    (person,) = read_file(SAMPLES / "synthetic_one_b_keypoints.json").in_picture(None, 512, 512)
    assert person.keypoints is not None
    assert doubt_about(photo, person.keypoints, "openpose25") is None
    beside = person.keypoints + np.array([-160, 0, 0])
    upside_down = person.keypoints * np.array([1, -1, 1]) + np.array([0, 520, 0])
    for wrong in (beside, upside_down):
        doubt = doubt_about(photo, wrong, "openpose25")
        assert doubt is not None
        assert doubt.why.startswith("the detector sees")
        assert doubt.sure


@pytest.mark.slow
def test_keypoints_of_somebody_else_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not fitted and warned of: no file is written, unless somebody insists."""
    content = json.loads((SAMPLES / "synthetic_one_b_keypoints.json").read_text())
    for person in content["people"]:
        triples = np.array(person["pose_keypoints_2d"]).reshape(-1, 3)
        person["pose_keypoints_2d"] = (triples - [160, 0, 0]).ravel().tolist()
    command = ["fit", str(SAMPLES / "synthetic_one_b.jpg"), "--keypoints", str(written(tmp_path, content))]
    assert main([*command, "-o", str(tmp_path / "out"), "--save", "json"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "person 0: the detector sees" in said
    assert "--trust" in said
    assert not list((tmp_path / "out").glob("*.json"))
    fitter = Fitter(shipped_body(), settings=QUICK)
    scene = fitter(SAMPLES / "synthetic_one_b.jpg", written(tmp_path, content), trust=True)
    assert "the detector sees" in scene.notes[0]


@pytest.mark.parametrize("set_name", ["coco17", "openpose25"])
def test_exchanged_sides_are_suspected(set_name: str) -> None:
    """A body with its back to us fits them as well, so that nothing but the picture speaks against them."""
    photo = read_image(SAMPLES / "synthetic_one_b.jpg").rgb
    (person,) = read_file(SAMPLES / "synthetic_one_b_keypoints.json").in_picture(None, 512, 512)
    assert person.keypoints is not None
    keypoints, _ = mapped(person.keypoints, person.set_name, set_name)
    assert doubt_about(photo, keypoints, set_name) is None
    doubt = doubt_about(photo, keypoints[list(SKELETONS[set_name].flip)], set_name)
    assert doubt is not None
    assert "left and right" in doubt.why
    assert not doubt.sure, "the person is there, so that this is a warning"


def test_a_fit_may_start_from_a_model(truth: Scene, photo: Path, tmp_path: Path) -> None:
    """Its terms arrive, and its bodies: from poses that are off the fit comes nearer than they and than the mean's."""
    true = people()
    turns = 0.12 * torch.randn(2, 24, 3, generator=torch.Generator().manual_seed(0))
    off = replace(
        true,
        camera=true.camera * 1.02,
        rotations=true.rotations @ axis_angle_to_matrix(turns),
        betas=0 * true.betas,
    )
    model = Predictor(lambda rgb, detections: off, shipped_body(), model="oracle", terms="secret")
    scene = Fitter(shipped_body(), start=model, settings=QUICK)(
        photo, written(tmp_path, openpose(truth)), focal_px=FOCAL
    )
    assert scene.model == "fit from oracle"
    assert scene.terms == "secret"
    # Measured: 92 and 107 mm at the start, 33 and 42 after; from the mean pose 68 and 67.
    assert max(aligned_mm(scene, truth)) < 55
    assert np.mean(aligned_mm(scene, truth)) < 0.6 * np.mean(
        aligned_mm(posed_scene(people=2, seed=0, output=off), truth)
    )


class Detector:
    """Finds the people of a scene where they are, with all landmarks but the last few."""

    def __init__(self, truth: Scene, known: int = 31) -> None:
        self.truth = truth
        self.known = known

    def __call__(self, rgb: np.ndarray, box: Any = None, *, name: str | None = None) -> list[Detection]:
        return [
            Detection(
                box_px=person.box_px,
                score=0.9,
                crop=person.crop,
                landmarks_px=person.joints_px["blazepose33"],
                landmarks_score=(np.arange(33) < self.known).astype(float),
                world_m=np.zeros((33, 3)),
            )
            for person in self.truth.people
        ]


def test_refining_moves_bodies_to_the_landmarks(truth: Scene) -> None:
    """From bodies that are a little off; and the result stays near them in 3D."""
    true = people()
    turns = axis_angle_to_matrix(0.12 * torch.randn(2, 24, 3))
    near = replace(true, camera=true.camera * 1.02, rotations=true.rotations @ turns, betas=0 * true.betas)
    predictor = Predictor(lambda rgb, detections: near, shipped_body(), model="near", terms="test")
    assert truth.picture is not None
    options = {"detector": Detector(truth), "focal_px": FOCAL}
    before, after = predictor(truth.picture, **options), predictor(truth.picture, **options, refine=True)
    assert after.model == "near, refined"
    (note,) = after.notes
    assert note.startswith("refined 2 of 2")
    for was, now, known in zip(before.people, after.people, truth.people, strict=True):
        apart = [
            np.linalg.norm(each.joints_px["blazepose33"] - known.joints_px["blazepose33"], axis=1)[:31].mean()
            for each in (was, now)
        ]
        assert apart[1] < 0.5 * apart[0]
        assert now.crop == was.crop
    assert np.mean(aligned_mm(after, truth)) < np.mean(aligned_mm(before, truth))


def test_refining_without_landmarks_changes_nothing(truth: Scene) -> None:
    predictor = Predictor(lambda rgb, detections: people(), shipped_body(), model="m", terms="test")
    assert truth.picture is not None
    scene = predictor(truth.picture, detector=Detector(truth, known=3), focal_px=FOCAL, refine=True)
    assert scene.notes == ("refined nobody: no landmarks to fit to",)
    assert scene.model == "m"
    np.testing.assert_array_equal(scene.people[0].theta, truth.people[0].theta)


def small_mask(folder: Path) -> list[str]:
    Image.new("L", (10 * WIDTH // 20, HEIGHT), 255).save(folder / "mask.png")
    return ["--mask", str(folder / "mask.png"), "--person", "0"]


def black_mask(folder: Path) -> list[str]:
    Image.new("L", (WIDTH, HEIGHT), 1).save(folder / "mask.png")
    return ["--mask", str(folder / "mask.png"), "--person", "0"]


def white_mask(folder: Path) -> list[str]:
    Image.new("L", (WIDTH, HEIGHT), 255).save(folder / "mask.png")
    return ["--mask", str(folder / "mask.png"), "--person", "0"]


def mask_of_two(folder: Path) -> list[str]:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[100:300, 100:300] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    return ["--mask", str(folder / "mask.png")]


# What is wrong, the keypoints, more of the command line, a word that the sentence must hold.
NOTHING, SOMEBODY = [0, 0, 0], [99, 99, 1]


def by_hand(*rows: list[int], **more: str) -> dict[str, Any]:
    """Our own layout: some joints of COCO's."""
    return {"a.png": [{"keypoints": list(rows), **more}]}


REFUSED: list[tuple[str, Callable[[Scene], Any], Callable[[Path], list[str]], str]] = [
    ("no such file", lambda truth: None, lambda folder: [], "no file"),
    ("damaged", lambda truth: json.dumps(openpose(truth))[:-9], lambda folder: [], "JSON"),
    ("another picture", lambda truth: {"b.png": []}, lambda folder: [], "no entry"),
    ("outside", lambda truth: openpose(truth, shift_px=5000), lambda folder: [], "outside"),
    ("boxes", lambda truth: {"a.png": [{"box": [1, 2, 300, 400]}]}, lambda folder: [], "no keypoints"),
    ("two joints", lambda truth: by_hand([9, 9, 1], SOMEBODY, *[NOTHING] * 15), lambda folder: [], "2 known"),
    ("one of them nobody", lambda truth: with_nobody(truth), lambda folder: [], "a_keypoints.json, person 1: it has 0"),
    ("nobody chosen", lambda truth: with_nobody(truth), lambda folder: ["--person", "1"], "person 1: it has 0"),
    ("nobody at all", lambda truth: with_nobody(truth, 0), lambda folder: [], "person 0: it has 0"),
    ("one place", lambda truth: by_hand(*[SOMEBODY] * 17), lambda folder: [], "same place"),
    ("unknown set", lambda truth: by_hand(*[SOMEBODY] * 17, set="martian"), lambda folder: [], "martian"),
    ("no such person", openpose, lambda folder: ["--person", "2"], "0 to 1"),
    ("nobody's name", openpose, lambda folder: ["--person", "Ann"], "all, best"),
    ("mask of another size", openpose, small_mask, "320 x 480"),
    ("black mask", openpose, black_mask, "black"),
    ("white mask", openpose, white_mask, "white everywhere"),
    ("one mask for two", openpose, mask_of_two, "--person"),
    ("no mask", openpose, lambda folder: ["--mask", str(folder / "none.png")], "none.png"),
    ("no such start", openpose, lambda folder: ["--start", "crystal-ball"], "crystal-ball"),
    ("no such body", openpose, lambda folder: ["--body", "missing.npz"], "missing.npz"),
    ("impossible camera", openpose, lambda folder: ["--fov", "180"], "field of view"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "make", "options", "word"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_fitted_is_refused(
    what: str,
    make: Callable[[Scene], Any],
    options: Callable[[Path], list[str]],
    word: str,
    truth: Scene,
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content, out = make(truth), tmp_path / "out"
    keypoints = tmp_path / "none.json" if content is None else written(tmp_path, content)
    command = ["fit", str(photo), "--keypoints", str(keypoints), "-o", str(out), *options(tmp_path)]
    assert main(command) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("monobody: ")
    assert word in lines[0]
    assert not out.exists() or not list(out.iterdir())


def test_nobody_listed(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keypoints = written(tmp_path, {"version": 1.3, "people": []})
    assert main(["fit", str(photo), "--keypoints", str(keypoints), "-o", str(tmp_path / "out")]) == 1
    assert "lists nobody" in capsys.readouterr().err


def test_one_file_for_several_photos_is_refused(
    truth: Scene, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keypoints = written(tmp_path, openpose(truth))
    other = save_png(np.zeros((HEIGHT, WIDTH, 3), np.uint8), tmp_path / "b.png")
    for command in (["fit", str(photo), str(other), "--keypoints"], ["predict", str(photo), str(other), "--detector"]):
        assert main([*command, str(keypoints), "-o", str(tmp_path / "out")]) == 2
        assert "folder" in capsys.readouterr().err
