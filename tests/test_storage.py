"""Weights files: round trip, precision, and refusal of what does not belong."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from monobody.errors import UserError
from monobody.models.storage import dequantise, load_weights, quantise, read_card, save_weights


def network(seed: int = 0, width: int = 8) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * 4, 5))


CARD = {"model": "tiny", "body_digest": "abc", "results": {"pa": 1.5}}


@pytest.mark.parametrize(("int8", "tolerance"), [(True, 0.5), (False, 0.05)])
def test_round_trip(tmp_path: Path, int8: bool, tolerance: float) -> None:
    model, path = network(), tmp_path / "a.safetensors"
    save_weights(model, path, card=CARD, int8=int8)
    other = network(seed=1)
    assert load_weights(other, path, body_digest="abc") == CARD
    for name, tensor in model.state_dict().items():
        loaded = other.state_dict()[name]
        assert loaded.dtype == tensor.dtype
        if tensor.ndim < 2:
            assert torch.equal(loaded, tensor), name
        else:
            step = tensor.flatten(1).abs().amax(1) / 127
            assert ((loaded - tensor).flatten(1).abs() <= tolerance * 1.01 * step[:, None]).all(), name
    assert read_card(path) == CARD


class Grown(nn.Module):
    """A network of which a part was published."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.trunk, self.head = Trunk(), nn.Linear(30, 2)


class Trunk(nn.Linear):
    def __init__(self) -> None:
        super().__init__(40, 30)

    def published_state(self) -> dict[str, torch.Tensor]:
        torch.manual_seed(7)
        return nn.Linear(40, 30).state_dict()


def test_a_lean_file_leaves_out_what_is_as_published_and_gives_the_same_network(tmp_path: Path) -> None:
    model = Grown(seed=0)
    model.trunk.load_state_dict(model.trunk.published_state())
    with torch.no_grad():
        model.trunk.bias += 1  # pyright: ignore[reportOperatorIssue]
    for lean in (False, True):
        save_weights(model, tmp_path / f"{lean}.safetensors", card=CARD, int8=False, lean=lean)
    full, small = tmp_path / "False.safetensors", tmp_path / "True.safetensors"
    assert small.stat().st_size < full.stat().st_size - 2 * 40 * 30 + 200
    assert read_card(small) == {**CARD, "published": 1}
    ours, theirs = Grown(seed=1), Grown(seed=2)
    load_weights(ours, small)
    load_weights(theirs, full)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name
    # Without the card's word, or with another count, what is missing is missing.
    for card in (CARD, {**CARD, "published": 2}):
        _rewritten(small, tmp_path / "other.safetensors", card)
        with pytest.raises(UserError, match="do not fit"):
            load_weights(Grown(seed=1), tmp_path / "other.safetensors")


def _rewritten(path: Path, target: Path, card: dict[str, Any]) -> None:
    save_file(load_file(path), target, metadata={"monobody": json.dumps(card)})


def test_quantising_keeps_zero_and_dead_channels() -> None:
    w = torch.randn(4, 3, 3, 3)
    w[1] = 0
    w[2, 0] = 0
    restored = dequantise(*quantise(w))
    assert (restored[1] == 0).all()
    assert (restored[2, 0] == 0).all()
    torch.testing.assert_close(dequantise(*quantise(restored)), restored)


def test_int8_is_a_quarter_of_the_size(tmp_path: Path) -> None:
    model = nn.Linear(400, 300)
    save_weights(model, tmp_path / "a.safetensors", card={})
    assert (tmp_path / "a.safetensors").stat().st_size < 400 * 300 * 1.05


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_weights(network(), path, card=CARD)
    with pytest.raises(UserError, match="another body"):
        load_weights(network(), path, body_digest="other")
    with pytest.raises(UserError, match="do not fit"):
        load_weights(network(width=9), path)
    with pytest.raises(UserError, match="do not fit"):
        load_weights(nn.Sequential(network(), nn.Linear(1, 1)), path)
    with pytest.raises(UserError, match="no weights file"):
        read_card(tmp_path / "b.safetensors")

    whole = path.read_bytes()
    for damaged in (b"", b"not weights", whole[: len(whole) // 2], b"\xff" * 200):
        path.write_bytes(damaged)
        with pytest.raises(UserError):
            load_weights(network(), path)


def test_a_file_without_a_card_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="card"):
        read_card(tmp_path / "a.safetensors")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = network()
    with torch.no_grad():
        model[1].bias[0] = torch.nan  # type: ignore[index]
    save_weights(model, tmp_path / "a.safetensors", card=CARD)
    with pytest.raises(UserError, match="not finite"):
        load_weights(network(), tmp_path / "a.safetensors")
