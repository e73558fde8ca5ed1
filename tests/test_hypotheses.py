"""The detector's volume, the modes of its depths, and the whole bodies that are made of them."""

import pytest
import torch
from torch import Tensor

from monobody.body.skeleton import SKELETONS
from monobody.errors import UserError
from monobody.models.depth_modes import chosen_slices, depth_modes
from monobody.models.detectors import detector_of
from monobody.models.hypotheses import HypothesisDetector, volume_of
from monobody.models.marginals import centres, marginals
from monobody.models.places import places
from monobody.models.whole_poses import TOLERANCE, batched_search, compiled_search, whole_poses

BINS = 64
XAS = SKELETONS["xas18"]


def bumps(*modes: tuple[float, float], width: float = 1.5, floor: float = 0.0) -> Tensor:
    """Depth probabilities of one joint of one person: (slice, probability) pairs, each a small Gaussian."""
    place = torch.arange(BINS, dtype=torch.float64)
    density = torch.full((BINS,), floor, dtype=torch.float64)
    for slice_, share in modes:
        bump = torch.exp(-0.5 * ((place - slice_) / width) ** 2)
        density = density + share * bump / bump.sum()
    return (density / density.sum())[None, None]


def depth_of(slice_: float) -> float:
    return (2 * slice_ + 1) / BINS - 1


def test_one_clear_peak_is_one_hypothesis_and_the_others_say_that_they_are_none() -> None:
    modes = depth_modes(bumps((10, 1.0)))
    assert modes.valid[0, :, 0].tolist() == [True, False, False]
    torch.testing.assert_close(modes.depth[0, :, 0], torch.full((3,), depth_of(10), dtype=torch.float64))
    assert modes.probability[0, :, 0].tolist() == [1.0, 0.0, 0.0]


def test_two_and_three_peaks_come_in_the_order_of_their_probability() -> None:
    modes = depth_modes(bumps((12, 0.2), (30, 0.5), (50, 0.3)))
    expected = torch.tensor([depth_of(30), depth_of(50), depth_of(12)], dtype=torch.float64)
    torch.testing.assert_close(modes.depth[0, :, 0], expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(
        modes.probability[0, :, 0], torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), atol=1e-3, rtol=0
    )
    assert depth_modes(bumps((12, 0.4), (30, 0.6))).valid[0, :, 0].tolist() == [True, True, False]


@pytest.mark.parametrize("end", [0, BINS - 1])
def test_a_mode_at_either_end_is_found(end: int) -> None:
    modes = depth_modes(bumps((end, 1.0), width=0.7))
    assert abs(float(modes.depth[0, 0, 0]) - depth_of(end)) < 0.03
    assert modes.valid[0, :, 0].tolist() == [True, False, False]
    # Alone it is the mean of everything as well; beside another mode it is found only if it is looked for.
    other, third = abs(end - 40), abs(end - 60)
    beside = torch.zeros(1, 1, BINS)
    beside[..., [end, other, third]] = torch.tensor([0.6, 0.35, 0.05])
    assert chosen_slices(beside, count=3, window=7)[0, 0].tolist() == [end, other, third]
    both = depth_modes(beside)
    torch.testing.assert_close(both.depth[0, :2, 0], torch.tensor([depth_of(end), depth_of(other)]))
    torch.testing.assert_close(both.probability[0, :, 0], torch.tensor([0.6, 0.35, 0.05]))


def test_a_certain_volume_gives_no_nan() -> None:
    certain = torch.zeros(1, 1, BINS)
    certain[..., 10] = 1
    modes = depth_modes(certain)
    assert modes.depth.isfinite().all()
    assert modes.probability.isfinite().all()
    torch.testing.assert_close(modes.depth[0, :, 0], torch.full((3,), depth_of(10)))


def test_a_level_distribution_has_one_hypothesis_in_the_middle() -> None:
    modes = depth_modes(torch.full((1, 1, BINS), 1 / BINS))
    assert modes.valid[0, :, 0].tolist() == [True, False, False]
    assert abs(float(modes.depth[0, 0, 0])) < 1e-6


def test_a_plateau_counts_once() -> None:
    plateau = torch.zeros(1, 1, BINS)
    plateau[..., 20:24] = 0.25
    modes = depth_modes(plateau)
    assert modes.valid[0, :, 0].tolist() == [True, False, False]
    assert abs(float(modes.depth[0, 0, 0]) - depth_of(21.5)) < 1e-6


def test_what_lies_beyond_the_first_window_is_another_answer_without_a_peak_of_its_own() -> None:
    """A depth that is nowhere certain: one maximum, and wide."""
    modes = depth_modes(bumps((30, 1.0), width=6.0), window=5)
    assert modes.valid[0, :, 0].tolist() == [True, True, True]
    near, far = sorted(float(depth) for depth in modes.depth[0, 1:, 0])
    assert near < depth_of(25)
    assert far > depth_of(35)
    assert float(modes.probability[0, :, 0].sum()) == pytest.approx(1)
    assert float(modes.probability[0, 0, 0]) > 0.5


def test_modes_within_one_window_are_one_and_no_probability_counts_twice() -> None:
    assert depth_modes(bumps((20, 0.6), (26, 0.4), width=0.8)).valid[0, :, 0].sum() == 1
    close = bumps((20, 0.6), (29, 0.4), width=1.0)
    peaks = chosen_slices(close, count=3, window=7)
    assert peaks[0, 0].tolist() == [20, 29, -1]
    torch.testing.assert_close(
        depth_modes(close).probability[0, :2, 0], torch.tensor([0.6, 0.4], dtype=torch.float64), atol=1e-4, rtol=0
    )


def test_modes_of_random_distributions_are_what_they_promise() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 18, BINS, generator=generator) * 3
    modes = depth_modes(logits.softmax(-1))
    assert modes.depth.shape == (50, 3, 18)
    assert modes.depth.isfinite().all()
    assert modes.depth.abs().max() < 1
    assert modes.valid[:, 0].all()
    torch.testing.assert_close(modes.probability.sum(1), torch.ones(50, 18))
    assert (modes.probability[~modes.valid] == 0).all()
    # Where there is no hypothesis the first is repeated.
    first = modes.depth[:, :1].expand_as(modes.depth)
    torch.testing.assert_close(modes.depth[~modes.valid], first[~modes.valid])


def test_the_gradient_of_a_mode_agrees_with_finite_differences() -> None:
    logits = bumps((15, 0.6), (40, 0.4), floor=1e-3).log().requires_grad_()

    def depths(values: Tensor) -> Tensor:
        return depth_modes(values.softmax(-1), count=2).depth

    assert torch.autograd.gradcheck(depths, logits)


def test_places_are_expectations_over_the_whole_plane_or_about_its_peak() -> None:
    plane = torch.zeros(1, 1, 16, 16)
    plane[0, 0, 3, 12] = 0.6
    plane[0, 0, 13, 2] = 0.4
    cell = centres(16, like=plane)
    everywhere = torch.tensor([0.6 * cell[12] + 0.4 * cell[2], 0.6 * cell[3] + 0.4 * cell[13]])
    torch.testing.assert_close(places(plane)[0, 0], everywhere)
    torch.testing.assert_close(places(plane, window=2)[0, 0], torch.tensor([cell[12], cell[3]]))


def test_marginals_agree_with_the_volume_and_are_single_precision_under_autocast() -> None:
    volume = torch.randn(2, 3, 4, 5, 6)
    whole = volume.flatten(2).softmax(-1).view(volume.shape)
    found = marginals(volume)
    torch.testing.assert_close(found.plane, whole.sum(2))
    torch.testing.assert_close(found.depth, whole.sum((3, 4)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = marginals(volume.bfloat16())
    assert low.depth.dtype == torch.float32
    torch.testing.assert_close(low.depth.sum(-1), torch.ones(2, 3))


def test_the_detector_gives_a_volume_whose_axes_are_the_crop_s() -> None:
    """A volume with one hot cell decodes to that cell, so that x is to the right, y down, depth away."""
    volume = torch.full((1, 1, BINS, 16, 16), -50.0)
    volume[0, 0, 50, 2, 13] = 50.0
    found = marginals(volume)
    x, y = places(found.plane)[0, 0].tolist()
    assert (round(x, 4), round(y, 4)) == (27 / 16 - 1, round(5 / 16 - 1, 4))
    assert abs(float(depth_modes(found.depth).depth[0, 0, 0]) - depth_of(50)) < 1e-6


@pytest.mark.parametrize(("depth", "width"), [(18, 128)])
def test_the_small_detector_looks_at_crops_of_any_size_that_fits(depth: int, width: int) -> None:
    torch.manual_seed(0)
    detector = HypothesisDetector(depth, width=width, bins=8).eval()  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        volume = detector(torch.rand(1, 3, 64, 64))
    assert volume.shape == (1, 18, 8, 16, 16)
    # It begins without opinions.
    assert marginals(volume).depth.sub(1 / 8).abs().max() < 0.01


def body(depths: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Places and depth probabilities of one person: depths[j] lists the slices at which joint j may be, best first."""
    generator = torch.Generator().manual_seed(1)
    xy = torch.rand(1, len(depths), 2, generator=generator) - 0.5
    probability = torch.cat(
        [bumps(*[(float(s), 0.5 - 0.05 * i) for i, s in enumerate(options)], width=1.0)[0] for options in depths]
    )
    return xy, probability[None].float()


def test_whole_bodies_are_made_of_modes_that_go_together() -> None:
    """Wrists whose likelier mode would tear the forearm apart are taken at the other."""
    parents = (-1, 0, 1)
    places_ = torch.tensor([[[0.0, 0.0], [0.3, 0.0], [0.6, 0.0]]])
    probability = torch.stack([bumps((32, 1.0))[0, 0], bumps((32, 1.0))[0, 0], bumps((60, 0.55), (33, 0.45))[0, 0]])
    modes = depth_modes(probability[None].float())
    joint_wise = modes.depth[0, 0, 2]
    found = whole_poses(places_, modes, parents, torch.tensor([0.0, 1.0, 1.0]), count=2)
    assert float(joint_wise) > 0.8
    assert abs(float(found.joints[0, 0, 2, 2])) < 0.1
    assert found.modes[0, 0].tolist() == [0, 0, 1]
    assert found.weight[0, 0] > 0.9
    torch.testing.assert_close(found.weight.sum(1), torch.ones(1))


def test_the_beam_finds_what_trying_everything_finds() -> None:
    """Against all 2^6 bodies of a small tree."""
    parents, usual = (-1, 0, 1, 1, 3, 0), torch.tensor([0.0, 0.5, 0.4, 0.6, 0.3, 0.5])
    slices = [torch.tensor([10 + 3 * j, 40 + 2 * j]) for j in range(6)]
    places_, probability = body(slices)
    modes = depth_modes(probability, count=2)
    assert modes.valid.all()
    found = whole_poses(places_, modes, parents, usual, count=4, beam=64)

    points = torch.cat([places_[:, None].expand(-1, 2, -1, -1), modes.depth[..., None]], -1)[0]
    first = (points[0, 1:] - points[0, list(parents[1:])]).norm(dim=-1) / usual[1:]
    size = first.median()
    scores = []
    for number in range(64):
        chosen = [(number >> j) & 1 for j in range(6)]
        where = torch.stack([points[c, j] for j, c in enumerate(chosen)])
        length = (where[1:] - where[list(parents[1:])]).norm(dim=-1)
        off = (length / (size * usual[1:])).log() / TOLERANCE
        score = sum(modes.probability[0, c, j].log() for j, c in enumerate(chosen)) - 0.5 * off.square().sum()
        scores.append((float(score), chosen))
    best = sorted(scores, reverse=True)[:4]
    assert [m.tolist() for m in found.modes[0]] == [chosen for _, chosen in best]
    weights = torch.tensor([score for score, _ in best]).softmax(0)
    torch.testing.assert_close(found.weight[0], weights, atol=1e-4, rtol=1e-4)


def test_one_mode_everywhere_is_one_body_and_the_rest_repeat_it() -> None:
    places_, probability = body([torch.tensor([32])] * 18)
    found = whole_poses(places_, depth_modes(probability), XAS.parents, torch.ones(18), count=3)
    assert found.weight[0].tolist() == [1.0, 0.0, 0.0]
    torch.testing.assert_close(found.joints[0, 1], found.joints[0, 0])
    assert found.joints.isfinite().all()


def test_the_compiled_search_finds_what_the_batched_one_finds() -> None:
    """Three people of random modes, of which some do not exist; narrow beams and a wide one."""
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(3, 18, 3, 3, generator=generator)
    believed = torch.rand(3, 18, 3, generator=generator).log()
    believed[:, 4:7, 2] = -torch.inf
    bones = 0.2 + torch.rand(3, 18, generator=generator)
    order = [(joint, XAS.parents[joint]) for joint in (0, 1, 2, 3, 4, 5, 6, 7, 17, 8, 9, 10, 11, 12, 13, 14, 15, 16)]
    for beam in (1, 5, 48):
        ours, theirs = (one(points, believed, bones, order, beam, 0.25) for one in (compiled_search, batched_search))
        torch.testing.assert_close(ours[1], theirs[1], atol=1e-3, rtol=1e-4)
        assert (ours[0][:, 0] == theirs[0][:, 0]).all()


def test_marginals_are_the_same_in_any_order_of_memory_and_with_gradients() -> None:
    volume = 3 * torch.randn(2, 5, 16, 8, 12, generator=torch.Generator().manual_seed(4))
    plain = marginals(volume)
    shuffled = marginals(volume.permute(0, 3, 4, 1, 2).contiguous().permute(0, 3, 4, 1, 2))
    learning = marginals(volume.clone().requires_grad_())
    torch.testing.assert_close(plain.plane, volume.flatten(2).softmax(2).view(volume.shape).sum(2))
    for other in (shuffled, learning):
        torch.testing.assert_close(other.plane, plain.plane)
        torch.testing.assert_close(other.depth, plain.depth)


@pytest.mark.parametrize("scale", [1.0, 20.0, 300.0])
def test_compiled_sums_agree_with_a_softmax_in_double_precision(scale: float) -> None:
    volume = scale * torch.randn(2, 3, 32, 16, 24, generator=torch.Generator().manual_seed(5))
    volume[0, 0, 3:] = -torch.inf
    exact = volume.double().flatten(2).softmax(2).view(volume.shape)
    found = marginals(volume)
    torch.testing.assert_close(found.plane.double(), exact.sum(2), rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(found.depth.double(), exact.sum((3, 4)), rtol=1e-5, atol=1e-9)


def test_joints_shared_out_among_threads_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = torch.randn(3, 5, 16, 8, 12, generator=torch.Generator().manual_seed(8))
    alone = marginals(volume)
    monkeypatch.setattr("monobody.models.marginals.CELLS_A_THREAD", 1000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    together = marginals(volume)
    torch.testing.assert_close(together.plane, alone.plane, rtol=0, atol=0)
    torch.testing.assert_close(together.depth, alone.depth, rtol=0, atol=0)
    assert marginals(volume[:0]).plane.shape == (0, 5, 8, 12)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_one_logit_that_is_no_number_makes_its_joint_s_probabilities_none_and_no_other_s(wrong: float) -> None:
    volume = torch.randn(1, 3, 8, 6, 20, generator=torch.Generator().manual_seed(6))
    volume[0, 1, 5, 2, 17] = wrong
    found = marginals(volume)
    for said in (found.plane.flatten(2), found.depth):
        assert said[0, 1].isnan().all()
        assert said[0, [0, 2]].isfinite().all()


@pytest.mark.parametrize("learning", [False, True])
def test_places_about_the_peak_do_not_know_what_is_farther_off_and_reach_over_no_edge(learning: bool) -> None:
    """As a compiled loop, and as torch where gradients are wanted."""
    generator = torch.Generator().manual_seed(7)
    plane = torch.rand(2, 9, 10, 14, generator=generator, dtype=torch.float64) ** 8
    found = places(plane.clone().requires_grad_(learning), window=2).detach()
    for person in range(2):
        for joint in range(9):
            row, column = divmod(int(plane[person, joint].argmax()), 14)
            rows, columns = slice(max(row - 2, 0), row + 3), slice(max(column - 2, 0), column + 3)
            near = torch.zeros(10, 14, dtype=torch.float64)
            near[rows, columns] = plane[person, joint, rows, columns]
            expected = places((near / near.sum())[None, None])[0, 0]
            torch.testing.assert_close(found[person, joint], expected, atol=1e-6, rtol=0)


def test_volumes_are_a_pointwise_convolution_joint_by_joint() -> None:
    head, features = torch.nn.Conv2d(6, 3 * 4, 1), torch.randn(2, 6, 5, 7).contiguous(memory_format=torch.channels_last)
    volume = volume_of(features, head, 3)
    torch.testing.assert_close(volume, head(features).unflatten(1, (3, 4)))
    assert volume.is_contiguous()


@pytest.mark.parametrize(
    "wrong", [{"bins": None, "widths": {"storeys": 3}}, {"joint_set": "octopus"}, {"model": "xas-9"}]
)
def test_cards_that_describe_no_detector_are_refused(wrong: dict[str, object]) -> None:
    card = {"model": "xas-mini", "size": 64, "bins": 32, "joint_set": "xas18"}
    for broken in ({**card, **wrong}, {name: card[name] for name in card if name not in wrong}):
        with pytest.raises(UserError, match="describes no detector"):
            detector_of(broken)
