"""X as Supervision in training: who learns from which loss, what the recipes do, and what is measured."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from monobody.body import assets, model
from monobody.body.bones import usual_bones_m
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.cli import main
from monobody.data.geodesic import GeodesicWeights
from monobody.models.decode import decode_marginals, joints_of
from monobody.models.detectors import build_detector, detector_of
from monobody.models.marginals import Marginals, marginals
from monobody.models.released_decoding import released_joints
from monobody.models.skeleton_mask import Limbs
from monobody.models.storage import load_weights, read_card
from monobody.train.engine import fit
from monobody.train.hypotheses_recipes import STAGE_2
from monobody.train.hypotheses_settings import HypothesesSettings
from monobody.train.hypotheses_task import HypothesesTask
from monobody.train.hypotheses_terms import PUBLISHED, HypothesesWeights, dense_losses, mask_losses
from monobody.train.hypotheses_validation import (
    Answers,
    answers_of,
    choices,
    repaired_bodies,
    repaired_joints,
)
from monobody.train.log import read_table
from monobody.train.plan import Plan
from monobody.train.recipes import RECIPES, find_recipe
from monobody.train.task import Batch, Findings

XAS = SKELETONS["xas18"]
SIZE = 64


def a_batch(*, pairs: int = 3, photos: int = 3) -> Batch:
    """Random pictures; the first have joints that look like somebody standing, all have a mask."""
    generator = torch.Generator().manual_seed(0)
    count = pairs + photos
    joints = torch.rand(count, 18, 3, generator=generator) - 0.5
    joints[:, 0, 2] = 0
    known = torch.zeros(count, 18)
    known[:pairs] = 1
    mask = torch.zeros(count, SIZE, SIZE, dtype=torch.uint8)
    mask[:, 12:52, 20:44] = 255
    return {
        "images": torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8),
        "mask": mask, "has_mask": torch.ones(count), "joints": joints, "known": known,
        "has_joints": known[:, 0].clone(), "small": torch.tensor(False),
    }  # fmt: skip


def a_task(weights: HypothesesWeights, *, hypotheses: int = 3) -> HypothesesTask:
    torch.manual_seed(0)
    detector = build_detector("xas-mini", size=SIZE, first=8, width=16)
    # A volume that has opinions.
    nn.init.normal_(detector.volume.weight, std=0.3)  # pyright: ignore

    def stream(first: int, process: int, processes: int) -> Iterator[Batch]:
        while True:
            yield a_batch()

    return HypothesesTask(
        detector,
        stream,
        lambda module: Findings(numbers={}),
        HypothesesSettings(weights=weights, hypotheses=hypotheses, bare_share=0.0, mask_size=16),
    )


def touched(module: nn.Module) -> bool:
    return any(p.grad is not None and float(p.grad.abs().max()) > 0 for p in module.parameters())


NOTHING = HypothesesWeights(plane=0, depth=0, pairs=0)


@pytest.mark.parametrize(
    ("term", "learn"),
    [
        ("plane", {"detector"}),
        ("depth", {"detector"}),
        ("pairs", {"detector"}),
        ("skeleton", {"detector"}),
        ("physique", {"detector", "physique"}),
        ("symmetry", {"detector"}),
        ("midpoints", {"detector"}),
        ("adversarial", {"detector"}),
        ("critic", {"critic"}),
    ],
)
def test_every_loss_teaches_whom_it_should(term: str, learn: set[str]) -> None:
    """Above all: the critic's verdict reaches the detector, and leaves nothing in the critic (the released code: none
    in the detector, and a stray one in the critic)."""
    weights = replace(NOTHING, **{"adversarial" if term == "critic" else term: 1.0})
    task = a_task(weights)
    task.losses(a_batch())[term].backward()
    assert {name for name, module in task.modules.items() if touched(module)} == learn


def test_as_released_the_critics_verdict_reaches_nobody() -> None:
    task = a_task(replace(PUBLISHED, released=True, skeleton=0, physique=0))
    losses = task.losses(a_batch())
    assert not losses["adversarial"].requires_grad
    losses["critic"].backward()
    assert touched(task.modules["critic"])
    assert not touched(task.modules["detector"])


def test_photos_are_not_asked_for_joints_and_pairs_not_judged() -> None:
    """No 3D label of a photo can matter: it is not looked at. Rendered people are not what the critic tells apart."""
    task, batch = a_task(replace(STAGE_2, plane=1.0)), a_batch()

    def losses(rows: Batch) -> dict[str, float]:
        torch.manual_seed(0)  # The critic drops out.
        return {name: float(value.detach()) for name, value in task.losses(rows).items()}

    moved = batch | {"joints": batch["joints"].clone()}
    moved["joints"][3:] = 0.7
    assert losses(moved) == pytest.approx(losses(batch), rel=1e-5)
    nobody = losses(a_batch(pairs=6, photos=0))
    assert (nobody["adversarial"], nobody["symmetry"]) == (0, 0)


def test_a_batch_without_masks_pairs_or_photos_costs_nothing_and_is_no_nan() -> None:
    task = a_task(STAGE_2)
    for batch in (a_batch(pairs=0), a_batch(photos=0), a_batch() | {"has_mask": torch.zeros(6)}):
        losses = task.losses(batch)
        assert all(bool(value.detach().isfinite()) for value in losses.values())
        torch.stack(list(losses.values())).sum().backward()


def test_geodesic_weights_make_hands_and_feet_count_more() -> None:
    """A limb drawn over the trunk's edge and over the hand's: the latter's errors cost more with weights."""
    mask = torch.zeros(1, SIZE, SIZE, dtype=torch.uint8)
    mask[:, 8:56, 28:36] = 255
    mask[:, 12:16, 4:28] = 255
    labels = {"mask": mask, "has_mask": torch.ones(1), "has_joints": torch.zeros(1)}
    limbs = Limbs(links=((0, 1),), width=(0.08,))

    def grown(end: float) -> float:
        """By how much the loss falls when a limb along the arm, drawn too thin, stands nearer to the hand."""
        where = torch.tensor([[[end, -0.56], [end + 0.1, -0.56]]])
        losses = [
            mask_losses(where, labels, limbs, lambda drawn: drawn, size=SIZE, released=False, geodesic=weights)
            for weights in (GeodesicWeights(), None)
        ]
        return float(losses[0]["physique"] / losses[1]["physique"])

    # What is missed of the trunk weighs little, what is missed of the hand much.
    assert grown(-0.1) > 1.03 * grown(-0.8)


@pytest.mark.parametrize("weights", [STAGE_2, replace(PUBLISHED, released=True)], ids=["ours", "released"])
def test_a_step_asks_the_detector_once_for_all_rows_on_one_processor(
    weights: HypothesesWeights, tmp_path: Path
) -> None:
    """Critic and detector learn from the same pass; nothing asks for a graphics card or for other processes."""
    task, asked = a_task(weights), []
    task.detector.register_forward_hook(lambda module, inputs, said: asked.append(len(inputs[0])))
    before = {name: [p.clone() for p in module.parameters()] for name, module in task.modules.items()}
    fit(task, Plan(steps=2, warmup_steps=0, device="cpu"), tmp_path)
    assert asked == [6, 6]
    assert not torch.distributed.is_initialized()
    for name, module in task.modules.items():
        assert not any(isinstance(each, nn.SyncBatchNorm) for each in module.modules())
        assert any(not torch.equal(p, q) for p, q in zip(module.parameters(), before[name], strict=True)), name


def test_a_stage_begins_with_its_own_rates_and_remembers_no_other_s() -> None:
    first = a_task(STAGE_2)
    settings = replace(first.settings, rate=3e-4, critic_rate=7e-5)
    second = HypothesesTask(first.detector, first.stream, lambda module: Findings(numbers={}), settings)
    rates = {name: {group["lr"] for group in found.param_groups} for name, found in second.optimisers.items()}
    assert rates == {"detector": {3e-4}, "critic": {7e-5}}
    assert not any(found.state for found in second.optimisers.values())


def test_training_needs_no_body_file_besides_what_makes_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The released code builds its network from SMPL's pickle, and never uses it."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a body was asked for")

    for module in (assets, model):
        monkeypatch.setattr(module, "load_body_data", refused)
    assert a_task(STAGE_2).losses(a_batch())


@pytest.mark.slow
def test_a_detector_learns_one_batch_by_heart() -> None:
    """Most places come to lie within a cell, and most confident depths within a slice or two."""
    task, batch = a_task(HypothesesWeights()), a_batch(pairs=2, photos=0)
    detector, optimiser = task.modules["detector"], torch.optim.Adam(task.modules["detector"].parameters(), lr=5e-3)
    for _ in range(120):
        optimiser.zero_grad()
        torch.stack(list(task.losses(batch).values())).sum().backward()
        optimiser.step()
    # Batch norm knows this batch alone: asked as it was trained.
    said = marginals(detector(batch["images"].float() / 255).detach())
    where, modes = joints_of(said, modes=3, depth_range=1.0)
    assert float((where - batch["joints"][..., :2]).norm(dim=-1).median()) < 0.06
    assert float((modes.depth[:, 0] - batch["joints"][..., 2]).abs().median()) < 0.06


def test_undecided_depths_stay_undecided_with_several_hypotheses_and_blur_with_one() -> None:
    """One picture, two truths: the distribution ends with two modes; the mean of the single variant lies between."""
    logits = torch.zeros(2, 1, 32, requires_grad=True)
    plane = torch.full((2, 1, 4, 4), 1 / 16)
    joints = torch.tensor([[[0.0, 0.0, -0.5]], [[0.0, 0.0, 0.5]]])
    labels = {"joints": joints, "known": torch.ones(2, 1)}
    optimiser = torch.optim.Adam([logits], lr=0.2)
    for _ in range(200):
        optimiser.zero_grad()
        shared = logits.mean(0, keepdim=True).expand(2, -1, -1).softmax(-1)
        dense_losses(Marginals(plane=plane, depth=shared), labels, depth_range=1.0)["depth"].backward()
        optimiser.step()
    said = Marginals(plane=plane, depth=logits.detach().mean(0, keepdim=True).expand(2, -1, -1).softmax(-1))
    depths = joints_of(said, modes=3, depth_range=1.0)[1].depth[0, :2, 0]
    assert sorted(round(float(depth), 1) for depth in depths) == [-0.5, 0.5]
    assert abs(float(joints_of(said, modes=1, depth_range=1.0)[1].depth[0, 0, 0])) < 0.05


def test_axes_are_not_mixed_up_in_a_volume_that_is_no_cube() -> None:
    volume = torch.full((1, 18, 16, 8, 4), -20.0)
    volume[..., 12, 5, 1] = 20.0
    said = marginals(volume)
    decoded = decode_marginals(said, torch.ones(18))
    expected = torch.tensor([2 * 1.5 / 4 - 1, 2 * 5.5 / 8 - 1, 2 * 12.5 / 16 - 1])
    torch.testing.assert_close(decoded.joint_wise[0, 0, 3], expected)
    torch.testing.assert_close(decoded.whole[0, 0, 3], expected)


def test_the_released_decoding_keeps_its_faults() -> None:
    """A single clear peak gives arbitrary second hypotheses; a mode at the end is no peak."""
    depth = torch.full((1, 1, 64), 1e-4)
    depth[..., 10] = 1.0
    said = Marginals(plane=torch.full((1, 1, 4, 4), 1 / 16), depth=depth / depth.sum())
    joints, found = released_joints(said, modes=3, depth_range=1.0)
    assert abs(float(joints[0, 0, 0, 2]) - (2 * 10 / 64 - 1)) < 0.05
    assert bool(found.valid.all())
    end = torch.full((1, 1, 64), 1e-4)
    end[..., 0] = 1.0
    at_end, _ = released_joints(Marginals(plane=said.plane, depth=end / end.sum()), modes=3, depth_range=1.0)
    assert float(at_end[0, 0, 0, 2]) > -0.9
    own = joints_of(Marginals(plane=said.plane, depth=end / end.sum()), modes=3, depth_range=1.0)[1]
    assert float(own.depth[0, 0, 0]) < -0.9


def poses(*shape: int) -> Tensor:
    return torch.rand(*shape, 18, 3, generator=torch.Generator().manual_seed(1)) - 0.5


def test_choices_take_what_they_say() -> None:
    truth = poses(2)
    joint_wise = torch.stack([truth + 0.5, truth.clone(), truth - 0.2], dim=1)
    joint_wise[:, 0, 4] = truth[:, 4]
    joint_wise[:, 1, 4] += 0.3
    whole = torch.stack([truth + torch.rand(2, 18, 3), truth + 0.1], dim=1)
    taken = choices(Answers(joint_wise=joint_wise, whole=whole, weight=torch.tensor([[0.6, 0.4]] * 2)), truth)
    torch.testing.assert_close(taken["confident"], joint_wise[:, 0])
    torch.testing.assert_close(taken["best_joints"], truth)
    torch.testing.assert_close(taken["whole"], whole[:, 0])
    # Whole poses are compared root upon root: one that is merely elsewhere is right.
    torch.testing.assert_close(taken["best_whole"], whole[:, 1])


def test_repairs_exchange_sides_and_nothing_else() -> None:
    truth = poses(3)
    swapped = truth[:, list(XAS.flip)].clone()
    torch.testing.assert_close(repaired_bodies(swapped, truth), truth)
    torch.testing.assert_close(repaired_joints(swapped, truth), truth)
    torch.testing.assert_close(repaired_bodies(truth, truth), truth)
    # One exchanged arm: mended joint by joint, not by turning the whole body.
    arm = [XAS.index(f"{side}_wrist") for side in ("left", "right")]
    one = truth.clone()
    one[:, arm] = truth[:, arm[::-1]]
    torch.testing.assert_close(repaired_joints(one, truth), truth)
    torch.testing.assert_close(repaired_bodies(one, truth), one)


def test_everybody_is_measured_once_whatever_the_batches() -> None:
    """The released evaluation pads to whole batches and counts some people twice."""
    detector = build_detector("xas-mini", size=32, first=8, width=8).eval()
    images = torch.randint(0, 256, (27, 3, 32, 32), dtype=torch.uint8)
    usual_m = usual_bones_m(Body.load())
    found = answers_of(detector, images, usual_m)
    assert len(found.whole) == 27
    torch.testing.assert_close(found.whole[26:], answers_of(detector, images[26:], usual_m).whole, atol=1e-4, rtol=0)


OURS = sorted(n for n in RECIPES if (h := find_recipe(n).hypotheses) is not None and h.joint_set == "xas18")


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_every_recipe_makes_two_steps(name: str, tmp_path: Path) -> None:
    size = [] if find_recipe(name).model == "xas-blaze" else ["--size", "64"]
    command = ["train", name, "--steps", "2", "--batch", "3", "--workers", "0", *size, "--out", str(tmp_path)]
    assert main([*command, "--device", "cpu"]) == 0
    losses = read_table(tmp_path / "train.csv")
    assert losses["step"] == [1, 2]
    assert all(np.isfinite(column).all() for column in losses.values())
    settings = find_recipe(name).hypotheses
    assert settings is not None
    for term in ("plane", "depth", "pairs", "skeleton", "physique", "symmetry", "midpoints", "adversarial"):
        wanted = getattr(settings.weights, term) > 0 and not (term == "depth" and settings.hypotheses == 1)
        assert (term in losses) == wanted, term
    card = read_card(tmp_path / "weights.safetensors")
    load_weights(detector_of(card), tmp_path / "weights.safetensors", body_digest=Body.load().digest)
    assert card["joint_set"] == "xas18"
    assert "synthetic people" in card["data"]


@pytest.mark.slow
def test_the_second_stage_has_its_own_learning_rate(tmp_path: Path) -> None:
    """The released code restores the first stage's optimiser, and with it the rate that was left of it."""
    first = ["train", "xas-tiny", "--steps", "2", "--out", str(tmp_path / "1"), "--device", "cpu"]
    assert main(first) == 0
    second = ["train", "xas-tiny", "--steps", "1", "--out", str(tmp_path / "2"), "--device", "cpu"]
    assert main([*second, "--start", str(tmp_path / "1" / "weights.safetensors")]) == 0
    # Warm-up of two steps: the first has half of the recipe's rate again.
    assert read_table(tmp_path / "2" / "train.csv")["rate"] == [0.5]
