"""What a fit may change, as one flat vector: root, pose, shape and place of every row.

- root: three numbers, a turn (axis-angle, camera frame) on top of the orientation that the fit began with;
- pose: 69 numbers, the pose prior's chart w_j of R_j = M_j exp(w_j), in which joint limits are a box;
- place: where the pelvis is. Seen by a camera: two numbers for the direction, x / z and y / z, and the logarithm of the
  depth, so that what the picture tells well (direction) and what it tells badly (depth) are apart. Else x, y, z.
- shape: ten coefficients for each *person*, whom several rows may show.

Each is divided by what is a large step for it. Shapes: n rows, p persons, N numbers in all.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from monobody.body.prior import PosePrior
from monobody.body.rotation import axis_angle_to_matrix

_ROOT, _POSE, _PLACE, _SHAPE = 3, 69, 3, 10
_ROW = _ROOT + _POSE + _PLACE
_SCALES = (0.5, 0.5, 2.0)
"""Root and pose (radians), shape."""
_SEEN_SCALE, _FREE_SCALE = (0.05, 0.05, 0.2), (0.3, 0.3, 0.3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bodies:
    """The bodies that a vector of variables stands for."""

    rotations: Float[Tensor, "n 24 3 3"]
    chart: Float[Tensor, "n 23 3"]
    """The prior's chart of joints 1 to 23."""
    betas: Float[Tensor, "n 10"]
    pelvis_m: Float[Tensor, "n 3"]
    """Where the first joint is."""

    def picked(self, rows: Int[Tensor, " m"]) -> "Bodies":
        """Return some of the rows."""
        return Bodies(
            rotations=self.rotations[rows],
            chart=self.chart[rows],
            betas=self.betas[rows],
            pelvis_m=self.pelvis_m[rows],
        )

    def detached(self) -> "Bodies":
        """Return the same without a gradient."""
        return Bodies(
            rotations=self.rotations.detach(),
            chart=self.chart.detach(),
            betas=self.betas.detach(),
            pelvis_m=self.pelvis_m.detach(),
        )


@dataclass(frozen=True, slots=True)
class Variables:
    """The way between bodies and vectors, for the rows of one fit."""

    prior: PosePrior
    root: Float[Tensor, "n 3 3"]
    person: Int[Tensor, " n"]
    """Of each row, 0 to p - 1."""
    persons: int
    seen: bool
    """Whether places are directions and depths."""

    @staticmethod
    def about(bodies: Bodies, prior: PosePrior, person: Int[Tensor, " n"], *, seen: bool) -> "Variables":
        """Return the variables of fits that begin with these bodies."""
        return Variables(prior, bodies.rotations[:, 0].detach(), person, int(person.max()) + 1, seen)

    @property
    def groups(self) -> Int[Tensor, " N"]:
        """Return to which person each number belongs."""
        of_shape = torch.arange(self.persons, device=self.person.device)
        return torch.cat([self.person.repeat_interleave(_ROW), of_shape.repeat_interleave(_SHAPE)])

    def flat(self, bodies: Bodies) -> Float[Tensor, " N"]:
        """Return the vector of the bodies that the variables are about; shapes of one person are averaged."""
        place = bodies.pelvis_m
        if self.seen:
            place = torch.cat([place[:, :2] / place[:, 2:], place[:, 2:].log()], dim=1)
        rows = torch.cat([torch.zeros_like(place), bodies.chart.flatten(1), place], dim=1) / self._row_scale(place)
        betas = place.new_zeros(self.persons, _SHAPE).index_add(0, self.person, bodies.betas)
        betas = betas / self.person.bincount(minlength=self.persons)[:, None]
        return torch.cat([rows.flatten(), betas.flatten() / _SCALES[2]])

    def bodies(self, flat: Float[Tensor, " N"]) -> Bodies:
        """Return the bodies of a vector; differentiable."""
        count = len(self.root)
        rows = flat[: count * _ROW].unflatten(0, (count, _ROW))
        rows = rows * self._row_scale(rows)
        turn, chart, place = rows.split([_ROOT, _POSE, _PLACE], dim=1)
        chart = chart.unflatten(1, (-1, 3))
        if self.seen:
            depth = place[:, 2:].exp()
            place = torch.cat([place[:, :2] * depth, depth], dim=1)
        root = axis_angle_to_matrix(turn) @ self.root
        betas = flat[count * _ROW :].unflatten(0, (self.persons, _SHAPE)) * _SCALES[2]
        return Bodies(
            rotations=torch.cat([root[:, None], self.prior.from_chart(chart)], dim=1),
            chart=chart,
            betas=betas[self.person],
            pelvis_m=place,
        )

    def _row_scale(self, like: Tensor) -> Float[Tensor, " 75"]:
        place = _SEEN_SCALE if self.seen else _FREE_SCALE
        return like.new_tensor((_SCALES[0],) * _ROOT + (_SCALES[1],) * _POSE + place)
