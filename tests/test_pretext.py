"""What X as Supervision trains on: masks of skeletons, winners, symmetry, and the graph critic.

Where the released code is known to err there is a test that it would fail.
"""

import math

import pytest
import torch
from torch import Tensor

from monobody.body.skeleton import SKELETONS
from monobody.models.physique import Physique
from monobody.models.pose_graph import PoseGraphCritic, bones_of, canonical
from monobody.models.skeleton_mask import ARM_WIDTH, WIDTH, Limbs, limb_responses, skeleton_mask
from monobody.train.pretext import (
    limb_ratio_losses,
    midpoint_losses,
    over_hypotheses,
    pair_losses,
    skeleton_loss,
    symmetry_losses,
)

XAS = SKELETONS["xas18"]
NAMES = XAS.joints


def bodies(count: int, seed: int = 0) -> Tensor:
    """Random points, one a joint."""
    return torch.randn(count, 18, 3, generator=torch.Generator().manual_seed(seed))


def test_a_limb_has_fallen_to_one_over_e_at_its_width() -> None:
    limbs = Limbs(links=((0, 1),), width=(0.25,))
    places = torch.tensor([[[-0.5, 0.0], [0.5, 0.0]]])
    response = limb_responses(places, limbs, 64)[0, 0]
    # The centre of pixel (31 + 8, 31): 8.5 pixels of 1/32 below the limb.
    off = (2 * 40 + 1) / 64 - 1
    torch.testing.assert_close(float(response[40, 32]), math.exp(-((off / 0.25) ** 2)))
    # Beyond its end a limb is round.
    beyond = (2 * 60 + 1) / 64 - 1 - 0.5
    centre = 1 / 64
    torch.testing.assert_close(float(response[32, 60]), math.exp(-(beyond**2 + centre**2) / 0.0625), rtol=1e-4, atol=0)


def test_the_skeleton_has_seventeen_bones_and_eight_fillers_and_thin_arms() -> None:
    limbs = Limbs.of()
    assert len(limbs.links) == 25
    thin = {frozenset(NAMES[j] for j in link) for link, w in zip(limbs.links, limbs.width, strict=True) if w < WIDTH}
    arms = {frozenset((f"{side}_{a}", f"{side}_{b}")) for side in ("left", "right") for a, b in
            (("shoulder", "elbow"), ("elbow", "wrist"))}  # fmt: skip
    assert thin == arms
    # Arms stay thin however many fillers there are.
    few = Limbs.of(fillers=())
    assert len(few.links) == 17
    assert sum(w == ARM_WIDTH for w in few.width) == 4


def test_masks_move_with_the_joints_and_their_gradient_agrees_with_finite_differences() -> None:
    limbs = Limbs(links=((0, 1), (1, 2)), width=(0.3, 0.2))
    places = torch.tensor([[[-0.41, 0.13], [0.22, -0.31], [0.53, 0.47]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: skeleton_mask(p, limbs, 8), places)
    widths = torch.tensor([[0.3, 0.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: limb_responses(places.detach(), limbs, 6, width=w), widths)


def test_a_limb_without_length_is_a_disc() -> None:
    limbs = Limbs(links=((0, 1),), width=(0.3,))
    places = torch.zeros(1, 2, 2, requires_grad=True)
    mask = skeleton_mask(places, limbs, 16)
    torch.testing.assert_close(mask[0], mask[0].T)
    mask.sum().backward()
    assert places.grad is not None
    assert places.grad.isfinite().all()


def test_bare_mask_away_from_the_limbs_costs_nothing() -> None:
    """The released restriction to the skeleton only scales the whole error."""
    skeleton = torch.zeros(1, 8, 8)
    skeleton[0, 2, 2:6] = 1.0
    person = skeleton.clone()
    person[0, 5] = 1.0
    assert float(skeleton_loss(skeleton, person)) == 0
    assert float(skeleton_loss(skeleton, person, released=True)) == pytest.approx(8 / 64 * 4 / 64)
    # One selected pixel of four is wrong.
    person[0, 2, 2] = 0
    assert float(skeleton_loss(skeleton, person)) == pytest.approx(1 / 4)


def test_weights_of_pixels_really_weigh() -> None:
    skeleton = torch.zeros(1, 4, 4)
    skeleton[0, 0, :2] = 1.0
    person = torch.zeros(1, 4, 4)
    person[0, 0, 0] = 1.0
    weight = torch.ones(1, 4, 4)
    weight[0, 0, 1] = 3.0
    assert float(skeleton_loss(skeleton, person, weight)) == pytest.approx(3 / 4)


def test_everybody_has_a_winner_of_their_own() -> None:
    """The released code takes one for the whole batch."""
    losses = torch.tensor([[1.0, 5.0], [7.0, 2.0]], requires_grad=True)
    over_hypotheses(losses, winner_share=1.0).mean().backward()
    assert losses.grad is not None
    assert losses.grad.tolist() == [[0.5, 0.0], [0.0, 0.5]]
    assert float(over_hypotheses(losses.detach(), winner_share=0.9).mean()) == pytest.approx(
        ((0.9 * 1 + 0.1 * 5) + (0.9 * 2 + 0.1 * 7)) / 2
    )


def test_hypotheses_that_there_are_not_neither_win_nor_share() -> None:
    losses = torch.tensor([[3.0, 1.0, 2.0]], requires_grad=True)
    valid = torch.tensor([[True, False, False]])
    value = over_hypotheses(losses, valid).sum()
    value.backward()
    assert float(value) == 3
    assert losses.grad is not None
    assert losses.grad.tolist() == [[1.0, 0.0, 0.0]]


def test_pairs_are_compared_where_joints_are_known() -> None:
    joints = bodies(2)[:, None].repeat(1, 3, 1, 1)
    target = joints[:, 0].clone()
    joints[:, 1] += 1
    known = torch.ones(2, 18)
    known[:, 4:] = 0
    target[:, 4:] = 100
    torch.testing.assert_close(pair_losses(joints, target, known)[:, :2], torch.tensor([[0.0, 1.0]] * 2))


def test_symmetry_is_between_left_and_right() -> None:
    """The released term compares upper with lower segments of the same limb instead."""
    joints = torch.zeros(1, 1, 18, 3)
    place = {"left_shoulder": (0.2, 0, 0), "left_elbow": (0.5, 0, 0), "left_wrist": (0.7, 0, 0)}
    for name, xyz in place.items():
        joints[0, 0, NAMES.index(name)] = torch.tensor(xyz)
        joints[0, 0, NAMES.index(name.replace("left", "right"))] = torch.tensor((-xyz[0], *xyz[1:]))
    assert float(symmetry_losses(joints)) == pytest.approx(0, abs=1e-12)
    # Upper arms of 0.3 and forearms of 0.2 on both sides: symmetrical people, punished by the other term.
    assert float(limb_ratio_losses(joints)) == pytest.approx(2 * 0.1**2 / 4)
    joints[0, 0, NAMES.index("right_wrist"), 0] = -0.9
    assert float(symmetry_losses(joints)) == pytest.approx(0.2**2 / 6)


def test_thorax_and_pelvis_are_in_the_middle() -> None:
    joints = bodies(3)[:, None]
    for middle, pair in (("thorax", "shoulder"), ("pelvis", "hip")):
        joints[:, :, NAMES.index(middle)] = joints[:, :, [NAMES.index(f"{s}_{pair}") for s in ("left", "right")]].mean(
            2
        )
    assert midpoint_losses(joints).abs().max() < 1e-10
    joints[:, :, NAMES.index("thorax"), 1] += 0.3
    torch.testing.assert_close(midpoint_losses(joints), torch.full((3, 1), 0.09 / 3 / 2))


def test_the_canonical_frame_forgets_place_and_unit_and_nothing_else() -> None:
    joints = bodies(4)
    moved = 3.7 * joints + torch.tensor([1.0, -2.0, 5.0])
    torch.testing.assert_close(canonical(moved), canonical(joints), atol=1e-5, rtol=1e-5)
    assert canonical(joints)[:, NAMES.index("pelvis")].abs().max() == 0
    torch.testing.assert_close(bones_of(canonical(joints)).norm(dim=-1).sum(-1), torch.full((4,), 17.0))
    mirrored = joints * torch.tensor([-1.0, 1.0, 1.0])
    assert not torch.allclose(canonical(mirrored), canonical(joints))


def test_a_body_is_judged_without_looking_at_the_others() -> None:
    """The released normalisation takes its statistics over the whole batch."""
    critic = PoseGraphCritic().eval()
    joints = bodies(6)
    together = critic(joints)
    torch.testing.assert_close(together[2:3], critic(joints[2:3]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(critic(joints * 0.3 + 1), together, atol=1e-4, rtol=1e-4)


def test_the_critic_s_graph_takes_means_over_neighbours() -> None:
    critic = PoseGraphCritic()
    matrix = critic.neighbours
    torch.testing.assert_close(matrix.sum(1), torch.ones(18))
    pelvis = {NAMES[i] for i in matrix[NAMES.index("pelvis")].nonzero().flatten().tolist()}
    assert pelvis == {"pelvis", "left_hip", "right_hip", "torso"}
    assert (matrix > 0).sum() == 18 + 2 * 17


def test_the_gradient_of_a_frozen_critic_reaches_the_bodies_and_not_the_critic() -> None:
    """The released generator step is fed detached joints: it teaches the critic, and never the detector."""
    from torch.func import functional_call

    critic = PoseGraphCritic().eval()
    joints = bodies(3).requires_grad_()
    frozen = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    (functional_call(critic, frozen, (joints,)) - 1).square().mean().backward()
    assert joints.grad is not None
    assert joints.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_the_critic_learns_to_tell_bodies_from_noise() -> None:
    torch.manual_seed(0)
    critic = PoseGraphCritic(width=8)
    optimiser = torch.optim.Adam(critic.parameters(), lr=2e-3)
    real = bodies(1).repeat(24, 1, 1) + 0.05 * bodies(24, 1)
    fake = bodies(24, 2)
    for _ in range(30):
        loss = (critic(real) - 1).square().mean() + critic(fake).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    critic.eval()
    assert (critic(real) > 0.5).float().mean() > 0.95
    assert (critic(fake) < 0.5).float().mean() > 0.95


def test_the_physique_network_learns_flesh() -> None:
    """Skeletons of two points to discs about them: the mask it is shown is fatter than the one it is given."""
    torch.manual_seed(0)
    limbs, fat = Limbs(links=((0, 1),), width=(0.1,)), Limbs(links=((0, 1),), width=(0.4,))
    places = torch.rand(6, 2, 2) - 0.5
    thin, mask = skeleton_mask(places, limbs, 16), (skeleton_mask(places, fat, 16) > 0.4).float()
    network = Physique()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    first = None
    for _ in range(25):
        loss = (network(thin) - mask).square().mean()
        first = float(loss.detach()) if first is None else first
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert first is not None
    assert float((network(thin) - mask).square().mean().detach()) < 0.4 * first
    assert network(thin).shape == thin.shape
