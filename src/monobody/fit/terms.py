"""What a fit makes small, each in nats: minus the logarithm of how likely that is (SMPLify, section 3.2).

Every term takes a batch and gives one number per row; weights are the callers'. With all weights at 1 their sum is
minus the logarithm of the posterior, so that no weight needs tuning by eye: noise is a standard deviation in metres,
radians, or shares of the person's size in the picture.
Shapes: n rows, k keypoints.
"""

from jaxtyping import Float, Int
from torch import Tensor

NEAREST_M = 0.1
"""Points nearer to the camera, or behind it, are projected as if they were here."""


def geman_mcclure(squared: Float[Tensor, "*b"], scale: float) -> Float[Tensor, "*b"]:
    """Return a distance's square, levelled off: squared / (1 + squared / scale²), which never exceeds scale².

    Geman and McClure (1987), as in SMPLify's equation 2: what lies far beyond ``scale`` no longer pulls.
    """
    return squared / (1 + squared / scale**2)


def project(
    points_cam_m: Float[Tensor, "n k 3"], focal_px: Float[Tensor, " n"], principal_px: Float[Tensor, "n 2"]
) -> Float[Tensor, "n k 2"]:
    """Project points, each row through a camera of its own, into pixels."""
    depth = points_cam_m[..., 2:].clamp_min(NEAREST_M)
    return focal_px[:, None, None] * points_cam_m[..., :2] / depth + principal_px[:, None]


def reprojection(
    seen_px: Float[Tensor, "n k 2"],
    keypoints_px: Float[Tensor, "n k 2"],
    confidence: Float[Tensor, "n k"],
    size_px: Float[Tensor, " n"],
    *,
    noise: float,
    outlier: float,
) -> Float[Tensor, " n"]:
    """Return how unlikely keypoints are where a body's joints are seen.

    ``noise`` and ``outlier`` (the distance from which a keypoint counts as wrong) are shares of the person's size.
    """
    squared = ((seen_px - keypoints_px) / size_px[:, None, None]).square().sum(-1)
    return (confidence * geman_mcclure(squared, outlier)).sum(-1) / (2 * noise**2)


def joints_3d(
    joints_m: Float[Tensor, "n j 3"],
    target_m: Float[Tensor, "n j 3"],
    confidence: Float[Tensor, "n j"],
    *,
    absolute: bool,
    noise_m: float,
    outlier_m: float,
) -> Float[Tensor, " n"]:
    """Return how unlikely 3D joints are; where they are not absolute, both are centred first."""
    apart = offsets(joints_m, target_m, confidence, absolute=absolute)
    return (confidence * geman_mcclure(apart.square().sum(-1), outlier_m)).sum(-1) / (2 * noise_m**2)


def offsets(
    joints_m: Float[Tensor, "n j 3"],
    target_m: Float[Tensor, "n j 3"],
    confidence: Float[Tensor, "n j"],
    *,
    absolute: bool,
) -> Float[Tensor, "n j 3"]:
    """Return what is between 3D joints and their targets, both about their confidence-weighted mean if not absolute."""
    apart = joints_m - target_m
    if absolute:
        return apart
    share = confidence / confidence.sum(1, keepdim=True)
    return apart - (share[..., None] * apart).sum(1, keepdim=True)


def beyond_limits(
    chart: Float[Tensor, "n 23 3"], limits: Float[Tensor, "2 23 3"], *, softness_rad: float
) -> Float[Tensor, " n"]:
    """Return a parabola that begins where joints are bent further than joints bend; elbows and knees above all."""
    over = (limits[0] - chart).clamp_min(0) + (chart - limits[1]).clamp_min(0)
    return over.square().sum((1, 2)) / (2 * softness_rad**2)


def shape(betas: Float[Tensor, "n 10"]) -> Float[Tensor, " n"]:
    """Return how unlikely a shape is among people: its coefficients are standard normal."""
    return 0.5 * betas.square().sum(-1)


def interpenetration(overlaps_m: Float[Tensor, "n p"], *, allowed_m: float, softness_m: float) -> Float[Tensor, " n"]:
    """Return how deep parts run through each other, beyond what flesh gives way (SMPLify, equation 6, has spheres)."""
    return (overlaps_m - allowed_m).clamp_min(0).square().sum(-1) / (2 * softness_m**2)


def tie(
    rotations: Float[Tensor, "n 24 3 3"], start: Float[Tensor, "n 24 3 3"], *, error_rad: float
) -> Float[Tensor, " n"]:
    """Return how far a pose is from the one it started from, whose joints are off by about ``error_rad``.

    Half the squared Frobenius distance of two rotations is the squared angle between them for small angles, and
    4 where they are opposite.
    """
    return (rotations - start).square().sum((1, 2, 3)) / (4 * error_rad**2)


def tie_shape(betas: Float[Tensor, "n 10"], start: Float[Tensor, "n 10"], *, error: float) -> Float[Tensor, " n"]:
    """Return how far a shape is from the one it started from."""
    return (betas - start).square().sum(-1) / (2 * error**2)


def acceleration(
    values: Float[Tensor, "n d"],
    triples: Int[Tensor, "t 3"],
    time_s: Float[Tensor, " n"],
    *,
    density: float,
) -> Float[Tensor, " n"]:
    """Return how unlikely the changes of speed are, if accelerations are white noise of a spectral density.

    The integral over time of the squared acceleration over 2 ``density`` ((units / s²)² s), by second differences with
    the frames' own times: the same motion filmed at any rate, evenly or not, costs the same. ``triples`` are rows of
    three successive frames; each one's share goes to its middle row.
    """
    before, now, after = triples.unbind(1)
    first, second = time_s[now] - time_s[before], time_s[after] - time_s[now]
    speed_in = (values[now] - values[before]) / first[:, None]
    speed_out = (values[after] - values[now]) / second[:, None]
    span = (first + second) / 2
    cost = ((speed_out - speed_in) / span[:, None]).square().sum(-1) * span / (2 * density)
    return values.new_zeros(len(values)).index_add(0, now, cost)
