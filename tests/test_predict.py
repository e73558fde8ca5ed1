"""The predictor: turning back is exact, the camera's numbers reproduce the picture, choices are said."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import HEIGHT, WIDTH, detection, posed_scene, random_output, shipped_body

import monobody
from monobody.body.rotation import axis_angle_to_matrix
from monobody.camera import Camera, full_image_translation, project, project_through_picture, project_weak
from monobody.data.crop import Crop, hmr_crop
from monobody.data.sample import view_of
from monobody.errors import UserError
from monobody.models.hmr import build_model
from monobody.predict.estimate import MeanPose, PixelEstimator, Seen
from monobody.predict.place import place
from monobody.predict.predictor import Predictor, choose_camera, choose_device, load

ANGLES = (0.0, 0.3, -1.2, np.pi / 2, 3.0)


@pytest.mark.parametrize("angle", ANGLES)
def test_turned_crops_turn_back_exactly(angle: float) -> None:
    """What the network said in the turned crop and theta in the upright one fall on the same pixels."""
    body, crop = shipped_body(), Crop((300.0, 200.0), 280.0, angle)
    said = random_output(1, seed=7, spread_rad=0.5)
    in_crop = body(said.rotations, said.betas).joints_m[0]
    expected_px = crop.to_picture(said.camera[0, 0] * (in_crop[:, :2] + said.camera[0, 1:]))

    predictor = Predictor(lambda rgb, found: said, body, model="test", terms="test")
    camera = Camera(focal_px=1000.0, principal_px=(320.0, 240.0), source="default")
    (person,) = predictor.people(np.zeros((480, 640, 3), np.uint8), [detection(crop)], camera)

    theta = torch.from_numpy(person.theta)
    posed = body(axis_angle_to_matrix(theta[3:75].reshape(24, 3)), theta[75:]).joints_m
    got_px = person.upright_crop.to_picture(theta[0] * (posed[:, :2] + theta[1:3]))
    np.testing.assert_allclose(got_px.numpy(), expected_px.numpy(), atol=2e-3)
    # The depth of every joint, which no projection shows, is left alone.
    np.testing.assert_allclose(posed[:, 2].numpy(), in_crop[:, 2].numpy(), atol=1e-5)


def test_joints_of_a_scene_are_theta_s_seen_by_the_scene_s_camera() -> None:
    scene = posed_scene(people=3, seed=1)
    for person in scene.people:
        theta = torch.from_numpy(person.theta)
        posed = shipped_body()(axis_angle_to_matrix(theta[3:75].reshape(24, 3)), theta[75:])
        cam_m = posed.joints_m.numpy() + person.translation_m
        np.testing.assert_allclose(person.joints_cam_m["smpl24"], cam_m, atol=1e-5)
        px = cam_m[:, :2] / cam_m[:, 2:] * scene.camera.focal_px + np.array(scene.camera.principal_px)
        np.testing.assert_allclose(person.joints_px["smpl24"], px, atol=2e-3)


def test_far_away_perspective_agrees_with_weak_perspective() -> None:
    """With a long lens the pinhole camera and HMR's scaled orthography draw the same picture."""
    said, crop = random_output(1, seed=2, spread_rad=0.3), Crop((200.0, 260.0), 300.0, 0.4)
    predictor = Predictor(lambda rgb, found: said, shipped_body(), model="test", terms="test")
    camera = Camera(focal_px=1e5, principal_px=(WIDTH / 2, HEIGHT / 2), source="user")
    (person,) = predictor.people(np.zeros((HEIGHT, WIDTH, 3), np.uint8), [detection(crop)], camera)
    in_crop = shipped_body()(said.rotations, said.betas).joints_m[0]
    weak_px = crop.to_picture(said.camera[0, 0] * (in_crop[:, :2] + said.camera[0, 1:]))
    np.testing.assert_allclose(person.joints_px["smpl24"], weak_px.numpy(), atol=0.5)


def test_joints_that_a_body_lacks_are_not_numbers() -> None:
    scene = posed_scene(people=1, seed=0)
    data = shipped_body().data
    for name, points in scene.people[0].joints_cam_m.items():
        if name != "smpl24":
            np.testing.assert_array_equal(np.isfinite(points).all(axis=1), data.placed(name))


def test_mean_pose_stands_in_the_middle_of_the_crop() -> None:
    crop = Crop((320.0, 240.0), 300.0)
    output = MeanPose(shipped_body())(np.zeros((HEIGHT, WIDTH, 3), np.uint8), [detection(crop)])
    joints = shipped_body()(output.rotations, output.betas).joints_m[0]
    uv = output.camera[0, 0] * (joints[:, :2] + output.camera[0, 1:])
    assert uv[0].abs().max() < 1e-5
    assert uv[15, 1] < uv[0, 1] < uv[7, 1]  # Head above pelvis above feet: y points down.
    assert uv.abs().max() < 1.2


@pytest.mark.parametrize(
    ("known", "focal_px", "source"),
    [
        ({}, np.hypot(400, 300), "default"),
        ({"exif_focal_px": 777.0}, 777.0, "exif"),
        ({"exif_focal_px": 777.0, "focal_px": 500.0}, 500.0, "user"),
        ({"exif_focal_px": 777.0, "fov_deg": 90.0}, 200.0, "user"),
    ],
)
def test_the_focal_length_comes_from_the_best_source(known: dict[str, float], focal_px: float, source: str) -> None:
    camera = choose_camera(400, 300, **known)
    assert camera.focal_px == pytest.approx(focal_px)
    assert camera.source == source
    assert camera.principal_px == (200.0, 150.0)


@pytest.mark.parametrize("wrong", [{"focal_px": 0.0}, {"focal_px": np.nan}, {"fov_deg": 180.0}, {"fov_deg": -3.0}])
def test_impossible_cameras_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError):
        choose_camera(400, 300, **wrong)


def test_focal_length_and_field_of_view_are_one_thing() -> None:
    with pytest.raises(UserError, match="not both"):
        choose_camera(400, 300, focal_px=300.0, fov_deg=60.0)


def test_unknown_device_is_refused() -> None:
    with pytest.raises(UserError, match="device"):
        choose_device("warp-drive")


def test_three_lines_of_python() -> None:
    model = monobody.load("mean-pose")
    scene = model(np.full((200, 100, 3), 90, np.uint8), boxes=[[10, 10, 90, 190]])
    assert len(scene.people) == 1
    assert scene.people[0].theta.shape == (85,)


def test_pixels_of_the_wrong_kind_are_refused() -> None:
    model = load("mean-pose")
    for pixels in (np.zeros((90, 90, 3), np.float32), np.zeros((90, 90, 7), np.uint8), np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(UserError):
            model(pixels)


def test_perspective_shows_the_joints_where_the_network_saw_them() -> None:
    """The placed body's joints lie nearer to the weak-perspective ones than the closed form brings them."""
    crop = Crop((520.0, 300.0), 420.0)  # Near, and far from the middle: where it matters.
    camera = Camera(focal_px=700.0, principal_px=(WIDTH / 2, HEIGHT / 2), source="default")
    for seed in range(5):
        said = random_output(1, seed=seed, spread_rad=0.5)
        points, weak = shipped_body()(said.rotations, said.betas).joints_m[0], said.camera[0]
        expected = crop.to_picture(project_weak(points, weak))
        closed = full_image_translation(weak, crop, camera.focal_px, WIDTH, HEIGHT)
        placed = place(points, weak, crop, camera, width_px=WIDTH, height_px=HEIGHT)
        errors = [
            (project(points + shift, camera.focal_px, camera.principal_px) - expected).square().mean().sqrt()
            for shift in (closed, placed)
        ]
        assert errors[1] < errors[0]


def test_placing_finds_a_known_place() -> None:
    """A flat body has no nearer and farther limbs, so that both cameras agree and the closed form is the answer."""
    points = torch.cat([torch.randn(20, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(20, 1)], dim=1)
    weak, crop = torch.tensor([0.8, 0.1, -0.2]), Crop((500.0, 100.0), 300.0)
    camera = Camera(focal_px=700.0, principal_px=(WIDTH / 2, HEIGHT / 2), source="default")
    placed = place(points, weak, crop, camera, width_px=WIDTH, height_px=HEIGHT)
    torch.testing.assert_close(placed, full_image_translation(weak, crop, 700.0, WIDTH, HEIGHT), atol=1e-4, rtol=1e-4)


class FirstSight(torch.nn.Module):
    """Stands in for a network that was told about the picture: remembers what it is told, and says what it must."""

    def __init__(self, said, *, full_image: bool) -> None:
        super().__init__()
        self.said, self.full_image, self.input_size = said, full_image, 32
        self.views = None

    def forward(self, images, view=None):
        self.views = view
        return [self.said]


def test_a_network_that_knows_the_picture_is_told_and_believed() -> None:
    """Its weak camera means a place before the pinhole, in turned crops as well; in training its joints fell there."""
    body, crop = shipped_body(), Crop((500.0, 120.0), 260.0, 0.6)
    said = random_output(1, seed=4, spread_rad=0.5)
    network = FirstSight(said, full_image=True)
    predictor = Predictor(PixelEstimator(network, torch.device("cpu")), body, model="test", terms="test")
    camera = Camera(focal_px=600.0, principal_px=(WIDTH / 2, HEIGHT / 2), source="user")
    (person,) = predictor.people(np.zeros((HEIGHT, WIDTH, 3), np.uint8), [detection(crop)], camera)
    view = view_of(crop, camera.focal_px, camera.principal_px)
    np.testing.assert_allclose(network.views.numpy(), view[None], atol=1e-6)
    in_crop = body(said.rotations, said.betas).joints_m
    seen = project_through_picture(in_crop, said.camera, torch.from_numpy(view)[None])[0]
    np.testing.assert_allclose(person.joints_px["smpl24"], crop.to_picture(seen.numpy()), atol=0.05)


def test_a_network_of_hmrs_crops_gets_these() -> None:
    body, said = shipped_body(), random_output(1, seed=4, spread_rad=0.1)
    estimator = PixelEstimator(FirstSight(said, full_image=False), torch.device("cpu"), crop="hmr")
    predictor = Predictor(estimator, body, model="test", terms="test")
    camera = Camera(focal_px=600.0, principal_px=(WIDTH / 2, HEIGHT / 2), source="user")
    found = detection(Crop((300.0, 200.0), 240.0, 1.0))
    points = np.zeros((33, 2))
    points[:3], points[3] = [[300, 100], [330, 140], [320, 250]], [900, 900]
    scores = np.zeros(33)
    scores[:3], scores[3] = 0.9, 0.1
    (person,) = predictor.people(np.zeros((HEIGHT, WIDTH, 3), np.uint8), [found], camera)
    assert person.crop == hmr_crop(found.box_px), "without landmarks the box decides"
    found = replace(found, landmarks_px=points, landmarks_score=scores)
    (person,) = predictor.people(np.zeros((HEIGHT, WIDTH, 3), np.uint8), [found], camera)
    assert person.crop == Crop((315.0, 175.0), float(np.hypot(30, 150)) * 224 / 150)


@pytest.mark.parametrize("full_image", [False, True])
def test_people_of_several_pictures_at_once_are_those_of_each(full_image: bool) -> None:
    """A network may see people of many pictures together; nobody's answer changes."""
    torch.manual_seed(0)
    network = build_model("hmr-resnet18", size=64, full_image=full_image)
    predictor = Predictor(PixelEstimator(network, torch.device("cpu")), shipped_body(), model="test", terms="test")
    rng = np.random.default_rng(0)
    pictures = []
    for number, people in enumerate((1, 0, 2, 1)):
        crops = [Crop(tuple(rng.uniform(40, 90, 2).tolist()), 80.0 + 10 * i, 0.5 * number) for i in range(people)]
        pictures.append(
            Seen(
                rgb=rng.integers(0, 256, (120 + 10 * number, 150, 3), dtype=np.uint8),
                detections=[detection(crop) for crop in crops],
                camera=Camera(focal_px=200.0 + 50 * number, principal_px=(75, 60), source="user"),
            )
        )
    together = predictor.people_in(pictures)
    assert [len(people) for people in together] == [1, 0, 2, 1]
    for each, found in zip(pictures, together, strict=True):
        assert each.camera is not None
        alone = predictor.people(each.rgb, each.detections, each.camera)
        for ours, theirs in zip(found, alone, strict=True):
            np.testing.assert_allclose(ours.theta, theirs.theta, atol=1e-4)
            np.testing.assert_allclose(ours.joints_px["lsp14"], theirs.joints_px["lsp14"], atol=1e-2)
