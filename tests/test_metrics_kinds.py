"""Every measure: numpy and torch answer alike and in kind, any leading dimensions, batches change no bit, NaN shows."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from monobody import metrics

RANDOM = np.random.default_rng(3)
FACES = RANDOM.integers(0, 14, (20, 3))
LABELS = RANDOM.integers(0, 3, (2, 14, 3))


def pose(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=(*shape, 14, 3)) * 0.3


def mask(*shape: int) -> np.ndarray:
    visible = RANDOM.random((*shape, 14)) < 0.7
    visible[..., [2, 3, 9, 12, 13]] = True
    return visible


# Each measure with what it takes beside a prediction and a target: (name, function, arguments).
POSES = {
    "joint_errors_mm": metrics.joint_errors_mm,
    "joint_errors_mm in the world": partial(metrics.joint_errors_mm, root=None),
    "mpjpe": metrics.mpjpe,
    "mpjpe of one root": partial(metrics.mpjpe, root=(12,)),
    "mpjpe in the world": partial(metrics.mpjpe, root=None),
    "n_mpjpe": metrics.n_mpjpe,
    "n_mpjpe about the origin": partial(metrics.n_mpjpe, root=None),
    "pa_mpjpe": metrics.pa_mpjpe,
    "align": metrics.align,
    "align rigidly": partial(metrics.align, scaled=False),
    "resized": metrics.resized,
}
MESHES = {"pve": metrics.pve, "area_pve": lambda p, t: metrics.area_pve(p, t, like(FACES, p))}
ERRORS = {"pck_3d": metrics.pck_3d, "auc_3d": metrics.auc_3d}


def like(values: np.ndarray, reference: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    return values if isinstance(reference, np.ndarray) else torch.from_numpy(values)


def same_in_both_kinds(function: Callable, *given: np.ndarray, **named: np.ndarray) -> np.ndarray:
    """Assert that numpy and torch give one answer, each in its kind; return it."""
    for dtype in (np.float64, np.float32):
        arrays = [array.astype(dtype) if array.dtype.kind == "f" else array for array in given]
        tensors = [torch.from_numpy(array) for array in arrays]
        ours = function(*arrays, **named)
        theirs = function(*tensors, **{name: torch.from_numpy(array) for name, array in named.items()})
        assert isinstance(ours, np.ndarray)
        assert isinstance(theirs, torch.Tensor)
        assert str(theirs.dtype) == f"torch.{ours.dtype}"
        assert ours.dtype == dtype or ours.dtype.kind == "i"
        np.testing.assert_array_equal(ours, theirs.numpy())
        assert not np.isnan(ours).all()
    return function(*given, **named)


@pytest.mark.parametrize("name", [*POSES, *MESHES])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3)])
def test_of_poses(name: str, shape: tuple[int, ...]) -> None:
    answer = same_in_both_kinds((POSES | MESHES)[name], pose(*shape), pose(*shape))
    assert answer.shape[: len(shape)] == shape


@pytest.mark.parametrize("name", POSES)
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3)])
def test_of_poses_with_missing_joints(name: str, shape: tuple[int, ...]) -> None:
    same_in_both_kinds(POSES[name], pose(*shape), pose(*shape), counted=mask(*shape))


@pytest.mark.parametrize("name", ERRORS)
def test_of_errors(name: str) -> None:
    for shape in [(14,), (4, 14), (2, 0, 14)]:
        errors = RANDOM.random(shape) * 200
        if errors.size:
            same_in_both_kinds(ERRORS[name], errors)
            same_in_both_kinds(ERRORS[name], errors, counted=mask(*shape[:-1]))
        assert ERRORS[name](errors).shape == shape[:-1]


@pytest.mark.parametrize("measure", [partial(metrics.pck, threshold=0.1), metrics.pckh, metrics.torso_pck])
def test_of_pictures(measure: Callable) -> None:
    target = pose(4)[..., :2]
    predicted = target + 0.1 * RANDOM.normal(size=target.shape)
    assert same_in_both_kinds(measure, predicted, target, visible=mask(4)).shape == ()
    same_in_both_kinds(measure, predicted, target, visible=mask(4), counted=mask(4))


def test_of_sizes_and_hits() -> None:
    target = pose(4)[..., :2]
    size = same_in_both_kinds(metrics.box_side, target, visible=mask(4))
    same_in_both_kinds(metrics.box_diagonal, target, visible=mask(4))
    same_in_both_kinds(partial(metrics.segment_length, ends=(12, 13)), target, visible=mask(4))
    same_in_both_kinds(metrics.hits, pose(4)[..., :2], target, judged=mask(4), within=size)


def test_of_label_maps() -> None:
    target = np.where(RANDOM.random(LABELS.shape) < 0.1, 255, LABELS).astype(np.uint8)
    predicted = LABELS[::-1].astype(np.uint8)
    counts = same_in_both_kinds(partial(metrics.segmentation_counts, classes=3), predicted, target)
    assert counts.shape == (2, 4, 4)
    for measure in (metrics.segmentation_accuracy, metrics.segmentation_f1, metrics.segmentation_iou):
        np.testing.assert_array_equal(measure(counts), measure(torch.from_numpy(counts)).numpy())
    masks = target == 1, predicted == 1
    np.testing.assert_array_equal(metrics.mask_iou(*masks), metrics.mask_iou(*map(torch.from_numpy, masks)).numpy())


def test_of_motion() -> None:
    for fps in (None, 25.0):
        measure = partial(metrics.acceleration_error, fps=fps)
        assert same_in_both_kinds(measure, pose(2, 6), pose(2, 6)).shape == (2, 4)
        same_in_both_kinds(measure, pose(2, 6), pose(2, 6), counted=mask(2, 6))


def test_of_hypotheses() -> None:
    errors, weights = RANDOM.random((2, 4, 3, 14)) * 100, RANDOM.random((2, 4, 3))
    for more in ({}, {"counted": mask(2, 4)}):
        assert same_in_both_kinds(metrics.best_of, errors, **more).shape == (2, 4)
        same_in_both_kinds(partial(metrics.best_of, joint_wise=True), errors, **more)
        same_in_both_kinds(metrics.confident, errors, weights, **more)
        same_in_both_kinds(metrics.expected, errors, weights, **more)
        best = same_in_both_kinds(metrics.best_pose, errors, **more)
    same_in_both_kinds(metrics.best_joints, pose(2, 4, 3), errors)
    same_in_both_kinds(metrics.log_score, weights, best)
    ours, theirs = metrics.calibration(weights, best), metrics.calibration(*map(torch.from_numpy, (weights, best)))
    assert ours.error == theirs.error
    assert isinstance(ours.weights, np.ndarray)
    assert isinstance(theirs.best, torch.Tensor)


@pytest.mark.parametrize("name", [*POSES, *MESHES])
@pytest.mark.parametrize("masked", [False, True])
def test_batches_change_no_bit(name: str, masked: bool) -> None:
    """So that sums do not depend on how a data set was cut into batches."""
    measure = (POSES | MESHES)[name]
    for dtype in (np.float32, np.float64):
        predicted, target = pose(37).astype(dtype), pose(37).astype(dtype)
        named = {"counted": mask(37)} if masked and name in POSES else {}
        together = measure(predicted, target, **named)
        for size in (1, 5, 16):
            for first in range(0, 37, size):
                rows = slice(first, first + size)
                part = measure(predicted[rows], target[rows], **{key: value[rows] for key, value in named.items()})
                np.testing.assert_array_equal(part, together[rows])
        alone = [measure(predicted[row], target[row], **{k: v[row] for k, v in named.items()}) for row in range(37)]
        np.testing.assert_array_equal(np.stack(alone), together)
        # Nor does the layout in memory, as of slices of a larger array.
        strided = [np.asfortranarray(points)[::-1] for points in (predicted, target)]
        turned = {key: value[::-1] for key, value in named.items()}
        np.testing.assert_array_equal(measure(*strided, **turned)[::-1], together)
