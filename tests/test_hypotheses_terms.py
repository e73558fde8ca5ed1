"""What each loss of X as Supervision comes to, by hand, where training puts it together."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from monobody.body.skeleton import SKELETONS
from monobody.data.geodesic import GeodesicWeights, geodesic_weight
from monobody.models.marginals import Marginals, centres
from monobody.models.pose_graph import PoseGraphCritic
from monobody.models.skeleton_mask import Limbs
from monobody.train.hypotheses_settings import HypothesesSettings
from monobody.train.hypotheses_task import HypothesesTask
from monobody.train.hypotheses_terms import (
    HypothesesWeights,
    adversarial_losses,
    build_losses,
    dense_losses,
    mask_losses,
    pair_loss,
)
from monobody.train.task import Batch, Findings

XAS = SKELETONS["xas18"]
JOINTS = len(XAS.joints)
SIDE, SLICES, SIZE = 16, 32, 16
NOTHING = HypothesesWeights(plane=0, depth=0, pairs=0)


def bodies(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, JOINTS, 3, generator=torch.Generator().manual_seed(seed)) - 0.5


def cell(number: float, cells: int) -> float:
    """Where a cell has its middle."""
    return (2 * number + 1) / cells - 1


class Told(nn.Module):
    """A detector that says what it is told: every joint in one cell of the picture, at depths of given probabilities.

    `columns` and `rows` are (b, k); `depths` has each row's slices with their probabilities, all joints alike, or is
    (b, k), each joint's one slice.
    """

    joint_set, depth_range, joints, bins, input_size = "xas18", 1.0, JOINTS, SLICES, SIDE

    def __init__(self, columns: Tensor, rows: Tensor, depths: Tensor | list[dict[int, float]]) -> None:
        super().__init__()
        people = len(columns)
        plane = nn.functional.one_hot(rows * SIDE + columns, SIDE**2).float().unflatten(-1, (SIDE, SIDE))
        if isinstance(depths, Tensor):
            depth = nn.functional.one_hot(depths, SLICES).float()
        else:
            depth = torch.zeros(people, JOINTS, SLICES)
            for person, shares in enumerate(depths):
                for slice_, share in shares.items():
                    depth[person, :, slice_] = share
        said = depth[..., None, None] * plane[:, :, None]
        self.volume = nn.Parameter(said.clamp_min(1e-12).log())

    def forward(self, images: Tensor) -> Tensor:
        return self.volume


def told_task(
    detector: Told, weights: HypothesesWeights, *, hypotheses: int = 2, geodesic: bool = False
) -> HypothesesTask:
    def stream(first: int, process: int, processes: int) -> Iterator[Batch]:
        raise AssertionError("nobody asks for rows")

    settings = HypothesesSettings(
        weights=weights, hypotheses=hypotheses, bare_share=0.0, mask_size=SIZE, geodesic=geodesic
    )
    return HypothesesTask(detector, stream, lambda module: Findings(numbers={}), settings)  # pyright: ignore


def rows_of(joints: Tensor, *, pairs: int) -> Batch:
    """Rows of which the first so many have joints, the others are photos; grey pictures, a mask everywhere."""
    count = len(joints)
    known = torch.zeros(count, JOINTS)
    known[:pairs] = 1
    return {
        "images": torch.full((count, 3, SIDE, SIDE), 128, dtype=torch.uint8),
        "mask": torch.full((count, SIDE, SIDE), 255, dtype=torch.uint8),
        "has_mask": torch.ones(count), "joints": joints * known[..., None], "known": known,
        "has_joints": known[:, 0].clone(), "small": torch.tensor(False),
    }  # fmt: skip


def somewhere(people: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    columns, rows = (torch.randint(3, SIDE - 3, (people, JOINTS), generator=generator) for _ in range(2))
    return columns, rows


# Winners, and what losers bear.


def off_by(*distances: list[float]) -> tuple[Tensor, dict[str, Tensor]]:
    """Hypotheses that miss their row's joints by so much in each coordinate, and the rows' labels."""
    truth = bodies(len(distances))
    joints = truth[:, None] + torch.tensor(distances)[:, :, None, None]
    return joints, {"joints": truth, "known": torch.ones(truth.shape[:2]), "has_joints": torch.ones(len(truth))}


def test_each_row_has_a_winner_of_its_own_and_its_losers_bear_a_tenth() -> None:
    joints, labels = off_by([0.1, 0.3], [0.4, 0.2])
    joints.requires_grad_()
    everyone = torch.ones(2, 2, dtype=torch.bool)
    loss = pair_loss(joints, everyone, labels, HypothesesWeights())
    first, second = 0.9 * 0.1**2 + 0.1 * 0.3**2, 0.9 * 0.2**2 + 0.1 * 0.4**2
    assert float(loss.detach()) == pytest.approx((first + second) / 2, rel=1e-5)
    loss.backward()
    assert joints.grad is not None
    # Twice the distance, half of it a row, times what each bears.
    torch.testing.assert_close(joints.grad.sum((2, 3)), torch.tensor([[0.9 * 0.1, 0.1 * 0.3], [0.1 * 0.4, 0.9 * 0.2]]))


@pytest.mark.parametrize("share", [1.0, 0.9, 0.6])
def test_three_hypotheses_share_as_the_weights_say(share: float) -> None:
    joints, labels = off_by([0.1, 0.3, 0.2])
    loss = pair_loss(joints, torch.ones(1, 3, dtype=torch.bool), labels, HypothesesWeights(winner_share=share))
    assert float(loss) == pytest.approx(share * 0.01 + (1 - share) * (0.09 + 0.04) / 2, rel=1e-5)


def test_hypotheses_that_there_are_not_and_rows_without_joints_do_not_count() -> None:
    joints, labels = off_by([0.1, 0.3], [0.4, 0.2], [5.0, 5.0])
    labels["has_joints"][2] = 0
    valid = torch.tensor([[True, True], [True, False], [True, True]])
    loss = pair_loss(joints, valid, labels, HypothesesWeights())
    assert float(loss) == pytest.approx((0.9 * 0.01 + 0.1 * 0.09 + 0.16) / 2, rel=1e-5)


def test_as_released_one_hypothesis_wins_for_the_whole_batch() -> None:
    joints, labels = off_by([0.1, 0.3], [0.4, 0.2])
    loss = pair_loss(joints, torch.ones(2, 2, dtype=torch.bool), labels, HypothesesWeights(released=True))
    assert float(loss) == pytest.approx(min(0.1**2 + 0.4**2, 0.3**2 + 0.2**2) / 2, rel=1e-5)


def test_in_training_rows_whose_winners_differ_each_have_theirs() -> None:
    """Two rendered people seen alike; the truth is at the likelier depth of one and at the other depth of the other."""
    columns, rows = somewhere(1)
    depths = [{6: 0.7, 24: 0.3}] * 2
    detector = Told(columns.expand(2, -1), rows.expand(2, -1), depths)
    near, far = cell(6, SLICES), cell(24, SLICES)
    place = torch.stack([cell_of(columns), cell_of(rows)], dim=-1).expand(2, -1, -1)
    joints = torch.cat([place, torch.tensor([near, far])[:, None, None].expand(2, JOINTS, 1)], dim=-1)
    task = told_task(detector, replace(NOTHING, pairs=10.0))
    found = float(task.losses(rows_of(joints, pairs=2))["pairs"].detach())
    assert found == pytest.approx(10 * 0.1 * (far - near) ** 2 / 3, rel=1e-4)


def cell_of(numbers: Tensor) -> Tensor:
    return (2 * numbers + 1) / SIDE - 1


# The body's build.


def a_symmetrical_body() -> Tensor:
    """Somebody who stands, with upper arms and thighs longer than forearms and shins, the same on both sides."""
    place = {
        "pelvis": (0.0, 0.0, 0.0), "torso": (0.0, -0.25, 0.0), "thorax": (0.0, -0.5, 0.0), "neck": (0.0, -0.6, 0.0),
        "nose": (0.0, -0.65, -0.05), "head_top": (0.0, -0.75, 0.0), "left_hip": (0.1, 0.0, 0.0),
        "left_knee": (0.1, 0.45, 0.0), "left_ankle": (0.1, 0.7, 0.0), "left_shoulder": (0.2, -0.5, 0.0),
        "left_elbow": (0.2, -0.1, 0.0), "left_wrist": (0.2, -0.1, 0.2),
    }  # fmt: skip
    sides = {name.replace("left", "right"): (-x, y, z) for name, (x, y, z) in place.items() if name[0:4] == "left"}
    return torch.tensor([(place | sides)[name] for name in XAS.joints])


def built(joints: Tensor, weights: HypothesesWeights) -> dict[str, float]:
    there, photos = torch.ones(1, 1, dtype=torch.bool), torch.ones(1)
    terms = build_losses(joints[None, None], there, photos, weights, "xas18")
    return {name: float(term) for name, term in terms.items()}


def test_equal_sides_cost_nothing_whatever_the_limbs_proportions() -> None:
    body, weights = a_symmetrical_body(), HypothesesWeights(symmetry=1.0, midpoints=1.0)
    assert built(body, weights) == pytest.approx({"symmetry": 0, "midpoints": 0}, abs=1e-12)
    # Forearms 0.2 shorter than upper arms, shins 0.2 shorter than thighs, all of them on both sides.
    released = built(body, replace(weights, released=True))
    assert released == pytest.approx({"symmetry": 4 * 0.2**2 / 4, "midpoints": 0}, abs=1e-6)


def test_unequal_sides_cost_their_squared_difference_whatever_the_proportions() -> None:
    """One forearm as long as its upper arm: what the released term asks for."""
    body, weights = a_symmetrical_body(), HypothesesWeights(symmetry=1.0)
    body[XAS.index("left_wrist"), 2] = 0.4
    assert built(body, weights) == pytest.approx({"symmetry": 0.2**2 / 6})


def test_a_thorax_beside_the_shoulders_middle_costs_its_distance_squared() -> None:
    body, weights = a_symmetrical_body(), HypothesesWeights(midpoints=1.0)
    body[XAS.index("thorax"), 1] += 0.3
    assert built(body, weights)["midpoints"] == pytest.approx(0.3**2 / 3 / 2)


def test_in_training_photos_of_equal_sides_cost_nothing() -> None:
    """The same build told by a detector, in whole cells: thighs of four and shins of two, on either side."""
    place = {
        "pelvis": (8, 8), "torso": (8, 6), "thorax": (8, 4), "neck": (8, 3), "nose": (8, 2), "head_top": (8, 1),
        "left_hip": (10, 8), "left_knee": (10, 12), "left_ankle": (10, 14), "left_shoulder": (11, 4),
        "left_elbow": (11, 8), "left_wrist": (11, 10),
    }  # fmt: skip
    place |= {n.replace("left", "right"): (16 - x, y) for n, (x, y) in place.items() if n[:4] == "left"}
    columns, rows = (torch.tensor([[place[name][axis] for name in XAS.joints]]) for axis in (0, 1))
    weights = replace(NOTHING, symmetry=1.0, midpoints=1.0)
    photo = rows_of(torch.zeros(1, JOINTS, 3), pairs=0)
    level = torch.full((1, JOINTS), SLICES // 2)
    even = told_task(Told(columns, rows, level), weights).losses(photo)
    assert {name: float(term.detach()) for name, term in even.items()} == pytest.approx(
        {"symmetry": 0, "midpoints": 0}, abs=1e-9
    )
    rows[0, XAS.index("left_ankle")] -= 1
    odd = told_task(Told(columns, rows, level), weights).losses(photo)
    assert float(odd["symmetry"].detach()) == pytest.approx((2 / SIDE) ** 2 / 6, rel=1e-4)


# Masks.

LINK = Limbs(links=((0, 1),), width=(0.25,))


def drawn_by_hand(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    """One limb, pixel by pixel."""
    picture = np.zeros((SIZE, SIZE))
    a, along = np.array(start), np.subtract(end, start)
    for row in range(SIZE):
        for column in range(SIZE):
            pixel = np.array([cell(column, SIZE), cell(row, SIZE)])
            share = np.clip((pixel - a) @ along / (along @ along), 0, 1)
            picture[row, column] = math.exp(-np.sum((pixel - a - share * along) ** 2) / LINK.width[0] ** 2)
    return picture


PLACES = (((-0.5, -0.2), (0.4, 0.1)), ((0.1, 0.6), (0.3, -0.5)), ((-0.6, 0.5), (0.2, 0.5)))


def masked_rows() -> tuple[Tensor, dict[str, Tensor], np.ndarray, np.ndarray]:
    """Where three people's limbs are, their labels with masks, and what is drawn and masked, by hand."""
    masks = np.zeros((3, SIZE, SIZE))
    masks[0, 3:9, 2:14] = 1
    masks[1, 2:14, 7:10] = 1
    masks[1, 10:12, 2:12] = 1
    masks[2, 1:4, 1:15] = 1
    labels = {
        "mask": torch.from_numpy(np.uint8(255) * masks.astype(np.uint8)),
        "has_mask": torch.ones(3), "has_joints": torch.zeros(3),
    }  # fmt: skip
    return torch.tensor(PLACES), labels, np.stack([drawn_by_hand(*place) for place in PLACES]), masks


def of_masks(
    where: Tensor, labels: dict[str, Tensor], *, released: bool = False, geodesic: GeodesicWeights | None = None
) -> dict[str, float]:
    """The physique network gives the skeleton's own mask, lightened."""
    terms = mask_losses(where, labels, LINK, lambda drawn: 0.8 * drawn, size=SIZE, released=released, geodesic=geodesic)
    return {name: float(term) for name, term in terms.items()}


def test_skeletons_are_compared_pixel_by_pixel_where_they_are() -> None:
    where, labels, drawn, masks = masked_rows()
    selected = drawn > 0.1
    assert 0.2 < selected.mean() < 0.6
    found = of_masks(where, labels)
    assert found["skeleton"] == pytest.approx(((drawn - masks) ** 2)[selected].mean(), rel=1e-5)
    assert found["physique"] == pytest.approx(((0.8 * drawn - masks) ** 2).mean(), rel=1e-5)
    # As released: the mean over all pixels, scaled by the share of those that are selected.
    scaled = ((drawn - masks) ** 2).mean() * selected.mean()
    assert of_masks(where, labels, released=True)["skeleton"] == pytest.approx(scaled, rel=1e-5)


def test_bare_mask_far_from_the_limbs_costs_the_skeleton_nothing_and_the_physique_something() -> None:
    where, labels, drawn, _ = masked_rows()
    before = of_masks(where, labels)
    far = torch.from_numpy(drawn < 0.05)
    labels["mask"] = torch.where(far, 255 - labels["mask"], labels["mask"])
    after = of_masks(where, labels)
    assert after["skeleton"] == pytest.approx(before["skeleton"])
    assert abs(after["physique"] - before["physique"]) > 0.05


def test_geodesic_weights_count_in_both_losses() -> None:
    where, labels, drawn, masks = masked_rows()
    weight = np.stack([geodesic_weight(np.uint8(255) * mask.astype(np.uint8)) for mask in masks])
    selected, skeleton, physique = drawn > 0.1, (drawn - masks) ** 2, (0.8 * drawn - masks) ** 2
    found = of_masks(where, labels, geodesic=GeodesicWeights())
    # The weights are remembered in half precision.
    assert found["skeleton"] == pytest.approx((skeleton * weight)[selected].sum() / weight[selected].sum(), rel=2e-3)
    assert found["physique"] == pytest.approx((physique * weight).sum() / weight.sum(), rel=2e-3)
    plain = of_masks(where, labels)
    assert all(abs(found[name] / plain[name] - 1) > 0.02 for name in plain)


def test_photos_alone_are_drawn_where_there_are_any() -> None:
    """Rendered people have masks too, and joints besides; photos without a mask are not drawn either."""
    where, labels, drawn, masks = masked_rows()
    photo = {name: values[1:2] for name, values in labels.items()}
    labels["has_joints"] = torch.tensor([1.0, 0.0, 0.0])
    labels["has_mask"][2] = 0
    assert of_masks(where, labels) == pytest.approx(of_masks(where[1:2], photo))
    where.requires_grad_()
    terms = mask_losses(where, labels, LINK, lambda drawn: drawn, size=SIZE, released=False)
    (terms["skeleton"] + terms["physique"]).backward()
    assert where.grad is not None
    assert (where.grad.abs().sum((1, 2)) > 0).tolist() == [False, True, False]
    # Without photos rendered people are drawn: better than nobody.
    labels["has_joints"] = torch.ones(3)
    selected = drawn[:2] > 0.1
    expected = ((drawn[:2] - masks[:2]) ** 2)[selected].mean()
    assert of_masks(where.detach(), labels)["skeleton"] == pytest.approx(expected, rel=1e-5)


class Flesh(nn.Module):
    """A physique network that gives the skeleton's own mask, lightened."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.8))

    def forward(self, drawn: Tensor) -> Tensor:
        return self.share * drawn


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("geodesic", [False, True])
def test_in_training_masks_are_compared_as_the_settings_say(released: bool, geodesic: bool) -> None:
    """Skeletons stand where joints are expected over the whole picture, here between two cells a joint."""
    weights = replace(NOTHING, skeleton=2.0, physique=3.0, released=released)
    columns, rows = somewhere(2)
    level = torch.full((2, JOINTS), SLICES // 2)
    detector, other = Told(columns, rows, level), Told(rows, columns, level)
    detector.volume.data = (0.7 * detector.volume.data.exp() + 0.3 * other.volume.data.exp()).log()
    task = told_task(detector, weights, geodesic=geodesic)
    task.modules["physique"] = Flesh()
    _, masked, _, _ = masked_rows()
    batch = rows_of(torch.zeros(2, JOINTS, 3), pairs=0) | {"mask": masked["mask"][:2]}
    found = task.losses(batch)

    x, y = cell_of(columns), cell_of(rows)
    where = torch.stack([0.7 * x + 0.3 * y, 0.7 * y + 0.3 * x], dim=-1)
    # As released cells are counted from their edge.
    where = where - 1 / SIDE if released else where
    weighed = GeodesicWeights(released=released) if geodesic else None
    expected = mask_losses(where, batch, Limbs.of(), Flesh(), size=SIZE, released=released, geodesic=weighed)
    for name, weight in (("skeleton", 2.0), ("physique", 3.0)):
        assert found[name].item() == pytest.approx(weight * expected[name].item(), rel=1e-4), name


# The critic.


def scores_of(critic: PoseGraphCritic, joints: Tensor) -> np.ndarray:
    """Everybody judged alone, as they are."""
    with torch.no_grad():
        return np.array([float(critic(pose[None])) for pose in joints.flatten(0, -3)]).reshape(joints.shape[:-2])


def a_critic() -> PoseGraphCritic:
    """One that has never learnt, whose scores lie well apart: it tells axes from each other, and forgets the place."""
    critic = PoseGraphCritic().eval()
    with torch.no_grad():
        critic.head[-1].weight.mul_(20)  # pyright: ignore
    return critic


def won(losses: np.ndarray) -> np.ndarray:
    """Each row's share-out, written out: nine tenths the least, a tenth the mean of the others."""
    least = losses.min(1)
    return 0.9 * least + 0.1 * (losses.sum(1) - least) / (losses.shape[1] - 1)


def test_both_sides_of_the_critic_judge_poses_as_they_are() -> None:
    """In one frame: no hypothesis is taken from the others, no axis exchanged, on neither side."""
    critic, made, real = a_critic(), bodies(3, 2), bodies(4, seed=5)
    judged = torch.tensor([1.0, 0.0, 1.0])
    false, true = scores_of(critic, made), scores_of(critic, real)
    assert false.std() > 0.05
    found = adversarial_losses(made, torch.ones(3, 2, dtype=torch.bool), judged, real, critic, HypothesesWeights())
    photos = [0, 2]
    assert float(found["adversarial"].detach()) == pytest.approx(won((false - 1) ** 2)[photos].mean(), rel=1e-4)
    expected = 0.5 * ((true - 1) ** 2).mean() + 0.5 * won(false**2)[photos].mean()
    assert float(found["critic"].detach()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_critic_sees_every_axis_of_both_sides_alike(axis: int) -> None:
    """Real poses that are the made ones, all moved in one axis: the same scores on both sides, and others than before.

    With one hypothesis the critic's loss is half the generator's, which asks for ones as the real half does, and half
    the mean of squared scores.
    """
    critic, one = a_critic(), torch.ones(4, 1, dtype=torch.bool)
    bent = bodies(4)
    bent[:, 5:9, axis] += 0.4
    both = {}
    for name, poses in (("plain", bodies(4)), ("bent", bent)):
        found = adversarial_losses(poses[:, None], one, torch.ones(4), poses, critic, HypothesesWeights())
        both[name] = found["adversarial"].item(), found["critic"].item()
        squares = (scores_of(critic, poses) ** 2).mean()
        assert both[name][1] == pytest.approx(0.5 * both[name][0] + 0.5 * squares, rel=1e-4)
    assert abs(both["bent"][0] / both["plain"][0] - 1) > 1e-3


def test_in_training_a_photo_that_is_told_a_rendered_pose_scores_as_that_pose() -> None:
    """Detected poses and labels are in one frame: the critic cannot tell them apart by it."""
    columns, rows = (numbers.expand(2, -1) for numbers in somewhere(1))
    slices = torch.randint(2, SLICES - 2, (1, JOINTS), generator=torch.Generator().manual_seed(3)).expand(2, -1)
    joints = torch.stack([cell_of(columns), cell_of(rows), (2 * slices + 1) / SLICES - 1], dim=-1)
    task = told_task(Told(columns, rows, slices), replace(NOTHING, adversarial=0.3), hypotheses=1)
    task.critic = task.modules["critic"] = a_critic()
    found = task.losses(rows_of(joints, pairs=1))
    score = float(scores_of(task.critic, joints[:1])[0])
    assert found["adversarial"].item() == pytest.approx(0.3 * (score - 1) ** 2, rel=1e-3)
    assert found["critic"].item() == pytest.approx(0.3 * (0.5 * (score - 1) ** 2 + 0.5 * score**2), rel=1e-3)


# Places and depths as distributions.


@pytest.mark.parametrize("depth_range", [1.0, 1.5])
def test_the_depth_that_is_shared_out_is_expected_where_the_label_is(depth_range: float) -> None:
    """What the loss pulls towards, read from its gradient: at -target / probability."""
    depths = torch.tensor([-0.93, -0.5, -1 / 64, 0.0, 0.013, 0.4, 0.77, 0.95]) * depth_range
    flat = torch.linspace(-0.9, 0.9, 8)
    joints = torch.stack([flat, -0.3 * flat, depths], dim=-1)[None]
    plane = torch.full((1, 8, SIDE, SIDE), SIDE**-2.0, requires_grad=True)
    depth = torch.full((1, 8, SLICES), 1 / SLICES, requires_grad=True)
    labels = {"joints": joints, "known": torch.ones(1, 8)}
    losses = dense_losses(Marginals(plane=plane, depth=depth), labels, depth_range=depth_range)
    torch.stack(list(losses.values())).sum().backward()
    assert plane.grad is not None
    assert depth.grad is not None
    target = -depth.grad[0] * 8 / SLICES
    torch.testing.assert_close(target.sum(1), torch.ones(8))
    torch.testing.assert_close((target > 1e-6).sum(1).clamp_max(2), (target > 1e-6).sum(1))
    torch.testing.assert_close(target @ centres(SLICES, like=target, reach=depth_range), depths, atol=1e-5, rtol=0)
    place = -plane.grad[0] * 8 / SIDE**2
    middles = centres(SIDE, like=place)
    torch.testing.assert_close(place.sum(1) @ middles, joints[0, :, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(place.sum(2) @ middles, joints[0, :, 1], atol=1e-5, rtol=0)


def test_in_training_a_detector_that_is_right_has_nothing_left_to_learn() -> None:
    """Every joint in the middle of its cell and slice; a slice farther costs as many nats as there can be."""
    columns, rows = somewhere(2)
    slices = torch.randint(2, SLICES - 2, (2, JOINTS), generator=torch.Generator().manual_seed(3))
    joints = torch.stack([cell_of(columns), cell_of(rows), (2 * slices + 1) / SLICES - 1], dim=-1)
    task = told_task(Told(columns, rows, slices), HypothesesWeights())
    right = {name: float(term.detach()) for name, term in task.losses(rows_of(joints, pairs=2)).items()}
    assert right == pytest.approx({"plane": 0, "depth": 0, "pairs": 0}, abs=1e-4)
    moved = joints.clone()
    moved[..., 2] += 2 / SLICES
    wrong = {name: float(term.detach()) for name, term in task.losses(rows_of(moved, pairs=2)).items()}
    assert wrong["depth"] > 15
    assert wrong["plane"] == pytest.approx(0, abs=1e-4)
    assert wrong["pairs"] == pytest.approx(10 * (2 / SLICES) ** 2 / 3, rel=1e-3)


def test_one_hypothesis_learns_its_expected_depth_and_no_distribution() -> None:
    """As the paper's baseline: halfway between two depths nothing is wrong with both."""
    columns, rows = somewhere(1)
    place = torch.stack([cell_of(columns), cell_of(rows)], dim=-1)
    joints = torch.cat([place, torch.zeros(1, JOINTS, 1)], dim=-1)
    task = told_task(Told(columns, rows, [{6: 0.5, SLICES - 7: 0.5}]), HypothesesWeights(), hypotheses=1)
    found = {name: float(term.detach()) for name, term in task.losses(rows_of(joints, pairs=1)).items()}
    assert found == pytest.approx({"plane": 0, "pairs": 0}, abs=1e-4)
