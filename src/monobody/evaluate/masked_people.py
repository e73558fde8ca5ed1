"""Photos of people with masks and nothing else: how well a body that was found covers the person.

The people are the 100 of Clothing Co-Parsing that are kept from training: fashion photos, mostly of one person who
stands. Bodies are bare and masks are dressed, so nobody reaches 100 %.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from monobody.body.model import Body
from monobody.data.crop import hmr_crop
from monobody.data.datasets.clothing_coparsing import photo_names, samples
from monobody.data.mask import box_of
from monobody.errors import UserError
from monobody.evaluate.bodies import drawn_parts, vertices_cam_m
from monobody.evaluate.predictions import Predictions
from monobody.evaluate.protocol import EvaluationSet
from monobody.metrics import mask_iou
from monobody.render.parts import part_labels

FOLDER = "clothing_coparsing"


def open_masked(data: Path) -> EvaluationSet:
    """Open the validation photos below a folder of data; people are looked for in the boxes of their masks.

    Raises:
        UserError: there is no Clothing Co-Parsing, or one of the photos has an empty mask.
    """
    folder = data / FOLDER
    if not photo_names(folder, "validation"):
        raise UserError(f"{folder} has none of the photos that are kept for validation: unpack all of it.")
    people = samples(folder, "validation", crop=hmr_crop)
    boxes = []
    for person in people:
        assert person.mask is not None
        boxes.append(box_of(person.mask))
    return EvaluationSet(
        samples=people, names=tuple(people.names), truth={}, boxes_px=np.stack(boxes).astype(np.float64)
    )


def silhouette_ious(people: EvaluationSet, predictions: Predictions, body: Body) -> Float[np.ndarray, " n"]:
    """Return how well everybody's most believed body covers their mask: intersection over union, per cent."""
    labels = part_labels(body.data)
    chosen = np.zeros(len(people.names), np.int64)
    if predictions.weights is not None:
        chosen = predictions.weights.argmax(1)
    found = []
    for number, hypothesis in enumerate(chosen):
        mask = people.samples[number].mask
        assert mask is not None
        vertices_m = vertices_cam_m(predictions, body, number, int(hypothesis))
        height, width = mask.shape
        drawn = drawn_parts(predictions, body, labels, number, vertices_m, (width, height))
        found.append(100 * float(mask_iou(drawn > 0, mask > 127)))
    return np.array(found)
