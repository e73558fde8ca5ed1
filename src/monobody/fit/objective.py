"""The whole of what a fit makes small: evidence and body made ready once, then a loss for any bodies and stage."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from monobody.body.collision import CapsuleBody, overlaps_m
from monobody.body.kinematics import JointBody, forward_kinematics
from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.errors import UserError
from monobody.fit import terms
from monobody.fit.evidence import FEWEST_JOINTS, Evidence, Start
from monobody.fit.masks import MaskTerm
from monobody.fit.settings import Settings, Stage
from monobody.fit.variables import Bodies

PoseDensity = Callable[[Float[Tensor, "n 23 3 3"]], Float[Tensor, " n"]]
"""How likely a pose is, log density: `PosePrior.log_density`, or `GaussianMixture.log_density`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solver:
    """The body in the forms that a fit needs, and what is believed about poses."""

    body: Body
    joints: JointBody
    capsules: CapsuleBody
    prior: PosePrior
    density: PoseDensity | None
    """What takes the place of the prior's own density, if anything."""
    settings: Settings

    @staticmethod
    def of(
        body: Body, evidence: Evidence, settings: Settings, prior: PosePrior | None, density: PoseDensity | None
    ) -> "Solver":
        """Reduce a body to the joints that the evidence speaks of."""
        names = [evidence.keypoint_set] if evidence.keypoints_px is not None else []
        names += [evidence.joint_set] if evidence.joints_m is not None else []
        for name in names:
            if name not in body.data.keypoint_regressors:
                raise UserError(f"This body has no regressor for the joint set {name}.")
        return Solver(
            body=body,
            joints=JointBody.from_body(body, tuple(dict.fromkeys([*names, "smpl24"]))),
            capsules=CapsuleBody(body),
            prior=PosePrior.load() if prior is None else prior,
            density=density,
            settings=settings,
        )

    def pose_nats(self, bodies: Bodies) -> Float[Tensor, " n"]:
        """Return the log density of poses."""
        if self.density is not None:
            return self.density(bodies.rotations[:, 1:])
        return self.prior.chart_density(bodies.chart)

    def posed(self, bodies: Bodies) -> tuple[dict[str, Float[Tensor, "n k 3"]], Float[Tensor, "n 3"]]:
        """Return the joints of every set where they are before the camera, and the translation that put them there."""
        joints = self.joints(bodies.rotations, bodies.betas)
        translation = bodies.pelvis_m - joints["smpl24"][:, 0]
        return {name: points + translation[:, None] for name, points in joints.items()}, translation


@dataclass(frozen=True, slots=True)
class Cameras:
    """The camera of each row."""

    focal_px: Float[Tensor, " n"]
    principal_px: Float[Tensor, "n 2"]

    def project(self, points_cam_m: Float[Tensor, "n k 3"]) -> Float[Tensor, "n k 2"]:
        """Return where points are seen, in pixels."""
        return terms.project(points_cam_m, self.focal_px, self.principal_px)

    def picked(self, rows: Int[Tensor, " m"]) -> "Cameras":
        """Return some rows."""
        return Cameras(self.focal_px[rows], self.principal_px[rows])


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Keypoints made ready: unknown ones have no weight, and finite coordinates."""

    set_name: str
    points_px: Float[Tensor, "n k 2"]
    confidence: Float[Tensor, "n k"]
    size_px: Float[Tensor, " n"]
    """Larger side of the box about the known ones."""
    cameras: Cameras

    def picked(self, rows: Int[Tensor, " m"]) -> "Keypoints":
        """Return some rows."""
        kept = (self.points_px[rows], self.confidence[rows], self.size_px[rows])
        return Keypoints(self.set_name, *kept, self.cameras.picked(rows))


@dataclass(frozen=True, slots=True)
class Joints:
    """3D joints made ready, as keypoints are."""

    set_name: str
    points_m: Float[Tensor, "n j 3"]
    confidence: Float[Tensor, "n j"]
    absolute: bool
    """Whether the body's place is told by them, and not by a picture."""

    def picked(self, rows: Int[Tensor, " m"]) -> "Joints":
        """Return some rows."""
        return Joints(self.set_name, self.points_m[rows], self.confidence[rows], self.absolute)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Evidence made ready for a body, and the start that the fit is tied to: a batch of n rows."""

    count: int
    keypoints: Keypoints | None
    joints: Joints | None
    masks: MaskTerm | None
    start: Start | None
    time_s: Float[Tensor, " n"] | None
    triples: Int[Tensor, "t 3"] | None

    @property
    def seen(self) -> bool:
        """Whether a camera tells where the bodies are."""
        return self.keypoints is not None or self.masks is not None

    @staticmethod
    def of(evidence: Evidence, solver: Solver, start: Start | None) -> "Rows":
        """Make evidence ready for a body; joints that the body does not have become unknown.

        Raises:
            UserError: too few of the known joints are joints of this body.
        """
        regressors = solver.body.data.keypoint_regressors

        def known(points: Tensor, confidence: Tensor, set_name: str) -> tuple[Tensor, Tensor]:
            has = torch.from_numpy(regressors[set_name].any(1)).to(points.device)
            confidence = (confidence * has).float()
            few = ((confidence > 0).sum(1) < FEWEST_JOINTS).nonzero()
            if len(few):
                raise UserError(
                    f"Of the known joints of row {int(few[0])} fewer than {FEWEST_JOINTS} are joints of this body."
                )
            return torch.where((confidence > 0)[..., None], points.float(), 0.0), confidence

        keypoints = joints = cameras = masks = None
        if evidence.focal_px is not None and evidence.principal_px is not None:
            cameras = Cameras(evidence.focal_px.float(), evidence.principal_px.float())
        if evidence.keypoints_px is not None and evidence.confidence is not None and cameras is not None:
            points, confidence = known(evidence.keypoints_px, evidence.confidence, evidence.keypoint_set)
            size = box_size(points, confidence > 0)
            keypoints = Keypoints(evidence.keypoint_set, points, confidence, size, cameras)
        if evidence.joints_m is not None:
            given = evidence.joints_confidence
            given = evidence.joints_m.new_ones(evidence.joints_m.shape[:2]) if given is None else given
            points, confidence = known(evidence.joints_m, given, evidence.joint_set)
            joints = Joints(evidence.joint_set, points, confidence, evidence.joints_absolute or not evidence.seen)
        if evidence.has_masks and cameras is not None:
            masks = MaskTerm.of(evidence.masks or (), solver.body, cameras.focal_px, cameras.principal_px)
        frames = evidence.frames
        return Rows(
            count=evidence.count,
            keypoints=keypoints,
            joints=joints,
            masks=masks,
            start=start,
            time_s=None if frames is None else frames.time_s,
            triples=None if frames is None or frames.time_s is None else successive(frames.person, frames.time_s),
        )

    def picked(self, rows: Int[Tensor, " m"]) -> "Rows":
        """Return some rows, as single pictures: what ties frames together is left out."""
        return Rows(
            count=len(rows),
            keypoints=None if self.keypoints is None else self.keypoints.picked(rows),
            joints=None if self.joints is None else self.joints.picked(rows),
            masks=None if self.masks is None else self.masks.picked(rows),
            start=None if self.start is None else _picked_start(self.start, rows),
            time_s=None,
            triples=None,
        )


def loss(bodies: Bodies, rows: Rows, solver: Solver, stage: Stage) -> Float[Tensor, " n"]:
    """Return what a stage makes small, for each row in nats."""
    settings = solver.settings
    joints, translation = solver.posed(bodies)
    total = stage.prior * (terms.shape(bodies.betas) - solver.pose_nats(bodies))
    total = total + terms.beyond_limits(bodies.chart, solver.prior.limits, softness_rad=settings.limit_softness_rad)
    if rows.keypoints is not None:
        total = total + terms.reprojection(
            rows.keypoints.cameras.project(joints[rows.keypoints.set_name]),
            rows.keypoints.points_px,
            rows.keypoints.confidence,
            rows.keypoints.size_px,
            noise=settings.keypoint_noise,
            outlier=stage.outlier,
        )
    if rows.joints is not None:
        total = total + terms.joints_3d(
            joints[rows.joints.set_name],
            rows.joints.points_m,
            rows.joints.confidence,
            absolute=rows.joints.absolute,
            noise_m=settings.joint_noise_m,
            outlier_m=settings.joint_outlier_m,
        )
    if rows.masks is not None and stage.mask_px:
        total = total + rows.masks.nats(bodies, translation, side_px=stage.mask_px, error=settings.mask_error)
    if stage.collision:
        # How thick parts are follows the shape only from stage to stage: that is what costs.
        rest = solver.capsules.at_rest(bodies.betas.detach())
        overlaps = overlaps_m(solver.capsules(bodies.rotations, bodies.betas, rest))
        total = total + terms.interpenetration(
            overlaps, allowed_m=settings.overlap_allowed_m, softness_m=settings.overlap_softness_m
        )
    if rows.start is not None and settings.start_error_rad is not None:
        total = total + terms.tie(bodies.rotations, rows.start.rotations, error_rad=settings.start_error_rad)
        total = total + terms.tie_shape(bodies.betas, rows.start.betas, error=settings.start_shape_error)
    if rows.triples is not None and rows.time_s is not None and len(rows.triples):
        total = total + _unsteadiness(bodies, rows.triples, rows.time_s, solver)
    return total


def _unsteadiness(
    bodies: Bodies, triples: Int[Tensor, "t 3"], time_s: Float[Tensor, " n"], solver: Solver
) -> Float[Tensor, " n"]:
    """Return how unlikely a motion is: the joints' turning and the person's way."""
    rest = solver.joints.rest_joints.expand(len(time_s), 24, 3)
    _, joints = forward_kinematics(bodies.rotations, rest, solver.joints.parents)
    # Half the squared change of a rotation's nine numbers is the squared angle.
    turning = bodies.rotations.flatten(1) / 2**0.5
    moving = torch.cat([bodies.pelvis_m, (joints - joints[:, :1]).flatten(1) / 24**0.5], dim=1)
    settings = solver.settings
    return terms.acceleration(turning, triples, time_s, density=settings.turning_density) + terms.acceleration(
        moving, triples, time_s, density=settings.moving_density
    )


def successive(person: Int[Tensor, " n"], time_s: Float[Tensor, " n"]) -> Int[Tensor, "t 3"]:
    """Return the rows of every three successive frames of one person."""
    found = []
    for one in person.unique():
        mine = (person == one).nonzero().squeeze(1)
        found.append(mine[time_s[mine].argsort()].unfold(0, 3, 1) if len(mine) > 2 else mine.new_zeros(0, 3))
    return torch.cat(found)


def box_size(points: Float[Tensor, "n k 2"], known: Bool[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Return the larger side of the box about each row's known points."""
    low = points.masked_fill(~known[..., None], torch.inf).amin(1)
    high = points.masked_fill(~known[..., None], -torch.inf).amax(1)
    return (high - low).amax(1)


def _picked_start(start: Start, rows: Int[Tensor, " m"]) -> Start:
    return Start(
        rotations=start.rotations[rows],
        betas=start.betas[rows],
        translation_m=None if start.translation_m is None else start.translation_m[rows],
    )
