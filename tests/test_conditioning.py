"""Conditioned convolutions compute what they did, learn in units of their channels, and become plain ones again."""

import torch
from torch import nn

from monobody.train.conditioning import condition, settle


def uneven(spread: float = 0.6) -> nn.Sequential:
    """Two convolutions whose inner channels differ in size by powers of ten, as folding batch norms leaves them.

    The function is the same whatever the spread: the second convolution undoes what the first one does.
    """
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.LeakyReLU(0.5), nn.Conv2d(8, 5, 1))
    with torch.no_grad():
        sizes = torch.logspace(-spread, spread, 8)
        network[0].weight.mul_(sizes[:, None, None, None])
        network[0].bias.mul_(sizes)
        network[2].weight.div_(sizes[None, :, None, None])
    return network


def test_the_same_function_before_during_and_after():
    network, x = uneven(), torch.randn(4, 3, 6, 6)
    before = network(x)
    names = set(network.state_dict())
    condition([network[0], network[2]], lambda: network(x))
    torch.testing.assert_close(network(x), before)
    settle(network)
    torch.testing.assert_close(network(x), before)
    assert set(network.state_dict()) == names


def test_learning_does_not_depend_on_how_channels_are_scaled():
    x = torch.randn(64, 3, 6, 6)

    def gradients(network: nn.Sequential, *, conditioned: bool) -> list[torch.Tensor]:
        if conditioned:
            condition([network[0], network[2]], lambda: network(x))
        network(x).square().mean().backward()
        return [parameter.grad for parameter in network.parameters()]

    even, skewed = (gradients(uneven(spread), conditioned=False) for spread in (0.0, 0.3))
    assert not torch.allclose(even[0], skewed[0], rtol=0.1)
    even, skewed = (gradients(uneven(spread), conditioned=True) for spread in (0.0, 0.3))
    torch.testing.assert_close(skewed, even, rtol=1e-3, atol=1e-5)


def test_what_was_learnt_stays_when_settled():
    network, x = uneven(), torch.randn(4, 3, 6, 6)
    condition([network[0], network[2]], lambda: network(x))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    before = network(x).detach()
    network(x).square().mean().backward()
    optimiser.step()
    learnt = network(x).detach()
    assert not torch.allclose(learnt, before)
    settle(network)
    torch.testing.assert_close(network(x), learnt)
