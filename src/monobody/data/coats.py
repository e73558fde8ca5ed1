"""What fur looks like: coats painted by numbers at places of the resting animal, and the textures of drawn animals.

A painted coat is a colour for the back, others for belly, legs, face and the tip of the tail, and a pattern: stripes,
patches, or spots (held out for evaluation). The animals' own textures (``scripts/build_animal.py --coats``) are laid
out by the body's texture coordinates; two of them are held out.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8

from monobody.data.procedural import muted
from monobody.data.wardrobe import to_linear
from monobody.errors import UserError

HELD_OUT_ANIMALS = ("dog", "panda")
PLAIN, STRIPES, PATCHES, SPOTS = range(4)
_FUR = np.array(
    [
        *([24, 21, 20], [58, 40, 30], [104, 66, 40], [150, 92, 46], [196, 120, 56], [206, 160, 98]),
        *([226, 204, 168], [236, 232, 224], [128, 124, 120], [82, 80, 80], [168, 152, 134]),
    ],
    np.float64,
)
"""From black through browns and reds to white, and greys, in sRGB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coat:
    """One animal's fur, in linear light."""

    colours: Float32[np.ndarray, "6 3"]
    """Of the back, the belly, the legs, the face, the tail's tip, and the pattern."""
    reach: Float32[np.ndarray, "4"]
    """How far belly, legs, face and tip reach, from 0 to 1."""
    pattern: int
    scale: float
    offset: Float32[np.ndarray, "3"]
    """Of the noise that makes the pattern."""
    share: float
    """How much of the body the pattern covers."""
    texture: UInt8[np.ndarray, "h w 3"] | None = None
    """The animal's own texture instead of all this,"""
    gain: Float32[np.ndarray, "3"] | None = None
    """tinted."""


def read_coats(path: str | Path, *, held_out: bool) -> list[UInt8[np.ndarray, "h w 3"]]:
    """Read the animals' own textures, those for training or those for evaluation.

    Raises:
        UserError: there is no such file, or it is another one.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = [arrays[name] for name in arrays.files if (name in HELD_OUT_ANIMALS) == held_out]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} has no coats; scripts/build_animal.py --coats makes such a file.") from error
    if not found or any(coat.ndim != 3 or coat.dtype != np.uint8 for coat in found):
        raise UserError(f"{path} has no coats; scripts/build_animal.py --coats makes such a file.")
    return found


def sample_coat(rng: np.random.Generator, textures: list[UInt8[np.ndarray, "h w 3"]], *, held_out: bool) -> Coat:
    """Draw a coat: one of the textures in a third of the draws, if there are any, else a painted one."""
    texture = textures[rng.integers(len(textures))] if textures and rng.random() < 0.35 else None
    back = _fur_colour(rng)
    colours = np.stack([back, *(_fur_colour(rng) if rng.random() < 0.5 else back for _ in range(5))])
    colours[1] = np.maximum(colours[1], back * rng.uniform(1.0, 1.5))  # Bellies are lighter.
    kinds = (PLAIN, STRIPES, PATCHES) if not held_out else (PLAIN, STRIPES, PATCHES, SPOTS)
    return Coat(
        colours=to_linear(np.clip(colours, 8, 245)),
        reach=(rng.random(4) * (rng.random(4) < 0.6)).astype(np.float32),
        pattern=int(rng.choice(kinds)),
        scale=float(np.exp(rng.uniform(np.log(0.5), np.log(1.6)))),
        offset=rng.random(3).astype(np.float32),
        share=float(rng.uniform(0.2, 0.55)),
        texture=texture,
        gain=np.exp(0.12 * rng.normal() + 0.06 * rng.normal(size=3)).astype(np.float32),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Anatomy:
    """Where on the resting body a coat changes: numbers from 0 to 1 at every vertex."""

    places: Float32[np.ndarray, "V 3"]
    """In trunk lengths."""
    fields: Float32[np.ndarray, "V 5"]
    """Belly (1 below), legs (1 at the paws, 0 at the trunk), face (1 at the nose, 0 at the neck), tail (1 at its end, 0
    at its root) and 1 on the tip of the nose."""

    @staticmethod
    def of(
        vertices_m: Float[np.ndarray, "V 3"], normals: Float[np.ndarray, "V 3"], joints_m: Float[np.ndarray, "22 3"]
    ) -> "Anatomy":
        """Read them off a resting quadruped and its joints of the set ``quadruped``."""
        from monobody.body.skeleton import SKELETONS

        names = SKELETONS["quadruped"].joints
        at = dict(zip(names, joints_m, strict=True))
        trunk = float(np.linalg.norm(at["thorax"] - at["pelvis"]))
        _, y, z = vertices_m.T
        floor, knees = y.min(), 0.5 * (at["left_knee"][1] + at["left_elbow"][1])
        behind = np.clip((at["pelvis"][2] - 0.25 * trunk - z) / (0.3 * trunk), 0, 1)
        ahead = np.clip((z - at["thorax"][2]) / (0.3 * trunk), 0, 1)
        belly = np.clip(0.5 - 1.2 * normals[:, 1], 0, 1) * (1 - behind)
        leg = np.clip((knees - y) / (knees - floor), 0, 1) * (1 - behind) * (1 - ahead * (y > knees))
        snout = at["nose"] - at["head"]
        in_head = np.linalg.norm(vertices_m - at["head"] - 0.5 * snout, axis=1) < 0.75 * np.linalg.norm(snout)
        face = np.clip((vertices_m - at["head"]) @ snout / (snout @ snout), 0, 1) * in_head
        tail = np.clip((at["tail"][2] - z) / max(at["tail"][2] - at["tail_tip"][2], 1e-6), 0, 1) * behind
        nose = np.clip(1.6 - np.linalg.norm(vertices_m - at["nose"], axis=1) / (0.06 * trunk), 0, 1)
        return Anatomy(
            places=(vertices_m / trunk).astype(np.float32),
            fields=np.stack([belly, leg, face, tail, nose], 1).astype(np.float32),
        )


def albedo(
    coat: Coat,
    anatomy: Anatomy,
    corners: np.ndarray,
    share: Float[np.ndarray, "n 3"],
    uv: Float[np.ndarray, "n 2"],
    noise: Float[np.ndarray, "c c c 4"],
) -> Float32[np.ndarray, "n 3"]:
    """Return the linear reflectance of points on triangles, of whose corners each has its share.

    ``noise`` is the volume of :func:`monobody.data.paint.bump_volume`.
    """
    if coat.texture is not None:
        height, width = coat.texture.shape[:2]
        columns = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
        rows = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
        colour = to_linear(coat.texture[rows, columns])
        return colour if coat.gain is None else np.clip(colour * coat.gain, 0, 1)

    read = between(np.concatenate([anatomy.places, anatomy.fields], 1), corners, share)
    places = read[:, :3]
    # In cells of the volume, whose features are some five to the side of 64.
    value = _noise_at(noise, (places / coat.scale + coat.offset) * 16)
    fine = _noise_at(noise, (places + coat.offset) * 90)
    colour = np.repeat(coat.colours[:1], len(places), 0)
    if coat.pattern == STRIPES:
        wave = np.sin((places[:, 2] * 16 / coat.scale + 1.5 * value) * 1.6)
        colour = np.where((wave > 1 - 2 * coat.share)[:, None], coat.colours[5], colour)
    elif coat.pattern == PATCHES:
        coarse = _noise_at(noise, (places / coat.scale + coat.offset) * 6)
        colour = np.where((coarse > 0.8 - 1.6 * coat.share)[:, None], coat.colours[5], colour)
    elif coat.pattern == SPOTS:
        colour = np.where((value > 0.9 - 1.2 * coat.share)[:, None], coat.colours[5], colour)
    for number, reach in enumerate(coat.reach):
        if reach > 0:
            weight = np.clip(8 * (read[:, 3 + number] - 1 + reach) + 0.5 * value, 0, 1)[:, None]
            colour = colour + weight * (coat.colours[1 + number] - colour)
    colour = colour * np.exp(0.16 * fine + 0.06 * value)[:, None]
    dark = read[:, 7, None]
    return np.clip(colour * (1 - 0.93 * dark), 0, 1).astype(np.float32)


def between(
    values: Float[np.ndarray, "v c"], corners: np.ndarray, share: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n c"]:
    """Return what values at corners, (n, 3) rows of them, are between them."""
    a, b, c = corners.T
    return values[a] * share[:, :1] + values[b] * share[:, 1:2] + values[c] * share[:, 2:]


def _noise_at(noise: Float[np.ndarray, "c c c 4"], cells: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    a, b, c = (cells.astype(np.int64) & (noise.shape[0] - 1)).T
    return noise[a, b, c, 0]


def _fur_colour(rng: np.random.Generator) -> Float[np.ndarray, "3"]:
    if rng.random() < 0.12:
        return muted(rng)
    first, second = _FUR[rng.integers(len(_FUR), size=2)]
    share = rng.random() ** 2
    return (first + share * (second - first)) * np.exp(0.1 * rng.normal())
