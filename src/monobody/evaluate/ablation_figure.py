"""The picture of an ablation: the same people under every kind of supervision, from the front and from the side.

A row is one held-out person: the crop with the joints that are known (green); then for every variant the crop with the
joints it predicts (red) on these, its body from the camera's side, and the same body from its left. A body that lies on
all joints in front and is folded together in depth is what HMR's authors call a monster.

People are not picked by hand: they are spread evenly over those on whom every variant's 2D error is below its median.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8

from monobody.camera import Camera, project_weak
from monobody.data.crop import extract
from monobody.data.sample import Sample
from monobody.files import atomic_write
from monobody.models.hmr import HMROutput
from monobody.render.overlay import draw_overlay
from monobody.train.log import BONES

if TYPE_CHECKING:
    from monobody.body.model import Body
    from monobody.evaluate.held_out import HeldOut

TILE_PX = 124
_HEADER_PX = 16
_GAP_PX = 6
_PAPER = 250
_FAR_M = 60.0
"""From so far away a pinhole sees what a weak-perspective camera does."""
_GREEN, _RED = (40, 220, 70), (255, 55, 45)
LARGEST_BYTES = 290_000


def draw_figure(
    path: Path,
    *,
    body: "Body",
    held_out: "HeldOut",
    sample: Callable[[int], Sample],
    outputs: Mapping[str, HMROutput],
    people: int = 6,
    photos: int = 0,
) -> None:
    """Write the picture as a PNG of less than 300 kB.

    Args:
        path: where it goes.
        body: what the outputs pose.
        held_out: who was measured.
        sample: gives a held-out person by number.
        outputs: of each variant, for all held-out people.
        people: how many synthetic people to show.
        photos: how many photos; whoever publishes the figure needs the right to show them.
    """
    from PIL import Image

    chosen = choose(held_out, outputs, people=people, photos=photos)
    rows = [_row(index, body, held_out, sample(index), outputs) for index in chosen]
    sheet = np.concatenate([_header(list(outputs), rows[0].shape[1]), *rows])
    colours = 256
    with atomic_write(path, suffix=".png") as temporary:
        while True:
            picture = Image.fromarray(sheet).quantize(colours, dither=Image.Dither.NONE)
            picture.save(temporary, optimize=True)
            if temporary.stat().st_size < LARGEST_BYTES or colours <= 16:
                return
            colours //= 2


def choose(held_out: "HeldOut", outputs: Mapping[str, HMROutput], *, people: int, photos: int) -> list[int]:
    """Return the numbers of the people to show, photos first."""
    off_px = torch.stack([held_out.off_2d_px(output) for output in outputs.values()])
    synthetic = held_out.rows["has_joints_3d"] > 0
    chosen: list[int] = []
    for group, count in ((~synthetic, photos), (synthetic, people)):
        if not group.any():
            continue
        small = (off_px <= off_px[:, group].nanmedian(dim=1, keepdim=True).values).all(0) & group
        numbers = (small if small.any() else group).nonzero().flatten()
        spread = torch.linspace(0, len(numbers) - 1, min(count, len(numbers)) + 2)[1:-1].round().long()
        chosen += numbers[spread].tolist()
    return chosen


def _row(
    index: int, body: "Body", held_out: "HeldOut", sample: Sample, outputs: Mapping[str, HMROutput]
) -> UInt8[np.ndarray, "h w 3"]:
    crop = extract(sample.image, sample.crop, TILE_PX)
    visible = held_out.rows["visible"][index, :14].numpy() > 0
    true_px = _pixels(held_out.rows["keypoints_2d"][index, :14].numpy())
    tiles = [_joints(crop, true_px, visible, _GREEN)]
    for output in outputs.values():
        rotations, betas, camera = output.rotations[index], output.betas[index], output.camera[index]
        with torch.no_grad():
            joints_m = held_out.joint_body(rotations[None], betas[None])["cocoplus19"]
            vertices = body(rotations, betas).vertices_m.double().numpy()
        found_px = _pixels(project_weak(joints_m, camera[None])[0, :14].numpy())
        beneath = _joints(crop, true_px, visible, _GREEN)
        tiles.append(_joints(beneath, found_px, np.ones(14, bool), _RED))
        tiles += _views(vertices, camera.double().numpy(), body.data.faces)
    return _side_by_side(tiles)


def _views(
    vertices_m: Float[np.ndarray, "v 3"], camera: Float[np.ndarray, "3"], faces: np.ndarray
) -> list[UInt8[np.ndarray, "s s 3"]]:
    """Draw a body as its camera sees it, and from its left in the same scale, its middle in the middle."""
    scale, shift = float(camera[0]), np.array([camera[1], camera[2], 0.0])
    middle = (vertices_m.min(0) + vertices_m.max(0)) / 2
    x, y, z = (vertices_m - middle).T
    pictures = []
    for points in (vertices_m + shift, np.stack([z, y, -x], axis=-1)):
        # A body that is larger than the picture is shown whole.
        largest = 0.97 / float(np.abs(points[:, :2]).max())
        focal = min(abs(scale), largest) * TILE_PX / 2 * _FAR_M
        seen = points + np.array([0, 0, _FAR_M])
        view = Camera(focal_px=focal, principal_px=(TILE_PX / 2, TILE_PX / 2), source="default")
        paper = np.full((TILE_PX, TILE_PX, 3), _PAPER, np.uint8)
        pictures.append(draw_overlay(paper, [seen], faces, view, opacity=1.0))
    return pictures


def _pixels(crop_coordinates: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "k 2"]:
    return (crop_coordinates + 1) * TILE_PX / 2


def _joints(
    picture: UInt8[np.ndarray, "s s 3"],
    points_px: Float[np.ndarray, "14 2"],
    shown: np.ndarray,
    colour: tuple[int, int, int],
) -> UInt8[np.ndarray, "s s 3"]:
    from PIL import Image, ImageDraw

    # Drawn three times as large and reduced, for smooth lines.
    enlarged = Image.fromarray(picture).resize((3 * TILE_PX, 3 * TILE_PX), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(enlarged)
    points = [(3 * float(x), 3 * float(y)) for x, y in points_px]
    for a, b in BONES:
        if shown[a] and shown[b]:
            pen.line([points[a], points[b]], fill=colour, width=4)
    for (x, y), seen in zip(points, shown, strict=True):
        if seen:
            pen.ellipse([x - 6, y - 6, x + 6, y + 6], fill=colour, outline=(20, 20, 20))
    return np.asarray(enlarged.resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS))


def _side_by_side(tiles: Sequence[np.ndarray]) -> UInt8[np.ndarray, "h w 3"]:
    """Put tiles in a line, with a gap before each variant's three."""
    gap = np.full((TILE_PX, _GAP_PX, 3), 255, np.uint8)
    line: list[np.ndarray] = []
    for number, tile in enumerate(tiles):
        line += [gap, tile] if number % 3 == 1 else [tile]
    row = np.concatenate(line, axis=1)
    return np.concatenate([row, np.full((2, row.shape[1], 3), 255, np.uint8)])


def _header(names: Sequence[str], width: int) -> UInt8[np.ndarray, "h w 3"]:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (width, _HEADER_PX), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    pen.text((2, 2), "known joints", fill=(30, 30, 30))
    for number, name in enumerate(names):
        left = TILE_PX + _GAP_PX + number * (3 * TILE_PX + _GAP_PX)
        pen.text((left, 2), f"{name}: joints, front, side", fill=(30, 30, 30))
    return np.asarray(picture)
