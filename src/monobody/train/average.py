"""Running averages of weights, which predict better than the weights of any one step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Averages:
    """Exponential moving averages of everything that modules learn.

    Args:
        modules: the modules by name, not wrapped for several processes.
        decay: weight of the past per step. The first steps forget faster, (1 + n) / (10 + n), so that the random
            start does not linger.
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self.modules = dict(modules)
        self.decay = decay
        self.tensors: dict[str, dict[str, Tensor]] = {
            name: {key: value.detach().clone() for key, value in module.state_dict().items()}
            for name, module in self.modules.items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the averages towards the weights as they are after `step` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, module in self.modules.items():
            for key, value in module.state_dict().items():
                average = self.tensors[name][key]
                if value.is_floating_point():
                    average.lerp_(value, 1 - decay)
                else:
                    average.copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Lend the averages to the modules, in evaluation mode, for as long as the block runs."""
        own = {
            name: {key: value.detach().clone() for key, value in module.state_dict().items()}
            for name, module in self.modules.items()
        }
        training = {name: module.training for name, module in self.modules.items()}
        try:
            for name, module in self.modules.items():
                module.load_state_dict(self.tensors[name])
                module.eval()
            yield
        finally:
            for name, module in self.modules.items():
                module.load_state_dict(own[name])
                module.train(training[name])
