"""Garment meshes follow the body they are bound to, hide what is under them, and hair is see-through."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monobody.body.assets import load_body_data
from monobody.data.figure import eye_labels
from monobody.data.garments import GarmentMesh, draw_cutouts, dress, follow, read_garments
from monobody.data.skinning import SkinnedBody, skin
from monobody.errors import UserError
from monobody.render.raster import raster_one


@pytest.fixture(scope="module")
def body() -> SkinnedBody:
    return SkinnedBody.from_data(load_body_data())


def copy_of_torso(body: SkinnedBody, name: str) -> GarmentMesh:
    """A garment that is the skin of the torso, one centimetre off, bound to itself."""
    inside = (np.abs(body.template[:, 0]) < 0.15) & (body.template[:, 1] > -0.2) & (body.template[:, 1] < 0.15)
    number = np.cumsum(inside) - 1
    faces = number[body.faces[inside[body.faces].all(1)]].astype(np.int32)
    vertices = np.flatnonzero(inside).astype(np.int32)
    return GarmentMesh(
        name=name,
        place=body.template[vertices] + 0.01 * body.normals[vertices],
        nearest=vertices[:, None],
        share=np.ones((len(vertices), 1), np.float32),
        faces=faces,
        uv=np.full((1, 2), 0.5, np.float32),
        uv_faces=np.zeros_like(faces),
        hidden=vertices,
        texture=None,
    )


def test_a_garment_of_the_bodys_own_vertices_stays_a_centimetre_off(body: SkinnedBody) -> None:
    shirt = copy_of_torso(body, "clothes/shirt_suit/shirt")
    rng = np.random.default_rng(0)
    rotations = np.tile(np.eye(3, dtype=np.float32), (1, 24, 1, 1))
    rotations[0, 3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # A deep bow backwards.
    betas = rng.normal(size=(1, 10)).astype(np.float32)
    rest = body.shaped(rotations, betas)[0]
    mesh = dress(body, np.zeros((1, 2), np.float32), np.zeros_like(body.faces), [(shirt, 0)])
    moved = np.empty_like(mesh.template)
    moved[: len(rest)] = rest
    follow(rest, body.template, shirt.place, shirt.nearest, shirt.share, moved[len(rest) :])
    posed = np.empty_like(moved)
    skin(moved, mesh.weight_joint, mesh.weight, body.transforms(rotations, betas)[0], posed)
    gap = np.linalg.norm(posed[len(rest) :] - posed[shirt.nearest[:, 0]], axis=1)
    # Blended rotations shrink distances somewhat where the spine bends.
    assert gap.min() > 0.006
    assert gap.max() < 0.0105


def test_dressing_hides_what_is_covered(body: SkinnedBody) -> None:
    shirt, hair = copy_of_torso(body, "clothes/shirt_suit/shirt"), copy_of_torso(body, "hair/wig/wig")
    mesh = dress(body, np.zeros((1, 2), np.float32), np.zeros_like(body.faces), [(hair, 1), (shirt, 0)])
    skin_faces = mesh.face_texture == -1
    assert skin_faces.sum() == len(body.faces) - len(shirt.faces)
    assert mesh.cutouts == len(hair.faces)
    assert (mesh.face_texture[-mesh.cutouts :] == 1).all()
    np.testing.assert_array_equal(mesh.body_vertex[: len(body.template)], np.arange(len(body.template)))


def test_cutouts_leave_holes_where_the_texture_is_clear() -> None:
    pixels = np.array([[0, 0, 2], [16, 0, 2], [16, 16, 2], [0, 16, 2]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
    textures = np.zeros((1, 8, 8, 4), np.uint8)
    textures[0, :, 4:, 3] = 255  # The right half is opaque.
    depth, triangle = np.empty((16, 16), np.float32), np.empty((16, 16), np.int32)
    bary = np.empty((16, 16, 3), np.float32)
    raster_one(pixels, faces[:0], depth, triangle, bary)
    draw_cutouts(pixels, faces, 0, uv, faces, np.zeros(2, np.int32), textures, depth, triangle, bary)
    assert (triangle[:, :8] == -1).all()
    assert (triangle[:, 8:] >= 0).all()
    np.testing.assert_allclose(depth[:, 8:], 2, atol=1e-5)
    np.testing.assert_allclose(bary[:, 8:].sum(-1), 1, atol=1e-5)


def test_garment_files_are_read_back(tmp_path: Path, body: SkinnedBody) -> None:
    shirt = copy_of_torso(body, "clothes/shirt/shirt")
    fields = ("place", "nearest", "share", "uv", "faces", "uv_faces", "hidden")
    arrays = {f"{shirt.name}.{field}": getattr(shirt, field) for field in fields}
    np.savez(tmp_path / "garments.npz", names=np.array([shirt.name]), **arrays)
    (tmp_path / "clothes" / "shirt").mkdir(parents=True)
    Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "clothes" / "shirt" / "shirt_diffuse.png")
    (read,) = read_garments(tmp_path / "garments.npz", tmp_path)
    np.testing.assert_array_equal(read.faces, shirt.faces)
    assert read.texture is not None
    assert read.texture[0, 0].tolist() == [10, 20, 30, 255]
    (tmp_path / "broken.npz").write_bytes(b"no")
    with pytest.raises(UserError, match=r"build_garments\.py"):
        read_garments(tmp_path / "broken.npz", tmp_path)


def test_eyes_are_found_left_and_right() -> None:
    data = load_body_data()
    labels = eye_labels(data)
    eyes, irises = data.v_template[labels > 0], data.v_template[labels == 2]
    assert (eyes[:, 0] > 0).any()
    assert (eyes[:, 0] < 0).any()
    assert len(irises) < len(eyes)
    assert eyes[:, 1].min() > 0.35
    assert irises[:, 2].min() > np.median(eyes[:, 2])
