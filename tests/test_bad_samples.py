"""Samples that nothing can be learnt from: each kind is noticed, passed over the same way every time, and counted."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import UnidentifiedImageError

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.data.crop import Crop
from monobody.data.faults import Fault, Tally, fault_of, read_sample, usable
from monobody.data.mix import ATTEMPTS, Mix, Part, batches, collate
from monobody.data.sample import NO_AUGMENT, Sample
from monobody.errors import UserError
from monobody.models.detectors import build_detector
from monobody.train.hypotheses_labels import SETS, people_labels
from monobody.train.hypotheses_recipes import STAGE_2
from monobody.train.hypotheses_settings import HypothesesSettings
from monobody.train.hypotheses_task import HypothesesTask
from monobody.train.hypotheses_terms import PUBLISHED, HypothesesWeights
from monobody.train.task import Findings

SIZE = 16


def sample(number: int = 0) -> Sample:
    rng = np.random.default_rng(number)
    turn = np.linalg.qr(rng.normal(size=(24, 3, 3)))[0]
    turn[:, :, 0] *= np.linalg.det(turn)[:, None]
    return Sample(
        image=np.full((40, 30, 3), number % 256, np.uint8),
        crop=Crop((15.0, 20.0), 24.0),
        keypoints_px=rng.uniform(5, 25, (19, 2)).astype(np.float32),
        visible=np.ones(19, np.float32),
        joints_cam_m=rng.normal(size=(14, 3)).astype(np.float32) / 2,
        rotations=turn.astype(np.float32),
        betas=rng.normal(size=10).astype(np.float32),
        focal_px=500.0,
        principal_px=(15.0, 20.0),
    )


def changed(name: str, *place: int, value: float) -> Callable[[Sample], Sample]:
    def change(good: Sample) -> Sample:
        array = np.array(getattr(good, name))
        array[place] = value
        return replace(good, **{name: array})

    return change


BAD: list[tuple[str, Callable[[Sample], Sample]]] = [
    ("no number", changed("keypoints_px", 18, 0, value=np.nan)),
    ("right ankle is no number", changed("keypoints_px", 0, 1, value=np.inf)),
    ("right ankle lies .* regions away", changed("keypoints_px", 0, 1, value=1e6)),
    ("visibility", changed("visible", 3, value=np.nan)),
    ("visibility", changed("visible", 3, value=2.0)),
    ("no keypoints", lambda good: replace(good, keypoints_px=None)),
    ("shape", lambda good: replace(good, keypoints_px=good.keypoints_px[:14])),
    ("no joint is visible", lambda good: replace(
        good, visible=np.zeros(19, np.float32), joints_cam_m=None, rotations=None)),
    ("joints_cam_m is no number", changed("joints_cam_m", 2, 2, value=np.nan)),
    (r"3D joints span \d+ m", lambda good: replace(good, joints_cam_m=1000 * good.joints_cam_m)),
    ("3D joints span 0 m", lambda good: replace(good, joints_cam_m=np.zeros((14, 3)))),
    ("joints_cam_m has the shape", lambda good: replace(good, joints_cam_m=np.zeros((17, 3)))),
    ("rotations is no number", changed("rotations", 7, 1, 1, value=np.inf)),
    ("rotations are none", changed("rotations", 7, 1, 1, value=3.0)),
    ("rotations are none", lambda good: replace(good, rotations=-good.rotations)),
    ("rotations are none", lambda good: replace(good, rotations=0 * good.rotations)),
    ("betas is no number", changed("betas", 0, value=np.nan)),
    ("focal length", lambda good: replace(good, focal_px=0.0)),
    ("focal length", lambda good: replace(good, principal_px=(np.nan, 0.0))),
    ("1 x 1 pixels", lambda good: replace(good, image=good.image[:1, :1])),
    ("0 x 0 pixels", lambda good: replace(good, image=good.image[:0, :0])),
    ("8-bit RGB", lambda good: replace(good, image=good.image[..., 0])),
    ("8-bit RGB", lambda good: replace(good, image=good.image / 255)),
    ("8-bit RGB", lambda good: replace(good, image=None)),
    ("outside of the picture", lambda good: replace(good, crop=Crop((-90.0, 20.0), 24.0))),
    ("pixels large", lambda good: replace(good, crop=Crop((15.0, 20.0), 1e-6))),
    ("pixels large", lambda good: replace(good, crop=Crop((15.0, 20.0), 1e9))),
]  # fmt: skip


@pytest.mark.parametrize(("words", "spoil"), BAD, ids=[f"{n}-{words}" for n, (words, _) in enumerate(BAD)])
def test_each_fault_is_named(words: str, spoil: Callable[[Sample], Sample]) -> None:
    found = read_sample([spoil(sample())], 0)
    assert isinstance(found, Fault)
    assert re.search(words, found.reason), found.reason


GOOD: list[Callable[[Sample], Sample]] = [
    lambda good: good,
    lambda good: replace(good, joints_cam_m=None, rotations=None, betas=None, focal_px=None, principal_px=None),
    lambda good: replace(good, visible=np.zeros(19, np.float32)),
    lambda good: replace(good, visible=np.eye(19, dtype=np.float32)[0], keypoints_px=np.where(
        np.arange(19)[:, None] == 0, good.keypoints_px, np.nan).astype(np.float32)),
    lambda good: replace(good, rotations=good.rotations.astype(np.float16)),
    lambda good: replace(good, crop=Crop((-5.0, 44.0), 30.0)),
]  # fmt: skip


@pytest.mark.parametrize("change", GOOD)
def test_what_is_merely_unknown_is_no_fault(change: Callable[[Sample], Sample]) -> None:
    assert fault_of(change(sample())) is None


class Some(Sequence[Sample]):
    """Samples of which some cannot be read, each in its own way."""

    ways = (
        UserError("im00003.jpg is damaged."),
        OSError("image file is truncated"),
        UnidentifiedImageError("no"),
        KeyError("labels"),
        SyntaxError("broken PNG"),
    )

    def __init__(self, count: int, bad: Callable[[int], bool]) -> None:
        self.count, self.bad = count, bad

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if self.bad(index):
            raise self.ways[index % len(self.ways)]
        return sample(index)


def mix_of(samples: Sequence[Sample]) -> Mix:
    return Mix([Part(samples=samples, share=1.0, augment=NO_AUGMENT)], size=SIZE, seed=3)


def numbers_of(batch: dict[str, torch.Tensor]) -> list[int]:
    """The samples of a batch: each is as bright as its number."""
    return batch["images"][:, 0, SIZE // 2, SIZE // 2].tolist()


def test_good_rows_are_what_they_were_and_bad_ones_are_others() -> None:
    whole, holed = mix_of(Some(200, lambda n: False)), mix_of(Some(200, lambda n: n % 40 == 7))
    moved = 0
    for number in range(200):
        before, after = whole[number], holed[number]
        assert before["skipped"] == 0
        if after["skipped"] == 0:
            np.testing.assert_array_equal(before["images"], after["images"])
        else:
            moved += 1
            assert before["images"][0, 8, 8] % 40 == 7
            assert after["images"][0, 8, 8] % 40 != 7
            assert after["visible"].all()
            faults = list(holed.faults(number))
            assert len(faults) == after["skipped"]
            assert faults[0].index == before["images"][0, 8, 8]
    assert moved == 5, "one pass has each of the five once"


@pytest.mark.parametrize("workers", [0, 2])
def test_counts_come_back_and_resumed_rows_are_the_same(workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    mix = mix_of(Some(300, lambda n: n == 7))
    stream = batches(mix, size=20, first=0, workers=workers)
    drawn = [next(stream) for _ in range(15)]
    assert sum(int(batch["skipped"].sum()) for batch in drawn) == 1
    assert "passed over Some 7: UnidentifiedImageError (no)" in capfd.readouterr().err
    again = batches(mix, size=20, first=9)
    for batch in drawn[9:]:
        assert numbers_of(next(again)) == numbers_of(batch)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_refuses_a_set_of_many_bad_samples(workers: int) -> None:
    """With workers, too, it is one sentence of the process that trains, without any worker's traceback."""
    stream = batches(mix_of(Some(300, lambda n: n % 10 == 3)), size=20, first=0, workers=workers)
    with pytest.raises(UserError, match="more than 1 %: Some") as refused:
        list(islice(stream, 100))
    assert "\n" not in str(refused.value)
    assert str(refused.value).count("KeyError ('labels')") == 3
    assert re.search(r"and \d+ more", str(refused.value))


def test_a_set_that_is_bad_throughout_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="cannot be used"):
        next(batches(mix_of(Some(300, lambda n: True)), size=4, first=0))


def test_a_row_without_any_usable_sample_says_nothing() -> None:
    row = mix_of(Some(30, lambda n: True))[5]
    assert row["skipped"] == ATTEMPTS
    assert not any((row["visible"].any(), row["has_joints_3d"], row["has_body"], row["has_betas"]))
    assert all(np.isfinite(value).all() for value in row.values())


def test_few_bad_samples_are_never_refused_and_many_always() -> None:
    for share, refused in ((0.005, False), (0.02, True), (0.1, True)):
        ends = []
        for seed in range(20):
            tally, rng = Tally(), np.random.default_rng(seed)
            try:
                for _ in range(1500):
                    tally.add(32, int(rng.binomial(32, share)))
            except UserError:
                pass
            ends.append(tally.drawn)
        assert (max(ends) < 48_000) if refused else (min(ends) == 48_000)
    # The more of them are bad, the sooner it is noticed.
    tally = Tally()
    with pytest.raises(UserError):
        tally.add(20, 5)


def somebody(number: int) -> Sample:
    """A sample with a mask whose joints stand four metres before a camera that sees two metres of them."""
    good = sample(number)
    mask = np.zeros((40, 30), np.uint8)
    mask[10:30, 10:20] = 255
    assert good.joints_cam_m is not None
    return replace(good, mask=mask, focal_px=50.0, joints_cam_m=good.joints_cam_m + np.array([0, 0, 4], np.float32))


ONE_JOINT = np.eye(19, dtype=np.float32)[4]
ODD: list[Callable[[Sample], Sample]] = [
    changed("joints_cam_m", 2, 2, value=np.nan),
    changed("betas", 0, value=np.nan),
    lambda good: replace(good, visible=ONE_JOINT, keypoints_px=np.where(
        ONE_JOINT[:, None] > 0, good.keypoints_px, np.nan)),
    lambda good: replace(good, visible=ONE_JOINT, joints_cam_m=None, rotations=None, betas=None, mask=None),
    lambda good: replace(good, visible=np.zeros(19, np.float32)),
    lambda good: replace(good, joints_cam_m=None, rotations=None, betas=None),
]  # fmt: skip


@pytest.mark.parametrize("weights", [STAGE_2, replace(PUBLISHED, released=True)], ids=["ours", "released"])
def test_several_hypotheses_learn_from_odd_people_and_past_bad_ones(weights: HypothesesWeights) -> None:
    """Labels that are no numbers are passed over; one visible joint, or none, is no reason for a loss to be none."""
    people = [odd(somebody(number)) for number, odd in enumerate(ODD)] + [somebody(6), somebody(7)]
    mix = Mix([Part(samples=people, share=1.0, augment=NO_AUGMENT)], size=32, seed=3, masks=True)
    rows = collate([mix[number] for number in range(len(people))])
    assert rows["skipped"].sum() >= 2
    assert 0 < rows["has_body"].sum() < len(people)
    poser = JointBody.from_body(Body.load(), SETS)
    labels = people_labels(rows, poser)
    assert labels["known"].any()
    assert all(bool(values.isfinite().all()) for values in labels.values())
    detector = build_detector("xas-mini", size=32, first=8, width=8)
    task = HypothesesTask(
        detector,
        lambda *_: iter([rows]),
        lambda module: Findings(numbers={}),
        HypothesesSettings(weights=weights, mask_size=16),
        labels=lambda rows: people_labels(rows, poser),
    )
    losses = task.losses(next(task.batches(0, process=0, processes=1)))
    assert all(bool(value.detach().isfinite()) for value in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    grads = [p.grad for module in task.modules.values() for p in module.parameters() if p.grad is not None]
    assert all(bool(grad.isfinite().all()) for grad in grads)
    assert any(bool(grad.any()) for grad in grads)


class Killing(Some):
    """Samples of which one takes all memory there is."""

    def __getitem__(self, index: int) -> Sample:
        if index == 60:
            os.kill(os.getpid(), signal.SIGKILL)
        return sample(index)


@pytest.mark.slow
def test_a_killed_loader_is_one_sentence() -> None:
    """In a program of its own: torch tells of a dead worker again and again, wherever the program is by then."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_bad_samples import Killing, UserError, batches, mix_of\n"
        "stream = batches(mix_of(Killing(64, lambda n: False)), size=8, first=0, workers=1)\n"
        "try:\n"
        "    for _ in range(9): next(stream)\n"
        "except UserError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "for want of memory" in done.stdout


def test_a_bug_is_no_bad_sample_where_the_row_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from monobody.data import mix

    def broken(*_: object, **__: object) -> None:
        raise AssertionError("a mistake of ours")

    monkeypatch.setattr(mix, "training_row", broken)
    with pytest.raises(AssertionError):
        next(batches(mix_of(Some(30, lambda n: False)), size=4, first=0))


def test_validation_samples_are_named_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    some = Some(300, lambda n: n == 8)
    assert len(usable(some, range(0, 300, 2), what="validation photos")) == 149
    assert "1 of 150 validation photos cannot be used: Some 8: KeyError ('labels')." in capsys.readouterr().err
    with pytest.raises(UserError, match=r"30 of 300 validation photos.*and 27 more"):
        usable(Some(300, lambda n: n % 10 == 3), range(300), what="validation photos")


KEPT_TO_THE_END = """
import os, signal, sys, time
import numpy as np
from monobody.data.crop import Crop
from monobody.data.mix import Mix, Part, batches
from monobody.data.sample import NO_AUGMENT, Sample

sample = Sample(
    image=np.full((40, 30, 3), 9, np.uint8), crop=Crop((15.0, 20.0), 24.0),
    keypoints_px=np.full((19, 2), 9, np.float32), visible=np.ones(19, np.float32),
)
mix = Mix([Part(samples=[sample], share=1.0, augment=NO_AUGMENT)], size=16, seed=0)
rows = batches(mix, size=2, first=0, workers=1)
next(rows)
if sys.argv[1] == "told":
    # A cluster tells everybody to end: rows are still to be had for the step that a run is in.
    (loader,) = map(int, open(f"/proc/self/task/{os.getpid()}/children").read().split())
    os.kill(loader, signal.SIGTERM)
    time.sleep(0.5)
    for _ in range(20):
        next(rows)
print("over", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("case", ["", "told"])
def test_a_program_ends_though_its_loaders_still_run(case: str) -> None:
    """Nobody closes the rows; the loader obeys when its program ends, and not before."""
    done = subprocess.run(
        [sys.executable, "-c", KEPT_TO_THE_END, case], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["over"]
