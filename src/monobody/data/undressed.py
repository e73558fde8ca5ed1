"""Synthetic people without clothes and textures: painted by body parts or like clay; and people cut out on black.

X as Supervision names a source of pairs whose people wear a map of body parts in place of textures, and its networks
see people cut out by their masks. Parts have one colour each, the same in every picture, left and right different; they
are lit as skin is.
"""

import colorsys
from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from monobody.data.sample import Sample
from monobody.data.wardrobe import (
    CUTS,
    GLOVE,
    HAIR_BACK,
    HAIR_FRONT,
    LAYERS,
    SHOE,
    SOCK,
    WAIST,
    Outfit,
    to_linear,
)

Look = Literal["dressed", "parts", "clay"]
AnySample = TypeVar("AnySample", bound=Sample)
_FAR_M = 9.0
WHITE = np.full((1, 1, 3), 255, np.uint8)
"""The skin of people who get their colour afterwards."""
CLAY = 0.45
"""Linear light that clay throws back."""


def part_colours() -> UInt8[np.ndarray, "25 3"]:
    """Return the colours (sRGB) of the 24 body parts, from 1; that of 0 is black."""
    # Hues by the golden ratio: neighbouring numbers, such as left and right, are far apart.
    hues = [(0.618034 * part % 1.0, 0.85 if part % 3 else 0.5, 0.95 if part % 2 else 0.7) for part in range(24)]
    colours = [colorsys.hsv_to_rgb(*hue) for hue in hues]
    return np.round(255 * np.array([(0.0, 0.0, 0.0), *colours])).astype(np.uint8)


PART_COLOURS_LINEAR = to_linear(part_colours())


def bare_outfit(like: Outfit) -> Outfit:
    """Return an outfit of nothing at all, hair included."""
    cuts = np.zeros(CUTS, np.float32)
    cuts[[WAIST, SHOE, SOCK]] = -_FAR_M
    cuts[[GLOVE, HAIR_FRONT, HAIR_BACK]] = _FAR_M
    return replace(like, cuts=cuts, thickness_m=np.zeros(LAYERS, np.float32), folds=np.zeros(LAYERS, np.float32))


def recolour(rgba: Float[np.ndarray, "h w 4"], part: UInt8[np.ndarray, "h w"], look: Look) -> None:
    """Colour the light that falls on a white body, in place: by the body parts seen, or as clay."""
    if look == "parts":
        rgba[..., :3] *= PART_COLOURS_LINEAR[part]
    elif look == "clay":
        rgba[..., :3] *= np.float32(CLAY)


def sample_look(rng: np.random.Generator, *, parts: float, clay: float) -> Look:
    """Draw how a person looks, with the shares of those who are painted by parts and of clay."""
    ticket = rng.random()
    return "parts" if ticket < parts else "clay" if ticket < parts + clay else "dressed"


def cut_out(sample: AnySample) -> AnySample:
    """Return a sample whose picture is black but for the person; without a mask it stays as it is."""
    if sample.mask is None:
        return sample
    image = np.round(sample.image * (sample.mask[..., None] / np.float32(255))).astype(np.uint8)
    return replace(sample, image=image)
