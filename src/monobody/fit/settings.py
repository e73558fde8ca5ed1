"""How a fit is made: its stages, and how far off each kind of evidence is thought to be."""

from dataclasses import dataclass

from monobody.errors import UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One minimisation, started where the one before ended (SMPLify, section 3.3)."""

    evaluations: int
    """At most so many evaluations of everything that is minimised."""
    prior: float
    """Weight of the pose prior and the shape's. At 1 the fit is the most likely body, which is more ordinary than
    people are: a density is largest in its middle, where in 69 dimensions hardly anybody is."""
    outlier: float
    """Keypoints farther off than this share of the person's size no longer pull."""
    collision: bool = False
    """Whether the body may not run through itself. Costs as much as everything else together."""
    mask_px: int = 0
    """Side of the raster at which silhouettes are compared where there are masks; 0 leaves them out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that decides the outcome of a fit besides the evidence.

    Raises:
        UserError: a standard deviation is not positive, or there is no stage.
    """

    stages: tuple[Stage, ...] = (
        Stage(evaluations=60, prior=4, outlier=0.5),
        Stage(evaluations=60, prior=1, outlier=0.2, mask_px=32),
        Stage(evaluations=150, prior=0.3, outlier=0.1, collision=True, mask_px=64),
    )
    """From the mean pose."""
    start_stages: tuple[Stage, ...] = (
        Stage(evaluations=40, prior=0.3, outlier=0.5, mask_px=32),
        Stage(evaluations=100, prior=0.3, outlier=0.1, collision=True, mask_px=64),
    )
    """From a given start, which is likely already: a strong prior would only make it more ordinary."""
    keypoint_noise: float = 0.02
    """Standard deviation of keypoints along each axis, as a share of the person's size in the picture."""
    joint_noise_m: float = 0.01
    """Standard deviation of 3D joints along each axis, metres."""
    joint_outlier_m: float = 0.3
    """3D joints farther off than this no longer pull."""
    orientations: int = 3
    """So many ways to face are carried through the first stage where there is no start; the best goes on."""
    start_error_rad: float | None = 0.1
    """How far off the joints of a given start are thought to be: the smaller, the firmer is the fit tied to it.
    None does not tie."""
    start_shape_error: float = 0.5
    """The same for its shape coefficients."""
    limit_softness_rad: float = 0.05
    """What a joint may be bent beyond its limits at the price of half a nat."""
    overlap_allowed_m: float = 0.03
    """How deep body parts may overlap: capsules are no flesh."""
    overlap_softness_m: float = 0.02
    """What they may overlap beyond that at the price of half a nat."""
    mask_error: float = 0.02
    """Standard deviation of the share of a mask's area that is wrongly covered."""
    turning_density: float = 100.0
    """Spectral density of joints' angular acceleration over several frames, (rad / s²)² s."""
    moving_density: float = 3.0
    """Spectral density of the person's acceleration, (m / s²)² s."""
    tolerance: float = 1e-4
    """A fit has converged when three steps in a row each gain less than this share of the loss."""

    def __post_init__(self) -> None:
        spreads = {
            name: getattr(self, name)
            for name in (
                "keypoint_noise", "joint_noise_m", "joint_outlier_m", "start_shape_error", "limit_softness_rad",
                "overlap_softness_m", "mask_error", "turning_density", "moving_density", "tolerance",
            )
        }  # fmt: skip
        if self.start_error_rad is not None:
            spreads["start_error_rad"] = self.start_error_rad
        for name, value in spreads.items():
            if not value > 0:
                raise UserError(f"{name} must be above 0, not {value:g}.")
        if not self.stages or not self.start_stages or self.orientations < 1:
            raise UserError("A fit needs at least one stage and one orientation.")
