"""The weights of BlazePose's landmark network, taken from MediaPipe's .tflite file, which the detector runs as it is.

The convolutions that the heads depend on lie in the file in the order of the modules in `BlazeBackbone`. Of the others
those of the heat maps are taken, without the level of 64 x 64; the mask's are left out. The maps of keypoints that
BlazePose does not have begin with zeros.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from monobody.body.skeleton import correspondence
from monobody.models.tflite import CONVOLUTIONS, Graph

HEADS = {"Identity": "landmark_head", "Identity_4": "world_head", "Identity_1": "presence_head"}
"""The file's names of the outputs, and ours of the heads."""
HEAT_MAPS = "Identity_3"
LANDMARKS = 39
DECODER = (6, 7, 4, 5, 2, 3, 8)
"""The heat maps' convolutions in the order of our modules; the file has the finest level, which we leave out, first."""


def blaze_state(path: str | Path, modules: Iterable[tuple[str, nn.Module]]) -> dict[str, Tensor]:
    """Return the state dict of a `BlazeBackbone`, given its named modules.

    Raises:
        UserError: the file is missing, damaged, or another network's.
    """
    graph = Graph(path)
    convolutions = [place for place, operator in enumerate(graph.operators) if operator.kind in CONVOLUTIONS]
    if not {*HEADS, HEAT_MAPS} <= graph.outputs.keys():
        raise graph.damaged()
    needed = {head: graph.ancestors(graph.outputs[name]) for name, head in HEADS.items()}
    trunk = set.intersection(*needed.values())
    of_maps = graph.ancestors(graph.outputs[HEAT_MAPS])
    levels = [place for place in convolutions if place in of_maps - trunk]
    if len(levels) != len(DECODER) + 2:
        raise graph.damaged()
    in_trunk = iter([place for place in convolutions if place in trunk])
    in_decoder = iter([levels[i] for i in DECODER])
    state: dict[str, Tensor] = {}
    for name, module in modules:
        if not isinstance(module, nn.Conv2d):
            continue
        if name.startswith("decoder."):
            place = next(in_decoder, None)
        elif name in needed:
            place = next((place for place in convolutions if place in needed[name] - trunk), None)
        else:
            place = next(in_trunk, None)
        if place is None or len(graph.operators[place].inputs) != 3:
            raise graph.damaged()
        weight, bias = (torch.from_numpy(graph.constant(tensor)) for tensor in graph.operators[place].inputs[1:3])
        if weight.ndim != 4:
            raise graph.damaged()
        # The file has outputs, rows, columns, inputs; filters of single channels lie along its last axis.
        weight = weight.permute(3, 0, 1, 2) if module.groups > 1 else weight.permute(0, 3, 1, 2)
        if place == levels[-1] and len(weight) == len(bias) == LANDMARKS:
            weight, bias = _for_keypoints(weight), _for_keypoints(bias)
        if weight.shape != module.weight.shape or module.bias is None or bias.shape != module.bias.shape:
            raise graph.damaged()
        state[f"{name}.weight"], state[f"{name}.bias"] = weight.contiguous(), bias
    return state


def _for_keypoints(rows: Tensor) -> Tensor:
    """Return a row for each keypoint of `cocoplus19`: its landmark's, or zeros where BlazePose has none."""
    landmarks = correspondence("blazepose33", "cocoplus19")
    return torch.stack([rows[i] if i >= 0 else torch.zeros_like(rows[0]) for i in landmarks])
