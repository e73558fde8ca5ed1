"""Finding people: the detectors that ``--detector`` names, behind one interface."""

from pathlib import Path

from monobody.errors import UserError
from monobody.predict.blaze_detector import BlazeDetector
from monobody.predict.detection import Detection, Detector
from monobody.predict.people_file import PeopleFile
from monobody.predict.whole_picture import WholePicture

__all__ = ["BlazeDetector", "Detection", "Detector", "PeopleFile", "find_detector"]


def find_detector(name_or_file: str | Path = "blazepose") -> Detector:
    """Return the detector of that name: "blazepose", "whole", "torchvision", or a file (or folder) of people.

    Raises:
        UserError: there is no such detector or file, the file is malformed, or torchvision does not work here.
    """
    choice = str(name_or_file)
    if choice == "blazepose":
        return BlazeDetector()
    if choice == "whole":
        return WholePicture()
    if choice == "torchvision":
        from monobody.predict.torchvision_detector import TorchvisionDetector

        return TorchvisionDetector()
    if Path(choice).exists() or Path(choice).suffix.lower() in PeopleFile.SUFFIXES:
        return PeopleFile(choice)
    raise UserError(f'There is no detector "{choice}": choose blazepose, whole, torchvision, or a file of people.')
