"""`monobody export-onnx`: a model's network as an ONNX file."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from monobody.cli.exits import OK
from monobody.errors import UserError


def export_onnx(
    model: Annotated[Positional[str], arg(metavar="MODEL")],
    *,
    out: Annotated[Path, arg(aliases=["-o"], metavar="FILE.onnx")],
    body: Path | None = None,
) -> int:
    """Write a model's network as ONNX, for any number of people at once.

    Args:
        model: A name from `monobody models`, or a weights file.
        out: The file to write.
        body: The body file that the model was trained with, where that is not the shipped one.
    """
    if out.suffix.lower() != ".onnx":
        raise UserError(f"{out} is to be an ONNX file: give a name that ends in .onnx.")
    if model == "mean-pose":
        raise UserError("mean-pose has no network: choose another of `monobody models`.")
    from monobody.models.onnx_file import graph_of, write_onnx
    from monobody.predict.predictor import load
    from monobody.predict.runtime import network_of

    predictor = load(model, device="cpu", body=body)
    network = network_of(predictor.estimator)
    write_onnx(network, out, about={"model": predictor.model, "terms": predictor.terms, "body": predictor.body.digest})
    _, inputs, outputs = graph_of(network)
    shapes = [f"{name} (people, {', '.join(map(str, tensor.shape[1:]))})" for name, tensor in inputs.items()]
    print(f"{out}: {', '.join(shapes)} -> {', '.join(outputs)}")
    return OK
