"""The one result type: who is in a picture, how their bodies are posed, and through which camera they are seen.

``predict`` returns a :class:`Scene`, the exporters write it, ``evaluate`` reads it, and anybody can build one from the
output of another model. A person carries one or more :class:`Hypothesis`, each with a weight; methods that give one
answer give one. Everything is numpy and immutable; meshes are made from the body when asked for.
"""

from collections.abc import Mapping
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

if TYPE_CHECKING:
    from monobody.body.model import Body

MOTION_SUFFIXES = (".glb", ".fbx", ".bvh", ".csv", ".smpl.npz")
"""Written as a motion of one frame."""
WRITERS = {
    ".obj": ("monobody.export.obj", "write_obj"),
    ".json": ("monobody.export.table", "write_json"),
    ".npz": ("monobody.export.npz", "write_npz"),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Hypothesis:
    """One possible body of one person, in the picture's camera frame (x right, y down, z forward, metres)."""

    theta: Float[np.ndarray, "85"]
    """HMR's numbers: weak-perspective camera s, tx, ty of the person's upright crop; 24 axis-angles; 10 betas."""
    rotations: Float[np.ndarray, "24 3 3"]
    """The 24 rotations of ``theta`` as matrices; the first takes the body frame to the camera frame."""
    translation_m: Float[np.ndarray, "3"]
    """Added to the posed body, it puts the body where the picture's camera sees it."""
    joints_cam_m: Mapping[str, Float[np.ndarray, "k 3"]]
    """For each joint set, the joints in front of the picture's camera. NaN where the body has no such joint."""
    joints_px: Mapping[str, Float[np.ndarray, "k 2"]]
    """The same joints projected into the picture, in pixels."""
    weight: float = 1.0
    """How much the model believes in it; the weights of a person add up to 1."""

    @property
    def camera_weak(self) -> Float[np.ndarray, "3"]:
        """(s, tx, ty): a body point X falls on ``s * (X_xy + t)`` in the upright crop's [-1, 1] coordinates."""
        return self.theta[:3]

    @property
    def betas(self) -> Float[np.ndarray, "10"]:
        """The ten shape coefficients."""
        return self.theta[75:]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Person:
    """One person of a picture; the properties speak of the heaviest hypothesis."""

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
        return self.best.theta

    @property
    def rotations(self) -> Float[np.ndarray, "24 3 3"]:
        """The best hypothesis' rotations."""
        return self.best.rotations

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
        return self.best.translation_m

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
        """Return a person's mesh in front of the picture's camera, metres."""
        import torch

        chosen = hypothesis or person.best
        body = self.with_body()
        with torch.no_grad():
            posed = body(torch.from_numpy(chosen.rotations), torch.from_numpy(chosen.betas))
        return posed.vertices_m.cpu().numpy() + chosen.translation_m

    @property
    def faces(self) -> Int[np.ndarray, "f 3"]:
        """The triangles of every person's mesh."""
        return self.with_body().data.faces

    def overlay(self, picture: UInt8[np.ndarray, "h w 3"] | None = None) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the bodies over the picture: over the scene's own, or the one that is given."""
        from monobody.render.overlay import draw_overlay

        return draw_overlay(self._pixels(picture), self.meshes(), self.faces, self.camera)

    def side(self, picture: UInt8[np.ndarray, "h w 3"] | None = None) -> UInt8[np.ndarray, "h w2 3"]:
        """Draw the bodies as seen from their left side, at the picture's height."""
        from monobody.render.side import draw_side

        return draw_side(self._pixels(picture), self.meshes(), self.faces, self.camera)

    def meshes(self) -> list[Float[np.ndarray, "v 3"]]:
        """Return everybody's vertices in front of the camera, in the order of ``people``."""
        return [self.vertices_cam_m(person) for person in self.people]

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write the scene in the format of the extension: .glb .fbx .bvh .obj .npz .smpl.npz .json .csv, or .png.

        .png is the overlay. Options are those of ``monobody export``, such as ``rig="mixamo"``. The file appears whole
        or not at all; formats that hold one person take one file each, named after ``path``.

        Raises:
            UserError: extension or option is unknown, or the file cannot be written.
        """
        path = Path(path)
        suffix = ".smpl.npz" if path.name.lower().endswith(".smpl.npz") else path.suffix.lower()
        if suffix == ".png" and not options:
            return save_png(self.overlay(), path)
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
