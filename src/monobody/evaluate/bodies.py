"""The bodies that predictions speak of: checked, posed, and drawn into their pictures as maps of parts."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from monobody.body.model import Body
from monobody.errors import UserError
from monobody.evaluate.predictions import Predictions
from monobody.render.parts import part_map, projected

FIELDS = ("rotations", "betas", "translation_m", "focal_px", "principal_px")
"""What predictions need to have to be drawn."""


def can_be_drawn(predictions: Predictions) -> bool:
    """Tell whether predictions have bodies, where they stand, and the camera."""
    return not lacking(predictions)


def body_of(predictions: Predictions, path: str | Path | None) -> Body:
    """Return the body that predictions are of and can be drawn with: a file's, or the shipped one.

    Raises:
        UserError: they hold no bodies, or those of another body.
    """
    if there_is_no := lacking(predictions):
        raise UserError(
            f"The predictions of {predictions.model} have no {', '.join(there_is_no)}: this protocol draws bodies "
            "before the picture's camera, and needs all of them."
        )
    return same_body(predictions, path)


def same_body(predictions: Predictions, path: str | Path | None) -> Body:
    """Return the body that predictions are of: a file's, or the shipped one.

    Raises:
        UserError: they are of another one.
    """
    body = Body.load(path)
    if predictions.body_digest != body.digest:
        raise UserError(
            f"The predictions of {predictions.model} are of another body than {body.data.name}: give the one that they "
            "were made with as --body."
        )
    return body


def vertices_cam_m(predictions: Predictions, body: Body, person: int, hypothesis: int) -> Float[np.ndarray, "V 3"]:
    """Return the vertices of a predicted body where it stands before the picture's camera."""
    assert predictions.rotations is not None
    assert predictions.betas is not None
    assert predictions.translation_m is not None
    which = (person, hypothesis)
    with torch.inference_mode():
        rotations, betas = (
            torch.from_numpy(np.asarray(array[which], np.float32))
            for array in (predictions.rotations, predictions.betas)
        )
        vertices_m = body(rotations, betas).vertices_m.numpy()
    return vertices_m + predictions.translation_m[which]


def drawn_parts(
    predictions: Predictions,
    body: Body,
    labels: UInt8[np.ndarray, " V"],
    person: int,
    vertices_m: Float[np.ndarray, "V 3"],
    size_px: tuple[int, int],
) -> UInt8[np.ndarray, "h w"]:
    """Return which part of a predicted body is seen at each pixel of a picture (width, height), 0 beside the body."""
    assert predictions.focal_px is not None
    assert predictions.principal_px is not None
    seen = projected(vertices_m, float(predictions.focal_px[person]), predictions.principal_px[person])
    return part_map(seen, body.data, labels, size_px[1], size_px[0])


def lacking(predictions: Predictions) -> list[str]:
    """Return what predictions would need to be drawn."""
    return [name for name in FIELDS if getattr(predictions, name) is None]
