"""Write the weights of the BlazePose landmark network as a safetensors file that `monobody.models.blaze` reads.

    python scripts/convert_blazepose.py [pose_landmark_full.tflite] [-o src/monobody/weights/blaze.safetensors]

OpenVINO reads the .tflite as it is. Its convolutions come in the order the network runs them, which is the order of the
modules in `BlazeBackbone`. Of those that no head depends on the heat maps' are taken down to 32 x 32; the level of
64 x 64 and the mask are skipped. The maps of keypoints that BlazePose does not have begin with zeros. The weights of
the .tflite are half precision, so the file holds exactly the same numbers.
"""

import argparse
from pathlib import Path

import numpy as np
import openvino
import torch
from safetensors.torch import save_file

from monobody.body.skeleton import correspondence
from monobody.files import atomic_write, sha256_of
from monobody.models.blaze import BlazeBackbone

PACKAGE = Path(__file__).parents[1] / "src" / "monobody"
HEADS = {"Identity": "landmark_head", "Identity_4": "world_head", "Identity_1": "presence_head"}
"""The .tflite's names of the outputs, and ours of the heads."""
HEAT_MAPS = "Identity_3"


def constant(node: openvino.Node) -> np.ndarray:
    """Compute a subgraph of constants (half-precision weights, transposed and widened) and return its value."""
    model = openvino.Model([openvino.opset13.result(node)], [])  # pyright: ignore[reportGeneralTypeIssues]
    return openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([])[0]


def source(node: openvino.Node, index: int) -> openvino.Node:
    return node.input_value(index).get_node()


def ancestors(output: openvino.Node) -> set[str]:
    """Return the names of all nodes an output depends on."""
    seen: set[str] = set()
    todo = [output]
    while todo:
        node = todo.pop()
        if node.get_name() not in seen:
            seen.add(node.get_name())
            todo += [source(node, i) for i in range(node.get_input_size())]
    return seen


def weights_and_bias(convolution: openvino.Node) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a convolution's weights and the bias that the addition behind it holds, in torch's layout."""
    weights = constant(source(convolution, 1))
    if convolution.get_type_name() == "GroupConvolution":
        weights = weights[:, 0]  # (groups, 1, 1, k, k): every group is one channel.
    (addition,) = [target.get_node() for target in convolution.output(0).get_target_inputs()]
    assert addition.get_type_name() == "Add", addition
    bias = constant(source(addition, 1)).reshape(-1)
    return torch.from_numpy(weights.copy()), torch.from_numpy(bias.copy())


def for_keypoints(rows: torch.Tensor) -> torch.Tensor:
    """Return a row for each keypoint of `cocoplus19`: its landmark's, or zeros where BlazePose has none."""
    landmarks = correspondence("blazepose33", "cocoplus19")
    return torch.stack([rows[i] if i >= 0 else torch.zeros_like(rows[0]) for i in landmarks])


def convert(tflite: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of `BlazeBackbone`, checking every shape on the way."""
    model = openvino.Core().read_model(tflite)
    heads = {HEADS[name]: node for node in model.get_results() for name in node.output(0).get_names() if name in HEADS}
    needed = {head: ancestors(node) for head, node in heads.items()}
    trunk = set.intersection(*needed.values())
    convolutions = [node for node in model.get_ordered_ops() if "Convolution" in node.get_type_name()]

    state: dict[str, torch.Tensor] = {}
    modules = [(name, m) for name, m in BlazeBackbone().named_modules() if isinstance(m, torch.nn.Conv2d)]
    in_trunk = iter([node for node in convolutions if node.get_name() in trunk])
    (maps,) = [node for node in model.get_results() if HEAT_MAPS in node.output(0).get_names()]
    *levels, last = [node for node in convolutions if node.get_name() in ancestors(maps) - trunk]
    in_decoder = iter([*levels[:6], last])
    for name, module in modules:
        if name.startswith("decoder."):
            node = next(in_decoder)
        elif name in needed:
            (node,) = [c for c in convolutions if c.get_name() in needed[name] - trunk]
        else:
            node = next(in_trunk)
        weights, bias = weights_and_bias(node)
        if node is last:
            weights, bias = for_keypoints(weights), for_keypoints(bias)
        assert weights.shape == module.weight.shape, (name, weights.shape, module.weight.shape)
        assert list(node.get_attributes()["strides"]) == list(module.stride), name
        state[f"{name}.weight"], state[f"{name}.bias"] = weights, bias
    assert next(in_trunk, None) is None, "the file has more convolutions than the network"
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = PACKAGE / "assets" / "blazepose" / "pose_landmark_full.tflite"
    parser.add_argument("tflite", type=Path, nargs="?", default=default)
    parser.add_argument("-o", "--output", type=Path, default=PACKAGE / "weights" / "blaze.safetensors")
    arguments = parser.parse_args()

    state = convert(arguments.tflite)
    half = {name: tensor.half().contiguous() for name, tensor in state.items()}
    loss = max(float((state[name] - half[name].float()).abs().max()) for name in state)
    metadata = {
        "source": "pose_landmark_full.tflite of MediaPipe 0.10.21",
        "sha256": sha256_of(arguments.tflite),
        "licence": "Apache-2.0",
    }
    with atomic_write(arguments.output) as path:
        save_file(half, path, metadata=metadata)
    parameters = sum(tensor.numel() for tensor in state.values())
    size = arguments.output.stat().st_size / 1e6
    print(f"{arguments.output}: {parameters:,} parameters, {size:.2f} MB, largest loss by half precision {loss:.1e}")


if __name__ == "__main__":
    main()
