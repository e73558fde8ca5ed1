"""Whether keypoints may be wrong: what the detector sees at their place is another pose, the other side, or nobody.

On 62 photos of LSP Extended on which the rule was not chosen (``benchmarks/somebody_else.py DATA``) it suspects 8 % of
the clicked joints, 97 % where these are another photo's, and 98 % where they are moved aside by 35 % of the picture:
enough for a warning, not for a refusal.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8

from monobody.fit.pseudo_labels import Seen
from monobody.predict.given_keypoints import mapped, region_of
from monobody.predict.landmarks import Reading, read_region

FARTHEST = 0.2
"""Of the joints that both have, half are usually nearer than this to where the detector sees them, in person sizes."""
PRESENT = 0.5
"""The detector's probability that anybody is there at all, from which on it is believed."""


def suspicion(rgb: UInt8[np.ndarray, "h w 3"], keypoints: Float[np.ndarray, "k 3"], set_name: str) -> str | None:
    """Return what speaks against these keypoints (x, y, confidence) being those of the person in the picture, or None.

    Raises:
        UserError: fewer than two of them are joints of the trunk, the limbs or the head.
    """
    reading = read_region(rgb, region_of(keypoints, set_name))
    if reading.presence < PRESENT:
        return "the detector sees nobody there: are these keypoints of this picture?"
    if _sides_exchanged(keypoints, set_name, reading):
        return "the detector sees left and right exchanged: are these keypoints in the right order?"
    given, known = mapped(keypoints, set_name, "blazepose33")
    if not known.any():
        return None
    size = np.ptp(keypoints[keypoints[:, 2] > 0, :2], axis=0).max()
    apart = np.linalg.norm(given[known, :2] - reading.landmarks_px[known], axis=1) / size
    if np.median(apart) > FARTHEST:
        return "the detector sees another pose there: are these keypoints of this person?"
    return None


def _sides_exchanged(keypoints: Float[np.ndarray, "k 3"], set_name: str, reading: Reading) -> bool:
    """Tell whether the limbs fit the detector's landmarks better with left and right exchanged."""
    limbs, known = mapped(keypoints, set_name, "lsp14")
    seen = Seen(
        clicks_px=torch.from_numpy(limbs[None, :, :2]).float(),
        marked=torch.from_numpy(known[None]).float(),
        landmarks_px=torch.from_numpy(reading.landmarks_px[None]).float(),
        scores=torch.from_numpy(reading.scores[None]).float(),
        # Which way the camera looks does not matter for this.
        focal_px=torch.ones(1),
        principal_px=torch.zeros(1, 2),
    )
    return bool(seen.sides_exchanged())
