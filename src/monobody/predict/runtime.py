"""Networks run by another runtime than torch: ONNX Runtime or OpenVINO, on the processor.

The network is written as ONNX once, into the cache, and stands in for torch's: it is asked in the same way, and agrees
within 1e-4. All else - detector, body, placing - stays as it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from monobody import __version__
from monobody.body.landmarks import Landmarks
from monobody.errors import UserError
from monobody.files import atomic_write, sha256_of
from monobody.hub import cache_folder
from monobody.models.feedback import FeedbackRegressor
from monobody.models.hmr import HMR
from monobody.models.onnx_file import BODY, LANDMARKS, write_onnx
from monobody.models.output import HMROutput
from monobody.predict.blaze_networks import UNPINNED
from monobody.predict.skeletons import SkeletonEstimator

RUNTIMES = ("torch", "onnxruntime", "openvino")
Run = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


class InRuntime:
    """A network whose pass forward runs elsewhere; whatever else is asked of it, torch's own answers.

    Args:
        network: torch's.
        run: takes the graph's inputs by name, gives its outputs.
        runtime: what runs it.
    """

    def __init__(self, network: nn.Module, run: Run, runtime: str = "") -> None:
        self._network = network
        self._run = run
        self.runtime = runtime

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def to(self, *_: Any, **__: Any) -> "InRuntime":
        """Stay where it is."""
        return self

    def eval(self) -> "InRuntime":
        """Be as it is."""
        return self

    def __call__(self, given: Tensor | Landmarks, view: Tensor | None = None) -> Any:
        """Answer as the network does, with the last estimate alone."""
        if isinstance(given, Landmarks):
            inputs = {name: getattr(given, name) for name in LANDMARKS}
        else:
            asks = getattr(self._network, "full_image", False)
            inputs = {"images": given} | ({"view": view} if asks and view is not None else {})
        answers = self._run({name: np.ascontiguousarray(tensor.float().cpu()) for name, tensor in inputs.items()})
        tensors = [torch.from_numpy(np.array(answer)) for answer in answers]
        if not isinstance(self._network, HMR | FeedbackRegressor):
            return tensors[0]
        output = HMROutput(**dict(zip(BODY, tensors, strict=True)))
        return [_Estimate(output)] if isinstance(given, Landmarks) else [output]


class _Estimate:
    def __init__(self, output: HMROutput) -> None:
        self.output = output


def in_runtime(estimator: Any, runtime: str, weights: Path, body_digest: str) -> Any:
    """Return an estimator whose network another runtime runs.

    Its ONNX file is made where the cache does not have it, or has it damaged.

    Raises:
        UserError: there is no such runtime, it is not installed, or it cannot run the network.
    """
    if runtime not in RUNTIMES:
        raise UserError(f'There is no runtime "{runtime}": choose {", ".join(RUNTIMES)}.')
    open_file = {"onnxruntime": _onnxruntime, "openvino": _openvino}[runtime]
    key = f"{sha256_of(weights)[:16]}-{body_digest[:8]}-{torch.__version__.split('+')[0]}-{__version__}"
    path = cache_folder() / "onnx" / f"{weights.stem}-{key}.onnx"
    network = network_of(estimator)
    if not _is_whole(path):
        write_onnx(network, path)
        with atomic_write(_digest_of(path)) as temporary:
            temporary.write_text(sha256_of(path), encoding="ascii")
    try:
        run = open_file(path)
    except UserError:
        raise
    except Exception as error:  # Each runtime has exceptions of its own.
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{runtime} cannot run {path} ({reason}): choose another --runtime.") from error
    stand_in: Any = InRuntime(network, run, runtime)
    if isinstance(estimator, SkeletonEstimator):
        return replace(estimator, network=stand_in)
    estimator.model = stand_in
    return estimator


def network_of(estimator: Any) -> nn.Module:
    """Return the network that an estimator asks."""
    return estimator.network if isinstance(estimator, SkeletonEstimator) else estimator.model


def _digest_of(path: Path) -> Path:
    """Return the file beside a cached one that has its SHA-256, written last."""
    return path.with_suffix(".sha256")


def _is_whole(path: Path) -> bool:
    """Tell whether a cached file is there as it was written; what is damaged may still be read, and answer wrongly."""
    try:
        return _digest_of(path).read_text(encoding="ascii") == sha256_of(path)
    except (OSError, UnicodeDecodeError):
        return False


def _threads() -> int:
    """Return how many threads torch was allowed."""
    return torch.get_num_threads()


def _onnxruntime(path: Path) -> Run:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError("--runtime onnxruntime is not installed: pip install 'monobody[onnx]'.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda inputs: [np.asarray(answer) for answer in session.run(None, inputs)]


def _openvino(path: Path) -> Run:
    import openvino

    # Half precision, which OpenVINO would choose on processors that have it, moves joints.
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": _threads()} | UNPINNED
    compiled = openvino.compile_model(path, "CPU", options)
    outputs: Sequence[Any] = compiled.outputs
    request = compiled.create_infer_request()

    def run(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        results = request.infer(inputs)
        return [np.array(results[output]) for output in outputs]

    return run
