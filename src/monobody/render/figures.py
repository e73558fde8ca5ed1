"""What is drawn of people, bodies or stick figures, and several possible poses of them beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from monobody.body.skeleton import SKELETONS
from monobody.camera import Camera
from monobody.render.overlay import COLOURS
from monobody.render.side import draw_side, side_height_px, side_view
from monobody.render.stick_figure import rod_faces, stick_figure

HIGHEST_PX = 720
"""Views that stand beside each other are not higher than this."""
_DARKER, _LIGHTER = 0.55, 0.55


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Meshes of the same triangles before a camera, and their colours: of bodies one a person, of skeletons one a bone.

    What `draw_overlay` and `draw_side` take.
    """

    meshes: Sequence[Float[np.ndarray, "v 3"]]
    faces: Int[np.ndarray, "f 3"]
    colours: UInt8[np.ndarray, "n 3"]


def body_figures(
    meshes: Sequence[Float[np.ndarray, "v 3"]], faces: Int[np.ndarray, "f 3"], people: Sequence[int]
) -> Figures:
    """Return bodies, each in the colour of its person's number."""
    return Figures(meshes=meshes, faces=faces, colours=COLOURS[np.array(people, int) % len(COLOURS)])


def skeleton_figures(skeletons: Sequence[Float[np.ndarray, "k 3"]], set_name: str, people: Sequence[int]) -> Figures:
    """Return stick figures in the colours of their people's numbers, left limbs lighter and right ones darker."""
    skeleton = SKELETONS[set_name]
    meshes: list[Float[np.ndarray, "v 3"]] = []
    colours: list[np.ndarray] = []
    for joints_m, number in zip(skeletons, people, strict=True):
        own = COLOURS[number % len(COLOURS)].astype(np.float64)
        sides = {"right": _DARKER * own, "left": own + _LIGHTER * (255 - own)}
        meshes += list(stick_figure(joints_m, set_name))
        colours += [sides.get(skeleton.joints[joint].partition("_")[0], own) for _, joint in skeleton.bones]
    return Figures(meshes=meshes, faces=rod_faces(), colours=np.array(colours).reshape(-1, 3).round().astype(np.uint8))


def as_percent(weight: float) -> str:
    """Return a weight in words; a small one is not none."""
    return "< 1 %" if 0 < weight < 0.005 else f"{100 * weight:.0f} %"


def draw_sides(
    rgb: UInt8[np.ndarray, "h w 3"], views: Sequence[tuple[Figures, str]], camera: Camera
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return side views of figures from one and the same place, beside each other, each with its words.

    Args:
        rgb: the photo; only its size is used.
        views: what is drawn in each, and what is written above it where there are several.
        camera: the photo's.
    """
    everything = [mesh for figures, _ in views for mesh in figures.meshes]
    several = len(views) > 1
    side = side_view(everything, min(side_height_px(rgb), HIGHEST_PX) if several else side_height_px(rgb))
    drawn = [
        draw_side(rgb, figures.meshes, figures.faces, camera, colours=figures.colours, side=side)
        for figures, _ in views
    ]
    if not several:
        return drawn[0]
    return np.concatenate([_captioned(one, words) for one, (_, words) in zip(drawn, views, strict=True)], axis=1)


def _captioned(picture: UInt8[np.ndarray, "h w 3"], words: str) -> UInt8[np.ndarray, "h w 3"]:
    """Write words into the upper left corner, and a line down the left edge."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(picture)
    pen, size = ImageDraw.Draw(image), max(picture.shape[0] // 22, 12)
    pen.line([(0, 0), (0, picture.shape[0])], fill=(250, 250, 250), width=3)
    pen.text((size * 0.7, size * 0.5), words, fill=(40, 44, 50), font=ImageFont.load_default(size))
    return np.asarray(image)
