"""A network as an ONNX file, for runtimes other than torch: whole bodies or volumes out, any number of people at once.

The graph is the network as it predicts: the last of a regressor's estimates, with rotations as matrices. They are
orthonormal by construction; there is no singular value decomposition in it, which ONNX does not know.

    HMR                  images (n, 3, s, s) in [0, 1]; view (n, 3) where it asks -> camera, rotations, betas
    lift                 image (n, 35, 2), score (n, 35), world_m (n, 35, 3), world_score (n, 35) -> the same
    detectors of several hypotheses    images -> volume (n, joints, depths, rows, columns) of logits
"""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from monobody.body.landmarks import COUNT, Landmarks
from monobody.errors import UserError
from monobody.files import atomic_write
from monobody.models.feedback import FeedbackRegressor
from monobody.models.hmr import HMR
from monobody.models.output import HMROutput

BODY = ("camera", "rotations", "betas")
LANDMARKS = ("image", "score", "world_m", "world_score")


class OfPixels(nn.Module):
    """HMR's answer as tensors."""

    def __init__(self, network: HMR) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, view: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        return _tensors(self.network(images, view)[-1])


class OfLandmarks(nn.Module):
    """The lifter's answer as tensors."""

    def __init__(self, network: FeedbackRegressor) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, score: Tensor, world_m: Tensor, world_score: Tensor) -> tuple[Tensor, ...]:
        landmarks = Landmarks(image=image, score=score, world_m=world_m, world_score=world_score)
        return _tensors(self.network(landmarks)[-1].output)


class OfHypotheses(nn.Module):
    """A detector's volume; the trunk that some keep out of their own weights is part of the graph."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.trunk = nn.ModuleList(getattr(network, "_trunk", []))

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)


def graph_of(network: nn.Module) -> tuple[nn.Module, dict[str, Tensor], tuple[str, ...]]:
    """Return a network that takes and gives tensors, examples of its inputs by name, and its outputs' names."""
    random = torch.Generator().manual_seed(0)
    if isinstance(network, HMR):
        images = torch.rand(2, 3, network.input_size, network.input_size, generator=random)
        view = {"view": torch.tensor([[0.0, 0.0, 0.5], [0.2, -0.1, 0.3]])} if network.full_image else {}
        return OfPixels(network), {"images": images, **view}, BODY
    if isinstance(network, FeedbackRegressor):
        points = torch.rand(2, COUNT, 5, generator=random) - 0.5
        score = torch.rand(2, COUNT, generator=random)
        inputs = dict(zip(LANDMARKS, (points[..., :2], score, points[..., 2:], score.flip(1)), strict=True))
        return OfLandmarks(network), {name: tensor.contiguous() for name, tensor in inputs.items()}, BODY
    side = int(network.input_size)  # pyright: ignore[reportArgumentType]
    return OfHypotheses(network), {"images": torch.rand(2, 3, side, side, generator=random)}, ("volume",)


def write_onnx(network: nn.Module, path: str | Path, *, about: dict[str, str] | None = None) -> Path:
    """Write a network as ONNX with a dynamic number of people, whole or not at all.

    Args:
        network: HMR, the lifter, or a detector of several hypotheses, with its weights; on the CPU.
        path: the ``.onnx`` file.
        about: what to note in the file, such as the model's name and terms.

    Raises:
        UserError: what it takes is not installed, or the file cannot be written.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"Writing ONNX needs {error.name}: pip install 'monobody[onnx]'.") from error
    graph, inputs, outputs = graph_of(network)
    # The exporter has much to tell of itself.
    levels = {logger: logger.level for logger in map(logging.getLogger, ("torch.onnx", "onnxscript", "onnx_ir"))}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph.eval(),
                (),
                kwargs=inputs,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes={name: {0: torch.export.Dim("people", min=1)} for name in inputs},
                dynamo=True,
                verbose=False,
            )
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
    assert program is not None
    fixed = [
        value.name for value in program.model.graph.inputs if value.shape is None or isinstance(value.shape[0], int)
    ]
    assert not fixed, f"the graph is for two people alone: {fixed}"
    program.model.metadata_props.update(about or {})
    with atomic_write(path, suffix=".onnx") as temporary:
        program.save(temporary, external_data=False)
    return Path(path)


def _tensors(output: HMROutput) -> tuple[Tensor, Tensor, Tensor]:
    return output.camera, output.rotations, output.betas
