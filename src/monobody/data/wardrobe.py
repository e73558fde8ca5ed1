"""Clothes painted on the body: where each garment lies on the T-pose, and what it is made of.

A garment is a region of the template's rest coordinates (metres, y up, arms along x): a shirt ends at a sleeve length
``|x|``, a hem ``y`` and a neckline; trousers end at a leg length ``y``. Regions are evaluated at every pixel, so their
borders are crisp at any resolution, and at every vertex, so that loose cloth and hair stand off from the skin.

The numbers travel to the compiled loops as flat arrays (:class:`Outfit`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int, UInt8

from monobody.data.garments import GarmentMesh
from monobody.jit import SAFE_FASTMATH, compiled

Choice = TypeVar("Choice")

SKIN, TOP, BOTTOM, SHOES, HAIR, GLOVES, SOCKS, EYES = range(8)
LAYERS = 8

# Indices into Outfit.cuts: the borders of the garments on the T-pose, in metres.
SLEEVE, HEM, NECK, VNECK, WAIST, LEG, SHOE, SOCK, GLOVE, HAIR_FRONT, HAIR_BACK, LOGO_X, LOGO_Y, LOGO_SIZE = range(14)
CUTS = 14

PLAIN, CLOTH, PRINT, STRIPES_ACROSS, STRIPES_ALONG, CHECKS, DOTS = range(7)

# Landmarks of the shipped body's T-pose, metres.
_WRIST_X, _ELBOW_X, _SHOULDER_X = 0.665, 0.434, 0.176
_ANKLE_Y, _KNEE_Y, _CROTCH_Y, _WAIST_Y, _NECK_Y = -1.087, -0.653, -0.33, -0.12, 0.28
_NOTHING = 9.0

_CLOTH_COLOURS = np.array(
    [
        (18, 18, 20), (45, 46, 50), (90, 92, 95), (150, 150, 150), (205, 204, 200), (240, 240, 238), (245, 245, 245),
        (26, 32, 58), (42, 58, 96), (70, 98, 140), (140, 165, 195), (180, 165, 135), (105, 95, 70), (70, 75, 50),
        (90, 25, 32), (170, 30, 35), (205, 60, 50), (60, 40, 30), (30, 80, 60), (230, 200, 90), (220, 120, 150),
    ],
    np.float32,
)  # fmt: skip
_HAIR_SHARES = {0: 0.25, 1: 0.2, 2: 0.18, 3: 0.12, 4: 0.08, 5: 0.07, 6: 0.03, 7: 0.07}
_HAIR_COLOURS = np.array(
    [
        (14, 12, 11),
        (24, 18, 14),
        (44, 30, 22),
        (70, 48, 32),
        (110, 80, 50),
        (160, 125, 80),
        (120, 55, 30),
        (130, 128, 125),
    ],
    np.float32,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outfit:
    """What one person wears, layer by layer."""

    cuts: Float[np.ndarray, "14"]
    pattern: Int[np.ndarray, "8"]
    colour: Float[np.ndarray, "8 2 3"]
    """Two linear-light colours a layer."""
    scale: Float[np.ndarray, "8"]
    """Repeats of the pattern a metre."""
    tile: Int[np.ndarray, "8"]
    """Material tile of each layer, and of the print on the chest in place of the skin's."""
    grain: Float[np.ndarray, "8"]
    """How much of the tile's contrast shows on plain cloth."""
    thickness_m: Float[np.ndarray, "8"]
    """How far the layer stands off the skin."""
    folds: Float[np.ndarray, "8"]
    """Strength of folds in the shading."""


def to_linear(srgb: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b"]:
    """Turn 8-bit sRGB levels into linear light in [0, 1]."""
    value = np.asarray(srgb, np.float32) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def sample_outfit(rng: np.random.Generator, tiles: int) -> Outfit:
    """Dress a person at random: mostly everyday and sports clothes, in mostly muted colours."""
    cuts = np.zeros(CUTS, np.float32)
    _cut_top(cuts, rng)
    _cut_bottom(cuts, rng)
    cuts[GLOVE] = rng.uniform(0.6, _WRIST_X) if rng.random() < 0.06 else _NOTHING
    barefoot = rng.random() < 0.18
    cuts[SHOE] = -_NOTHING if barefoot else pick(rng, {-1.085: 0.4, -1.06: 0.4, -1.0: 0.12, -0.9: 0.08})
    cuts[SOCK] = -_NOTHING if barefoot or rng.random() < 0.4 else rng.uniform(-1.05, _KNEE_Y)
    cuts[HAIR_FRONT] = _NOTHING if rng.random() < 0.08 else rng.uniform(0.475, 0.51)
    cuts[HAIR_BACK] = rng.uniform(0.3, 0.4)
    cuts[LOGO_SIZE] = rng.uniform(0.03, 0.12) if rng.random() < 0.25 else 0
    cuts[LOGO_X], cuts[LOGO_Y] = pick(rng, {0.0: 0.7, 0.07: 0.3}), rng.uniform(0.02, 0.15)

    colour = to_linear(_cloth_colours(rng, 2 * LAYERS)).reshape(LAYERS, 2, 3)
    colour[HAIR] = to_linear(_HAIR_COLOURS[pick(rng, _HAIR_SHARES)] * np.exp(0.2 * rng.normal()))
    if rng.random() < 0.35:  # White or black socks.
        colour[SOCKS] = 0.8 if rng.random() < 0.5 else 0.01
    if rng.random() < 0.15:  # Overalls, suits, leotards: one cloth.
        colour[BOTTOM] = colour[TOP]
    pattern = np.full(LAYERS, CLOTH, np.int32)
    for layer, share in ((TOP, 0.45), (BOTTOM, 0.2), (SOCKS, 0.2), (SHOES, 0.15)):
        if rng.random() < share:
            pattern[layer] = pick(rng, {PRINT: 0.35, STRIPES_ACROSS: 0.25, STRIPES_ALONG: 0.1, CHECKS: 0.2, DOTS: 0.1})
    thickness = np.array(
        [0, rng.uniform(0.003, 0.02), rng.uniform(0.003, 0.018), 0.008, 0, 0.003, 0.003, 0], np.float32
    )
    thickness[HAIR] = rng.uniform(0.004, 0.03)
    folds = np.array([0.0, 0.0, 0.0, 0.1, 0.5, 0.1, 0.1, 0], np.float32)
    folds[[TOP, BOTTOM]] = 40 * thickness[[TOP, BOTTOM]] * rng.uniform(0.4, 1.2)
    return Outfit(
        cuts=cuts,
        pattern=pattern,
        colour=colour,
        scale=np.exp(rng.uniform(np.log(1.5), np.log(14), LAYERS)).astype(np.float32),
        tile=rng.integers(0, tiles, LAYERS).astype(np.int32),
        grain=(rng.uniform(0, 0.7, LAYERS) ** 2).astype(np.float32),
        thickness_m=thickness,
        folds=folds,
    )


def sample_skin_gain(
    rng: np.random.Generator, skin: UInt8[np.ndarray, "h w 3"], *, free: bool
) -> Float[np.ndarray, "3"]:
    """Draw a tint of a skin texture in linear light: a little, or, where ``free``, to any human skin tone."""
    gain = 0.12 * rng.normal() + 0.04 * rng.normal(size=3)
    if free:
        now = float(to_linear(skin[::16, ::16].mean((0, 1))).mean())
        wanted = rng.uniform(np.log(0.05), np.log(0.42))
        # Melanin takes more of the blue than of the red.
        gain = gain + (wanted - np.log(now)) * np.array([0.85, 1.0, 1.1])
    return np.exp(gain).astype(np.float32)


def sample_garments(rng: np.random.Generator, garments: list[GarmentMesh]) -> dict[int, Float[np.ndarray, "3"]]:
    """Choose meshes to wear, a suit, shoes and hair, each with a tint in linear light."""
    worn: dict[int, np.ndarray] = {}
    for share, fits in ((0.6, "is_suit"), (0.5, "is_shoes"), (0.6, "is_hair")):
        fitting = [number for number, mesh in enumerate(garments) if getattr(mesh, fits)]
        if fitting and rng.random() < share:
            number = fitting[rng.integers(len(fitting))]
            tint = np.exp(0.35 * rng.normal() + (0.04 if fits == "is_hair" else 0.12) * rng.normal(size=3))
            if garments[number].texture is None:
                tint = to_linear(_cloth_colours(rng, 1))[0]
            worn[number] = np.minimum(tint, 1.6).astype(np.float32)
    return worn


def under_garments(outfit: Outfit, garments: list[GarmentMesh], worn: Iterable[int]) -> Outfit:
    """Take off what meshes replace: no painted shirt or trousers under a suit, no painted shoes in shoes."""
    cuts, thickness, colour = outfit.cuts.copy(), outfit.thickness_m.copy(), outfit.colour.copy()
    for number in worn:
        mesh = garments[number]
        if mesh.is_suit:
            cuts[SLEEVE], cuts[LEG], cuts[GLOVE] = 0, _CROTCH_Y, _NOTHING
            thickness[[TOP, BOTTOM]] = 0
        elif mesh.is_shoes:
            cuts[SHOE] = -_NOTHING
        elif mesh.is_hair and mesh.texture is not None:
            cuts[HAIR_FRONT], cuts[HAIR_BACK] = 0.495, 0.39
            thickness[HAIR] = 0.002
            opaque = mesh.texture[mesh.texture[..., 3] > 100][:, :3]
            colour[HAIR] = to_linear(opaque.mean(0))
    return replace(outfit, cuts=cuts, thickness_m=thickness, colour=colour)


def pick(rng: np.random.Generator, shares: dict[Choice, float]) -> Choice:
    """Draw a key with its share (which sum to one); quicker than ``rng.choice``."""
    ticket = rng.random()
    keys = list(shares)
    for key in keys:
        ticket -= shares[key]
        if ticket < 0:
            return key
    return keys[-1]


def _cut_top(cuts: np.ndarray, rng: np.random.Generator) -> None:
    kind = pick(rng, {"tee": 0.42, "long": 0.3, "tank": 0.1, "wide tank": 0.05, "none": 0.13})
    cuts[SLEEVE] = {
        "tee": rng.uniform(0.24, _ELBOW_X),
        "long": rng.uniform(0.5, _WRIST_X),
        "tank": rng.uniform(0.14, 0.17),
        "wide tank": 0.13,
        "none": 0.0,
    }[kind]
    cuts[HEM] = pick(rng, {rng.uniform(-0.36, -0.2): 0.6, _WAIST_Y: 0.33, rng.uniform(-0.02, 0.06): 0.07})
    cuts[NECK] = pick(rng, {0.045: 0.1, 0.075: 0.4, 0.09: 0.35, 0.12: 0.15})
    cuts[VNECK] = rng.uniform(0.05, 0.16) if rng.random() < 0.2 else 0.0


def _cut_bottom(cuts: np.ndarray, rng: np.random.Generator) -> None:
    cuts[WAIST] = rng.uniform(-0.24, -0.1)
    kind = pick(rng, {"long": 0.46, "knee": 0.2, "short": 0.17, "briefs": 0.07, "leggings": 0.1})
    cuts[LEG] = {
        "long": rng.uniform(-1.12, -1.0),
        "knee": rng.uniform(-0.75, -0.55),
        "short": rng.uniform(-0.55, -0.38),
        "briefs": rng.uniform(-0.37, _CROTCH_Y),
        "leggings": rng.uniform(-1.0, -0.75),
    }[kind]


def _cloth_colours(rng: np.random.Generator, count: int) -> Float[np.ndarray, "n 3"]:
    """Draw 8-bit colours: mostly what people wear, sometimes any."""
    worn = _CLOTH_COLOURS[rng.integers(0, len(_CLOTH_COLOURS), count)] * np.exp(0.12 * rng.normal(size=(count, 3)))
    value, saturation = rng.uniform(40, 250, (count, 1)), rng.uniform(0.2, 1.0, (count, 1))
    anything = value * (1 - saturation * rng.random((count, 3)))
    return np.clip(np.where(rng.random((count, 1)) < 0.75, worn + 6 * rng.normal(size=(count, 1)), anything), 4, 250)


@compiled(fastmath=SAFE_FASTMATH)
def layer_at(cuts, x, y, z):
    """Return the outermost layer at a point of the T-pose."""
    across = abs(x)
    if across > cuts[GLOVE]:
        return GLOVES
    if y < cuts[SHOE]:
        return SHOES
    if y > 0.3 and across < 0.12:
        # The hairline rises from the nape (z = -0.04) to the forehead (z = 0.17), slowly behind the ears.
        front = min(max((z + 0.04) / 0.21, 0.0), 1.0)
        if y > cuts[HAIR_BACK] + (cuts[HAIR_FRONT] - cuts[HAIR_BACK]) * front * front * (3 - 2 * front):
            return HAIR
    # Collars end below the jaw, which reaches forward.
    if across < cuts[SLEEVE] and y > cuts[HEM] and y < 0.33 - 0.9 * max(z - 0.05, 0.0):
        from_neck = x * x + (z - 0.03) * (z - 0.03) + 0.8 * (y - 0.31) * (y - 0.31)
        in_v = z > 0.03 and y > 0.24 - cuts[VNECK] + 1.6 * across and cuts[VNECK] > 0
        if from_neck > cuts[NECK] * cuts[NECK] and not in_v:
            return TOP
    if y < cuts[WAIST] and y > cuts[LEG] and across < 0.3:
        return BOTTOM
    if y < cuts[SOCK]:
        return SOCKS
    return SKIN


@compiled(fastmath=SAFE_FASTMATH)
def stand_off(rest, normals, template, cuts, thickness, bumps, out):
    """Push clothed vertices of one body off the skin: rest (V, 3) -> out (V, 3), both in the T-pose.

    ``bumps`` is a periodic volume of noise that makes loose cloth uneven; hair grows towards the crown.
    """
    wrap = bumps.shape[0] - 1
    for i in range(rest.shape[0]):
        x, y, z = template[i, 0], template[i, 1], template[i, 2]
        layer = layer_at(cuts, x, y, z)
        push = thickness[layer]
        if layer == HAIR:
            push *= min(max((y - cuts[HAIR_BACK]) / np.float32(0.06), np.float32(0)), np.float32(1))
        elif push > 0:
            bump = bumps[int(x * 90) & wrap, int(y * 90) & wrap, int(z * 90) & wrap, 0]
            push *= 1 + 0.5 * bump
        for c in range(3):
            out[i, c] = rest[i, c] + push * normals[i, c]
