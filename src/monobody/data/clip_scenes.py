"""Films of synthetic people with everything known: who walks where, crosses whom, leaves and comes back.

    clip = crossing(Cast.of(seed=0), frames=60)
    for rgb in clip.pictures(): ...
    truth = clip.motion()

Drawn as the training pictures are (``data/synthetic.py``), before one still background.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from monobody.body.assets import BodyData, load_body_data
from monobody.data.exposure import LINEAR, decode, encoded, lay_over
from monobody.data.figure import Figure, FigurePainter
from monobody.data.gait import Act, Path, circle, straight, sway, walk
from monobody.data.known import to_axis_angle
from monobody.data.scenery import sample_background
from monobody.data.skinning import SkinnedBody
from monobody.data.staging import rotation_x
from monobody.data.textures import Textures
from monobody.data.wardrobe import sample_outfit, sample_skin_gain

EYE_M, DOWN_RAD = 1.5, 0.06
"""How high the camera stands, and how far it looks down."""
FPS = 25.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cast:
    """A body, shapes and clothes for a few people."""

    data: BodyData
    body: SkinnedBody
    textures: Textures
    betas: Float[np.ndarray, "n 10"]
    seed: int

    @staticmethod
    def of(seed: int = 0, people: int = 5, textures: Textures | None = None) -> "Cast":
        """Draw people; procedural textures where none are given."""
        data, generator = load_body_data(), np.random.default_rng([seed, 77])
        return Cast(
            data=data,
            body=SkinnedBody.from_data(data),
            textures=Textures.load(None) if textures is None else textures,
            betas=np.clip(0.8 * generator.normal(size=(people, 10)), -2, 2),
            seed=seed,
        )

    def rest(self, person: int) -> tuple[Float[np.ndarray, "24 3"], float]:
        """Return somebody's joints at rest and how high their soles are there."""
        betas = self.betas[person : person + 1].astype(np.float32)
        still = np.tile(np.eye(3, dtype=np.float32), (1, 24, 1, 1))
        joints = self.body.joint_template + np.einsum("jcb,b->jc", self.body.joint_basis, betas[0])
        return joints.astype(np.float64), float(self.body.shaped(still, betas)[0][:, 1].min())


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SyntheticClip:
    """A film; f frames, n people."""

    name: str
    cast: Cast
    acts: Sequence[Act]
    """One for each of the cast's first people; all of the same frames."""
    width_px: int
    height_px: int
    focal_px: float

    @property
    def times_s(self) -> Float[np.ndarray, " f"]:
        """When each frame is taken."""
        return self.acts[0].times_s

    @property
    def camera_from_world(self) -> Float[np.ndarray, "3 4"]:
        """The camera looks along the world's -z, from its height above the origin."""
        turn = rotation_x(DOWN_RAD) @ np.diag([1.0, -1.0, -1.0])
        return np.concatenate([turn, -turn @ np.array([[0.0], [EYE_M], [0.0]])], axis=1)

    def rotations(self, person: int) -> Float[np.ndarray, "f 24 3 3"]:
        """Return somebody's rotations, the root's before the camera."""
        rotations = self.acts[person].rotations.copy()
        rotations[:, 0] = self.camera_from_world[:, :3] @ rotations[:, 0]
        return rotations

    def translation_m(self, person: int) -> Float[np.ndarray, "f 3"]:
        """Return what puts somebody's body before the camera."""
        view = self.camera_from_world
        return self.acts[person].pelvis_m @ view[:, :3].T + view[:, 3] - self.cast.rest(person)[0][0]

    def joints_cam_m(self, person: int) -> Float[np.ndarray, "f 24 3"]:
        """Return somebody's joints before the camera."""
        transforms = self.cast.body.transforms(
            self.rotations(person).astype(np.float32), np.tile(self.cast.betas[person], (len(self.times_s), 1))
        )
        rest = self.cast.rest(person)[0]
        placed = np.einsum("fjab,jb->fja", transforms[..., :3], rest) + transforms[..., 3]
        return placed + self.translation_m(person)[:, None]

    def visible(self, person: int) -> Bool[np.ndarray, " f"]:
        """Tell in which frames most of somebody's joints are inside the picture."""
        joints = self.joints_cam_m(person)
        seen = joints[..., :2] / np.maximum(joints[..., 2:], 0.1) * self.focal_px
        seen += np.array([self.width_px, self.height_px]) / 2
        inside = ((seen >= 0) & (seen < [self.width_px, self.height_px])).all(axis=2) & (joints[..., 2] > 0.3)
        return inside.mean(axis=1) > 0.5

    def pictures(self, *, oversampling: int = 2) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Draw the frames one after the other."""
        cast, size = self.cast, max(self.width_px, self.height_px)
        generator = np.random.default_rng([cast.seed, 5])
        painter = FigurePainter(cast.data, cast.body, cast.textures)
        clothes = []
        for _ in self.acts:
            skin_number = int(generator.integers(len(cast.textures.skins)))
            clothes.append(
                {
                    "outfit": sample_outfit(generator, len(cast.textures.tiles)),
                    "skin": skin_number,
                    "skin_gain": sample_skin_gain(generator, cast.textures.skins[skin_number], free=True),
                }
            )
        world_from_camera = self.camera_from_world[:, :3].T.astype(np.float32)
        horizon = 0.5 - math.tan(DOWN_RAD) * self.focal_px / size
        backdrop = np.empty((size, size, 3), np.float32)
        picture = sample_background(generator, cast.textures, size, horizon=horizon)
        decode(np.ascontiguousarray(picture), np.full(3, 1.2, np.float32), LINEAR, backdrop)
        light = cast.textures.lights[int(generator.integers(len(cast.textures.lights)))]
        principal = np.array([size / 2, size / 2])
        left, top = (size - self.width_px) // 2, (size - self.height_px) // 2
        turned = [self.rotations(person).astype(np.float32) for person in range(len(self.acts))]
        places = [self.translation_m(person).astype(np.float32) for person in range(len(self.acts))]
        for frame in range(len(self.times_s)):
            canvas, coverage = backdrop.copy(), np.zeros((size, size), np.float32)
            for person in sorted(range(len(self.acts)), key=lambda one: -places[one][frame, 2]):
                if places[person][frame, 2] < 0.5:
                    continue
                figure = self._figure(person, turned[person][frame], places[person][frame], clothes[person])
                drawn = painter.draw(
                    figure, world_from_camera, light, self.focal_px, principal, size, oversampling, False
                )  # fmt: skip
                if drawn is not None:
                    none = np.empty((0, 0), np.uint8)
                    lay_over(canvas, drawn.rgba, drawn.part, oversampling, drawn.x0, drawn.y0, coverage, none)
            full = encoded(canvas, 0.8)
            yield np.ascontiguousarray(full[top : top + self.height_px, left : left + self.width_px])

    def _figure(
        self, person: int, rotations: Float[np.ndarray, "24 3 3"], place_m: Float[np.ndarray, "3"], clothes: dict
    ) -> Figure:
        body, betas = self.cast.body, self.cast.betas[person : person + 1].astype(np.float32)
        return Figure(
            rest=body.shaped(rotations[None], betas)[0],
            transforms=body.transforms(rotations[None], betas)[0].astype(np.float32),
            translation_m=place_m,
            rotations=rotations,
            axis_angle=np.stack([to_axis_angle(joint) for joint in rotations]),
            betas=betas[0],
            **clothes,
        )


def crossing(cast: Cast, *, seconds: float = 4.0, fps: float = FPS, width_px: int = 640) -> SyntheticClip:
    """Two people who walk towards each other, one behind the other, and past."""
    times_s = _times(seconds, fps)
    ways = [straight((-1.7, -5.2), (1.7, -5.2), seconds), straight((1.7, -6.2), (-1.7, -6.2), seconds)]
    return _film("crossing", cast, [_walk(cast, n, way, times_s, 0.3 * n) for n, way in enumerate(ways)], width_px)


def returning(cast: Cast, *, seconds: float = 8.0, fps: float = FPS, width_px: int = 640) -> SyntheticClip:
    """One stays and sways; another walks out of the picture and comes back later, nearer."""
    times_s = _times(seconds, fps)

    def way(at_s: np.ndarray) -> np.ndarray:
        # Out to the right, round, and back in.
        angle = math.pi * np.asarray(at_s) / seconds
        return np.stack([0.4 + 3.4 * np.sin(angle), -5.9 + 0.45 * (1 - np.cos(angle))], axis=1)

    rest, floor = cast.rest(0)
    still = sway(rest, floor, (-0.9, -5.4), 0.1, times_s, seed=cast.seed)
    return _film("returning", cast, [still, _walk(cast, 1, way, times_s, 0.0)], width_px)


def circling(cast: Cast, *, seconds: float = 6.0, fps: float = FPS, width_px: int = 640) -> SyntheticClip:
    """One who walks in a circle before the camera, once in six seconds."""
    times_s = _times(seconds, fps)
    return _film("circling", cast, [_walk(cast, 0, circle((0.0, -5.4), 0.9, 6.0), times_s, 0.0)], width_px)


def group(
    cast: Cast, *, people: int = 5, seconds: float = 4.0, fps: float = FPS, width_px: int = 640
) -> SyntheticClip:  # fmt: skip
    """Several who stand beside each other and sway."""
    times_s, acts = _times(seconds, fps), []
    for person in range(people):
        rest, floor = cast.rest(person)
        place = (1.05 * (person - (people - 1) / 2), -5.0 - 0.5 * (person % 2) - 0.35 * people)
        acts.append(sway(rest, floor, place, 0.3 * (person % 3 - 1), times_s, seed=cast.seed + person))
    return _film("group", cast, acts, width_px)


def _times(seconds: float, fps: float) -> Float[np.ndarray, " f"]:
    return np.arange(max(1, round(seconds * fps))) / fps


def _walk(cast: Cast, person: int, way: Path, times_s: np.ndarray, phase: float) -> Act:
    rest, floor = cast.rest(person)
    return walk(rest, floor, way, times_s, phase=phase)


def _film(name: str, cast: Cast, acts: Sequence[Act], width_px: int) -> SyntheticClip:
    height_px = width_px * 9 // 16 // 2 * 2
    focal_px = math.hypot(width_px, height_px)
    return SyntheticClip(
        name=name, cast=cast, acts=acts, width_px=width_px, height_px=height_px, focal_px=focal_px
    )  # fmt: skip
