"""From landmarks to a body, without pixels: HMR's rival.

The network is `models/feedback.py`; here it has nothing but landmarks to go by. It learns on endless posed bodies with
a detector's kind of noise (`train/lift_task.py`), and takes any joint set (`body/landmarks.py`).
"""

from pathlib import Path

from monobody.models.feedback import FeedbackRegressor

WEIGHTS = Path(__file__).parents[1] / "weights" / "lift.safetensors"


class Lift(FeedbackRegressor):
    """Landmarks in, posed bodies out: 1.4 million parameters."""

    name = "lift"
