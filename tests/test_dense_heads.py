"""Heat maps: that peaks are found where labels are, and what teaches them."""

import numpy as np
import pytest
import torch
from torch import nn

from monobody.body.landmarks import NAMES, Landmarks
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.camera import project_weak
from monobody.models.blaze import BlazeBackbone
from monobody.models.heat_maps import KEYPOINTS, SIDE, HeatMapDecoder, Peaks, find_peaks
from monobody.models.hmr import BlazeRegressor, with_peaks
from monobody.train.dense_heads import heat_map_loss, shared_out


def points(count: int, *, within: float = 0.95) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return within * (2 * torch.rand(count, KEYPOINTS, 2, generator=generator) - 1)


def labels(keypoints: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"keypoints_2d": keypoints, "visible": torch.ones(keypoints.shape[:2])}


def test_a_shared_out_point_is_found_again_to_a_hair() -> None:
    """Cells are 8 pixels of 256; what is shared out among four of them comes back exactly."""
    true = points(4)
    maps = shared_out(true, SIDE).clamp_min(1e-9).log().unflatten(2, (SIDE, SIDE))
    peaks = find_peaks(maps)
    torch.testing.assert_close(peaks.image, true, atol=1e-4, rtol=0)
    torch.testing.assert_close(peaks.score, torch.ones(4, KEYPOINTS), atol=1e-4, rtol=0)


def test_shares_sum_to_one_up_to_the_rim_of_the_crop() -> None:
    rim = torch.tensor([[[-1.0, -1.0], [1.0, 1.0], [0.999, -0.3]]])
    shares = shared_out(rim, 4)
    torch.testing.assert_close(shares.sum(-1), torch.ones(1, 3))
    assert shares[0, 0, 0] == 1
    assert shares[0, 1, 15] == 1


def test_a_second_person_does_not_draw_the_peak_away() -> None:
    maps = torch.full((1, 1, SIDE, SIDE), -20.0)
    maps[0, 0, 5, 7], maps[0, 0, 20, 28] = 5.0, 4.0
    peaks = find_peaks(maps)
    expected = (2 * torch.tensor([7.0, 5.0]) + 1) / SIDE - 1
    torch.testing.assert_close(peaks.image[0, 0], expected, atol=1e-4, rtol=0)
    assert peaks.score.item() == pytest.approx(np.e / (1 + np.e), abs=1e-3)


def test_the_loss_is_least_where_the_label_is_and_counts_in_nats() -> None:
    true = points(2)
    blank = torch.zeros(2, KEYPOINTS, SIDE, SIDE)
    assert heat_map_loss(blank, labels(true)).item() == pytest.approx(2 * np.log(SIDE), rel=1e-5)
    right = shared_out(true, SIDE).clamp_min(1e-6).log().unflatten(2, (SIDE, SIDE))
    assert heat_map_loss(right, labels(true)) < heat_map_loss(right, labels(true + 0.02)) < np.log(SIDE)


def test_what_is_not_seen_teaches_nothing() -> None:
    maps = torch.randn(1, KEYPOINTS, SIDE, SIDE, generator=torch.Generator().manual_seed(0), requires_grad=True)
    batch = labels(points(1))
    batch["visible"][0, 3] = 0
    batch["keypoints_2d"][0, 3] = torch.nan
    batch["keypoints_2d"][0, 4, 0] = 1.2
    loss = heat_map_loss(maps, batch)
    loss.backward()
    assert maps.grad is not None
    taught = maps.grad[0].abs().sum((1, 2)) > 0
    assert (~taught).nonzero().flatten().tolist() == [3, 4]
    batch["visible"].zero_()
    assert heat_map_loss(maps, batch).item() == 0


def test_heat_maps_teach_the_trunk_that_they_are_made_of() -> None:
    network = BlazeBackbone.load()
    images = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(3))
    heat_map_loss(network(images).maps, labels(points(1))).backward()
    reached = [any(p.grad is not None and p.grad.any() for p in block.parameters()) for block in network.residuals]
    assert all(reached)
    assert network.landmark_head.weight.grad is None


def test_a_decoder_learns_from_the_maps_it_is_given() -> None:
    """A blob that moves over the finest map can be followed by its layers alone."""
    torch.manual_seed(0)
    decoder, true = HeatMapDecoder(), points(8, within=0.8)[:, :1].expand(-1, KEYPOINTS, -1)
    fine = shared_out(true[:, :1], SIDE).unflatten(2, (SIDE, SIDE)).expand(-1, 32, -1, -1) * 6
    nothing = torch.zeros(8, 864, 8, 8), torch.zeros(8, 88, 16, 16)
    optimiser = torch.optim.Adam(nn.ModuleList([decoder.fine, decoder.maps]).parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        heat_map_loss(decoder(*nothing, fine), labels(true)).backward()
        optimiser.step()
    wrong = (find_peaks(decoder(*nothing, fine)).image - true).abs().mean()
    assert wrong < 0.05


def seen(moved: tuple[float, float] = (0.0, 0.0), scale: float = 1.0, peak_score: float = 0.8) -> torch.Tensor:
    """What an encoder gives for two crops, with everything in the picture scaled and moved."""
    generator = torch.Generator().manual_seed(5)
    pooled, world = torch.rand(2, 1152, generator=generator), torch.rand(2, 39 * 3, generator=generator)
    landmarks = torch.rand(2, 39, 5, generator=generator)
    peaks = torch.rand(2, KEYPOINTS, 2, generator=generator)
    landmarks[..., :2] = landmarks[..., :2] * scale + torch.tensor(moved)
    image = (peaks * scale + torch.tensor(moved)).flatten(1)
    score = torch.full((2, KEYPOINTS), peak_score)
    return torch.cat([pooled, landmarks.flatten(1), world, torch.ones(2, 1), image, score], dim=1)


@pytest.fixture(scope="module")
def regressor() -> BlazeRegressor:
    torch.manual_seed(0)
    return BlazeRegressor(Body.load()).eval()


def test_a_body_moves_along_with_landmarks_and_peaks(regressor: BlazeRegressor) -> None:
    with torch.no_grad():
        here, there = regressor(seen())[-1], regressor(seen((0.3, -0.2), 0.7))[-1]
    torch.testing.assert_close(here.rotations, there.rotations, atol=1e-4, rtol=0)
    point = torch.tensor([[[0.1, 0.2, 0.0]]])
    expected = 0.7 * project_weak(point, here.camera) + torch.tensor([0.3, -0.2])
    torch.testing.assert_close(project_weak(point, there.camera), expected, atol=1e-4, rtol=0)


def test_the_regressor_heeds_peaks_by_how_sure_they_are(regressor: BlazeRegressor) -> None:
    moved = torch.cat([torch.zeros(2 * KEYPOINTS) + 0.1, torch.zeros(KEYPOINTS)])
    effect = {}
    for sure in (0.0, 0.2, 0.9):
        features = seen(peak_score=sure)
        other = torch.cat([features[:, : -3 * KEYPOINTS], features[:, -3 * KEYPOINTS :] + moved], dim=1)
        with torch.no_grad():
            effect[sure] = float((regressor(features)[-1].camera - regressor(other)[-1].camera).abs().max())
    assert effect[0.0] == 0 < effect[0.2] < effect[0.9]


def test_peaks_are_those_of_the_landmarks_they_move() -> None:
    landmarks = Landmarks(
        image=torch.zeros(1, 35, 2),
        score=torch.ones(1, 35),
        world_m=torch.zeros(1, 35, 3),
        world_score=torch.ones(1, 35),
    )
    for place, name in enumerate(SKELETONS["cocoplus19"].joints):
        score, image = torch.zeros(1, KEYPOINTS), torch.zeros(1, KEYPOINTS, 2)
        score[0, place], image[0, place] = 0.5, 1.0
        moved = with_peaks(landmarks, Peaks(image=image, score=score)).image[0, :, 0]
        (landmark,) = moved.nonzero().flatten().tolist()
        assert NAMES[landmark] == name
        assert moved[landmark] == (0.5 if landmark < 33 else 1.0)
