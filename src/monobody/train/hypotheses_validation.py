"""How right several hypotheses are: in 3D on rendered people, in 2D on photos with clicked joints.

Every number says which pose was taken: `confident`, each joint's first depth; `whole`, the heaviest whole pose; and two
that ask an oracle, `best_whole` of all whole poses and `best_joints`, each joint from the hypothesis that has it best
(the paper's "best"). Scale and the root's depth are the true ones in all of them, as in the paper. *Repair* exchanges
left and right where the truth says so: joint by joint as the released evaluation does, or the whole body.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from monobody.body.kinematics import JointBody
from monobody.body.skeleton import SKELETONS, correspondence
from monobody.data.mix import fixed_rows
from monobody.data.sample import Sample
from monobody.metrics import pa_mpjpe, pck
from monobody.models.decode import Reading, decode_marginals
from monobody.models.depth_ways import MOST
from monobody.models.marginals import Marginals, marginals
from monobody.train.hmr_task import as_input
from monobody.train.hypotheses_labels import cube_of, from_cube, to_cube
from monobody.train.log import draw_joints
from monobody.train.task import Findings

MODES, POSES, CROPS_AT_ONCE = 3, MOST, 25
Choices = dict[str, Float[Tensor, "b k 3"]]
"""One pose for each row, by how it was chosen."""
PHOTO_JOINTS = tuple(joint for joint, source in enumerate(correspondence("xas18", "lsp14")) if source >= 0)
"""Of LSP's 14 joints those that are places of `xas18` too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What a detector says of a batch, in the crop's cube."""

    joint_wise: Float[Tensor, "b m k 3"]
    whole: Float[Tensor, "b n k 3"]
    weight: Float[Tensor, "b n"]


def marginals_of(detector: nn.Module, images: UInt8[Tensor, "b 3 s s"]) -> Marginals:
    """Ask a detector about crops; those of another size than it is meant for are shrunk."""
    device = next(detector.parameters()).device
    planes, depths = [], []
    for crops in images.split(CROPS_AT_ONCE):
        seen = as_input(crops.to(device))
        size = int(getattr(detector, "input_size", seen.shape[-1]))
        if seen.shape[-1] != size:
            seen = nn.functional.interpolate(seen, size=(size, size), mode="bilinear", antialias=True)
        said = marginals(detector(seen).float())
        planes.append(said.plane.cpu())
        depths.append(said.depth.cpu())
    return Marginals(plane=torch.cat(planes), depth=torch.cat(depths))


def answers_from(
    said: Marginals,
    detector: nn.Module,
    usual_m: Float[Tensor, " k"],
    *,
    hypotheses: int = MODES,
    poses: int = POSES,
    reading: Reading = "shares",
) -> Answers:
    """Return the poses that are read from what a detector said."""
    read = [
        decode_marginals(
            Marginals(plane=plane, depth=depth),
            usual_m.cpu(),
            joint_set=str(detector.joint_set),
            depth_range=float(detector.depth_range),  # pyright: ignore[reportArgumentType]
            modes=hypotheses,
            poses=poses,
            reading=reading,
        )
        for plane, depth in zip(said.plane.split(CROPS_AT_ONCE), said.depth.split(CROPS_AT_ONCE), strict=True)
    ]
    return Answers(
        joint_wise=torch.cat([each.joint_wise for each in read]),
        whole=torch.cat([each.whole for each in read]),
        weight=torch.cat([each.weight for each in read]),
    )


def answers_of(
    detector: nn.Module,
    images: UInt8[Tensor, "b 3 s s"],
    usual_m: Float[Tensor, " k"],
    *,
    hypotheses: int = MODES,
    poses: int = POSES,
    reading: Reading = "shares",
) -> Answers:
    """Ask a detector about crops, and read poses from what it says."""
    said = marginals_of(detector, images)
    return answers_from(said, detector, usual_m, hypotheses=hypotheses, poses=poses, reading=reading)


def choices(answers: Answers, truth: Float[Tensor, "b k 3"], joint_set: str = "xas18") -> Choices:
    """Return the pose that each choice takes; the two that begin with `best` look at the truth (in the cube).

    Whole poses are compared with their roots together, depths joint by joint where they are.
    """
    root = SKELETONS[joint_set].parents.index(-1)
    off = (answers.joint_wise - truth[:, None]).norm(dim=-1)
    best = off.argmin(1)[:, None, :, None].expand(-1, 1, -1, 3)
    about = (answers.whole - answers.whole[:, :, root, None]) - (truth - truth[:, root, None])[:, None]
    best_whole = about.norm(dim=-1).mean(-1).argmin(1)
    return {
        "confident": answers.joint_wise[:, 0],
        "whole": answers.whole[:, 0],
        "best_whole": answers.whole[torch.arange(len(best_whole)), best_whole],
        "best_joints": answers.joint_wise.gather(1, best).squeeze(1),
    }


def repaired_joints(
    joints: Float[Tensor, "b k 3"], truth: Float[Tensor, "b k 3"], joint_set: str = "xas18"
) -> Float[Tensor, "b k 3"]:
    """Take each joint's partner of the other side where that is nearer to the truth in the picture (L1)."""
    other = joints[:, list(SKELETONS[joint_set].flip)]
    nearer = (other - truth)[..., :2].abs().sum(-1) < (joints - truth)[..., :2].abs().sum(-1)
    return torch.where(nearer[..., None], other, joints)


def repaired_bodies(
    joints: Float[Tensor, "b k 3"], truth: Float[Tensor, "b k 3"], joint_set: str = "xas18"
) -> Float[Tensor, "b k 3"]:
    """Exchange left and right of whole bodies where that brings them nearer to the truth in the picture."""
    other = joints[:, list(SKELETONS[joint_set].flip)]
    nearer = (other - truth)[..., :2].abs().sum((1, 2)) < (joints - truth)[..., :2].abs().sum((1, 2))
    return torch.where(nearer[:, None, None], other, joints)


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """Where joints are, in the cube and in metres before the camera, and what leads from one to the other."""

    cube: Float[Tensor, "b k 3"]
    joints_m: Float[Tensor, "b k 3"]
    roots_m: Float[Tensor, "b 3"]
    half_m: Float[Tensor, "b"]
    view: Float[Tensor, "b 3"]

    def errors(self, poses: Float[Tensor, "b k 3"], joint_set: str = "xas18") -> Mapping[str, Float[np.ndarray, "b"]]:
        """Return everybody's errors in mm: about the root, absolute with the root's true depth, after a similarity."""
        root = SKELETONS[joint_set].parents.index(-1)
        found = from_cube(poses.double(), self.roots_m.double(), self.half_m.double(), self.view.double()).numpy()
        true = self.joints_m.double().numpy()
        about, true_about = found - found[:, root : root + 1], true - true[:, root : root + 1]
        return {
            "mpjpe_mm": 1000 * np.linalg.norm(about - true_about, axis=-1).mean(-1),
            "absolute_mm": 1000 * np.linalg.norm(found - true, axis=-1).mean(-1),
            "pa_mpjpe_mm": np.asarray(pa_mpjpe(found, true)),
        }


REPAIRS: Mapping[str, Callable[..., Tensor]] = {
    "": lambda joints, *_: joints,
    "_sides_by_joint": repaired_joints,
    "_sides_by_body": repaired_bodies,
}


def numbers_of(
    answers: Answers, truth: Truth, joint_set: str = "xas18", *, repairs: Sequence[str] = ("",)
) -> dict[str, float]:
    """Return the mean errors of every choice, for each of some `REPAIRS`."""
    numbers = {}
    for choice, poses in choices(answers, truth.cube, joint_set).items():
        for repair in repairs:
            mend = REPAIRS[repair]
            for measure, errors in truth.errors(mend(poses, truth.cube, joint_set), joint_set).items():
                numbers[f"{choice}{repair}_{measure}"] = float(errors.mean())
    return numbers


class HypothesesValidation:
    """Measure a detector on fixed rows of people: 3D errors on rendered ones, 2D joints on photos.

    Args:
        synthetic: rendered people.
        photos: people with clicked joints.
        body: poses the joints of rendered people.
        usual_m: lengths of bones.
        size: of the crops.
        hypotheses: depths of each joint.
        shape_space: whose betas the body understands.
    """

    def __init__(
        self,
        *,
        synthetic: Sequence[Sample],
        photos: Sequence[Sample],
        body: JointBody,
        usual_m: Float[Tensor, " k"],
        size: int,
        hypotheses: int = MODES,
        shape_space: str = "monobody",
    ) -> None:
        self.usual_m, self.hypotheses = usual_m, hypotheses
        self.people = fixed_rows(synthetic, size, shape_space=shape_space, masks=True) if synthetic else None
        self.photos = fixed_rows(photos, size, shape_space=shape_space) if photos else None
        self.truth = None if self.people is None else truth_of(self.people, body)

    def __call__(self, detector: nn.Module) -> Findings:
        numbers: dict[str, float] = {}
        pictures: dict[str, np.ndarray] = {}
        if self.people is not None and self.truth is not None:
            found = answers_of(detector, self.people["images"], self.usual_m, hypotheses=self.hypotheses)
            numbers |= numbers_of(found, self.truth)
            if bool(self.people["has_mask"].all()):
                bare = self.people["images"] * (self.people["mask"] > 127)[:, None]
                seen = answers_of(detector, bare, self.usual_m, hypotheses=self.hypotheses)
                numbers["confident_before_black_mpjpe_mm"] = numbers_of(seen, self.truth)["confident_mpjpe_mm"]
            pictures["people"] = _drawn(self.people["images"], self.truth.cube, found.whole[:, 0])
        if self.photos is not None:
            found = answers_of(detector, self.photos["images"], self.usual_m, hypotheses=self.hypotheses)
            numbers |= photo_numbers(found, self.photos)
        headline = "confident_mpjpe_mm" if self.people is not None else None
        return Findings(numbers=numbers, pictures=pictures, headline=headline)


def truth_of(rows: Mapping[str, Tensor], body: JointBody) -> Truth:
    """Return what is true of rendered people."""
    with torch.no_grad():
        joints_m, roots_m, half_m = cube_of(rows, body)
    cube = to_cube(joints_m, roots_m, half_m, rows["view"])
    return Truth(cube=cube, joints_m=joints_m, roots_m=roots_m, half_m=half_m, view=rows["view"])


def photo_numbers(answers: Answers, rows: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the share of clicked joints found, per cent: those of LSP's 14 that the detector's set has."""
    found = answers.whole[:, 0, :, :2]
    source = [max(joint, 0) for joint in correspondence("xas18", "lsp14")]
    target, visible = rows["keypoints_2d"][:, :14], rows["visible"][:, :14] > 0
    counted = torch.zeros_like(visible)
    counted[:, list(PHOTO_JOINTS)] = True
    return {
        f"pck_{threshold:g}": float(pck(found[:, source], target, visible, threshold=threshold, counted=counted))
        for threshold in (0.1, 0.05)
    }


def _drawn(images: Tensor, true: Tensor, found: Tensor, count: int = 24) -> np.ndarray:
    size = images.shape[-1]
    crops = images[:count].permute(0, 2, 3, 1).numpy()
    # Drawn as LSP's joints; the top of the head is not among ours.
    order = [joint if joint >= 0 else SKELETONS["xas18"].index("head") for joint in correspondence("xas18", "lsp14")]
    placed = [(joints[:count, order, :2].numpy() + 1) * size / 2 for joints in (true, found)]
    return draw_joints(crops, placed[0], np.ones(placed[0].shape[:2], np.float32), placed[1])
