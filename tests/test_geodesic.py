"""Geodesic weights: true ways within a mask, weights that weigh, and the released form, which hardly does."""

import numpy as np
import pytest
import torch

from monobody.data.geodesic import GeodesicWeights, geodesic_distance, geodesic_weight
from monobody.train.pretext import physique_loss, skeleton_loss


def person(size: int = 96) -> np.ndarray:
    """A trunk, and an arm that goes out, down, and back to beside the trunk."""
    mask = np.zeros((size, size), bool)
    mask[20:70, 40:56] = True
    mask[24:30, 56:76] = True
    mask[30:66, 70:76] = True
    mask[60:66, 60:76] = True
    return mask


def test_the_way_round_a_corner_is_its_true_length() -> None:
    corridor = np.zeros((41, 41), bool)
    corridor[5, 5:36] = True
    corridor[5:36, 35] = True
    far = geodesic_distance(corridor, (5, 5))
    assert far[5, 20] == 15
    assert far[35, 35] == 60
    assert np.isinf(far[20, 20])
    free = geodesic_distance(np.ones((101, 101), bool), (50, 50))
    rows, columns = np.mgrid[:101, :101] - 50
    truth = np.hypot(rows, columns)
    assert np.abs(free - truth)[truth > 10].max() < 2
    assert np.abs(free / np.maximum(truth, 1) - 1)[truth > 20].max() < 0.06


def test_a_hand_beside_the_hip_is_far() -> None:
    mask = person()
    weight = geodesic_weight(np.uint8(255) * mask)
    hand, hip = weight[63, 61], weight[63, 54]
    assert hand > 8
    assert hip < 0.6 * hand
    assert weight[mask].min() == pytest.approx(2, abs=0.01)
    assert weight[mask].max() == pytest.approx(np.exp(2) + 1, abs=0.01)
    # The 20 is the outside's alone.
    assert weight[~mask].min() > 20
    assert weight[~mask].max() == pytest.approx(23)
    assert weight[63, 58] > 20  # Between hand and hip.


def test_released_weights_are_nearly_flat() -> None:
    mask = person()
    weight = geodesic_weight(np.uint8(255) * mask, released=True)
    assert weight[mask].min() == pytest.approx(22, abs=0.01)
    assert weight[mask].max() == pytest.approx(np.exp(2) + 21, abs=0.01)
    assert 22 < weight[~mask].min() < 22.1
    assert weight[~mask].max() == pytest.approx(25)
    ring = np.zeros((50, 50), bool)
    ring[10:40, 10:40] = True
    ring[15:35, 15:35] = False
    assert (geodesic_weight(np.uint8(255) * ring, released=True) == 1).all()
    assert np.ptp(geodesic_weight(np.uint8(255) * ring)[ring]) > 5


@pytest.mark.parametrize(("released", "least"), [(False, 3.0), (True, 1.0)])
def test_the_losses_feel_the_weights(released: bool, least: float) -> None:
    """The same error at the hand costs more than in the middle, and its gradient is larger; as released hardly so."""
    mask = person()
    weight = torch.from_numpy(geodesic_weight(np.uint8(255) * mask, released=released))[None]
    truth = torch.from_numpy(mask).float()[None]
    costs, gradients = {}, {}
    for name, (row, column) in {"hand": (63, 61), "middle": (45, 48)}.items():
        for loss in (physique_loss, skeleton_loss):
            drawn = truth.clone()
            drawn[0, row, column] = 0.5
            drawn.requires_grad_()
            cost = loss(drawn, truth, weight)
            cost.backward()
            assert drawn.grad is not None
            costs[loss.__name__, name], gradients[loss.__name__, name] = cost.item(), drawn.grad[0, row, column].abs()
    for loss in ("physique_loss", "skeleton_loss"):
        for values in (costs, gradients):
            ratio = float(values[loss, "hand"] / values[loss, "middle"])
            assert ratio > least
            if released:
                assert ratio < 1.3


def test_masks_that_say_nothing_and_pieces_apart() -> None:
    assert (geodesic_weight(np.zeros((20, 30), np.uint8)) == 1).all()
    full = geodesic_weight(np.full((20, 30), 255, np.uint8))
    assert np.isfinite(full).all()
    mask = person()
    mask[80:85, 5:10] = True
    weight = geodesic_weight(np.uint8(255) * mask)
    assert weight[82, 7] == pytest.approx(np.exp(2) + 1, abs=0.01)


def test_weights_turn_with_their_mask() -> None:
    mask = np.uint8(255) * person()
    np.testing.assert_allclose(geodesic_weight(np.rot90(mask).copy()), np.rot90(geodesic_weight(mask)), atol=1e-3)


def test_a_mask_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from monobody.data import geodesic

    calls = []
    original = geodesic.geodesic_weight
    monkeypatch.setattr(
        geodesic, "geodesic_weight", lambda mask, *, released: calls.append(1) or original(mask, released=released)
    )
    weights = GeodesicWeights(keep=2)
    masks = np.uint8(255) * np.stack([person(), person()[::-1], person()])
    first = weights(masks)
    assert len(calls) == 2
    np.testing.assert_allclose(first[0], original(masks[0]), rtol=1e-3)
    np.testing.assert_array_equal(weights(masks), first)
    assert len(calls) == 2
    weights(255 - masks[:1])
    weights(masks[:2])
    assert len(calls) > 3  # Only two are remembered.
