"""Silhouettes: exact areas, agreement with super-sampling, gradients, and a fit that finds its target."""

import math

import numpy as np
import pytest
import torch
from test_raster import sphere

from monobody.render.raster import rasterise
from monobody.render.silhouette import Outline, silhouette

BALL, BALL_FACES = sphere(24)
BOX = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
BOX_FACES = np.array(
    [int(digit) for digit in "013 032 467 475 045 051 237 276 026 064 157 173".replace(" ", "")]
).reshape(12, 3)


def welded_ball() -> tuple[np.ndarray, np.ndarray]:
    """The test sphere with its poles welded, so that it is closed."""
    keys, index = np.unique(BALL.round(9), axis=0, return_inverse=True)
    faces = index.reshape(-1)[BALL_FACES]
    good = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return keys, faces[good]


def placed(vertices: np.ndarray, scale, shift, angle: float = 0.0) -> torch.Tensor:
    cos, sin = math.cos(angle), math.sin(angle)
    turned = vertices @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    return torch.from_numpy(turned * [*scale, 1] + [*shift, 5])[None]


def test_an_upright_box_is_covered_to_the_fraction() -> None:
    vertices = placed(BOX, (3.25, 2.5), (10.0, 7.75))  # x from 6.75 to 13.25, y from 5.25 to 10.25
    coverage = silhouette(vertices, Outline.of(BOX_FACES), 16, 20)[0]
    x = np.clip(np.minimum(np.arange(20) + 1, 13.25) - np.maximum(np.arange(20), 6.75), 0, 1)
    y = np.clip(np.minimum(np.arange(16) + 1, 10.25) - np.maximum(np.arange(16), 5.25), 0, 1)
    np.testing.assert_allclose(coverage.numpy(), np.outer(y, x), atol=1e-12)


@pytest.mark.parametrize("angle", [0.1, 0.7, 1.3, 3.0])
@pytest.mark.parametrize("shift", [(15.2, 14.9), (1.0, 29.0), (-6.0, 12.0)])
def test_a_turned_box_agrees_with_super_sampling(angle: float, shift: tuple[float, float]) -> None:
    vertices = placed(BOX, (8.0, 5.0), shift, angle)
    coverage = silhouette(vertices, Outline.of(BOX_FACES), 30, 32)[0].numpy()
    finer = (vertices * torch.tensor([32, 32, 1])).numpy()
    hits = rasterise(finer, BOX_FACES, 30 * 32, 32 * 32).triangle[0] >= 0
    np.testing.assert_allclose(coverage, hits.reshape(30, 32, 32, 32).mean((1, 3)), atol=0.03)


def test_the_area_of_a_ball_does_not_depend_on_where_it_is() -> None:
    vertices, faces = welded_ball()
    outline = Outline.of(faces)
    shifts = np.random.default_rng(0).uniform(20, 30, (6, 2))
    batch = torch.cat([placed(vertices, (12, 12), shift) for shift in shifts]).float()
    areas = silhouette(batch, outline, 50, 50).sum((1, 2))
    np.testing.assert_allclose(areas, areas[0].item(), rtol=1e-5)
    assert areas[0].item() == pytest.approx(math.pi * 144, rel=0.01)


def test_a_body_before_itself_is_covered_once() -> None:
    # Two balls behind each other in one mesh, the outline of the nearer runs through the middle of the farther.
    vertices, faces = welded_ball()
    both = torch.cat([placed(vertices, (14, 14), (20, 20)), placed(vertices, (7, 7), (28, 20))], dim=1)
    coverage = silhouette(both, Outline.of(np.concatenate([faces, faces + len(vertices)])), 40, 40)[0].numpy()
    hits = rasterise(
        (both * torch.tensor([16, 16, 1])).numpy(), np.concatenate([faces, faces + len(vertices)]), 640, 640
    ).triangle[0]
    error = np.abs(coverage - (hits >= 0).reshape(40, 16, 40, 16).mean((1, 3)))
    assert (error > 0.08).sum() <= 4  # The two outlines cross at two places, in the pixels about them they are added.
    assert error.max() < 0.3


def test_gradients_are_exact() -> None:
    rng = np.random.default_rng(1)
    vertices = placed(BOX, (4.1, 3.2), (7.3, 6.6), 0.4)
    vertices = vertices + torch.from_numpy(rng.normal(0, 0.05, vertices.shape))
    outline = Outline.of(BOX_FACES)
    weights = torch.from_numpy(rng.normal(size=(13, 14)))
    assert torch.autograd.gradcheck(
        lambda v: (silhouette(v, outline, 13, 14) * weights).sum(), vertices.requires_grad_(), eps=1e-5, atol=1e-4
    )


def test_gradients_of_the_area_know_its_circumference() -> None:
    # The area of a shifted shape does not change, so a shift's gradient is zero in both directions.
    vertices, faces = welded_ball()
    points = placed(vertices, (9, 9), (16.3, 15.8)).requires_grad_()
    silhouette(points, Outline.of(faces), 32, 32).sum().backward()
    np.testing.assert_allclose(points.grad.sum((0, 1)).numpy(), 0, atol=1e-9)
    # Growing it adds the circumference times the growth.
    grown = (points.grad[0, :, :2] * (points.detach()[0, :, :2] - torch.tensor([16.3, 15.8])) / 9).sum()
    assert grown.item() == pytest.approx(2 * math.pi * 9, rel=0.02)


def test_a_fit_finds_its_target() -> None:
    vertices, faces = welded_ball()
    outline = Outline.of(faces)
    points = torch.from_numpy(vertices)[None].float()

    def shape(log_scale: torch.Tensor, shift: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        turn = torch.stack([torch.cos(angle), torch.sin(angle), -torch.sin(angle), torch.cos(angle)]).view(2, 2)
        flat = (points[..., :2] * log_scale.exp()) @ turn + shift
        return silhouette(flat, outline, 48, 48)

    with torch.no_grad():
        target = shape(torch.tensor([16.0, 6.0]).log(), torch.tensor([26.0, 22.0]), torch.tensor(0.6))
    parameters = [
        value.requires_grad_()
        for value in (torch.tensor([9.0, 9.0]).log(), torch.tensor([18.0, 27.0]), torch.tensor(0.2))
    ]

    def iou(found: torch.Tensor) -> float:
        return (torch.minimum(found, target).sum() / torch.maximum(found, target).sum()).item()

    start = iou(shape(*parameters).detach())
    groups = [
        {"params": parameters[:1], "lr": 0.03},
        {"params": parameters[1:2], "lr": 0.5},
        {"params": parameters[2:], "lr": 0.05},
    ]
    optimiser = torch.optim.Adam(groups)
    for _ in range(70):
        optimiser.zero_grad()
        (shape(*parameters) - target).square().sum().backward()
        optimiser.step()
    assert start < 0.45
    assert iou(shape(*parameters).detach()) > 0.97


def test_open_and_twisted_meshes_are_refused() -> None:
    for faces in (BOX_FACES[1:], np.concatenate([BOX_FACES[:1, ::-1], BOX_FACES[1:]])):
        with pytest.raises(ValueError, match="closed mesh"):
            Outline.of(faces)


def test_out_of_sight() -> None:
    outline = Outline.of(BOX_FACES)
    for shift in ((-50, 5), (5, -50), (80, 5), (5, 80)):
        assert silhouette(placed(BOX, (3, 3), shift), outline, 16, 16).abs().max() == 0
    assert silhouette(placed(BOX, (500, 500), (8, 8)), outline, 16, 16).min() == pytest.approx(1)
