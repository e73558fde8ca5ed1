"""Synthetic animals: an endless, seeded stream of pictures of quadrupeds with everything known about them.

    animals = SyntheticAnimals(seed=0)
    for sample in animals: ...            # or animals[41], which is the same every time

The twin of :mod:`monobody.data.synthetic`: sample ``i`` depends on the seed and ``i`` alone. Each picture is a square
about an upright animal, in fur, under the light of a panorama, over a photo, now and then with things in front of it.
Rows for training come from it by :func:`animal_row`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from monobody.body.assets import SHIPPED_ANIMAL
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.data.animal_poses import AnimalPoses
from monobody.data.coats import Anatomy, albedo, between, read_coats, sample_coat
from monobody.data.exposure import LINEAR, decode, encoded, lay_over
from monobody.data.ground import ground_shadow
from monobody.data.hypothesis_row import HypothesisRow
from monobody.data.lighting import Light, harmonics
from monobody.data.paint import bump_volume
from monobody.data.region import ANIMAL_MARGIN
from monobody.data.scenery import occlude, sample_background
from monobody.data.staging import View, root_in_camera, rotation_x, rotation_z
from monobody.data.textures import Textures
from monobody.render.raster import raster_one
from monobody.render.shade import vertex_normals

BLOCK = 16
JOINTS = SKELETONS["quadruped"].joints
_ROOT = JOINTS.index("pelvis")
_FLIP = SKELETONS["quadruped"].flip
_OVERSAMPLING = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimalSample:
    """A square picture of one animal, and what it shows."""

    image: UInt8[np.ndarray, "s s 3"]
    mask: Float32[np.ndarray, "s s"]
    """How much of each pixel the animal covers, less what is in front of it."""
    joints_cam_m: Float32[np.ndarray, "22 3"]
    """The set ``quadruped``, in the camera's frame."""
    points_px: Float32[np.ndarray, "22 2"]
    focal_px: float
    rotations: Float32[np.ndarray, "J 3 3"]
    """Of the body's joints, the root's to the camera's frame."""
    betas: Float32[np.ndarray, " B"]


class SyntheticAnimals:
    """The stream. Iterating starts at ``start``; ``animals[i]`` gives any sample."""

    def __init__(
        self,
        seed: int = 0,
        textures: str | Path | Textures | None = None,
        *,
        coats: str | Path | None = None,
        size: int = 64,
        occluders: float = 0.15,
        held_out: bool = False,
        start: int = 0,
        step: int = 1,
        body: str | Path = SHIPPED_ANIMAL,
    ) -> None:
        """Prepare a stream.

        Args:
            seed: names the stream.
            textures: folder of textures for light and background, or textures already read; procedural ones where left
                out.
            coats: file of the drawn animals' own textures; painted fur alone where left out.
            size: side of the pictures, pixels.
            occluders: share of pictures with things in front.
            held_out: take clips, coats and textures that are never trained on.
            start: first sample when iterating.
            step: stride when iterating, in blocks: worker ``w`` of ``n`` takes ``start=16 w, step=n``.
            body: file with the animal and its poses.
        """
        self.seed, self.size, self.occluders, self.held_out = seed, size, occluders, held_out
        self.index, self.step = start, step
        self.body, self.poses = Body.load(body, animals=True), AnimalPoses.load(body)
        self.textures = textures if isinstance(textures, Textures) else Textures.load(textures, held_out=held_out)
        self.coats = [] if coats is None else read_coats(coats, held_out=held_out)
        data = self.body.data
        self.faces, self.uv, self.uv_faces = data.faces, data.vt, data.ft
        rest_joints = data.keypoint_regressors["quadruped"] @ data.v_template
        self.anatomy = Anatomy.of(data.v_template, vertex_normals(data.v_template, data.faces), rest_joints)
        self.noise = bump_volume()
        self._latest: tuple[int, tuple[np.ndarray, ...]] | None = None

    def __iter__(self) -> Iterator[AnimalSample]:
        while True:
            index = self.index
            self.index += 1 if (index + 1) % BLOCK else 1 + BLOCK * (self.step - 1)
            yield self[index]

    def state(self) -> dict[str, int]:
        """Return what resumes the stream: pass ``seed`` and ``start`` to a new one."""
        return {"seed": self.seed, "start": self.index}

    def __getitem__(self, index: int) -> AnimalSample:
        rng = np.random.default_rng([self.seed, 10 + int(self.held_out), index])
        number, place = divmod(index, BLOCK)
        if self._latest is None or self._latest[0] != number:
            self._latest = number, self._block(number)
        rotations, betas, vertices, joints, world_from_camera = (part[place] for part in self._latest[1])
        return self._photograph(rotations, betas, vertices, joints, world_from_camera, rng)

    def _block(self, number: int) -> tuple[np.ndarray, ...]:
        """Pose a block of animals before their cameras, the pelvis where the camera will see it."""
        rng = np.random.default_rng([self.seed, 12 + int(self.held_out), number])
        rotations = self.poses.sample(BLOCK, rng, held_out=self.held_out)
        betas = self.poses.sample_betas(BLOCK, rng)
        views = [_sample_view(rng) for _ in range(BLOCK)]
        for turned, view in zip(rotations, views, strict=True):
            turned[0] = root_in_camera(turned[0], view)
        with torch.no_grad():
            posed = self.body(torch.from_numpy(rotations), torch.from_numpy(betas)).vertices_m
            joints = self.body.keypoints(posed, "quadruped").numpy()
        distance = np.array([view.distance_m for view in views], np.float32)
        shift = np.stack([np.zeros(BLOCK), np.zeros(BLOCK), distance], 1) - joints[:, _ROOT]
        shift = shift.astype(np.float32)[:, None]
        cameras = np.stack([view.world_from_camera for view in views])
        return rotations, betas, posed.numpy() + shift, joints + shift, cameras

    def _photograph(
        self,
        rotations: np.ndarray,
        betas: np.ndarray,
        vertices: Float[np.ndarray, "v 3"],
        joints: Float[np.ndarray, "22 3"],
        world_from_camera: Float[np.ndarray, "3 3"],
        rng: np.random.Generator,
    ) -> AnimalSample:
        """Light and draw an animal over a background."""
        size = self.size
        focal, principal = _aim(vertices[:, :2] / vertices[:, 2:], size, rng)
        points = (joints[:, :2] / joints[:, 2:] * focal + principal).astype(np.float32)
        canvas = np.empty((size, size, 3), np.float32)
        up = world_from_camera[1]  # The world's up, for the camera.
        horizon = (principal[1] - focal * up[2] / min(up[1], -0.2)) / size
        roll = math.atan2(up[0], -up[1])
        background = sample_background(rng, self.textures, size, horizon=float(horizon), roll_rad=roll)
        light = self.textures.lights[rng.integers(len(self.textures.lights))].turned(rng.uniform(-math.pi, math.pi))
        exposure = math.exp(rng.normal(math.log(0.75), 0.3))
        gain = np.exp(0.12 * rng.normal() + 0.03 * rng.normal(size=3)) / exposure
        decode(background, gain.astype(np.float32), LINEAR, canvas)
        sun = (world_from_camera.T @ light.sun_direction).astype(np.float32)
        fallen = ground_shadow(vertices, self.faces, up, sun, focal, principal, size)
        if fallen is not None:
            sunlight = float(light.sun.mean() / (light.sun.mean() + 0.3 * light.irradiance[0].mean() + 1e-6))
            canvas *= 1 - max(sunlight, 0.25) * fallen[..., None]
        mask = np.zeros((size, size), np.float32)
        rgba = self._painted(vertices, world_from_camera, light, focal, principal, rng)
        nothing = np.empty((0, 0), np.uint8)
        lay_over(canvas, rgba, nothing, _OVERSAMPLING, 0, 0, mask, nothing)
        image = encoded(canvas, exposure)
        if rng.random() < self.occluders:
            mask = mask * (1 - occlude(rng, self.textures, image, points))
        if rng.random() < 0.4:
            image = np.clip(image + rng.uniform(1, 7) * rng.standard_normal(image.shape), 0, 255).astype(np.uint8)
        return AnimalSample(
            image=image,
            mask=mask,
            joints_cam_m=joints,
            points_px=points,
            focal_px=focal,
            rotations=rotations,
            betas=betas,
        )

    def _painted(
        self,
        vertices: Float[np.ndarray, "v 3"],
        world_from_camera: Float[np.ndarray, "3 3"],
        light: Light,
        focal_px: float,
        principal_px: Float[np.ndarray, "2"],
        rng: np.random.Generator,
    ) -> Float32[np.ndarray, "S S 4"]:
        """Return the animal as premultiplied linear light, finer than the picture."""
        side = self.size * _OVERSAMPLING
        pixels = np.empty_like(vertices, np.float32)
        pixels[:, :2] = (vertices[:, :2] / vertices[:, 2:] * focal_px + principal_px) * _OVERSAMPLING
        pixels[:, 2] = vertices[:, 2]
        depth, triangle = np.empty((side, side), np.float32), np.empty((side, side), np.int32)
        share = np.empty((side, side, 3), np.float32)
        raster_one(pixels, self.faces, depth, triangle, share, False)
        seen = triangle >= 0
        corners, weights = self.faces[triangle[seen]], share[seen]
        normals = vertex_normals(vertices, self.faces) @ world_from_camera.T
        normal = between(normals, corners, weights)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        uv = between(self.uv, self.uv_faces[triangle[seen]], weights)
        coat = sample_coat(rng, self.coats, held_out=self.held_out)
        colour = albedo(coat, self.anatomy, corners, weights, uv, self.noise)
        lit = np.maximum(harmonics(normal) @ light.irradiance, 0)
        lit = lit + np.maximum(normal @ light.sun_direction, 0)[:, None] * light.sun
        rgba = np.zeros((side, side, 4), np.float32)
        rgba[seen] = np.concatenate([colour * lit, np.ones((len(lit), 1))], 1)
        return rgba


def _sample_view(rng: np.random.Generator) -> View:
    """Draw a camera about an animal's height, now and then from above; the animal is upright and faces anywhere."""
    elevation = rng.normal(10, 9) if rng.random() < 0.85 else rng.uniform(20, 55)
    turn = rotation_z(math.radians(rng.normal(0, 4))) @ rotation_x(math.radians(max(elevation, -8.0)))
    return View(
        world_from_camera=(turn @ np.diag([1.0, -1.0, -1.0])).T.astype(np.float32),
        distance_m=math.exp(rng.uniform(math.log(2.5), math.log(10.0))),
        heading_rad=rng.uniform(-math.pi, math.pi),
        turn=np.eye(3),
    )


def _aim(plane: Float[np.ndarray, "v 2"], size: int, rng: np.random.Generator) -> tuple[float, Float[np.ndarray, "2"]]:
    """Choose the focal length and principal point that put the animal into the middle of the picture, about."""
    low, high = plane.min(0), plane.max(0)
    margin = ANIMAL_MARGIN * math.exp(0.08 * rng.normal())
    focal = size / (margin * float((high - low).max()))
    return focal, size / 2 - 0.5 * (low + high) * focal + rng.normal(size=2) * 0.03 * size


def animal_row(sample: AnimalSample, *, mirrored: bool = False, labelled: bool = True) -> HypothesisRow:
    """Return a training row of a sample.

    Args:
        sample: of the stream.
        mirrored: exchange left and right.
        labelled: say where the joints are; a row without stands for a photo with a mask.
    """
    size = len(sample.image)
    root_m = sample.joints_cam_m[_ROOT, 2]
    joints = np.concatenate(
        [
            2 * sample.points_px / size - 1,
            ((sample.joints_cam_m[:, 2] - root_m) * 2 * sample.focal_px / (size * root_m))[:, None],
        ],
        axis=1,
    ).astype(np.float32)
    image, mask = sample.image, np.round(255 * sample.mask).astype(np.uint8)
    if mirrored:
        image, mask = image[:, ::-1], mask[:, ::-1]
        joints = (joints * np.array([-1, 1, 1], np.float32))[list(_FLIP)]
    inside = (np.abs(joints) <= 1).all(1)
    return HypothesisRow(
        images=np.ascontiguousarray(image.transpose(2, 0, 1)),
        mask=np.ascontiguousarray(mask),
        has_mask=np.float32(1),
        joints=joints * np.float32(labelled),
        known=np.where(inside & labelled, np.float32(1), np.float32(0)),
        has_joints=np.float32(labelled),
    )
