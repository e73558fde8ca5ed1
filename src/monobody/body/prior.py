"""The pose prior: how likely a body pose is, and new poses like those that people take.

A mixture of Gaussians over the 23 rotations below the root, half of it with limbs that know nothing of each other:

    p(w) = (1 - a) Σ_k π_k N(w; μ_k, Σ_k)  +  a Π_limb Σ_k π_k N(w_limb; μ_k, Σ_k)

The first part knows whole poses; the second, made of the first one's marginals, any combination of what arms, legs,
trunk and head do, and it is what poses unlike all that were captured fall back on. Each rotation is taken relative to
its joint's mean M_j, as axis-angle w_j = log(M_jᵀ R_j): 69 numbers, far from where the logarithm wraps.

Densities are with respect to the normalised Haar measure of SO(3)²³, under which picking every rotation uniformly at
random has density 1: ``log_density`` is in nats above chance, and comparable between models of any parametrisation.
A density in w becomes one in R by dividing by the Haar density of the chart, (1 - cos |w|) / (4 π² |w|²) per joint.
The mass that Gaussians put beyond |w| = π is left out: the density is a lower bound, tight for human joints.

Three more numbers per Gaussian say which way is up in the body's frame, so that poses which are struck lying or
upside down are also drawn lying or upside down. They are marginalised in ``log_density``.

The prior over shape needs no file: the ten coefficients are independent and standard normal by construction of the
body (:func:`shape_log_density`).
"""

import math
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from monobody.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle, rotation_about
from monobody.errors import UserError

SHIPPED_PRIOR = Path(__file__).resolve().parents[1] / "assets" / "pose_prior.safetensors"
JOINTS = 23
LIMBS = ((3, 6, 9), (12, 15), (13, 16, 18, 20, 22), (14, 17, 19, 21, 23), (1, 4, 7, 10), (2, 5, 8, 11))
"""Joints 1 to 23 of the trunk, the head, the arms and the legs."""
_POSE = 3 * JOINTS
_LIMB_COLUMNS = tuple(tuple(3 * (joint - 1) + axis for joint in limb for axis in range(3)) for limb in LIMBS)


class PosePrior(nn.Module):
    """Density and sampler of body poses; the file that holds one is made by ``scripts/build_pose_prior.py``."""

    def __init__(
        self,
        *,
        joint_means: Float[Tensor, "23 3 3"],
        log_weights: Float[Tensor, " k"],
        means: Float[Tensor, "k 72"],
        scale_trils: Float[Tensor, "k 72 72"],
        limits: Float[Tensor, "2 23 3"],
        limb_share: Float[Tensor, ""],
    ) -> None:
        super().__init__()
        self.joint_means: Tensor
        self.log_weights: Tensor
        self.means: Tensor
        self.scale_trils: Tensor
        self.limits: Tensor
        self.limb_share: Tensor
        self.register_buffer("joint_means", joint_means)
        self.register_buffer("log_weights", log_weights - log_weights.logsumexp(0))
        self.register_buffer("means", means)
        self.register_buffer("scale_trils", scale_trils)
        self.register_buffer("limits", limits)
        self.register_buffer("limb_share", limb_share)
        covariances = scale_trils @ scale_trils.mT
        for i, columns in enumerate((tuple(range(_POSE)), *_LIMB_COLUMNS)):
            index = torch.tensor(columns, device=means.device)
            factors = torch.linalg.cholesky(covariances[:, index[:, None], index])
            identity = torch.eye(len(columns), dtype=means.dtype, device=means.device).expand_as(factors)
            whiten = torch.linalg.solve_triangular(factors, identity, upper=False)
            self.register_buffer(f"columns_{i}", index, persistent=False)
            self.register_buffer(f"whiten_{i}", whiten, persistent=False)

    @staticmethod
    def load(path: str | Path | None = None) -> "PosePrior":
        """Load a prior file; without a path the shipped one.

        Raises:
            UserError: the file is missing, damaged, or not a pose prior.
        """
        path = Path(path or SHIPPED_PRIOR)
        try:
            stored = {name: tensor.float() for name, tensor in load_file(path).items()}
            packed = stored.pop("scale_trils_packed")
            row, column = torch.tril_indices(_POSE + 3, _POSE + 3)
            scale_trils = packed.new_zeros(len(packed), _POSE + 3, _POSE + 3)
            scale_trils[:, row, column] = packed
            return PosePrior(scale_trils=scale_trils, **stored)
        except (OSError, SafetensorError, KeyError, TypeError, RuntimeError) as error:
            raise UserError(
                f"{path} is not a pose prior ({error}). Make one with scripts/build_pose_prior.py, or leave it out to "
                "use the shipped one."
            ) from error

    def stored(self) -> dict[str, Tensor]:
        """Return the tensors of the prior's file: half precision, the triangular factors packed."""
        row, column = torch.tril_indices(_POSE + 3, _POSE + 3)
        return {
            "joint_means": self.joint_means.float().contiguous(),
            "limits": self.limits.float().contiguous(),
            "limb_share": self.limb_share.float(),
            "log_weights": self.log_weights.float().contiguous(),
            "means": self.means.half().contiguous(),
            "scale_trils_packed": self.scale_trils[:, row, column].half().contiguous(),
        }

    def log_density(self, rotations: Float[Tensor, "*b 23 3 3"]) -> Float[Tensor, "*b"]:
        """Return the log density of poses with respect to the Haar measure, in nats; uniform rotations would have 0.

        Differentiable. ``rotations`` are those of joints 1 to 23, relative to their parents.
        """
        return self.chart_density(self.to_chart(rotations))

    def chart_density(self, chart: Float[Tensor, "*b 23 3"]) -> Float[Tensor, "*b"]:
        """Return :meth:`log_density` of poses given in the chart; still with respect to the Haar measure."""
        flat = chart.flatten(-2)
        together = self._mixture(flat, 0)
        apart = sum((self._mixture(flat, 1 + i) for i in range(len(LIMBS))), torch.zeros_like(together))
        both = torch.logaddexp((1 - self.limb_share).log() + together, self.limb_share.log() + apart)
        return both - chart_log_density(chart).sum(-1)

    def _mixture(self, flat: Float[Tensor, "*b 69"], part: int) -> Float[Tensor, "*b"]:
        """Return the log density of the mixture's marginal over one limb, or over all joints (part 0)."""
        columns, whiten = self.get_buffer(f"columns_{part}"), self.get_buffer(f"whiten_{part}")
        centred = flat[..., None, columns] - self.means[:, columns]
        white = torch.einsum("kij,...kj->...ki", whiten, centred)
        log_scale = whiten.diagonal(dim1=-2, dim2=-1).log().sum(-1) - 0.5 * len(columns) * math.log(2 * math.pi)
        return (self.log_weights + log_scale - 0.5 * white.square().sum(-1)).logsumexp(-1)

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
        *,
        temperature: float = 1.0,
        random_yaw: bool = True,
        keep_limits: bool = True,
    ) -> Float[Tensor, "n 24 3 3"]:
        """Draw ``n`` poses; the root turns the body frame to a y-up world.

        Args:
            n: how many.
            generator: source of chance; its device must be the prior's.
            temperature: factor on the spread about the mixture's means; below one gives more ordinary poses.
            random_yaw: face any way; otherwise the body faces +z as far as its tilt allows.
            keep_limits: draw again, up to eight times, poses that bend a joint further than ``within_limits`` allows.
        """
        drawn, accepted = self._draw(n, generator, temperature)
        for _ in range(8 if keep_limits else 0):
            again = (~accepted).nonzero().squeeze(-1)
            if not len(again):
                break
            drawn[again], accepted[again] = self._draw(len(again), generator, temperature)
        body = self.from_chart(self._clamped(drawn[:, :_POSE].unflatten(-1, (JOINTS, 3)), keep_limits))
        root = _upright_to(normalize(drawn[:, _POSE:], dim=-1))
        if random_yaw:
            angle = 2 * math.pi * torch.rand(n, generator=generator, device=root.device, dtype=root.dtype)
            root = rotation_about("y", angle) @ root
        return torch.cat([root[:, None], body], 1)

    def within_limits(self, rotations: Float[Tensor, "*b 23 3 3"]) -> Bool[Tensor, "*b 23"]:
        """Tell which joints are bent no further than joints bend: w_j inside the box ``limits`` (lower, upper)."""
        chart = self.to_chart(rotations)
        return ((chart >= self.limits[0]) & (chart <= self.limits[1])).all(-1)

    def to_chart(self, rotations: Float[Tensor, "*b 23 3 3"]) -> Float[Tensor, "*b 23 3"]:
        """Return w = log(Mᵀ R) of every joint, radians."""
        return matrix_to_axis_angle(self.joint_means.transpose(-1, -2) @ rotations)

    def from_chart(self, chart: Float[Tensor, "*b 23 3"]) -> Float[Tensor, "*b 23 3 3"]:
        """Return M exp(w), the inverse of :meth:`to_chart`."""
        return self.joint_means @ axis_angle_to_matrix(chart)

    def _draw(
        self, n: int, generator: torch.Generator | None, temperature: float
    ) -> tuple[Float[Tensor, "n 72"], Bool[Tensor, " n"]]:
        drawn = self._draw_together(n, generator, temperature)
        apart = torch.rand(n, 1, generator=generator, device=drawn.device) < self.limb_share
        # The trunk, with the direction that is up, stays; each other limb is taken from a pose of its own.
        for columns in _LIMB_COLUMNS[1:]:
            other = self._draw_together(n, generator, temperature)
            drawn[:, columns] = torch.where(apart, other[:, columns], drawn[:, columns])
        chart = drawn[:, :_POSE].unflatten(-1, (JOINTS, 3))
        inside = ((chart >= self.limits[0]) & (chart <= self.limits[1])).flatten(1).all(-1)
        return drawn, inside

    def _draw_together(self, n: int, generator: torch.Generator | None, temperature: float) -> Float[Tensor, "n 72"]:
        part = torch.multinomial(self.log_weights.exp(), n, replacement=True, generator=generator)
        noise = torch.randn(n, _POSE + 3, 1, generator=generator, device=self.means.device, dtype=self.means.dtype)
        return self.means[part] + temperature * (self.scale_trils[part] @ noise).squeeze(-1)

    def _clamped(self, chart: Float[Tensor, "n 23 3"], clamp: bool) -> Float[Tensor, "n 23 3"]:
        return torch.minimum(torch.maximum(chart, self.limits[0]), self.limits[1]) if clamp else chart


def chart_log_density(chart: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """Return the log of the Haar measure's density in the axis-angle chart, (1 - cos |w|) / (4 π² |w|²)."""
    squared = chart.square().sum(-1)
    small = squared < 1e-4
    safe = torch.where(small, torch.ones_like(squared), squared)
    # 1 - cos a = 2 sin²(a / 2), which keeps its digits for small angles.
    exact = (2 * (safe.sqrt() / 2).sin().square() / safe).log()
    return torch.where(small, math.log(0.5) - squared / 12, exact) - math.log(4 * math.pi**2)


def shape_log_density(betas: Float[Tensor, "*b 10"]) -> Float[Tensor, "*b"]:
    """Return the log density of shape coefficients, nats: independent, standard normal."""
    return -0.5 * betas.square().sum(-1) - 0.5 * betas.shape[-1] * math.log(2 * math.pi)


def _upright_to(up: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Return rotations that turn the body-frame direction ``up`` to the world's y, facing +z as far as possible.

    The rows of the rotation are the world's axes seen from the body. Someone who lies has no facing; then +z is
    where the top of the head points.
    """
    forward = torch.tensor([0.0, 0.0, 1.0], dtype=up.dtype, device=up.device).expand_as(up)
    head = torch.tensor([0.0, 1.0, 0.0], dtype=up.dtype, device=up.device).expand_as(up)
    lying = up[:, 2:].abs() > 0.9
    z = torch.where(lying, head, forward)
    z = normalize(z - (z * up).sum(-1, keepdim=True) * up, dim=-1)
    return torch.stack([torch.linalg.cross(up, z), up, z], -2)
