"""The two BlazePose networks as shipped, verified and run by OpenVINO.

Pictures go in as uint8 squares, raw tensors come out; what they mean is decoded in :mod:`~monobody.predict.anchors`
and :mod:`~monobody.predict.landmarks`.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from monobody.errors import UserError
from monobody.files import sha256_of

DETECTOR_SIZE_PX = 224
LANDMARK_SIZE_PX = 256
FOLDER = Path(__file__).resolve().parent.parent / "assets" / "blazepose"
SHA256 = {
    "pose_detection.tflite": "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "pose_landmark_full.tflite": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}
UNPINNED = {"ENABLE_CPU_PINNING": False}
"""Else OpenVINO holds its threads to the first cores, and those of all processes of a run to the same ones."""


class BlazeNetworks:
    """The detector and the landmark network, compiled once.

    They run in float32: bfloat16, which OpenVINO would choose on CPUs that have it, moves landmarks by pixels.

    Args:
        folder: where the two .tflite files lie; the shipped ones by default.

    Raises:
        UserError: a file is missing or its SHA-256 is not the expected one.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        import openvino

        core = openvino.Core()
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"} | UNPINNED
        if os.environ.get("OMP_NUM_THREADS", "").isdigit():
            # OpenVINO has threads of its own; one wish of the user should hold for them and torch's alike.
            options["INFERENCE_NUM_THREADS"] = int(os.environ["OMP_NUM_THREADS"])
        self._detector, self._landmarks = (
            core.compile_model(verified(folder / name), "CPU", options).create_infer_request() for name in SHA256
        )

    def detect(
        self, square: UInt8[np.ndarray, "224 224 3"]
    ) -> tuple[Float[np.ndarray, "2254 12"], Float[np.ndarray, "2254"]]:
        """Return the detector's raw boxes with key points, and raw scores, for each anchor."""
        # The network was trained on values from -1 to 1.
        boxes, scores = _run(self._detector, square.astype(np.float32) / 127.5 - 1.0)
        return boxes[0], scores[0, :, 0]

    def landmarks(
        self, square: UInt8[np.ndarray, "256 256 3"]
    ) -> tuple[
        Float[np.ndarray, "39 5"], float, Float[np.ndarray, "256 256"], Float[np.ndarray, "64 64 39"],
        Float[np.ndarray, "39 3"],
    ]:  # fmt: skip
        """Return raw landmarks, presence of a person, raw mask, raw heat maps and world points."""
        points, presence, mask, heat, world = _run(self._landmarks, square.astype(np.float32) / 255.0)
        return points.reshape(39, 5), float(presence[0, 0]), mask[0, :, :, 0], heat[0], world.reshape(39, 3)


@cache
def blaze_networks() -> BlazeNetworks:
    """Return the shipped networks, compiled at the first call of the process."""
    return BlazeNetworks()


def verified(path: Path) -> Path:
    """Return ``path`` after checking that its bytes are the published ones.

    Raises:
        UserError: the file is missing or differs.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: install monobody again (pip install --force-reinstall monobody).")
    if sha256_of(path) != SHA256[path.name]:
        raise UserError(
            f"{path} is damaged (its SHA-256 is not the published one): "
            "install monobody again (pip install --force-reinstall monobody)."
        )
    return path


def _run(request: Any, values: Float[np.ndarray, "h w 3"]) -> list[Float[np.ndarray, "..."]]:
    results = request.infer({0: values[None]})
    return [np.array(results[output]) for output in request.model_outputs]
