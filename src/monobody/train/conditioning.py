"""Fine-tuning convolutions whose batch norms were folded away: every weight in units of what it does.

A published network often has its batch norms multiplied into its convolutions. Its weights are then 0.005 in one
layer and 0.8 in the next, as uneven from channel to channel: a step of Adam that suits one destroys another. A batch
tells how large each input channel is, s, and how much each output channel varies, o. With weights written as

    w_ij = o_i / (s_j sqrt(n)) v_ij,        b_i = o_i c_i,        n inputs,

equal steps of all v and c change all outputs alike, as they do in a network that has its batch norms.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

SMALLEST = 0.05
"""No channel counts as smaller than this share of its layer's mean: silent ones would get no bounds."""


class Scaled(nn.Module):
    """A parameter kept in units of `scale`."""

    scale: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)

    def forward(self, value: Tensor) -> Tensor:
        return value * self.scale

    def right_inverse(self, parameter: Tensor) -> Tensor:
        """Return what `forward` makes the parameter of."""
        return parameter / self.scale


def condition(convolutions: Sequence[nn.Conv2d], run: Callable[[], object]) -> None:
    """Rewrite dense convolutions in units of their channels, as `run` (a forward pass over a batch) shows them.

    What the network computes stays the same.
    """
    sizes: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def measure(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sizes[module] = _bounded(inputs[0].square().mean((0, 2, 3)).sqrt()), _bounded(output.std((0, 2, 3)))

    hooks = [convolution.register_forward_hook(measure) for convolution in convolutions]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    for convolution in convolutions:
        size_in, size_out = sizes[convolution]
        scale = size_out[:, None] / size_in / convolution.weight[0].numel() ** 0.5
        scale = scale[:, :, None, None].expand_as(convolution.weight).contiguous(memory_format=torch.channels_last)
        parametrize.register_parametrization(convolution, "weight", Scaled(scale))
        parametrize.register_parametrization(convolution, "bias", Scaled(size_out))


def settle(network: nn.Module) -> None:
    """Turn conditioned convolutions back into plain ones with the weights they have now."""
    for module in network.modules():
        if parametrize.is_parametrized(module):
            for name in ("weight", "bias"):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _bounded(size: Float[Tensor, "c"]) -> Float[Tensor, "c"]:
    return size.clamp_min(SMALLEST * float(size.mean()) + 1e-6)
