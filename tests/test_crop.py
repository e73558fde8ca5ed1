"""Crops: exact round trips, the pixel-centre convention, turned windows, shrinking without aliasing."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monobody.data.crop import Crop, checked_box, extract, hmr_crop, square_box_crop, turn_back
from monobody.errors import UserError

crops = st.builds(
    Crop,
    st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    st.floats(1, 2000),
    st.floats(-10, 10),
)


@given(crops)
def test_points_come_back(crop: Crop) -> None:
    points = np.random.default_rng(0).uniform(-300, 900, (5, 7, 2))
    np.testing.assert_allclose(crop.to_picture(crop.to_crop(points)), points, atol=1e-9)


def test_torch_and_numpy_agree_and_gradients_pass() -> None:
    crop = Crop((30.0, 40.0), 50.0, 0.7)
    points = torch.tensor([[3.0, 4.0], [30.0, 40.0]], dtype=torch.float64, requires_grad=True)
    u = crop.to_crop(points)
    np.testing.assert_allclose(u.detach().numpy(), crop.to_crop(points.detach().numpy()), atol=1e-12)
    crop.to_picture(u).sum().backward()
    np.testing.assert_allclose(points.grad.numpy(), 1.0, atol=1e-12)


def test_positive_angle_turns_the_right_axis_downwards() -> None:
    crop = Crop((0.0, 0.0), 2.0, math.pi / 2)
    np.testing.assert_allclose(crop.to_picture(np.array([1.0, 0.0])), [0.0, 1.0], atol=1e-12)


def test_extract_of_the_whole_picture_is_the_picture() -> None:
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(extract(image, Crop((16.0, 16.0), 32.0), 32), image)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_quarter_turns_permute_pixels(quarter_turns: int) -> None:
    image = np.random.default_rng(2).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    turned = extract(image, Crop((12.0, 12.0), 24.0, quarter_turns * math.pi / 2), 24)
    # A crop turned clockwise shows the picture turned counter-clockwise.
    assert np.abs(turned.astype(int) - np.rot90(image, quarter_turns)).max() <= 1


@settings(max_examples=50)
@given(
    st.floats(60, 140),
    st.floats(60, 140),
    st.floats(30, 700),
    st.floats(-math.pi, math.pi),
    st.sampled_from([64, 97, 256]),
)
def test_a_painted_dot_lands_where_the_geometry_says(x: float, y: float, size: float, angle: float, out: int) -> None:
    # A smooth dot's centre of mass, in pixels with the first centre at 0.5, is its painted position.
    crop = Crop((100.0 + size / 20, 100.0 - size / 30), size, angle)
    yy, xx = np.mgrid[:200, :200] + 0.5
    sigma = max(3.0, 1.5 * size / out)
    dot = 255 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * sigma**2))
    image = np.repeat(dot[..., None], 3, axis=2).round().astype(np.uint8)
    expected = (crop.to_crop(np.array([x, y])) + 1) * out / 2
    if np.any(np.abs(expected - out / 2) > out / 2 - 4 * sigma * out / size):
        return  # The dot is cut by the crop's border.
    seen = extract(image, crop, out)[..., 0].astype(np.float64)
    rows, columns = np.mgrid[:out, :out] + 0.5
    found = np.array([(columns * seen).sum(), (rows * seen).sum()]) / seen.sum()
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_outside_repeats_the_edge() -> None:
    image = np.zeros((10, 10, 3), np.uint8)
    image[:, 0] = 200
    out = extract(image, Crop((-20.0, 5.0), 10.0), 8)
    assert (out == 200).all()
    assert (extract(image, Crop((-200.0, 5.0), 80.0), 8) == 200).all()


@pytest.mark.parametrize("shrink", [1.5, 2.0, 3.7, 8.3, 40.0])
@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_shrinking_averages_instead_of_aliasing(shrink: float, angle: float) -> None:
    # Fine noise has mean 128 and must fade towards it as each pixel averages more of the picture.
    rng = np.random.default_rng(3)
    image = np.repeat(rng.integers(0, 2, (1200, 1200, 1), dtype=np.uint8) * 255, 3, axis=2)
    out = extract(image, Crop((600.0, 600.0), 20 * shrink, angle), 20).astype(float)
    assert abs(out.mean() - 127.5) < 12
    assert out.std() < 1.25 * 127.5 / shrink


def test_hmr_rule_gives_a_150_pixel_diagonal() -> None:
    points = np.array([[10.0, 20.0], [40.0, 60.0], [1000.0, 1000.0]])
    crop = hmr_crop(points, np.array([True, True, False]))
    assert crop.centre_px == (25.0, 40.0)
    in_crop = (crop.to_crop(points[:2]) + 1) * 112
    assert np.linalg.norm(in_crop[1] - in_crop[0]) == pytest.approx(150)
    assert hmr_crop([10, 20, 40, 60]) == crop


def test_square_box() -> None:
    assert square_box_crop([10, 20, 30, 80], scale=1.5) == Crop((20.0, 50.0), 90.0)


def test_turning_back_matches_the_points() -> None:
    # A body's points, rotated and projected without depth, must reach the same picture place by either way.
    rng = np.random.default_rng(4)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    points = rng.normal(size=(9, 3))
    crop = Crop((50.0, 60.0), 80.0, 0.9)
    by_crop = crop.to_picture((points @ rotation.T)[:, :2])
    by_picture = np.array(crop.centre_px) + 40 * (points @ turn_back(rotation, 0.9).T)[:, :2]
    np.testing.assert_allclose(by_crop, by_picture, atol=1e-10)
    np.testing.assert_allclose(turn_back(turn_back(rotation, 0.9), -0.9), rotation, atol=1e-12)
    batch = torch.eye(3).expand(2, 5, 3, 3)
    assert turn_back(batch, 0.3).shape == (2, 5, 3, 3)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([5, 5, 5, 9], "empty"),
        ([9, 5, 5, 9], "empty"),
        ([float("nan"), 0, 5, 5], "finite"),
        ([1, 2, 3], "four"),
        ([200, 0, 300, 50], "outside"),
        ([-30, -30, -1, -1], "outside"),
    ],
)
def test_bad_boxes_are_refused(box: list[float], words: str) -> None:
    with pytest.raises(UserError, match=words):
        checked_box(box, 100, 80)


def test_good_boxes_are_cut_at_the_border() -> None:
    assert checked_box([-5, 10, 50, 90], 100, 80) == (0.0, 10.0, 50.0, 80.0)


def test_a_crop_refuses_nonsense() -> None:
    for bad in [((0.0, 0.0), 0.0, 0.0), ((math.nan, 0.0), 1.0, 0.0), ((0.0, 0.0), math.inf, 0.0)]:
        with pytest.raises(UserError):
            Crop(*bad)
