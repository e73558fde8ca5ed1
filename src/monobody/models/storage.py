"""Weights in safetensors files, a quarter of their size: 8-bit integers with one scale for each output channel.

A matrix or filter w becomes round(w / s) with s = max |w| / 127 over each output channel; the file holds the integers
under the tensor's own name and the scales under ``NAME.scale``. Vectors (biases, norms, means) stay as they are. The
file's header carries a card in JSON: which network this is, the digest of the body it was trained with, data, terms,
recipe and results.

Parts of a network that come with this package anyway need not be stored again: a module with a method
``published_state`` says which weights it had before training, and a lean file leaves out what is still the same.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monobody.errors import UserError
from monobody.files import atomic_write

SCALE = ".scale"
CARD = "monobody"
"""The header's key under which the card lies."""
LEFT_OUT = "published"
"""The card's key that says how many tensors of a lean file are the published ones."""


def save_weights(
    model: nn.Module, path: str | Path, *, card: Mapping[str, Any], int8: bool = True, lean: bool = False
) -> None:
    """Write a network's weights and its card as one file, whole or not at all.

    Args:
        model: the network; its buffers (batch norms' statistics) are kept too.
        path: the ``.safetensors`` file.
        card: what to know about the weights. ``model`` is the network's name for :func:`monobody.load`,
            ``body_digest`` the body its shapes and poses speak of.
        int8: quantise; half precision otherwise.
        lean: leave out what the package has anyway; the card says how much that is.

    Raises:
        UserError: the file cannot be written.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    state = model.state_dict()
    if lean:
        same = {
            name
            for name, tensor in _published(model).items()
            if torch.equal(_halved(tensor), _halved(state[name].detach().cpu()))
        }
        state = {name: tensor for name, tensor in state.items() if name not in same}
        card = {**card, LEFT_OUT: len(same)}
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        if not tensor.is_floating_point() or tensor.ndim < 2:
            tensors[name] = tensor
        elif int8:
            tensors[name], tensors[name + SCALE] = quantise(tensor)
        else:
            tensors[name] = tensor.half()
    with atomic_write(path, suffix=".safetensors") as temporary:
        save_file(tensors, temporary, metadata={CARD: json.dumps(dict(card))})


def load_weights(model: nn.Module, path: str | Path, *, body_digest: str | None = None) -> dict[str, Any]:
    """Fill a network with the weights of a file and return the file's card.

    Args:
        model: the network, built by the name on the card (:func:`read_card`).
        path: the ``.safetensors`` file.
        body_digest: digest of the body that is in use; checked against the one on the card.

    Raises:
        UserError: the file is missing, damaged, belongs to another network, or was trained with another body.
    """
    card, tensors = _read(Path(path), with_tensors=True)
    if body_digest is not None and card.get("body_digest", body_digest) != body_digest:
        raise UserError(
            f"The weights {path} were trained with another body than the one in use: give --body the file they were "
            "trained with (none for the shipped body), or take other weights."
        )
    state = {name: _restored(name, tensors) for name in tensors if not _is_scale(name, tensors)}
    expected = model.state_dict()
    if card.get(LEFT_OUT):
        left_out = {name: tensor for name, tensor in _published(model).items() if name not in state}
        if len(left_out) == card[LEFT_OUT]:
            state |= left_out
    wrong = [name for name in expected if name not in state or state[name].shape != expected[name].shape]
    wrong += [name for name in state if name not in expected]
    if wrong:
        raise UserError(
            f"The weights {path} do not fit the network {card.get('model', type(model).__name__)}: {wrong[0]} "
            f"{'and others differ' if len(wrong) > 1 else 'differs'}. Choose the network they belong to."
        )
    broken = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise UserError(f"The weights {path} are damaged ({broken[0]} is not finite): fetch the file again.")
    model.load_state_dict(state)
    return card


def read_card(path: str | Path) -> dict[str, Any]:
    """Return the card of a weights file without reading its tensors.

    Raises:
        UserError: the file is missing, damaged, or not one of this package's.
    """
    return _read(Path(path), with_tensors=False)[0]


def quantise(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Return 8-bit integers and the scale of each output channel (the first axis)."""
    largest = tensor.flatten(1).abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny)
    scale = (largest / 127).float()
    integers = (tensor / scale.view(-1, *[1] * (tensor.ndim - 1))).round().clamp(-127, 127)
    return integers.to(torch.int8), scale


def dequantise(integers: Tensor, scale: Tensor) -> Tensor:
    """Return the values that `quantise` stored, each within half a scale of the original."""
    return integers.float() * scale.view(-1, *[1] * (integers.ndim - 1))


def _published(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights that parts of a network had before training, as files keep them."""
    found: dict[str, Tensor] = {}
    for place, module in model.named_modules():
        published: Callable[[], Mapping[str, Tensor]] | None = getattr(module, "published_state", None)
        if published is not None:
            found |= {f"{place}.{name}".lstrip("."): _halved(tensor) for name, tensor in published().items()}
    return found


def _halved(tensor: Tensor) -> Tensor:
    """Return what is left of a tensor that is stored in half precision."""
    return tensor.half().float() if tensor.is_floating_point() and tensor.ndim > 1 else tensor


def _is_scale(name: str, tensors: Mapping[str, Tensor]) -> bool:
    return name.endswith(SCALE) and name.removesuffix(SCALE) in tensors


def _restored(name: str, tensors: Mapping[str, Tensor]) -> Tensor:
    tensor = tensors[name]
    if name + SCALE in tensors:
        return dequantise(tensor, tensors[name + SCALE])
    return tensor.float() if tensor.dtype is torch.float16 else tensor


def _read(path: Path, *, with_tensors: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"There is no weights file {path}: check the path, or give the name of a model.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()} if with_tensors else {}  # noqa: SIM118
        card = json.loads(metadata[CARD])
    except KeyError:
        raise UserError(f"{path} holds no weights of this package: its header has no card.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"The weights file {path} is damaged ({error}): fetch it again.") from error
    return card, tensors
