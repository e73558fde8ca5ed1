"""Light from all around a person: spherical harmonics for the sky and the walls, one direction for sun or lamp.

Diffuse reflection of distant light is a quadratic in the normal to within 1 % (Ramamoorthi & Hanrahan 2001, "An
efficient representation for irradiance environment maps"), so nine coefficients a colour are kept of a panorama; its
brightest spot is taken out first and kept as a direction, which can cast shadows.

Frame: the world's, y up. Panoramas are equirectangular, first row up, linear light.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# Factors of the clamped cosine in bands 0, 1 and 2 (pi, 2 pi / 3, pi / 4) times Lambert's 1 / pi.
_BAND = np.array([1.0, 2 / 3, 2 / 3, 2 / 3, 0.25, 0.25, 0.25, 0.25, 0.25], np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """Distant light; mean radiance over the sphere is 1 in luminance."""

    irradiance: Float[np.ndarray, "9 3"]
    """Coefficients of :func:`harmonics`: diffuse white reflects ``harmonics(n) @ irradiance``."""
    sun_direction: Float[np.ndarray, "3"]
    """Towards the brightest spot, unit length."""
    sun: Float[np.ndarray, "3"]
    """Reflected light of a white surface facing the brightest spot."""

    def turned(self, yaw_rad: float) -> "Light":
        """Turn the surroundings about the vertical."""
        cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
        # Nine directions determine the quadratic: read the old one at turned-back directions, solve for the new one.
        turned = _SOLVE @ (harmonics(_PROBES @ turn) @ self.irradiance)
        return Light(irradiance=turned, sun_direction=turn @ self.sun_direction, sun=self.sun)


def harmonics(directions: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 9"]:
    """Return the nine real spherical harmonics up to degree two at unit directions, orthonormal over the sphere."""
    x, y, z = np.moveaxis(np.asarray(directions, np.float32), -1, 0)
    return np.stack(
        [
            np.full_like(x, 0.282095),
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        axis=-1,
    )


def light_from_panorama(panorama: Float[np.ndarray, "h w 3"]) -> Light:
    """Split a linear panorama into its brightest spot and the irradiance of the rest."""
    height, width = panorama.shape[:2]
    polar = (np.arange(height) + 0.5) / height * math.pi
    azimuth = (np.arange(width) + 0.5) / width * 2 * math.pi
    directions = np.empty((height, width, 3), np.float32)
    directions[..., 0] = np.sin(polar)[:, None] * np.sin(azimuth)
    directions[..., 1] = np.cos(polar)[:, None]
    directions[..., 2] = -np.sin(polar)[:, None] * np.cos(azimuth)
    solid_angle = np.broadcast_to(
        (np.sin(polar) * (math.pi / height) * (2 * math.pi / width))[:, None], (height, width)
    )
    luminance = panorama @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    mean = float((luminance * solid_angle).sum() / (4 * math.pi))
    panorama, luminance = panorama / mean, luminance / mean
    # What is far brighter than its surroundings counts as sun or lamp.
    ceiling = 6.0
    rest = panorama * np.minimum(1, ceiling / np.maximum(luminance, 1e-6))[..., None]
    excess = (panorama - rest) * solid_angle[..., None]
    weight = excess.sum(-1)
    direction = (weight[..., None] * directions).sum((0, 1)) if weight.sum() > 0 else np.array([0.3, 0.9, 0.3])
    direction = direction / max(float(np.linalg.norm(direction)), 1e-6)
    coefficients = np.einsum("hwk,hwc,hw->kc", harmonics(directions), rest, solid_angle)
    return Light(
        irradiance=(coefficients * _BAND[:, None]).astype(np.float32),
        sun_direction=direction.astype(np.float32),
        sun=(excess.sum((0, 1)) / math.pi).astype(np.float32),
    )


def studio_lights(rng: np.random.Generator, count: int) -> list[Light]:
    """Make lights without panoramas: a sky, a ground, and a lamp or sun of random place, colour and strength."""
    lights = []
    for _ in range(count):
        sky, ground = np.exp(0.3 * rng.normal(size=3)), rng.uniform(0.1, 0.8) * np.exp(0.2 * rng.normal(size=3))
        irradiance = np.zeros((9, 3), np.float32)
        irradiance[0] = 0.5 * (sky + ground) / 0.282095
        irradiance[1] = 0.5 * (sky - ground) * 2 / 3 / 0.488603
        irradiance[2:4] = 0.3 * rng.normal(size=(2, 1))
        direction = rng.normal(size=3) + np.array([0, 1.2, 0])
        direction /= np.linalg.norm(direction)
        sun = rng.uniform(0, 2) * np.exp(0.1 * rng.normal(size=3))
        lights.append(
            Light(irradiance=irradiance, sun_direction=direction.astype(np.float32), sun=sun.astype(np.float32))
        )
    return lights


_GOLDEN = math.pi * (3 - math.sqrt(5))
_Y = 1 - (np.arange(32) + 0.5) / 16
_PROBES = np.stack(
    [np.sqrt(1 - _Y**2) * np.cos(_GOLDEN * np.arange(32)), _Y, np.sqrt(1 - _Y**2) * np.sin(_GOLDEN * np.arange(32))], -1
).astype(np.float32)
_SOLVE = np.linalg.pinv(harmonics(_PROBES)).astype(np.float32)
