"""Skeletons from pictures, several possible ones a person: networks whose answers have no body (X as Supervision).

A network looks at each person's crop and says of every joint where it may be; whole poses are put together of that
(``models/decode.py``), each with a weight. A crop does not tell how large a person is: a unit of it is as many
metres as make the bones of the likeliest pose as long as they usually are. The root stands where a person of that size
is seen so large; every joint lies on its line of sight, so that the picture shows all hypotheses where the network saw
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from monobody.body.bones import usual_bones_m
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.camera import Camera, project, unproject
from monobody.data.crop import Crop, extract
from monobody.errors import UserError
from monobody.hypothesis import Kept
from monobody.models.decode import decode_marginals
from monobody.models.depth_ways import MOST
from monobody.models.detectors import Detector
from monobody.models.marginals import marginals
from monobody.models.places import about_peak
from monobody.models.whole_poses import bone_size
from monobody.predict.detection import Detection
from monobody.predict.estimate import Seen
from monobody.scene import Hypothesis, Person

PEOPLE_AT_ONCE = 4
"""Crops in one pass: the volumes of one take 19 MB at 256 px, and the network as much again several times."""
UNIT_M = (0.1, 10.0)
"""What half a crop may measure; an undecided network knows no better."""
NEAREST = 0.1
"""No joint is nearer to the camera than this share of its person's distance."""
CLEAR = 0.05
"""A joint is clear where the cells within a 32nd of the crop about the likeliest hold this share of the probability."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a network said about people."""

    joints: Float[Tensor, "n h k 3"]
    """Whole poses in crop coordinates, the likeliest first."""
    weight: Float[Tensor, "n h"]
    """Of each; 0 where there are fewer."""
    clear: Float[Tensor, " n"]
    """Of how many joints, as a share, the network knows where they are in the picture."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SkeletonEstimator:
    """Runs a network on the detections' crops; :meth:`people` are skeletons before their pictures' cameras.

    Raises:
        UserError: the body does not have all joints of the network's set.
    """

    network: Detector
    device: torch.device
    body: Body
    """Whose bones are as long as people's usually are."""
    kept: Kept = "all"
    lift: bool = False
    """Whether bodies are fitted to the skeletons."""

    def __post_init__(self) -> None:
        self.network.to(self.device).eval()
        if not self.body.data.placed(self.joint_set).all():
            raise UserError(f"The body lacks joints of {self.joint_set}: take the one that the weights are for.")

    @property
    def joint_set(self) -> str:
        """Which joints the skeletons have."""
        return self.network.joint_set

    @property
    def most(self) -> int:
        """More hypotheses than these no person has."""
        return min(self.kept, MOST) if isinstance(self.kept, int) else 1 if self.kept == "best" else MOST

    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], detections: Sequence[Detection]) -> Any:
        """Refuse: what asks for bodies cannot work with skeletons.

        Raises:
            UserError: always.
        """
        raise UserError("This model gives skeletons and no bodies: choose another, such as hmr-small or lift.")

    def people(self, pictures: Sequence[Seen]) -> list[tuple[tuple[Person, ...], tuple[str, ...]]]:
        """Return everybody in several pictures with their cameras, and what is to be known of each picture's people.

        Raises:
            UserError: the network does not answer with numbers, or a skeleton cannot be lifted.
        """
        rows = [(each, one) for each in pictures for one in each.detections]
        if not rows:
            return [((), ()) for _ in pictures]
        found = self.look(np.stack([extract(each.rgb, one.crop, self.network.input_size) for each, one in rows]))
        usual_m = usual_bones_m(self.body, self.joint_set)
        people = []
        for row, (each, one) in enumerate(rows):
            assert each.camera is not None
            joints, weight = _chosen(found.joints[row], found.weight[row], self.kept)
            people.append(
                Person(
                    box_px=np.asarray(one.box_px, np.float32),
                    score=float(one.score),
                    crop=one.crop,
                    hypotheses=placed_skeletons(joints, weight, one.crop, each.camera, self.joint_set, usual_m),
                )
            )
        if self.lift:
            from monobody.predict.lift_skeletons import lifted

            people = lifted(people, [each for each, _ in rows], self.body)
        answers, start = [], 0
        for each in pictures:
            own = slice(start, start + len(each.detections))
            answers.append((tuple(people[own]), _doubts(found.clear[own])))
            start = own.stop
        return answers

    def look(self, crops: UInt8[np.ndarray, "n s s 3"]) -> Found:
        """Return what the network says about crops.

        Raises:
            UserError: it does not say numbers.
        """
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        usual_m = usual_bones_m(self.body, self.joint_set).to(self.device)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        with torch.inference_mode():
            for part in images.split(PEOPLE_AT_ONCE):
                said = marginals(self.network(part.to(self.device).float() / 255))
                if not (said.plane.isfinite().all() and said.depth.isfinite().all()):
                    raise UserError("The network's answer is no number: its weights are damaged or of another network.")
                read = decode_marginals(
                    said, usual_m, joint_set=self.joint_set, depth_range=self.network.depth_range, poses=MOST
                )
                seen = about_peak(said.plane, max(round(said.plane.shape[-1] / 32), 1))[1].sum(2)
                clear = (seen >= CLEAR).float().mean(1)
                parts.append((read.whole.cpu(), read.weight.cpu(), clear.cpu()))
        joints, weight, clear = (torch.cat(each) for each in zip(*parts, strict=True))
        return Found(joints=joints, weight=weight, clear=clear)


def placed_skeletons(
    joints: Float[Tensor, "h k 3"],
    weight: Float[Tensor, " h"],
    crop: Crop,
    camera: Camera,
    joint_set: str,
    usual_m: Float[Tensor, " k"],
) -> tuple[Hypothesis, ...]:
    """Return poses of one person, the heaviest first, before the picture's camera.

    Args:
        joints: x, y and depth from the root's, in halves of the (turned) crop.
        weight: of each pose.
        crop: where the person was seen.
        camera: the picture's.
        joint_set: whose joints they are.
        usual_m: of a person's bones, as :func:`usual_bones_m` has them.
    """
    points = joints.double()
    unit_m = 1 / float(bone_size(points[:1], SKELETONS[joint_set].parents, usual_m.double())[0])
    unit_m = min(max(unit_m, UNIT_M[0]), UNIT_M[1])
    root_m = camera.focal_px * unit_m / (crop.size_px / 2)
    seen_px = crop.to_picture(points[..., :2])
    depth_m = (root_m + unit_m * points[..., 2]).clamp_min(NEAREST * root_m)
    joints_cam_m = unproject(seen_px, depth_m, camera.focal_px, camera.principal_px)
    shares = weight.double() / weight.double().sum()
    return tuple(
        Hypothesis(
            joints_cam_m={joint_set: points_m.float().numpy()},
            joints_px={joint_set: project(points_m, camera.focal_px, camera.principal_px).float().numpy()},
            weight=share,
        )
        for points_m, share in zip(joints_cam_m, shares.tolist(), strict=True)
    )


def _doubts(clear: Float[Tensor, " n"]) -> tuple[str, ...]:
    """Return a sentence on those of a picture's people whom the network hardly sees."""
    return tuple(
        f"person {number}: the network cannot tell where most joints are; do not rely on them"
        for number, share in enumerate(clear.tolist())
        if share < 0.5
    )


def _chosen(
    joints: Float[Tensor, "h k 3"], weight: Float[Tensor, " h"], kept: Kept
) -> tuple[Float[Tensor, "n k 3"], Float[Tensor, " n"]]:
    """Return the poses of one person that are kept, and their weights; always one."""
    there = int((weight > 0).sum())
    count = there if kept == "all" else 1 if kept == "best" else min(kept, there)
    return joints[:count], weight[:count]
