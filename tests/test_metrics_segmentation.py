"""Label maps counted by hand, as UP-3D counts, and by torchmetrics and pycocotools."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score, multiclass_jaccard_index

from monobody.metrics import mask_iou, segmentation_accuracy, segmentation_counts, segmentation_f1, segmentation_iou

TRUTH = np.array([[0, 0, 1, 1], [0, 2, 2, 255], [2, 2, 255, 0]], np.uint8)
FOUND = np.array([[0, 1, 1, 1], [0, 2, 1, 2], [2, 0, 0, 0]], np.uint8)


def test_counts_by_hand() -> None:
    """Rows are true labels, columns those found; the last ones are of 255."""
    counts = segmentation_counts(FOUND, TRUTH, classes=3)
    np.testing.assert_array_equal(counts, [[3, 1, 0, 0], [0, 2, 0, 0], [1, 1, 2, 0], [1, 0, 1, 0]])


def test_up_3d_by_hand() -> None:
    counts = segmentation_counts(FOUND, TRUTH, classes=3)
    # 7 of the 10 pixels with a label, and one of the two without, where background was found.
    np.testing.assert_allclose(segmentation_accuracy(counts), 100 * 8 / 12)
    np.testing.assert_allclose(segmentation_accuracy(counts, ignored_is_background=False), 100 * 7 / 10)
    # Background: 3 right, 1 too many, 1 missed. Label 1: 2, 2, 0. Label 2: 2, 0, 2: finding it on 255 is no fault.
    np.testing.assert_allclose(segmentation_f1(counts), [6 / 8, 4 / 6, 4 / 6])
    np.testing.assert_allclose(segmentation_iou(counts), [3 / 5, 2 / 4, 2 / 4])


def test_255_found_is_background_for_accuracy_and_nothing_for_f1() -> None:
    counts = segmentation_counts(np.full((1, 3), 255), np.array([[0, 1, 255]]), classes=2)
    np.testing.assert_allclose(segmentation_accuracy(counts), 100 * 2 / 3)
    np.testing.assert_allclose(segmentation_accuracy(counts, ignored_is_background=False), 0)
    np.testing.assert_array_equal(segmentation_f1(counts), [0, 0])


def test_foreground_of_masks_by_hand() -> None:
    truth = np.array([[True, True, True, False, False]])
    found = np.array([[False, True, True, True, False]])
    counts = segmentation_counts(found, truth, classes=2)
    np.testing.assert_allclose(segmentation_accuracy(counts), 60)
    np.testing.assert_allclose(segmentation_f1(counts), [2 / 4, 4 / 6])
    np.testing.assert_allclose(mask_iou(found, truth), 2 / 4)


def test_counts_are_added_before_anything_is_divided() -> None:
    """A picture with a small person counts for little; the mean of two F1 would be another number."""
    large = segmentation_counts(np.ones((10, 10), bool), np.ones((10, 10), bool), classes=2)
    small = segmentation_counts(np.array([[True, False]]), np.array([[False, True]]), classes=2)
    np.testing.assert_allclose(segmentation_f1(large + small), [0.0, 200 / 202])
    assert np.isnan(segmentation_f1(large)[0]), "no background anywhere"
    stacked = np.stack([large, small])
    np.testing.assert_allclose(segmentation_accuracy(stacked), [100, 0])
    np.testing.assert_allclose(segmentation_accuracy(stacked.sum(0)), 100 * 100 / 102)


def published_way(found: np.ndarray, truth: np.ndarray, classes: int) -> tuple[float, float]:
    """SPIN's definition written another way: F1 without pixels whose true label is 255, accuracy with 255 as 0."""
    scores = []
    for label in range(classes):
        seen = (found == label) & (truth != 255)
        scores.append(2 * (seen & (truth == label)).sum() / (seen.sum() + (truth == label).sum()))
    flat_truth, flat_found = np.where(truth == 255, 0, truth), np.where(found == 255, 0, found)
    return 100 * (flat_truth == flat_found).mean(), float(np.mean(scores))


@pytest.mark.parametrize("seed", range(5))
def test_random_maps(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.choice([0, 1, 2, 3, 4, 5, 6, 255], (4, 20, 30))
    found = np.where(random.random(truth.shape) < 0.6, truth, random.choice([0, 1, 2, 3, 4, 5, 6, 255], truth.shape))
    counts = segmentation_counts(found, truth, classes=7)
    assert counts.sum() == truth.size
    np.testing.assert_array_equal(counts[2], segmentation_counts(found[2], truth[2], classes=7))
    accuracy, f1 = published_way(found, truth, 7)
    np.testing.assert_allclose(segmentation_accuracy(counts.sum(0)), accuracy)
    np.testing.assert_allclose(segmentation_f1(counts.sum(0)).mean(), f1)


def test_agrees_with_torchmetrics() -> None:
    random = np.random.default_rng(9)
    truth = random.choice([0, 1, 2, 3, 255], (4, 40, 30), p=[0.4, 0.3, 0.1, 0.1, 0.1])
    found = random.integers(0, 4, truth.shape)
    counts = segmentation_counts(torch.from_numpy(found), torch.from_numpy(truth), classes=4).sum(0)
    given = {"num_classes": 4, "ignore_index": 255}
    pair = torch.from_numpy(found), torch.from_numpy(truth)
    f1 = multiclass_f1_score(*pair, average="none", **given)
    torch.testing.assert_close(segmentation_f1(counts), f1, check_dtype=False)
    iou = multiclass_jaccard_index(*pair, average="none", **given)
    torch.testing.assert_close(segmentation_iou(counts), iou, check_dtype=False)
    accuracy = 100 * multiclass_accuracy(*pair, average="micro", **given)
    ours = segmentation_accuracy(counts, ignored_is_background=False)
    torch.testing.assert_close(ours, accuracy, check_dtype=False)


def test_mask_iou_agrees_with_pycocotools() -> None:
    masks = np.random.default_rng(1).random((2, 6, 25, 31)) < 0.4
    ours = mask_iou(masks[0], masks[1])
    encoded = [[coco_mask.encode(np.asfortranarray(one.astype(np.uint8))) for one in part] for part in masks]
    np.testing.assert_allclose(ours, np.diag(coco_mask.iou(encoded[0], encoded[1], [0] * 6)))
    assert np.isnan(mask_iou(np.zeros((3, 3), bool), np.zeros((3, 3), bool)))
    assert mask_iou(np.zeros((3, 3), bool), np.eye(3, dtype=bool)) == 0


def test_swapped_maps_swap_the_table() -> None:
    counts = segmentation_counts(FOUND, TRUTH, classes=3)
    np.testing.assert_array_equal(segmentation_counts(TRUTH, FOUND, classes=3), counts.T)


@pytest.mark.parametrize(
    ("found", "truth", "said"),
    [
        (np.zeros((3, 4), int), np.zeros((4, 3), int), "cannot be compared"),
        (np.full((1, 1), 7), np.zeros((1, 1), int), "7 is no label: there are 0 to 6, and 255"),
        (np.zeros((1, 1), int), np.full((1, 1), -1), "-1 is no label"),
    ],
)
def test_what_is_refused(found: np.ndarray, truth: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        segmentation_counts(found, truth, classes=7)


def test_masks_are_boolean() -> None:
    with pytest.raises(TypeError, match="boolean"):
        mask_iou(np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="cannot be compared"):
        mask_iou(np.ones((2, 2), bool), np.ones((2, 3), bool))
