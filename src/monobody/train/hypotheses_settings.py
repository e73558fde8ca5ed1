"""What decides how X as Supervision is trained, besides what every recipe says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monobody.train.hypotheses_terms import HypothesesWeights


@dataclass(frozen=True, kw_only=True, slots=True)
class HypothesesSettings:
    """Network, losses, rates; sizes are fields, not other recipes."""

    weights: HypothesesWeights = field(default_factory=HypothesesWeights)
    hypotheses: int = 3
    """Depths of each joint; 1 takes the expected depth, the single-hypothesis variant."""
    bins: int | None = None
    """Slices of the volume; the network's own where None."""
    widths: Mapping[str, Any] = field(default_factory=dict)
    """Other arguments of the network (`models/hypotheses.py`)."""
    joint_set: str = "xas18"
    rate: float = 1e-3
    """Of detector and physique network."""
    critic_rate: float = 2e-4
    bare_share: float = 0.3
    """How many rows with a mask are seen before black, as the released code sees all."""
    mask_size: int = 64
    """Side of the masks that skeletons are compared with, in pixels; the paper's are as large as the crop."""
    geodesic: bool = False
    """Whether their pixels weigh by how far they are from the person's middle (`data/geodesic.py`)."""
    grow_after: int = 0
    """Batches after which crops are seen at full size; until then at half of it, four times as fast."""
