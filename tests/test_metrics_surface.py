"""Errors of meshes: areas as trimesh has them, and an error that does not depend on where the mesh is dense."""

import numpy as np
import pytest
import torch
import trimesh

from monobody.metrics import align, area_pve, pve, vertex_areas, vertex_errors_mm


def test_areas_are_those_of_trimesh() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.3)
    stretched = np.stack([ball.vertices, ball.vertices * [1.0, 2.0, 0.5]])
    ours = vertex_areas(stretched, np.asarray(ball.faces))
    for vertices, areas in zip(stretched, ours, strict=True):
        mesh = trimesh.Trimesh(vertices, ball.faces, process=False)
        theirs = np.zeros(len(vertices))
        np.add.at(theirs, mesh.faces, mesh.area_faces[:, None] / 3)
        np.testing.assert_allclose(areas, theirs, rtol=1e-12)
        np.testing.assert_allclose(areas.sum(), mesh.area, rtol=1e-12)


def test_a_dense_patch_does_not_count_for_more() -> None:
    """A triangle of three square metres is 10 mm off, another of one is 50 mm off, however finely that one is cut."""
    large = np.array([[0.0, 0.0, 0.0], [6.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    small = np.array([[0.0, 0.0, 9.0], [2.0, 0.0, 9.0], [0.0, 1.0, 9.0]])
    for cuts, plain in ((0, 30.0), (2, (3 * 10 + 15 * 50) / 18)):
        patch, faces = small, np.array([[0, 1, 2]])
        for _ in range(cuts):
            patch, faces = trimesh.remesh.subdivide(patch, faces)
        target = np.concatenate([large, patch])
        predicted = target + np.array([[0.0, 0.0, 0.01]] * 3 + [[0.05, 0.0, 0.0]] * len(patch))
        faces = np.concatenate([[[0, 1, 2]], faces + 3])
        np.testing.assert_allclose(pve(predicted, target), plain)
        np.testing.assert_allclose(area_pve(predicted, target, faces), (3 * 10 + 1 * 50) / 4)


def test_areas_are_of_the_true_mesh() -> None:
    ball = trimesh.creation.icosphere(subdivisions=1)
    target, faces = np.asarray(ball.vertices), np.asarray(ball.faces)
    errors = vertex_errors_mm(3 * target, target)
    expected = (errors * vertex_areas(target, faces)).sum() / vertex_areas(target, faces).sum()
    np.testing.assert_allclose(area_pve(3 * target, target, faces), expected)


def test_roots_are_laid_upon_each_other() -> None:
    target = np.random.default_rng(0).normal(size=(2, 3, 20, 3))
    predicted = target + 0.5
    np.testing.assert_allclose(pve(predicted, target), np.full((2, 3), 500 * 3**0.5))
    roots = target[..., 0, :] + 0.5, target[..., 0, :]
    np.testing.assert_allclose(pve(predicted, target, roots_m=roots), np.zeros((2, 3)), atol=1e-9)
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    np.testing.assert_allclose(area_pve(predicted, target, faces, roots_m=roots), np.zeros((2, 3)), atol=1e-9)
    np.testing.assert_allclose(pve(align(3 * predicted, target), target), np.zeros((2, 3)), atol=1e-9)


def test_nan_and_nothing_show() -> None:
    target = torch.rand(2, 6, 3, generator=torch.Generator().manual_seed(0))
    predicted = target.clone()
    predicted[1, 5] = torch.nan
    faces = torch.tensor([[0, 1, 2]])
    assert pve(predicted, target).isnan().tolist() == [False, True]
    # Also at a vertex that no triangle has: something is wrong with that mesh.
    assert area_pve(predicted, target, faces).isnan().tolist() == [False, True]
    assert area_pve(target, torch.zeros_like(target), faces).isnan().all()
    with pytest.raises(ValueError, match="equally many"):
        pve(target[:, :5], target)
