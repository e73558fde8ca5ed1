"""How much a server takes on: sizes, lengths, waiting, disk; everything beyond is refused in a sentence."""

import math
from dataclasses import dataclass, fields

from monobody.errors import UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What visitors may ask for.

    Raises:
        UserError: a limit is not a positive number.
    """

    upload_mb: float = 200.0
    """Largest file."""
    megapixels: float = 50.0
    """Largest photo, and largest frame of a clip."""
    clip_s: float = 60.0
    """Longest clip."""
    job_s: float = 900.0
    """Longest time for one photo or clip; after that it is stopped."""
    waiting: int = 20
    """Most jobs in the queue."""
    disk_mb: float = 4000.0
    """Most that results and uploads take on disk together."""
    keep_minutes: float = 60.0
    """Results are removed when they are older."""
    upload_s: float = 600.0
    """Longest time for one upload."""
    uploads: int = 8
    """Most uploads at once."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"The limit {field.name} is {value:g}: give a positive number.")

    @property
    def upload_bytes(self) -> int:
        """Largest file in bytes."""
        return int(self.upload_mb * 1e6)
