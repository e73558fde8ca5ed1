"""ONNX files: any number of people, the same answers as torch's in two runtimes, and prediction with either."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scenes import shipped_body

from monobody.body.landmarks import Landmarks
from monobody.cli import main
from monobody.errors import UserError
from monobody.models.detectors import build_detector
from monobody.models.onnx_file import LANDMARKS, graph_of
from monobody.models.storage import save_weights
from monobody.predict import runtime as runtime_module
from monobody.predict.predictor import load
from monobody.predict.runtime import InRuntime, network_of

PHOTO = Path(__file__).parents[1] / "samples" / "astronaut.jpg"
CLOSE = 1e-4


def runs(path: Path) -> dict:
    """Return the file in both runtimes."""
    import onnxruntime
    import openvino

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {
        "onnxruntime": lambda inputs: session.run(None, inputs),
        "openvino": lambda inputs: [np.array(compiled(inputs)[output]) for output in compiled.outputs],
    }


def assert_agrees(network: torch.nn.Module, path: Path) -> None:
    """Hold both runtimes to torch's answers, for one person, two and five."""
    graph, examples, _ = graph_of(network.eval())
    random = torch.Generator().manual_seed(7)
    for run in runs(path).values():
        for people in (1, 2, 5):
            inputs = {k: torch.rand(people, *v.shape[1:], generator=random) for k, v in examples.items()}
            with torch.no_grad():
                expected = graph(**inputs)
            expected = [expected] if isinstance(expected, torch.Tensor) else expected
            found = run({name: tensor.numpy() for name, tensor in inputs.items()})
            for theirs, ours in zip(found, expected, strict=True):
                assert np.abs(theirs - ours.numpy()).max() < CLOSE


@pytest.mark.slow
def test_predictions_are_torchs_in_other_runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    body = shipped_body()
    calm = load("lift", body=body)
    expected = calm(PHOTO, detector="whole").people[0]
    for runtime in ("onnxruntime", "openvino"):
        predictor = load("lift", body=body, runtime=runtime)
        assert isinstance(network_of(predictor.estimator), InRuntime)
        person = predictor(PHOTO, detector="whole").people[0]
        assert np.abs(person.rotations - expected.rotations).max() < CLOSE
        assert np.abs(person.betas - expected.betas).max() < CLOSE
        assert np.abs(person.joints_px["smpl24"] - expected.joints_px["smpl24"]).max() < 0.05
    (path,) = (tmp_path / "monobody" / "onnx").glob("*.onnx")  # Written once, read by both.
    assert_agrees(network_of(calm.estimator), path)
    import onnx

    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert not {node.op_type for node in model.graph.node} & {"SVD", "Det"}
    assert all(value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input)


def lift_in(runtime: str) -> np.ndarray:
    """Return what lift says of a photo, run by a runtime."""
    return load("lift", body=shipped_body(), runtime=runtime)(PHOTO, detector="whole").people[0].rotations


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def change_a_number(path: Path) -> None:
    """Damage that no reader notices: a weight is another one."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 2:
            tensor.CopyFrom(numpy_helper.from_array(0.5 * numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, path)


@pytest.mark.slow
def test_a_damaged_file_in_the_cache_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expected = {runtime: lift_in(runtime) for runtime in ("onnxruntime", "openvino")}
    (path,) = (tmp_path / "monobody" / "onnx").glob("*.onnx")
    whole, made = path.read_bytes(), []

    def write(network: torch.nn.Module, path: Path) -> None:
        """Write what was written before: to make it takes long."""
        made.append(path)
        path.write_bytes(whole)

    monkeypatch.setattr(runtime_module, "write_onnx", write)
    damages: list[Callable[[Path], None]] = [cut, change_a_number, lambda path: path.write_bytes(b""), Path.unlink]
    for number, damage in enumerate(damages):
        damage(path)
        for runtime, rotations in expected.items():
            assert np.abs(lift_in(runtime) - rotations).max() < 1e-6
        assert made == (number + 1) * [path]  # What is whole stays.


def test_a_runtime_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(runtime_module, "write_onnx", lambda network, path: path.write_bytes(b"no graph"))
    (tmp_path / "monobody" / "onnx").mkdir(parents=True)
    for runtime in ("onnxruntime", "openvino"):
        with pytest.raises(UserError, match=f"{runtime} cannot run .* choose another --runtime") as caught:
            load("lift", body=shipped_body(), runtime=runtime)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_detector_of_hypotheses_is_exported_with_its_terms(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    widths = {"first": 8, "width": 8}
    detector = build_detector("xas-mini", size=64, bins=4, **widths)
    torch.nn.init.normal_(detector.volume.weight, std=0.1)  # pyright: ignore[reportAttributeAccessIssue]
    card = {"model": "xas-mini", "size": 64, "bins": 4, "joint_set": "xas18", "widths": widths, "terms": "CC0"}
    weights, path = tmp_path / "w.safetensors", tmp_path / "x.onnx"
    save_weights(detector, weights, card=card, int8=False)
    assert main(["export-onnx", str(weights), "-o", str(path)]) == 0
    about = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert about["terms"] == "CC0"
    assert about["body"] == shipped_body().digest
    assert_agrees(network_of(load(weights, body=shipped_body()).estimator), path)
    assert {item.name for item in tmp_path.iterdir()} == {"w.safetensors", "x.onnx"}


def test_a_stand_in_asks_as_the_network_is_asked() -> None:
    network = network_of(load("lift", body=shipped_body()).estimator)
    graph, examples, _ = graph_of(network.eval())
    asked = []

    def run(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        asked.append(inputs)
        with torch.no_grad():
            return [t.numpy() for t in graph(**{name: torch.from_numpy(array) for name, array in inputs.items()})]

    landmarks = Landmarks(**{name: examples[name] for name in LANDMARKS})
    with torch.no_grad():
        expected = network(landmarks)[-1].output
    found = InRuntime(network, run).to("cpu").eval()(landmarks)[-1].output
    assert torch.equal(found.rotations, expected.rotations)
    assert torch.equal(found.camera, expected.camera)
    assert set(asked[0]) == set(LANDMARKS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["export-onnx", "lift", "-o", "lift.pt"], "ends in .onnx"),
        (["export-onnx", "mean-pose", "-o", "x.onnx"], "has no network"),
        (["export-onnx", "nobody", "-o", "x.onnx"], "There is no model"),
        (["predict", str(PHOTO), "--runtime", "jax"], 'There is no runtime "jax"'),
    ],
)
def test_mistakes_are_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'monobody\[onnx\]'"):
        load("lift", body=shipped_body(), runtime="openvino")
