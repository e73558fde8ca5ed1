"""A real camera's lens: two focal lengths, a principal point and distortion; and pictures freed of it.

A point (x, y, z) before the camera is seen, with u = x/z, v = y/z, r^2 = u^2 + v^2 and t = p1 v + p2 u, at

    c + f * [(u, v) (1 + k1 r^2 + k2 r^4 + k3 r^6 + t) + (p2, p1) r^2]

as Human3.6M's own tools have it (Ionescu et al., PAMI 2014). Such a camera is not the ideal pinhole that bodies are
projected with: at the rim of Human3.6M's pictures the two differ by more than ten pixels. :func:`rectified` resamples a
picture as the pinhole would have taken it, so that 3D joints are projected exactly to where they are seen.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int32, UInt8

from monobody.jit import compiled


@dataclass(frozen=True, kw_only=True, slots=True)
class Lens:
    """The inner half of a camera, in pixels of its picture."""

    focal_px: tuple[float, float]
    principal_px: tuple[float, float]
    radial: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """k1, k2, k3."""
    tangential: tuple[float, float] = (0.0, 0.0)
    """p1, p2."""

    @property
    def pinhole_focal_px(self) -> float:
        """The focal length of the pinhole that comes nearest: the mean of the two."""
        return 0.5 * (self.focal_px[0] + self.focal_px[1])


def seen_at(points_cam: Float[np.ndarray, "*b 3"], lens: Lens) -> Float[np.ndarray, "*b 2"]:
    """Return where points before the camera (any unit) are seen, in pixels."""
    points = np.asarray(points_cam, np.float64)
    return _bent(points[..., :2] / points[..., 2:], lens) * np.array(lens.focal_px) + np.array(lens.principal_px)


def rectified(image: UInt8[np.ndarray, "h w 3"], lens: Lens) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture that a pinhole of ``lens.pinhole_focal_px`` and the same principal point would have taken."""
    out = np.empty_like(image)
    _resample(np.ascontiguousarray(image), _sources(image.shape[0], image.shape[1], lens), out)
    return out


def fitted_lens(
    points_cam: Float[np.ndarray, "n 3"], seen_px: Float[np.ndarray, "n 2"], *, distorted: bool
) -> tuple[Lens, float]:
    """Return the lens by which points are seen where they are seen, and the error that it leaves (RMS, pixels).

    Each picture axis is linear in f, f k1, f k2, f k3, f p1, f p2 and c; least squares solve both axes together. For
    data sets that give joints before the camera and in the picture but not the camera. ``distorted`` False: a pinhole.
    """
    points = np.asarray(points_cam, np.float64)
    u, v = (points[:, :2] / points[:, 2:]).T
    r2, one = u * u + v * v, np.ones(len(u))
    seen = np.asarray(seen_px, np.float64)

    def columns(along: np.ndarray, tangential: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        bends = [along * r2, along * r2**2, along * r2**3, *tangential] if distorted else []
        return np.stack([along, one, *bends], axis=1)

    # The tangential terms of the axis along u: (p1 v + p2 u) u + p2 r^2; along v: (p1 v + p2 u) v + p1 r^2.
    by_axis = [columns(u, (u * v, u * u + r2)), columns(v, (v * v + r2, u * v))]
    solved = [np.linalg.lstsq(a, b, rcond=None)[0] for a, b in zip(by_axis, seen.T, strict=True)]
    focal, principal = (tuple(float(s[i]) for s in solved) for i in (0, 1))
    bends = np.mean([s[2:] / s[0] for s in solved], axis=0) if distorted else np.zeros(5)
    lens = Lens(
        focal_px=(focal[0], focal[1]),
        principal_px=(principal[0], principal[1]),
        radial=(float(bends[0]), float(bends[1]), float(bends[2])),
        tangential=(float(bends[3]), float(bends[4])),
    )
    return lens, float(np.sqrt(np.mean(np.sum((seen_at(points, lens) - seen) ** 2, axis=1))))


def _bent(rays: Float[np.ndarray, "*b 2"], lens: Lens) -> Float[np.ndarray, "*b 2"]:
    """Return where the ideal rays (u, v) pass the picture plane behind the real lens."""
    (k1, k2, k3), (p1, p2) = lens.radial, lens.tangential
    r2 = np.sum(rays**2, axis=-1, keepdims=True)
    tangential = p1 * rays[..., 1:] + p2 * rays[..., :1]
    return rays * (1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + tangential) + np.array([p2, p1]) * r2


@lru_cache(maxsize=8)
def _sources(height: int, width: int, lens: Lens) -> Int32[np.ndarray, "h w 2"]:
    """Return, for each pixel of the rectified picture, where in the real one it is found, in 1/256 of its pixels.

    The centre of the first pixel counts as 0 here; beyond the picture, its edge is repeated.
    """
    rows, columns = np.mgrid[:height, :width] + 0.5
    rays = (np.stack([columns, rows], axis=-1) - np.array(lens.principal_px)) / lens.pinhole_focal_px
    places = _bent(rays, lens) * np.array(lens.focal_px) + np.array(lens.principal_px) - 0.5
    # A hair inside the last pixel, so that a neighbour to the right and below always exists.
    return np.clip(np.rint(places * 256), 0, np.array([width - 1, height - 1]) * 256 - 1).astype(np.int32)


@compiled()
def _resample(image, sources, out):
    """Fill ``out`` bilinearly, in whole numbers."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x, y = sources[row, column, 0], sources[row, column, 1]
            x0, y0, right, down = x >> 8, y >> 8, x & 255, y & 255
            for channel in range(3):
                top = np.int32(image[y0, x0, channel]) * (256 - right) + np.int32(image[y0, x0 + 1, channel]) * right
                bottom = (
                    np.int32(image[y0 + 1, x0, channel]) * (256 - right)
                    + np.int32(image[y0 + 1, x0 + 1, channel]) * right
                )
                out[row, column, channel] = (top * (256 - down) + bottom * down + 32768) >> 16
