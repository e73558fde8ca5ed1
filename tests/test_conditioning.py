"""Conditioned convolutions compute what they did, learn in units of their channels, and become plain ones again."""

import torch
from torch import nn

from monobody.train.conditioning import condition, settle


def uneven() -> nn.Sequential:
    """Two convolutions with channels of very different sizes, as folding batch norms leaves them."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.LeakyReLU(), nn.Conv2d(8, 5, 1))
    with torch.no_grad():
        sizes = torch.logspace(-0.6, 0.6, 8)
        network[0].weight.mul_(sizes[:, None, None, None])
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


def test_gradients_are_even_over_channels():
    x = torch.randn(64, 3, 6, 6)

    def unevenness(network: nn.Sequential, weight) -> float:
        network(x).square().mean().backward()
        per_channel = weight().grad.flatten(1).norm(dim=1)
        return float(per_channel.max() / per_channel.min())

    plain = uneven()
    conditioned = uneven()
    condition([conditioned[0], conditioned[2]], lambda: conditioned(x))
    raw = unevenness(plain, lambda: plain[0].weight)
    mended = unevenness(conditioned, lambda: conditioned[0].parametrizations.weight.original)
    assert raw > 10
    assert mended < raw / 4


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
