"""Painted clothes and light in torch, for whole batches on any device: the twin of ``wardrobe.layer_at`` and ``paint``.

Works on a flat list of fragments (pixels that show a person), so that empty pixels cost nothing. Without what needs a
second look at the scene: shadows, crevices, and garments with meshes of their own.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from monobody.data.wardrobe import (
    BOTTOM,
    CHECKS,
    DOTS,
    EYES,
    GLOVE,
    GLOVES,
    HAIR,
    HAIR_BACK,
    HAIR_FRONT,
    HEM,
    LEG,
    LOGO_SIZE,
    LOGO_X,
    LOGO_Y,
    NECK,
    PRINT,
    SHOE,
    SHOES,
    SKIN,
    SLEEVE,
    SOCK,
    SOCKS,
    STRIPES_ACROSS,
    STRIPES_ALONG,
    TOP,
    VNECK,
    WAIST,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fragments:
    """What is seen at N pixels."""

    person: Int[Tensor, "n"]
    """Row of the batch."""
    place: Float[Tensor, "n 3"]
    """On the T-posed template, metres."""
    template_normal: Float[Tensor, "n 3"]
    normal: Float[Tensor, "n 3"]
    """In the world's frame, unit length."""
    uv: Float[Tensor, "n 2"]
    eye: Int[Tensor, "n"]


def layers_at(cuts: Float[Tensor, "n 14"], place: Float[Tensor, "n 3"]) -> Int[Tensor, "n"]:
    """Return the outermost layer at points of the T-pose; each has its own cuts."""
    x, y, z = place.unbind(-1)
    across = x.abs()
    cut = cuts.unbind(-1)
    front = ((z + 0.04) / 0.21).clamp(0, 1)
    hairline = cut[HAIR_BACK] + (cut[HAIR_FRONT] - cut[HAIR_BACK]) * front * front * (3 - 2 * front)
    hair = (y > 0.3) & (across < 0.12) & (y > hairline)
    from_neck = x * x + (z - 0.03) ** 2 + 0.8 * (y - 0.31) ** 2
    in_v = (z > 0.03) & (y > 0.24 - cut[VNECK] + 1.6 * across) & (cut[VNECK] > 0)
    collar = y < 0.33 - 0.9 * (z - 0.05).clamp_min(0)
    top = (across < cut[SLEEVE]) & (y > cut[HEM]) & collar & (from_neck > cut[NECK] ** 2) & ~in_v
    bottom = (y < cut[WAIST]) & (y > cut[LEG]) & (across < 0.3)
    layer = torch.full_like(y, SKIN, dtype=torch.long)
    # From the inside out.
    for number, where in (
        (SOCKS, y < cut[SOCK]),
        (BOTTOM, bottom),
        (TOP, top),
        (HAIR, hair),
        (SHOES, y < cut[SHOE]),
        (GLOVES, across > cut[GLOVE]),
    ):
        layer = torch.where(where, number, layer)
    return layer


def material(
    fragments: Fragments,
    worn: dict[str, Tensor],
    skins: Float[Tensor, "s h w 3"],
    tiles: Float[Tensor, "t c c 3"],
) -> Float[Tensor, "n 3"]:
    """Return the reflectance of each fragment in linear light.

    Args:
        fragments: the pixels.
        worn: fields of the persons' :class:`~monobody.data.wardrobe.Outfit` with a batch axis, and ``skin`` (b,) and
            ``skin_gain`` (b, 3).
        skins: skin textures, linear.
        tiles: material tiles, linear.
    """
    person = fragments.person
    x, y, z = fragments.place.unbind(-1)
    cuts = worn["cuts"][person]
    layer = torch.where(fragments.eye > 0, EYES, layers_at(cuts, fragments.place))

    def of_layer(name: str) -> Tensor:
        return worn[name][person, layer]

    tilt = fragments.template_normal.abs()
    sideways = (tilt[:, 0] > tilt[:, 1]) & (tilt[:, 0] > tilt[:, 2])
    upward = ~sideways & (tilt[:, 1] > tilt[:, 2])
    across, along = torch.where(sideways, z, x), torch.where(upward, z, y)
    arm = (y > 0.1) & (x.abs() > 0.2)
    across, along = torch.where(arm, along, across), torch.where(arm, across, along)
    scale, kind, tile = of_layer("scale"), of_layer("pattern"), of_layer("tile").long()
    size = cuts[:, LOGO_SIZE]
    logo_u, logo_v = (x - cuts[:, LOGO_X]) / size.clamp_min(1e-3), (y - cuts[:, LOGO_Y]) / size.clamp_min(1e-3)
    logo = (layer == TOP) & (size > 0) & (z > 0.03) & (y < 0.3) & (logo_u.abs() < 1) & (logo_v.abs() < 1)
    kind, tile = torch.where(logo, PRINT, kind), torch.where(logo, worn["tile"][person, SKIN].long(), tile)
    u, v = torch.where(logo, 0.5 * logo_u, across * scale), torch.where(logo, 0.5 * logo_v, along * scale)
    cells = tiles.shape[1]
    swatch = tiles[tile, (v * cells).long() % cells, (u * cells).long() % cells]
    twice_u, twice_v = (2 * u).frac() % 1.0, (2 * v).frac() % 1.0
    second = (kind == STRIPES_ACROSS) & (twice_v < 0.4) | (kind == STRIPES_ALONG) & (twice_u < 0.3)
    second |= (kind == CHECKS) & ((twice_u < 0.35) != (twice_v < 0.35))
    second |= (kind == DOTS) & ((twice_u - 0.5) ** 2 + (twice_v - 0.5) ** 2 < 0.07)
    dyed = worn["colour"][person, layer, second.long()]
    cloth = dyed * (1 + of_layer("grain") * (swatch.mean(-1).clamp_min(1e-4) ** 0.45 * 2 - 1))[:, None]
    cloth = torch.where((kind == PRINT)[:, None], swatch, cloth)

    height, width = skins.shape[1:3]
    row = ((1 - fragments.uv[:, 1]) * height).long().clamp(0, height - 1)
    column = (fragments.uv[:, 0] * width).long().clamp(0, width - 1)
    bare = skins[worn["skin"][person], row, column] * worn["skin_gain"][person]
    eye = torch.where(fragments.eye > 1, 0.03, 0.55)[:, None].expand(-1, 3)
    colour = torch.where((layer == SKIN)[:, None], bare, cloth)
    return torch.where((layer == EYES)[:, None], eye, colour).clamp(0, 1.5)


def reflected(
    normal: Float[Tensor, "n 3"],
    person: Int[Tensor, "n"],
    irradiance: Float[Tensor, "b 9 3"],
    sun_direction: Float[Tensor, "b 3"],
    sun: Float[Tensor, "b 3"],
) -> Float[Tensor, "n 3"]:
    """Return the light that white would reflect; everything in the world's frame."""
    x, y, z = normal.unbind(-1)
    one = torch.full_like(x, 0.282095)
    basis = [one, 0.488603 * y, 0.488603 * z, 0.488603 * x, 1.092548 * x * y, 1.092548 * y * z]
    basis += [0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y)]
    around = torch.einsum("nk,nkc->nc", torch.stack(basis, -1), irradiance[person])
    lit = (normal * sun_direction[person]).sum(-1, keepdim=True).clamp_min(0)
    return around.clamp_min(0.02) + sun[person] * lit
