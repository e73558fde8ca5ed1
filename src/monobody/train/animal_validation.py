"""How right a detector of animals is: 3D errors and found joints on held-out clips, coats and textures.

The poses measured are those of :mod:`monobody.train.hypotheses_validation`: confident, whole, and two that ask an
oracle. Beside them stand two guesses that see no picture: the mean of training rows, and the resting mean animal,
turned as the truth is turned (an oracle too). An animal has no size in a crop: millimetres are those of one whose trunk
is half a metre long.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn

from monobody.body.bones import usual_bones_m
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.data.animal_rows import stacked
from monobody.data.synthetic_animals import AnimalSample, animal_row
from monobody.render.sticks import draw_sticks
from monobody.train.hypotheses_labels import from_cube
from monobody.train.hypotheses_validation import Truth, answers_of, choices, numbers_of
from monobody.train.task import Findings

SET = "quadruped"
_MIDDLE, _LEFT, _RIGHT = (80, 200, 90), (235, 70, 60), (70, 120, 245)
THRESHOLDS = (0.1, 0.05)
"""A joint is found within this share of the crop's side."""


class AnimalValidation:
    """Measure a detector on fixed pictures of animals.

    Args:
        samples: what to measure on.
        body: the animals'.
        mean: joints in the cube that a guess without any picture gives (:func:`mean_cube`).
        hypotheses: depths of each joint.
    """

    def __init__(
        self,
        samples: Sequence[AnimalSample],
        body: Body,
        mean: Float[Tensor, "22 3"],
        *,
        hypotheses: int = 3,
    ) -> None:
        self.samples, self.body, self.mean, self.hypotheses = list(samples), body, mean, hypotheses
        self.usual_m = usual_bones_m(body, SET)
        self.rows = stacked([animal_row(sample) for sample in self.samples])
        self.truth = _truth_of(self.samples, self.rows["joints"])

    def __call__(self, detector: nn.Module) -> Findings:
        found = answers_of(detector, self.rows["images"], self.usual_m, hypotheses=self.hypotheses)
        numbers = numbers_of(found, self.truth, SET)
        inside = self.rows["known"] > 0
        for choice, poses in choices(found, self.truth.cube, SET).items():
            if choice in ("confident", "whole"):
                numbers |= {f"{choice}_{name}": value for name, value in self._found(poses, inside).items()}
        pictures = {"animals": self._drawn(found.whole[:, 0])}
        return Findings(numbers=numbers, pictures=pictures, headline="confident_mpjpe_mm")

    def guesses(self) -> dict[str, float]:
        """Return the errors of the two guesses that see no picture."""
        mean = self.mean.expand_as(self.truth.cube)
        errors = {f"mean_row_{name}": value for name, value in self.truth.errors(mean, SET).items()}
        resting = self.body.data.keypoint_regressors[SET] @ self.body.data.v_template
        true = self.truth.joints_m.numpy()
        about = true - true[:, :1]
        turned = np.stack([(resting - resting[0]) @ sample.rotations[0].T for sample in self.samples])
        errors["resting_turned_mpjpe_mm"] = 1000 * np.linalg.norm(turned - about, axis=-1).mean(-1)
        numbers = {name: float(value.mean()) for name, value in errors.items()}
        return numbers | {
            f"mean_row_{name}": value for name, value in self._found(mean, self.rows["known"] > 0).items()
        }

    def _found(self, poses: Float[Tensor, "b 22 3"], inside: Tensor) -> dict[str, float]:
        """Return the share of joints in the crop that are found, per cent."""
        off = (poses - self.truth.cube)[..., :2].norm(dim=-1) / 2
        return {f"pck_{limit:g}": 100 * float((off[inside] < limit).float().mean()) for limit in THRESHOLDS}

    def _drawn(self, found: Float[Tensor, "b 22 3"], count: int = 24) -> np.ndarray:
        crops = self.rows["images"][:count].permute(0, 2, 3, 1).numpy()
        return animal_sheet(crops, [self.truth.cube[:count].numpy(), found[:count].numpy()])


def animal_sheet(
    crops: UInt8[np.ndarray, "n s s 3"],
    poses: Sequence[Float[np.ndarray, "n 22 3"]],
    *,
    columns: int = 4,
    side: int = 128,
    beside: bool = False,
) -> UInt8[np.ndarray, "h w 3"]:
    """Return every crop as it is and with each of its poses over it, next to each other; left limbs are red.

    Args:
        crops: pictures of animals.
        poses: of the crop's cube.
        columns: crops in a row.
        side: of a picture in the sheet, pixels.
        beside: draw each pose once more as seen from its right: depth to the right.
    """
    skeleton, shown = SKELETONS[SET], []
    bones: dict[tuple[int, int, int], list[tuple[int, int]]] = {_MIDDLE: [], _LEFT: [], _RIGHT: []}
    for parent, joint in skeleton.bones:
        side_of = skeleton.joints[joint].partition("_")[0]
        bones[{"left": _LEFT, "right": _RIGHT}.get(side_of, _MIDDLE)].append((parent, joint))

    def drawn(picture: np.ndarray, points: Float[np.ndarray, "22 2"]) -> np.ndarray:
        nobody = np.zeros(len(points), bool)
        for colour, links in bones.items():
            there = nobody.copy()
            there[[joint for link in links for joint in link]] = True
            picture = draw_sticks(
                picture, (points + 1) * side / 2, links, colour=colour, shown=there, width_px=1.2, radius_px=1.4
            )
        return picture

    for number, crop in enumerate(crops):
        large = np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC))
        row = [large, *(drawn(large, pose[number, :, :2]) for pose in poses)]
        if beside:
            white = np.full_like(large, 255)
            row += [drawn(white, pose[number][:, [2, 1]]) for pose in poses]
        shown.append(np.concatenate(row, axis=1))
    shown += [np.full_like(shown[0], 255)] * (-len(shown) % columns)
    rows = [np.concatenate(shown[start : start + columns], axis=1) for start in range(0, len(shown), columns)]
    return np.concatenate(rows, axis=0)


def mean_cube(samples: Sequence[AnimalSample]) -> Float[Tensor, "22 3"]:
    """Return the mean of training rows' joints, each with its mirror image."""
    rows = [animal_row(sample, mirrored=mirrored)["joints"] for sample in samples for mirrored in (False, True)]
    return torch.from_numpy(np.mean(rows, axis=0, dtype=np.float64).astype(np.float32))


def _truth_of(samples: Sequence[AnimalSample], cube: Float[Tensor, "b 22 3"]) -> Truth:
    root = SKELETONS[SET].parents.index(-1)
    joints_m = torch.from_numpy(np.stack([sample.joints_cam_m for sample in samples]))
    roots_m = joints_m[:, root]
    size = len(samples[0].image)
    focal = torch.tensor([sample.focal_px for sample in samples], dtype=torch.float32)
    points = torch.from_numpy(np.stack([sample.points_px[root] for sample in samples]))
    # The crop on the plane one metre away: its middle and its side.
    principal = points - roots_m[:, :2] / roots_m[:, 2:] * focal[:, None]
    view = torch.cat([(size / 2 - principal) / focal[:, None], size / focal[:, None]], dim=1)
    return Truth(cube=cube, joints_m=joints_m, roots_m=roots_m, half_m=view[:, 2] * roots_m[:, 2] / 2, view=view)


def before_camera(truth: Truth, poses: Float[Tensor, "b k 3"]) -> Float[Tensor, "b k 3"]:
    """Return poses of the cube in metres before the camera, their roots at the true depth."""
    return from_cube(poses, truth.roots_m, truth.half_m, truth.view)


def rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return numbers as a table has them."""
    return {name: round(value, 2) for name, value in numbers.items()}
