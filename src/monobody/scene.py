"""The one result type: who is in a picture, how their bodies are posed, and through which camera they are seen.

``predict`` returns a :class:`Scene`, the exporters write it, ``evaluate`` reads it, and anybody can build one from the
output of another model. A person carries one or more :class:`Hypothesis`, each with a weight; methods that give one
answer give one. Where the method gives skeletons without bodies, stick figures take the place of meshes. Everything is
numpy and immutable; meshes are made from the body, or the joints, when asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from monobody.camera import Camera
from monobody.data.crop import Crop
from monobody.errors import UserError
from monobody.files import atomic_write
from monobody.hypothesis import Hypothesis, of_body, skeleton_of

if TYPE_CHECKING:
    from monobody.body.model import Body
    from monobody.render.figures import Figures

MOTION_SUFFIXES = (".glb", ".fbx", ".bvh", ".csv", ".smpl.npz")
"""Written as a motion of one frame."""
WRITERS = {
    ".obj": ("monobody.export.obj", "write_obj"),
    ".json": ("monobody.export.table", "write_json"),
    ".npz": ("monobody.export.npz", "write_npz"),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Person:
    """One person of a picture; the properties speak of the heaviest hypothesis.

    Those that speak of its body raise a :class:`UserError` where it has none.
    """

    box_px: Float[np.ndarray, "4"]
    """x0, y0, x1, y1 in pixels of the upright picture."""
    score: float
    """How sure the detector is, 0 to 1."""
    crop: Crop
    """The turned square in which the network saw the person."""
    hypotheses: tuple[Hypothesis, ...]

    def __post_init__(self) -> None:
        if not self.hypotheses:
            raise ValueError("A person needs at least one hypothesis.")

    @property
    def best(self) -> Hypothesis:
        """The hypothesis with the largest weight."""
        return max(self.hypotheses, key=lambda hypothesis: hypothesis.weight)

    @property
    def upright_crop(self) -> Crop:
        """The crop of the same centre and size that ``camera_weak`` refers to: it is not turned."""
        return Crop(self.crop.centre_px, self.crop.size_px)

    @property
    def theta(self) -> Float[np.ndarray, "85"]:
        """The best hypothesis' 85 numbers."""
        return of_body(self.best.theta)

    @property
    def rotations(self) -> Float[np.ndarray, "24 3 3"]:
        """The best hypothesis' rotations."""
        return of_body(self.best.rotations)

    @property
    def betas(self) -> Float[np.ndarray, "10"]:
        """The best hypothesis' shape coefficients."""
        return self.best.betas

    @property
    def camera_weak(self) -> Float[np.ndarray, "3"]:
        """The best hypothesis' weak-perspective camera."""
        return self.best.camera_weak

    @property
    def translation_m(self) -> Float[np.ndarray, "3"]:
        """The best hypothesis' place in front of the picture's camera."""
        return of_body(self.best.translation_m)

    @property
    def joints_cam_m(self) -> Mapping[str, Float[np.ndarray, "k 3"]]:
        """The best hypothesis' joints in front of the camera, by joint set."""
        return self.best.joints_cam_m

    @property
    def joints_px(self) -> Mapping[str, Float[np.ndarray, "k 2"]]:
        """The best hypothesis' joints in the picture, by joint set."""
        return self.best.joints_px


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scene:
    """The people of one picture and the camera that took it."""

    people: tuple[Person, ...]
    width_px: int
    height_px: int
    camera: Camera
    body_digest: str
    """Which body ``theta`` belongs to."""
    model: str
    """Name of the model that made it."""
    terms: str
    """On what terms the model, and with it this result, may be used."""
    name: str = "scene"
    """The picture's file name without its extension."""
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What the reader should know, such as "only the first frame was read"."""
    picture: UInt8[np.ndarray, "h w 3"] | None = None
    """The pixels, upright; not stored in files."""
    body: "Body | None" = None
    """The body itself; not stored in files."""

    def __post_init__(self) -> None:
        if len({hypothesis.has_body for person in self.people for hypothesis in person.hypotheses}) > 1:
            raise ValueError("Of a scene either every hypothesis has a body or none has.")

    @property
    def has_bodies(self) -> bool:
        """Whether people are posed bodies; else they are skeletons."""
        return all(person.best.has_body for person in self.people)

    def with_body(self) -> "Body":
        """Return the body, loading the shipped one where the scene carries none.

        Raises:
            UserError: the scene was made with another body.
        """
        from monobody.body.model import Body

        body = self.body or Body.load()
        if body.digest != self.body_digest:
            raise UserError(
                f"This scene was made with the body {self.body_digest[:12]}, not with {body.digest[:12]}: "
                "give the body file it was made with."
            )
        return body

    def vertices_cam_m(self, person: Person, hypothesis: Hypothesis | None = None) -> Float[np.ndarray, "v 3"]:
        """Return a person's mesh in front of the picture's camera, metres: the body's, or a skeleton's stick figure."""
        import torch

        chosen = hypothesis or person.best
        if not chosen.has_body:
            from monobody.render.stick_figure import stick_figure

            name, joints_m = skeleton_of(chosen)
            return stick_figure(joints_m, name).reshape(-1, 3)
        body = self.with_body()
        with torch.no_grad():
            posed = body(torch.from_numpy(of_body(chosen.rotations)), torch.from_numpy(chosen.betas))
        return posed.vertices_m.cpu().numpy() + of_body(chosen.translation_m)

    @property
    def faces(self) -> Int[np.ndarray, "f 3"]:
        """The triangles of every person's mesh."""
        if self.has_bodies:
            return self.with_body().data.faces
        from monobody.render.stick_figure import stick_figure_faces

        return stick_figure_faces(skeleton_of(self.people[0].best)[0])

    def overlay(self, picture: UInt8[np.ndarray, "h w 3"] | None = None) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the bodies, or stick figures, over the picture: over the scene's own, or the one that is given."""
        from monobody.render.overlay import draw_overlay

        figures = self._figures(tuple(enumerate(person.best for person in self.people)))
        return draw_overlay(self._pixels(picture), figures.meshes, figures.faces, self.camera, colours=figures.colours)

    def side(self, picture: UInt8[np.ndarray, "h w 3"] | None = None) -> UInt8[np.ndarray, "h w2 3"]:
        """Draw the bodies, or stick figures, as seen from their left side, at the picture's height.

        Where people have several hypotheses, these stand beside each other with their weights, the heaviest first.
        """
        from monobody.render.figures import Figures, as_percent, draw_sides

        ranked = [sorted(person.hypotheses, key=lambda one: -one.weight) for person in self.people]
        views: list[tuple[Figures, str]] = []
        for rank in range(max((len(row) for row in ranked), default=1)):
            shown = [(number, row[rank]) for number, row in enumerate(ranked) if rank < len(row)]
            weights = [as_percent(one.weight) for _, one in shown]
            views.append((self._figures(shown), ", ".join(weights if len(set(weights)) > 1 else weights[:1])))
        return draw_sides(self._pixels(picture), views, self.camera)

    def meshes(self) -> list[Float[np.ndarray, "v 3"]]:
        """Return everybody's vertices in front of the camera, in the order of ``people``."""
        return [self.vertices_cam_m(person) for person in self.people]

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write the scene in the format of the extension: .glb .fbx .bvh .obj .npz .smpl.npz .json .csv, or .png.

        .png is the overlay; a .glb of skeletons holds stick figures. Options are those of ``monobody export``, such as
        ``rig="mixamo"``. The file appears whole or not at all; formats that hold one person take one file each, named
        after ``path``.

        Raises:
            UserError: extension or option is unknown, or the file cannot be written.
        """
        path = Path(path)
        suffix = ".smpl.npz" if path.name.lower().endswith(".smpl.npz") else path.suffix.lower()
        if suffix == ".png" and not options:
            return save_png(self.overlay(), path)
        if suffix == ".glb" and not self.has_bodies:
            from monobody.export.stick_glb import write_stick_glb

            return write_stick_glb(self, path, **options)
        if suffix in MOTION_SUFFIXES or (options and suffix in WRITERS):
            from monobody.motion import Motion

            Motion.from_scene(self).save(path, **options)
            return path
        if suffix not in WRITERS:
            known = ", ".join([*MOTION_SUFFIXES, *WRITERS, ".png"])
            raise UserError(f"Cannot save as {path.name}: choose one of {known}.")
        module, function = WRITERS[suffix]
        return getattr(import_module(module), function)(self, path)

    @staticmethod
    def load(path: str | Path, body: "Body | None" = None) -> "Scene":
        """Read a scene back from .npz. A body other than the shipped one must be given.

        Raises:
            UserError: the file is missing, damaged, or no scene.
        """
        from monobody.export.npz import read_npz

        return read_npz(path, body)

    def _figures(self, shown: Sequence[tuple[int, Hypothesis]]) -> "Figures":
        """Return what is drawn of some hypotheses, each with its person's number, by which it has its colour."""
        from monobody.render.figures import body_figures, skeleton_figures

        numbers = [number for number, _ in shown]
        if self.has_bodies:
            meshes = [self.vertices_cam_m(self.people[number], one) for number, one in shown]
            return body_figures(meshes, self.faces, numbers)
        (name,) = {skeleton_of(one)[0] for _, one in shown}
        return skeleton_figures([skeleton_of(one)[1] for _, one in shown], name, numbers)

    def _pixels(self, picture: UInt8[np.ndarray, "h w 3"] | None) -> UInt8[np.ndarray, "h w 3"]:
        pixels = self.picture if picture is None else picture
        if pixels is None:
            raise UserError("This scene was read from a file, which holds no pixels: give the picture to draw on.")
        if pixels.shape[:2] != (self.height_px, self.width_px):
            raise UserError(f"The picture is not the scene's: that has {self.width_px} x {self.height_px} pixels.")
        return pixels


def save_png(pixels: UInt8[np.ndarray, "h w 3"], path: str | Path) -> Path:
    """Write RGB pixels as PNG, whole or not at all."""
    from PIL import Image

    with atomic_write(path, suffix=".png") as temporary:
        Image.fromarray(pixels).save(temporary)
    return Path(path)
