"""One person of a test set in pictures: what was seen, the predicted body over it, and that body from its side.

The picture has the known joints in green. So has the side view, where they are known in 3D: the true joints, laid upon
the predicted ones at the middle of the hips, as MPJPE does. Models that give joints and no bodies are drawn as sticks.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS, correspondence
from monobody.camera import Camera
from monobody.data.crop import Crop, extract
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.evaluate.predictions import Predictions
from monobody.evaluate.protocol import Result
from monobody.render.overlay import draw_overlay
from monobody.render.side import draw_side, side_view
from monobody.render.sticks import draw_sticks

GREEN, CORAL = (40, 205, 80), (240, 128, 100)
DRAWN_AS = "2"
"""Changes when portraits look different, so that kept ones are drawn anew."""
_HIPS = (2, 3)
_BONES = (*SKELETONS["lsp14"].bones, _HIPS)
_PLAIN = (236, 237, 240)


@dataclass(frozen=True, slots=True)
class Portrait:
    """Three square tiles."""

    picture: UInt8[np.ndarray, "s s 3"]
    overlay: UInt8[np.ndarray, "s s 3"]
    side: UInt8[np.ndarray, "s s 3"]

    def tiles(self) -> list[UInt8[np.ndarray, "s s 3"]]:
        """Return picture, overlay and side view."""
        return [self.picture, self.overlay, self.side]


class Portraits:
    """Draws the people of a result.

    Args:
        samples: the people's pictures.
        predictions: what was answered for them, in the same order.
        body: what the predictions pose; None draws joints.
    """

    def __init__(self, samples: Sequence[Sample], predictions: Predictions, body: Body | None) -> None:
        self.samples = samples
        self.predictions = predictions
        self.body = body

    @staticmethod
    def of(
        result: Result, samples: Sequence[Sample], predictions: Predictions, body: Body | None = None
    ) -> "Portraits":
        """Return the portraits of a result's people.

        Raises:
            UserError: the samples or the predictions are not of these people, or `body` is not the predictions' one.
        """
        count = len(result.names)
        if len(samples) != count or tuple(predictions.names[:count]) != tuple(result.names):
            raise UserError(
                f"The result has {count} people, and there are {len(samples)} pictures and {len(predictions.names)} "
                "predictions, or they are named otherwise: give those that the result was measured on."
            )
        if predictions.rotations is None or predictions.betas is None:
            return Portraits(samples, predictions, None)
        if body is None:
            shipped = Body.load()
            body = shipped if predictions.body_digest in ("", shipped.digest) else None
        elif predictions.body_digest not in ("", body.digest):
            raise UserError("The predictions pose another body than the one that was given: give the one they pose.")
        return Portraits(samples, predictions, body)

    @property
    def notes(self) -> list[str]:
        """What whoever looks at the pictures should know, in sentences."""
        notes = []
        if self.predictions.hypotheses > 1:
            notes.append("Of several answers the one that the model believes in most is drawn.")
        if self.body is None:
            bodies = self.predictions.rotations is not None
            why = "the body that the predictions pose was not given" if bodies else "the predictions have no bodies"
            notes.append(f"Joints are drawn: {why}.")
        return notes

    def key(self, index: int) -> str:
        """Return what decides a portrait besides the picture, as a few letters."""
        digest = hashlib.sha256(DRAWN_AS.encode())
        given, body = self.predictions, self.body
        digest.update(f"{given.model} {given.names[index]} {body.digest if body else ''}".encode())
        for array in (given.rotations, given.betas, given.translation_m, given.joints_cam_m, given.joints_px):
            if array is not None:
                digest.update(np.ascontiguousarray(array[index], np.float32).tobytes())
        return digest.hexdigest()[:10]

    def __call__(self, index: int, size_px: int) -> Portrait:
        """Draw a person in tiles of ``size_px``."""
        sample = self.samples[index]
        # Upright, whatever the region: people who lie are to be seen lying.
        crop = Crop(sample.crop.centre_px, sample.crop.size_px)
        scale, corner = size_px / crop.size_px, crop.to_picture(np.array([-1.0, -1.0]))
        seen = extract(sample.image, crop, size_px)
        hypothesis = self._believed(index)
        vertices_m = self._vertices_m(index, hypothesis)
        known = (np.asarray(sample.keypoints_px)[:14] - corner) * scale
        picture = draw_sticks(seen, known, _BONES, colour=GREEN, shown=np.asarray(sample.visible)[:14] > 0)
        overlay = self._overlay(index, hypothesis, vertices_m, seen, corner, scale)
        return Portrait(picture, overlay, self._side(index, hypothesis, vertices_m, sample, size_px))

    def _believed(self, index: int) -> int:
        weights = self.predictions.weights
        return 0 if weights is None else int(np.argmax(weights[index]))

    def _vertices_m(self, index: int, hypothesis: int) -> Float[np.ndarray, "v 3"] | None:
        """Return the predicted mesh in the camera frame, before the camera where that place is known."""
        given = self.predictions
        if self.body is None or given.rotations is None or given.betas is None:
            return None
        numbers = (given.rotations[index, hypothesis], given.betas[index, hypothesis])
        if not all(np.isfinite(array).all() for array in numbers):
            return None
        with torch.no_grad():
            posed = self.body(*(torch.from_numpy(np.asarray(array, np.float32)) for array in numbers))
        vertices = posed.vertices_m.double().numpy()
        return vertices if given.translation_m is None else vertices + given.translation_m[index, hypothesis]

    def _overlay(
        self,
        index: int,
        hypothesis: int,
        vertices_m: Float[np.ndarray, "v 3"] | None,
        seen: UInt8[np.ndarray, "s s 3"],
        corner: Float[np.ndarray, "2"],
        scale: float,
    ) -> UInt8[np.ndarray, "s s 3"]:
        """Draw the body into the cut-out by the picture's camera, moved and scaled along; or the joints."""
        given = self.predictions
        camera = self._camera(index, corner, scale)
        if self.body is not None and vertices_m is not None and camera is not None:
            return draw_overlay(seen, [vertices_m], self.body.data.faces, camera)
        if given.joints_px is None:
            return seen
        points = (given.joints_px[index, hypothesis].astype(np.float64) - corner) * scale
        return draw_sticks(seen, points, SKELETONS[given.joint_set].bones, colour=CORAL)

    def _camera(self, index: int, corner: Float[np.ndarray, "2"], scale: float) -> Camera | None:
        """Return the picture's camera as it sees the cut-out; None where bodies have no place before it."""
        given = self.predictions
        if given.translation_m is None or given.focal_px is None or given.principal_px is None:
            return None
        x, y = (given.principal_px[index] - corner) * scale
        return Camera(
            focal_px=float(given.focal_px[index]) * scale, principal_px=(float(x), float(y)), source="default"
        )

    def _side(
        self, index: int, hypothesis: int, vertices_m: Float[np.ndarray, "v 3"] | None, sample: Sample, size_px: int
    ) -> UInt8[np.ndarray, "s s 3"]:
        """Draw body or joints from the side, and the true joints on them."""
        joints_m = self._joints_m(index, hypothesis)
        shown = joints_m if vertices_m is None else vertices_m
        if shown is None or not np.isfinite(shown).any():
            return np.full((size_px, size_px, 3), _PLAIN, np.uint8)
        shown = shown[np.isfinite(shown).all(axis=-1)]
        true_m = _upon(sample, self._hips_m(vertices_m, joints_m))
        side = side_view([shown] if true_m is None else [shown, true_m], size_px, aspect=1.0)
        canvas = np.zeros((size_px, size_px, 3), np.uint8)
        meshes = [] if vertices_m is None else [vertices_m]
        faces = np.zeros((0, 3), np.int32) if self.body is None else self.body.data.faces
        drawn = draw_side(canvas, meshes, faces, side.view, side=side)
        if vertices_m is None and joints_m is not None:
            bones = SKELETONS[self.predictions.joint_set].bones
            drawn = draw_sticks(drawn, side.project(joints_m), bones, colour=CORAL)
        return drawn if true_m is None else draw_sticks(drawn, side.project(true_m), _BONES, colour=GREEN)

    def _joints_m(self, index: int, hypothesis: int) -> Float[np.ndarray, "k 3"] | None:
        joints = self.predictions.joints_cam_m
        return None if joints is None else joints[index, hypothesis].astype(np.float64)

    def _hips_m(
        self, vertices_m: Float[np.ndarray, "v 3"] | None, joints_m: Float[np.ndarray, "k 3"] | None
    ) -> Float[np.ndarray, "3"] | None:
        """Return the middle of the predicted hips in the frame of what is drawn."""
        if vertices_m is not None and self.body is not None:
            joints = self.body.keypoints(torch.from_numpy(vertices_m).float(), "lsp14").double().numpy()
            return joints[list(_HIPS)].mean(0)
        chosen = [correspondence(self.predictions.joint_set, "lsp14")[hip] for hip in _HIPS]
        return None if joints_m is None or min(chosen) < 0 else joints_m[chosen].mean(0)


def _upon(sample: Sample, hips_m: Float[np.ndarray, "3"] | None) -> Float[np.ndarray, "14 3"] | None:
    """Return the true joints, moved so that the middle of their hips is where it is told."""
    true_m = sample.joints_cam_m
    if true_m is None or hips_m is None or not np.isfinite(true_m).all() or not np.isfinite(hips_m).all():
        return None
    return np.asarray(true_m, np.float64) - np.mean(true_m[list(_HIPS)], axis=0) + hips_m
