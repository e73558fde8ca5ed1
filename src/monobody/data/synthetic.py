"""Synthetic people: an endless, seeded stream of pictures with everything known about the person in them.

    people = SyntheticPeople(seed=0, poses=PoseBank.load("bank.npz"), textures="textures")
    for sample in people: ...            # or people[41], which is the same every time

Sample ``i`` depends on the seed and ``i`` alone, so that a stream resumes anywhere and workers may share it by
striding. Bodies are made in blocks of :data:`BLOCK`, whose shape and pose correctives are one matrix product.

Each picture: a body in painted clothes under the light of a panorama, over a photo, now and then with others near by,
things in front, cut off by the picture's edge, blurred and noisy.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from monobody.body.assets import BodyData, load_body_data
from monobody.data.exposure import LINEAR, decode, encoded, finished, lay_over
from monobody.data.figure import Figure, FigurePainter
from monobody.data.known import SyntheticSample, labelled, to_axis_angle
from monobody.data.region import region_from_joints
from monobody.data.scenery import occlude, sample_background
from monobody.data.skinning import SkinnedBody, skin
from monobody.data.staging import View, root_in_camera, sample_rotations, sample_shapes, sample_view
from monobody.data.textures import Textures
from monobody.data.undressed import cut_out, sample_look
from monobody.data.wardrobe import sample_garments, sample_outfit, sample_skin_gain, under_garments

if TYPE_CHECKING:
    from monobody.data.staging import Poses

BLOCK = 16
_NEAREST_M = 0.35
"""No part of a person comes nearer to the camera."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """How rich the pictures are; :data:`TRAINING` and :data:`PLAIN` are the two in use."""

    size: int = 320
    """Side of the pictures, pixels."""
    margin: float = 1.4
    """Picture side over the side of the region of interest, on average."""
    oversampling: int = 2
    """People are drawn this many times larger and averaged."""
    shadows: bool = True
    """Whether the sun casts shadows and crevices are darker."""
    bystanders: float = 0.15
    occluders: float = 0.2
    truncated: float = 0.12
    unusual: float = 0.3
    """Shares of pictures with others near by, things in front, cut off by the edge, and from unusual views."""
    garments: float = 0.6
    """Share of people with clothes or hair as meshes, where there are any."""
    finish: bool = True
    """Whether some pictures are blurred and noisy."""
    parts: float = 0.0
    clay: float = 0.0
    """Shares of people painted by body parts, and of one grey (`data/undressed.py`), in place of clothes."""
    black: float = 0.0
    """Share of pictures that are black but for the person."""


TRAINING = Setting()
PLAIN = Setting(size=128, margin=1.1, oversampling=2, shadows=False, bystanders=0, garments=0, finish=False)


@dataclass(frozen=True, slots=True)
class _Block:
    """Bodies made together."""

    rest: Float[np.ndarray, "16 v 3"]
    """T-posed vertices with shape and pose correctives."""
    transforms: Float[np.ndarray, "16 24 3 4"]
    """What poses them, but for the root's rotation."""
    axis_angle: Float[np.ndarray, "16 24 3"]
    rotations: Float[np.ndarray, "16 24 3 3"]
    betas: Float[np.ndarray, "16 10"]


class SyntheticPeople:
    """The stream. Iterating starts at ``start``; ``people[i]`` gives any sample."""

    def __init__(
        self,
        seed: int = 0,
        poses: "Poses | None" = None,
        textures: str | Path | Textures | None = None,
        *,
        setting: Setting = TRAINING,
        held_out: bool = False,
        start: int = 0,
        step: int = 1,
        body: BodyData | None = None,
    ) -> None:
        """Prepare a stream.

        Args:
            seed: names the stream.
            poses: a pose bank or the curated poses; the shipped prior where left out.
            textures: folder of textures, or textures already read; procedural ones where left out.
            setting: size and richness of the pictures.
            held_out: take poses and textures that are never trained on.
            start: first sample when iterating.
            step: stride when iterating, in blocks: worker ``w`` of ``n`` takes ``start=16 w, step=n``.
            body: the body to draw; the shipped one where left out.
        """
        if poses is None:
            from monobody.body.prior import PosePrior

            poses = PosePrior.load()
        self.seed, self.poses, self.setting, self.held_out = seed, poses, setting, held_out
        self.index, self.step = start, step
        self.textures = textures if isinstance(textures, Textures) else Textures.load(textures, held_out=held_out)
        data = body or load_body_data()
        self.body = SkinnedBody.from_data(data)
        self.painter = FigurePainter(data, self.body, self.textures)
        self.grain = np.random.default_rng(seed).standard_normal((2 * setting.size, 2 * setting.size, 3), np.float32)
        self._latest: tuple[int, _Block] | None = None

    def __iter__(self) -> Iterator[SyntheticSample]:
        while True:
            # The index moves on before the sample is handed out, so that a saved state never repeats one.
            index = self.index
            self.index += 1 if (index + 1) % BLOCK else 1 + BLOCK * (self.step - 1)
            yield self[index]

    def state(self) -> dict[str, int]:
        """Return what resumes the stream: pass ``seed`` and ``start`` to a new one."""
        return {"seed": self.seed, "start": self.index}

    def __getitem__(self, index: int) -> SyntheticSample:
        rng = np.random.default_rng([self.seed, int(self.held_out), index])
        block, place = self._block(index // BLOCK), index % BLOCK
        view = sample_view(rng, unusual=self.setting.unusual)
        figure, keypoints, frame = self._stand(block, place, view, rng)
        looks = np.random.default_rng([self.seed, int(self.held_out), index, 1])
        look = sample_look(looks, parts=self.setting.parts, clay=self.setting.clay)
        cast = [figure if look == "dressed" else figure.without_clothes(look)]
        if rng.random() < self.setting.bystanders:
            for other in range(1, int(rng.integers(2, 4))):
                bystander = self._bystander(block, (place + other) % BLOCK, view, figure, rng)
                if bystander is not None:
                    cast.append(bystander)
        sample = self._photograph(cast, keypoints, frame, view, rng)
        return cut_out(sample) if looks.random() < self.setting.black else sample

    def _block(self, number: int) -> _Block:
        if self._latest is None or self._latest[0] != number:
            self._latest = number, self._make_block(number)
        return self._latest[1]

    def _make_block(self, number: int) -> _Block:
        rng = np.random.default_rng([self.seed, 2 + int(self.held_out), number])
        rotations = sample_rotations(self.poses, BLOCK, rng, held_out=self.held_out)
        betas = sample_shapes(self.poses, BLOCK, rng)
        rootless = rotations.copy()
        rootless[:, 0] = np.eye(3)
        transforms = self.body.transforms(rootless, betas)
        axis_angle = np.stack([[to_axis_angle(joint) for joint in one] for one in rotations])
        return _Block(self.body.shaped(rotations, betas), transforms, axis_angle, rotations, betas)

    def _stand(
        self, block: _Block, place: int, view: View, rng: np.random.Generator
    ) -> tuple[Figure, dict[str, np.ndarray], np.ndarray]:
        """Pose a body before the camera; return it, its joints, and the lsp14 joints on the plane one metre away."""
        rotations, betas = block.rotations[place].copy(), block.betas[place]
        rotations[0] = root_in_camera(rotations[0], view)
        transforms = self.body.rooted(block.transforms[place], rotations[0], betas)
        bare = np.empty_like(block.rest[place])
        skin(block.rest[place], self.body.weight_joint, self.body.weight, transforms, bare)
        joints = self.body.keypoints(bare)
        hips = joints["lsp14"][[2, 3]].mean(0)
        distance = max(view.distance_m, _NEAREST_M - float((bare[:, 2] - hips[2]).min()))
        translation = np.array([0, 0, distance], np.float32) - hips
        joints = {name: points + translation for name, points in joints.items()}
        outfit = sample_outfit(rng, len(self.textures.tiles))
        meshes = sample_garments(rng, self.textures.garments) if rng.random() < self.setting.garments else {}
        skins = self.textures.skins
        skin_number = int(rng.integers(len(skins)))
        figure = Figure(
            rest=block.rest[place],
            transforms=transforms,
            translation_m=translation,
            rotations=rotations,
            axis_angle=np.concatenate([to_axis_angle(rotations[0])[None], block.axis_angle[place][1:]]),
            betas=betas,
            outfit=under_garments(outfit, self.textures.garments, meshes),
            meshes=tuple(meshes),
            mesh_gain=tuple(meshes.values()),
            skin=skin_number,
            skin_gain=sample_skin_gain(rng, skins[skin_number], free=rng.random() < max(0.1, 0.9 - 0.2 * len(skins))),
        )
        return figure, joints, joints["lsp14"][:, :2] / joints["lsp14"][:, 2:]

    def _bystander(
        self, block: _Block, place: int, view: View, person: Figure, rng: np.random.Generator
    ) -> Figure | None:
        """Put another body of the block beside or behind the person of interest."""
        beside = View(
            world_from_camera=view.world_from_camera,
            distance_m=view.distance_m,
            heading_rad=rng.uniform(-math.pi, math.pi),
            turn=view.turn,
        )
        figure, _, _ = self._stand(block, place, beside, rng)
        # On the same floor: offsets are horizontal in the world.
        sideways, away = rng.choice([-1, 1]) * rng.uniform(0.45, 1.6), rng.uniform(-0.3, 3.0)
        floor = view.world_from_camera.T @ np.array([sideways, 0, -away], np.float32)
        translation = figure.translation_m + floor.astype(np.float32)
        if translation[2] < 1.0:
            return None
        return figure.moved(translation)

    def _aim(self, plane: Float[np.ndarray, "14 2"], rng: np.random.Generator) -> tuple[float, Float[np.ndarray, "2"]]:
        """Choose the focal length and principal point (pixels) that put the region of interest into the picture."""
        setting, size = self.setting, self.setting.size
        # A thousandfold, the plane one metre away is large enough for the rule's limits in pixels.
        region = region_from_joints(1000 * plane)
        focal = 1000 * size / (setting.margin * region.size_px) * math.exp(0.08 * rng.normal())
        middle = size / 2 - np.asarray(region.centre_px) / 1000 * focal
        offset = rng.normal(size=2) * 0.02 * size
        if rng.random() < setting.truncated:
            offset = rng.normal(size=2) * 0.22 * size
            for _ in range(12):  # Cut off, but not out: most joints stay in the picture.
                if _share_inside(plane * focal + middle + offset, size) >= 0.6:
                    break
                offset *= 0.8
        return focal, middle + offset

    def _photograph(
        self,
        cast: list[Figure],
        keypoints: dict[str, np.ndarray],
        plane: np.ndarray,
        view: View,
        rng: np.random.Generator,
    ) -> SyntheticSample:
        """Light and draw the cast, the person of interest first in it, over a background; put a sample together."""
        setting, size = self.setting, self.setting.size
        focal, principal = self._aim(plane, rng)
        points = {name: joints[:, :2] / joints[:, 2:] * focal + principal for name, joints in keypoints.items()}

        canvas = np.empty((size, size, 3), np.float32)
        up_x, up_y, up_z = (float(value) for value in view.world_from_camera[1])  # The world's up, for the camera.
        horizon = (principal[1] - focal * up_z / min(up_y, -0.2)) / size
        roll = math.atan2(up_x, -up_y)
        background = sample_background(rng, self.textures, size, horizon=horizon, roll_rad=roll)
        light = self.textures.lights[rng.integers(len(self.textures.lights))].turned(rng.uniform(-math.pi, math.pi))
        exposure = math.exp(rng.normal(math.log(0.75), 0.3))
        # The background is a finished photo, so that it is undone by the exposure that the people get.
        gain = np.exp(0.12 * rng.normal() + 0.03 * rng.normal(size=3)) / exposure
        decode(background, gain.astype(np.float32), LINEAR, canvas)
        mask = np.zeros((size, size), np.float32)
        parts = np.zeros((size, size), np.uint8)
        drawings = [
            (figure, drawn)
            for figure in sorted(cast, key=lambda one: -one.translation_m[2])
            if (
                drawn := self.painter.draw(
                    figure, view.world_from_camera, light, focal, principal, size, setting.oversampling, setting.shadows
                )
            )
        ]
        sunlight = float(light.sun.mean() / (light.sun.mean() + 0.3 * light.irradiance[0].mean() + 1e-6))
        for _, drawn in drawings:
            if drawn.ground_shadow is not None and setting.shadows:
                canvas *= 1 - max(sunlight, 0.25) * drawn.ground_shadow[..., None]
        for figure, drawn in drawings:
            coverage = np.zeros((size, size), np.float32)
            lay_over(
                canvas, drawn.rgba, drawn.part, setting.oversampling, drawn.x0, drawn.y0, coverage,
                parts if figure is cast[0] else np.empty((0, 0), np.uint8),
            )  # fmt: skip
            mask = coverage if figure is cast[0] else mask * (1 - coverage)
        image = encoded(canvas, exposure)
        if rng.random() < setting.occluders:
            cover = occlude(rng, self.textures, image, points["lsp14"])
            mask = mask * (1 - cover)
        if setting.finish:
            image = finished(image, self.grain, rng)
        parts[mask < 0.5] = 0
        return labelled(cast[0], image, mask, parts, points, keypoints, focal, principal)


def _share_inside(points_px: Float[np.ndarray, "k 2"], size: int) -> float:
    return float(((points_px > 0) & (points_px < size)).all(1).mean())
