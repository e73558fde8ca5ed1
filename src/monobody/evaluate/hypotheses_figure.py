"""The picture of depth ambiguity: what a detector holds possible, from a second view, beside the truth.

A row is one rendered person who was never trained on. First the crop with the likeliest skeleton. Then the first three
of five whole poses from the person's left, as a camera at their side would see them: the truth in green, the prediction
in orange, and a red line wherever a joint is more than `FAR` off. Last, how probable the detector holds each depth of
the joint whose depth is most in doubt: bars, the depths that stand for a third of it each (orange), and the true depth
(green).

People are not picked by hand: they are spread evenly over those whose places in the picture are right to within the
median, since a joint that is not found at all says nothing about depth.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn

from monobody.body.skeleton import SKELETONS
from monobody.evaluate.hypotheses_ablation import Ruler
from monobody.files import atomic_write
from monobody.models.decode import Decoded, decode_marginals
from monobody.models.depth_ways import MOST
from monobody.models.marginals import marginals
from monobody.render.sticks import draw_sticks

TILE, GAP, HEADER, PAPER = 170, 6, 18, 250
FAR = 0.15
"""Of half a crop, as a rule 15 to 20 cm."""
POSES = 3
_GREEN, _ORANGE, _RED, _GREY, _INK = (30, 160, 60), (240, 130, 20), (225, 40, 40), (175, 175, 180), (40, 40, 45)


def draw_figure(path: Path, detector: nn.Module, ruler: Ruler, *, people: int = 5, hypotheses: int = 3) -> list[int]:
    """Write the picture as a PNG and return which people it shows.

    Args:
        path: where it goes.
        detector: the network.
        ruler: the people.
        people: how many to show.
        hypotheses: depths of each joint.
    """
    shown = choose(detector, ruler, people)
    rows = []
    for number in shown:
        image = ruler.people["images"][number]
        with torch.no_grad():
            said = marginals(detector(_sized(detector, image)).float())
            found = decode_marginals(
                said,
                ruler.usual_m,
                joint_set=str(detector.joint_set),
                depth_range=float(detector.depth_range),  # pyright: ignore[reportArgumentType]
                modes=hypotheses,
                poses=MOST,
            )
        truth = ruler.truth.cube[number].numpy()
        rows.append(_row(image.permute(1, 2, 0).numpy(), truth, found, said.depth[0].numpy(), detector))
    titles = ["seen, and found", *(f"from the left: pose {n + 1}" for n in range(POSES)), "depth of one joint"]
    width = rows[0].shape[1]
    sheet = np.vstack([_header(titles, width), *rows])
    from PIL import Image

    with atomic_write(path, suffix=".png") as temporary:
        Image.fromarray(sheet).quantize(128).save(temporary, optimize=True)
    return shown


def choose(detector: nn.Module, ruler: Ruler, count: int) -> list[int]:
    """Return people spread over those whom the detector places well in the picture."""
    from monobody.train.hypotheses_validation import answers_of

    with torch.no_grad():
        found = answers_of(detector, ruler.people["images"], ruler.usual_m).whole[:, 0, :, :2]
    off = (found - ruler.truth.cube[..., :2]).norm(dim=-1).mean(1).numpy()
    well = np.nonzero(off <= np.median(off))[0]
    return [int(well[place]) for place in np.linspace(0, len(well) - 1, count + 2).round().astype(int)[1:-1]]


def _sized(detector: nn.Module, image: torch.Tensor) -> torch.Tensor:
    size = int(getattr(detector, "input_size", image.shape[-1]))
    images = image[None].float() / 255
    return images if image.shape[-1] == size else nn.functional.interpolate(images, size=(size, size), mode="bilinear")


def _row(
    crop: UInt8[np.ndarray, "s s 3"],
    truth: Float[np.ndarray, "k 3"],
    found: Decoded,
    depths: Float[np.ndarray, "k d"],
    detector: nn.Module,
) -> UInt8[np.ndarray, "h w 3"]:
    from PIL import Image

    bones = SKELETONS[str(detector.joint_set)].bones
    picture = np.asarray(Image.fromarray(crop).resize((TILE, TILE), Image.Resampling.BICUBIC))
    poses, weights = found.whole[0, :POSES].numpy(), found.weight[0, :POSES].numpy()
    tiles = [draw_sticks(picture, (poses[0, :, :2] + 1) * TILE / 2, bones, colour=_ORANGE)]
    for pose, weight in zip(poses, weights, strict=True):
        tiles.append(_from_the_left(pose, truth, float(weight), bones))
    tiles.append(_depth_chart(found, truth, depths, detector))
    gap = np.full((TILE, GAP, 3), PAPER, np.uint8)
    parts = [part for tile in tiles for part in (tile, gap)][:-1]
    return np.vstack([np.hstack(parts), np.full((GAP, sum(part.shape[1] for part in parts), 3), PAPER, np.uint8)])


def _from_the_left(
    pose: Float[np.ndarray, "k 3"],
    truth: Float[np.ndarray, "k 3"],
    weight: float,
    bones: Sequence[tuple[int, int]],
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw a pose and the truth with depth to the right, roots together in depth, and what is far off between them."""
    tile = np.full((TILE, TILE, 3), PAPER, np.uint8)
    if weight <= 0:
        return _written(tile, (8, TILE // 2), "no such pose")

    def placed(points: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 2"]:
        return (np.stack([points[:, 2] - points[0, 2], points[:, 1]], axis=1) + 1) * TILE / 2

    true, found = placed(truth), placed(pose)
    for joint in np.nonzero(np.linalg.norm(pose - truth, axis=1) > FAR)[0]:
        tile = draw_sticks(
            tile, np.stack([true[joint], found[joint]]), [(0, 1)], colour=_RED, width_px=0.8, radius_px=0
        )
    tile = draw_sticks(tile, true, bones, colour=_GREEN)
    tile = draw_sticks(tile, found, bones, colour=_ORANGE)
    return _written(tile, (5, 3), f"weight {weight:.2f}")


def _depth_chart(
    found: Decoded, truth: Float[np.ndarray, "k 3"], depths: Float[np.ndarray, "k d"], detector: nn.Module
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the distribution of the joint whose depths are the farthest apart, and these."""
    from PIL import Image, ImageDraw

    joint = int((found.joint_wise[0, ..., 2].amax(0) - found.joint_wise[0, ..., 2].amin(0)).argmax())
    reach, bins = float(detector.depth_range), depths.shape[1]  # pyright: ignore[reportArgumentType]
    tile = Image.fromarray(np.full((TILE, TILE, 3), PAPER, np.uint8))
    pen = ImageDraw.Draw(tile)
    floor, high, tallest = TILE - 18, TILE - 52, float(depths[joint].max())

    def across(depth: float) -> float:
        return TILE * (depth / reach + 1) / 2

    for number, share in enumerate(depths[joint]):
        left, right = TILE * number / bins, TILE * (number + 1) / bins - 1
        pen.rectangle([left, floor - high * float(share) / tallest, right, floor], fill=_GREY)
    for mode in range(found.joint_wise.shape[1]):
        if found.valid[0, mode, joint]:
            x = across(float(found.joint_wise[0, mode, joint, 2]))
            pen.line([x, floor, x, floor - high], fill=_ORANGE, width=2)
    x = across(float(np.clip(truth[joint, 2], -reach, reach)))
    pen.line([x, floor + 2, x, floor - high * 0.6], fill=_GREEN, width=2)
    pen.text((5, 3), SKELETONS[str(detector.joint_set)].joints[joint].replace("_", " "), fill=_INK)
    pen.text((3, TILE - 14), "nearer", fill=_INK)
    pen.text((TILE - 40, TILE - 14), "farther", fill=_INK)
    return np.asarray(tile)


def _header(titles: Sequence[str], width: int) -> UInt8[np.ndarray, "h w 3"]:
    sheet = np.full((HEADER, width, 3), PAPER, np.uint8)
    for number, title in enumerate(titles):
        sheet = _written(sheet, (number * (TILE + GAP) + 4, 3), title)
    return sheet


def _written(picture: UInt8[np.ndarray, "h w 3"], place: tuple[int, int], words: str) -> UInt8[np.ndarray, "h w 3"]:
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text(place, words, fill=_INK)
    return np.asarray(image)
