"""Finding people: the detectors that ``--detector`` names, behind one interface."""

from pathlib import Path

from monobody.errors import UserError
from monobody.predict.blaze_detector import BlazeDetector
from monobody.predict.detection import Detection, Detector

__all__ = ["BlazeDetector", "Detection", "Detector", "find_detector"]


def find_detector(name_or_file: str | Path = "blazepose") -> Detector:
    """Return the detector of that name.

    Raises:
        UserError: there is no such detector or file.
    """
    if str(name_or_file) == "blazepose":
        return BlazeDetector()
    raise UserError(f'There is no detector "{name_or_file}": choose blazepose, whole, torchvision or a JSON file.')
