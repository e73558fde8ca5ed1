"""Bodies fitted to evidence of known bodies: what comes back, what has no influence, what is refused."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from monobody.body.collision import CapsuleBody
from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS
from monobody.errors import UserError
from monobody.fit.evidence import Evidence, Fits, Frames, Mask, Start
from monobody.fit.settings import Settings, Stage
from monobody.fit.smplify import fit_bodies
from monobody.fit.terms import project
from monobody.metrics import pa_mpjpe
from monobody.render.silhouette import Outline, silhouette

SETS = ("lsp14", "cocoplus19", "smpl24", "h36m17", "coco17")
FOCAL, PRINCIPAL = 800.0, (250.0, 250.0)
ONE = (Stage(evaluations=40, prior=1, outlier=0.2),)
QUICK = Settings(orientations=1, stages=ONE, start_stages=ONE)


class People:
    """Bodies in sampled poses four metres before a camera."""

    def __init__(self, count: int, body: Body, joints: JointBody) -> None:
        generator = torch.Generator().manual_seed(3)
        self.rotations = PosePrior.load().sample(count, generator)
        self.rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ self.rotations[:, 0]
        self.betas = 0.7 * torch.randn(count, 10, generator=generator)
        self.translation_m = torch.tensor([0.1, 0.2, 4.0]).repeat(count, 1)
        self.joints_m = {
            name: points + self.translation_m[:, None] for name, points in joints(self.rotations, self.betas).items()
        }
        self.focal_px, self.principal_px = torch.full((count,), FOCAL), torch.tensor([PRINCIPAL] * count)
        self.keypoints_px = project(self.joints_m["cocoplus19"], self.focal_px, self.principal_px)

    def evidence(self, rows: slice = slice(None)) -> Evidence:
        keypoints = self.keypoints_px[rows]
        return Evidence(
            keypoints_px=keypoints,
            confidence=torch.ones(keypoints.shape[:2]),
            focal_px=self.focal_px[rows],
            principal_px=self.principal_px[rows],
        )

    def start(self, off_rad: float, rows: slice = slice(None)) -> Start:
        generator = torch.Generator().manual_seed(4)
        turn = off_rad * torch.randn(len(self.rotations), 24, 3, generator=generator) / math.sqrt(3)
        rotations = (self.rotations @ axis_angle_to_matrix(turn))[rows]
        return Start(rotations=rotations, betas=torch.zeros(len(rotations), 10))


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.load()


@pytest.fixture(scope="module")
def joints(body: Body) -> JointBody:
    return JointBody.from_body(body, SETS)


@pytest.fixture(scope="module")
def people(body: Body, joints: JointBody) -> People:
    return People(4, body, joints)


def off_mm(fits: Fits, people: People, joints: JointBody, rows: slice = slice(None)) -> Tensor:
    return pa_mpjpe(joints(fits.rotations, fits.betas)["lsp14"], people.joints_m["lsp14"][rows])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lsp14", "h36m17"])
def test_known_3d_joints_give_the_body_back(name: str, people: People, body: Body, joints: JointBody):
    fits = fit_bodies(Evidence(joints_m=people.joints_m[name], joint_set=name), body)
    assert off_mm(fits, people, joints).max() < 20
    assert fits.joints_mm.max() < 15
    placed = joints(fits.rotations, fits.betas)[name] + fits.translation_m[:, None]
    assert (placed - people.joints_m[name]).norm(dim=-1).mean() < 0.015
    assert fits.reprojection_px.isnan().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cocoplus19", "coco17", "smpl24"])
def test_3d_joints_of_any_set_give_the_body_back(name: str, people: People, body: Body, joints: JointBody):
    fits = fit_bodies(Evidence(joints_m=people.joints_m[name], joint_set=name), body)
    assert off_mm(fits, people, joints).mean() < 20


def test_known_keypoints_correct_a_start(people: People, body: Body, joints: JointBody):
    start = people.start(0.1)
    before = pa_mpjpe(joints(start.rotations, start.betas)["lsp14"], people.joints_m["lsp14"])
    fits = fit_bodies(people.evidence(), body, start=start, settings=Settings(start_error_rad=0.1))
    after = off_mm(fits, people, joints)
    print(f"PA-MPJPE {before.mean():.1f} mm at the start, {after.mean():.1f} mm after the fit")  # For docs/fitting.md.
    assert after.mean() < 20
    assert after.mean() < 0.6 * before.mean()
    assert fits.reprojection_relative.max() < 0.01


@pytest.mark.slow
def test_the_mean_pose_finds_the_keypoints_though_not_always_the_depth(people: People, body: Body, joints: JointBody):
    fits = fit_bodies(people.evidence(), body)
    assert fits.reprojection_relative.max() < 0.03
    assert fits.beyond_limits.max() < 0.1
    assert off_mm(fits, people, joints).mean() < 110  # A standing mean pose is off by more: 2D alone is ambiguous.


def test_a_person_does_not_depend_on_who_is_beside(people: People, body: Body):
    start = people.start(0.1)
    together = fit_bodies(people.evidence(), body, start=start, settings=QUICK)
    second = slice(1, 2)
    alone = fit_bodies(people.evidence(second), body, start=people.start(0.1, second), settings=QUICK)
    assert torch.allclose(alone.rotations[0], together.rotations[1], atol=2e-2)
    assert alone.loss[0] == pytest.approx(float(together.loss[1]), rel=1e-2)


def test_unknown_joints_have_no_influence(people: People, body: Body):
    given = people.evidence()
    assert given.keypoints_px is not None
    assert given.confidence is not None
    confidence = given.confidence.clone()
    confidence[:, [0, 6]] = 0
    known = replace(given, confidence=confidence)
    moved = given.keypoints_px.clone()
    moved[:, 0], moved[:, 6] = 1000.0, torch.nan
    start = people.start(0.1)
    a = fit_bodies(known, body, start=start, settings=QUICK)
    b = fit_bodies(replace(known, keypoints_px=moved), body, start=start, settings=QUICK)
    assert torch.equal(a.rotations, b.rotations)
    assert torch.equal(a.reprojection_px, b.reprojection_px)


def test_confidence_weighs_and_outliers_do_not_pull(people: People, body: Body, joints: JointBody):
    given, start = people.evidence(), people.start(0.05)
    assert given.keypoints_px is not None
    assert given.confidence is not None
    wrist = SKELETONS["cocoplus19"].index("left_wrist")
    size = (given.keypoints_px.amax(1) - given.keypoints_px.amin(1)).amax(1)

    def wrists(shift: float, confidence: float, outlier: float) -> Tensor:
        """How far wrists follow wrong keypoints, as shares of the shift."""
        keypoints, say = given.keypoints_px.clone(), given.confidence.clone()
        keypoints[:, wrist, 0] += shift * size
        say[:, wrist] = confidence
        settings = replace(QUICK, start_stages=(Stage(evaluations=60, prior=1, outlier=outlier),))
        fits = fit_bodies(replace(given, keypoints_px=keypoints, confidence=say), body, start=start, settings=settings)
        placed = joints(fits.rotations, fits.betas)["cocoplus19"] + fits.translation_m[:, None]
        seen = project(placed, people.focal_px, people.principal_px)
        return (seen - given.keypoints_px)[:, wrist, 0] / (shift * size)

    firm, weak, far = wrists(0.05, 1.0, 10.0), wrists(0.05, 0.05, 10.0), wrists(0.6, 1.0, 0.05)
    assert firm.mean() > weak.mean() + 0.1
    assert far.abs().max() < 0.05


def test_the_tie_holds_a_start(people: People, body: Body):
    start = people.start(0.3)

    def moved(error: float | None) -> float:
        settings = replace(QUICK, start_error_rad=error)
        fits = fit_bodies(people.evidence(), body, start=start, settings=settings)
        return float((fits.rotations - start.rotations).square().sum((1, 2, 3)).mean())

    firm, usual, free = moved(0.03), moved(0.2), moved(None)
    assert firm < usual < free


@pytest.mark.parametrize("depth_m", [-4.0, 0.0])
def test_a_start_behind_the_camera_is_placed_by_the_keypoints(depth_m: float, people: People, body: Body):
    start = people.start(0.1)
    place = people.translation_m.clone()
    place[1, 2] = depth_m
    fits = fit_bodies(people.evidence(), body, start=replace(start, translation_m=place), settings=QUICK)
    assert torch.isfinite(fits.loss).all()
    assert fits.translation_m[1, 2] == pytest.approx(4.0, rel=0.2)
    assert fits.reprojection_relative.max() < 0.05


def test_a_fit_that_comes_to_no_number_is_refused(people: People, body: Body):
    def density(rotations: Tensor) -> Tensor:
        return torch.full((len(rotations),), torch.nan) * rotations.sum((1, 2, 3))

    with pytest.raises(UserError, match="row 0 comes to no finite number"):
        fit_bodies(people.evidence(), body, start=people.start(0.1), settings=QUICK, density=density)


def masks_of(people: People, body: Body, count: int) -> list[Mask]:
    vertices = body(people.rotations[:count], people.betas[:count]).vertices_m + people.translation_m[:count, None]
    seen = project(vertices, people.focal_px[:count], people.principal_px[:count])
    outline = Outline.of(body.faces)
    return [Mask(coverage=cover, window_px=(0, 0, 500, 500)) for cover in silhouette(seen, outline, 500, 500)]


@pytest.mark.slow
def test_a_silhouette_tells_how_stout_somebody_is(people: People, body: Body):
    with torch.no_grad():
        masks = masks_of(people, body, 2)
    stages = (
        Stage(evaluations=40, prior=1, outlier=0.1, mask_px=24),
        Stage(evaluations=40, prior=1, outlier=0.1, mask_px=64),
    )
    rows = slice(0, 2)
    keypoints = people.evidence(rows)
    start = people.start(0.05, rows)
    with_masks = replace(keypoints, masks=masks)
    plain = fit_bodies(
        with_masks, body, start=start, settings=Settings(start_stages=(Stage(evaluations=80, prior=1, outlier=0.1),))
    )
    filled = fit_bodies(with_masks, body, start=start, settings=Settings(start_stages=stages))
    assert (filled.silhouette_iou > plain.silhouette_iou).all()
    assert filled.silhouette_iou.min() > 0.9
    capsules = CapsuleBody(body)

    def girth_off_m(betas: Tensor) -> float:
        """How far off the thickness of pelvis, trunk and chest is."""
        found, true = capsules.at_rest(betas).radius_m, capsules.at_rest(people.betas[:2]).radius_m
        return float((found - true)[:, :4].abs().mean())

    assert girth_off_m(filled.betas) < girth_off_m(plain.betas)


def test_frames_of_a_person_share_their_shape_and_move_smoothly(body: Body, people: People, joints: JointBody):
    count = 6
    times = torch.tensor([0.0, 0.033, 0.066, 0.1, 0.15, 0.2])
    rotations = people.rotations[:1].repeat(count, 1, 1, 1)
    swing = torch.zeros(count, 3)
    swing[:, 1] = 2.0 * times
    rotations[:, SKELETONS["smpl24"].index("left_shoulder")] @= axis_angle_to_matrix(swing)
    betas = people.betas[:1].repeat(count, 1)
    way = people.translation_m[:1] + times[:, None] * torch.tensor([1.0, 0.0, 0.0])
    points = joints(rotations, betas)["cocoplus19"] + way[:, None]
    focal, principal = people.focal_px[:1].repeat(count), people.principal_px[:1].repeat(count, 1)
    jitter = 3 * torch.randn(count, 19, 2, generator=torch.Generator().manual_seed(0))
    single = Evidence(
        keypoints_px=project(points, focal, principal) + jitter,
        confidence=torch.ones(count, 19),
        focal_px=focal,
        principal_px=principal,
    )
    start = Start(rotations=rotations, betas=betas)
    together = replace(single, frames=Frames(person=torch.zeros(count, dtype=torch.long), time_s=times))
    settings = replace(QUICK, start_error_rad=None)
    alone, film = (fit_bodies(x, body, start=start, settings=settings) for x in (single, together))
    assert (film.betas == film.betas[:1]).all()
    assert not (alone.betas == alone.betas[:1]).all()

    def shake(fits: Fits) -> float:
        placed = joints(fits.rotations, fits.betas)["cocoplus19"] + fits.translation_m[:, None]
        speed = placed.diff(dim=0) / times.diff()[:, None, None]
        return float(speed.diff(dim=0).norm(dim=-1).mean())

    assert shake(film) < 0.5 * shake(alone)
    # Two people among the rows, in any order, are two shapes.
    owners = torch.tensor([0, 7, 0, 7, 0, 7])
    two = fit_bodies(replace(single, frames=Frames(person=owners)), body, start=start, settings=settings)
    assert len(two.betas.unique(dim=0)) == 2
    assert (two.betas[owners == 7] == two.betas[1]).all()


def test_evidence_that_cannot_be_fitted_is_refused(people: People, body: Body):
    good = people.evidence()
    assert good.keypoints_px is not None
    assert good.confidence is not None
    keypoints, ones = good.keypoints_px, good.confidence
    broken, few, same = keypoints.clone(), ones.clone(), keypoints.clone()
    broken[2, 5, 0] = torch.nan
    few[1, 2:] = 0
    same[3] = 7.0 + 0.9 * (keypoints[3] - keypoints[3].amin(0)) / (keypoints[3] - keypoints[3].amin(0)).amax()
    square, half = torch.ones(8, 8), torch.zeros(8, 8)
    half[:, :4] = 1

    def mask(coverage: Tensor, window: tuple[float, float, float, float] = (0, 0, 80, 80)) -> Evidence:
        return replace(good, masks=[Mask(coverage=coverage, window_px=window), None, None, None])

    refusals = {
        "nothing to fit": lambda: Evidence(),
        "Row 0 has 0 known keypoints": lambda: replace(good, confidence=torch.zeros_like(ones)),
        "right_shoulder|left_shoulder|left_hip|left_ankle|right_wrist": lambda: replace(good, keypoints_px=broken),
        "Row 1 has 2 known keypoints": lambda: replace(good, confidence=few),
        "row 3 are at one and the same place": lambda: replace(good, keypoints_px=same),
        "no joint set 'coco18'": lambda: replace(good, keypoint_set="coco18"),
        "lsp14 has 14 joints": lambda: replace(good, keypoint_set="lsp14"),
        "negative or not a number": lambda: replace(good, confidence=-ones),
        "need their camera": lambda: replace(good, focal_px=None),
        "no positive focal length": lambda: replace(good, focal_px=torch.tensor([1.0, 1.0, 0.0, 1.0])),
        "different numbers of people": lambda: replace(good, joints_m=torch.randn(3, 14, 3)),
        "is empty": lambda: mask(torch.zeros(8, 8)),
        "is full": lambda: mask(square),
        "not the shape of its window": lambda: mask(half, (0, 0, 80, 40)),
        "outside of 0 to 1": lambda: mask(2 * half),
        "numbers that say whose": lambda: replace(good, frames=Frames(person=torch.zeros(3, dtype=torch.long))),
        "same time": lambda: replace(
            good, frames=Frames(person=torch.zeros(4, dtype=torch.long), time_s=torch.tensor([0.0, 1.0, 1.0, 2.0]))
        ),
        "above 0": lambda: Settings(keypoint_noise=0),
        "at least one stage": lambda: Settings(stages=()),
        "start for 4 rows": lambda: fit_bodies(good, body, start=people.start(0.1, slice(0, 2))),
    }
    for words, make in refusals.items():
        with pytest.raises(UserError, match=words) as refusal:
            make()
        assert "\n" not in str(refusal.value)
