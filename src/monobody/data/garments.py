"""Clothes, shoes and hair as meshes of their own, that follow the body: read from ``garments.npz``.

``scripts/build_garments.py`` makes that file from MakeHuman's CC0 assets. Where a user has none, people wear painted
clothes alone.
"""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from monobody.data.skinning import SkinnedBody
from monobody.errors import UserError
from monobody.jit import SAFE_FASTMATH, compiled

TEXTURE_SIZE = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class GarmentMesh:
    """One garment on the template, in the T-pose."""

    name: str
    place: Float[np.ndarray, "g 3"]
    nearest: Int[np.ndarray, "g k"]
    """Body vertices that each garment vertex follows,"""
    share: Float[np.ndarray, "g k"]
    """and with which share."""
    faces: Int[np.ndarray, "f 3"]
    uv: Float[np.ndarray, "t 2"]
    uv_faces: Int[np.ndarray, "f 3"]
    hidden: Int[np.ndarray, "h"]
    """Body vertices under the garment, which are not drawn."""
    texture: UInt8[np.ndarray, "512 512 4"] | None
    """sRGB and opacity; None where the asset has no picture."""

    @property
    def is_hair(self) -> bool:
        return self.name.startswith("hair/")

    @property
    def is_shoes(self) -> bool:
        return "shoes" in self.name

    @property
    def is_suit(self) -> bool:
        return "suit" in self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class DressedMesh:
    """A body and what it wears as one mesh: the body's vertices first, then each garment's."""

    template: Float[np.ndarray, "v 3"]
    normals: Float[np.ndarray, "v 3"]
    weight_joint: Int[np.ndarray, "v k"]
    weight: Float[np.ndarray, "v k"]
    faces: Int[np.ndarray, "f 3"]
    """Opaque faces first, then ``cutouts`` faces of hair."""
    uv: Float[np.ndarray, "t 2"]
    uv_faces: Int[np.ndarray, "f 3"]
    face_texture: Int[np.ndarray, "f"]
    """Which of ``textures``; -1 on the body."""
    cutouts: int
    body_vertex: Int[np.ndarray, "v"]
    """The body vertex nearest to each vertex; itself on the body."""


def read_garments(file: str | Path, pictures: str | Path) -> list[GarmentMesh]:
    """Read ``garments.npz`` and the garments' pictures, which lie in the texture folder ``pictures``.

    Raises:
        UserError: the file is not one of ``scripts/build_garments.py``.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return [
                GarmentMesh(
                    name=str(name),
                    place=arrays[f"{name}.place"],
                    nearest=arrays[f"{name}.nearest"],
                    share=arrays[f"{name}.share"].astype(np.float32),
                    faces=arrays[f"{name}.faces"],
                    uv=arrays[f"{name}.uv"],
                    uv_faces=arrays[f"{name}.uv_faces"],
                    hidden=arrays[f"{name}.hidden"],
                    texture=_picture((Path(pictures) / str(name)).parent),
                )
                for name in arrays["names"]
            ]
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise UserError(f"{file} is not a garment file: make one with scripts/build_garments.py.") from error


def dress(
    body: SkinnedBody, uv: np.ndarray, uv_faces: np.ndarray, garments: list[tuple[GarmentMesh, int]]
) -> DressedMesh:
    """Join a body and its garments, each with the number of its texture; hidden faces of the body are left out."""
    hidden = np.zeros(len(body.template), bool)
    for garment, _ in garments:
        hidden[garment.hidden] = True
    seen = ~hidden[body.faces].all(1)
    ordered = sorted(garments, key=lambda item: item[0].is_hair)
    template, weights, weight_joints = [body.template], [body.weight], [body.weight_joint]
    faces, uvs, uv_corners = [body.faces[seen]], [uv], [uv_faces[seen]]
    face_textures = [np.full(int(seen.sum()), -1, np.int32)]
    owners = [np.arange(len(body.template), dtype=np.int32)]
    vertices, coordinates, cutouts = len(body.template), len(uv), 0
    for garment, texture in ordered:
        template.append(garment.place)
        # A garment vertex moves with the nearest of its neighbours' joints; blending all would cost more than it shows.
        owners.append(garment.nearest[:, 0])
        weights.append(body.weight[garment.nearest[:, 0]])
        weight_joints.append(body.weight_joint[garment.nearest[:, 0]])
        faces.append(garment.faces + vertices)
        uvs.append(garment.uv)
        uv_corners.append(garment.uv_faces + coordinates)
        face_textures.append(np.full(len(garment.faces), texture, np.int32))
        vertices, coordinates = vertices + len(garment.place), coordinates + len(garment.uv)
        cutouts += len(garment.faces) if garment.is_hair else 0
    owner = np.concatenate(owners)
    return DressedMesh(
        template=np.concatenate(template),
        normals=body.normals[owner],
        weight_joint=np.concatenate(weight_joints),
        weight=np.concatenate(weights),
        faces=np.concatenate(faces),
        uv=np.concatenate(uvs),
        uv_faces=np.concatenate(uv_corners),
        face_texture=np.concatenate(face_textures),
        cutouts=cutouts,
        body_vertex=owner,
    )


def _picture(folder: Path) -> UInt8[np.ndarray, "512 512 4"] | None:
    files = sorted(folder.glob("*_diffuse.*"))
    if not files:
        return None
    with Image.open(files[0]) as picture:
        return np.asarray(picture.convert("RGBA").resize((TEXTURE_SIZE, TEXTURE_SIZE), Image.Resampling.BOX))


@compiled(fastmath=SAFE_FASTMATH)
def follow(rest, template, place, nearest, share, out):
    """Move a garment's vertices (G, 3) along with the shape and correctives of the body under them."""
    for i in range(place.shape[0]):
        x, y, z = place[i, 0], place[i, 1], place[i, 2]
        for k in range(nearest.shape[1]):
            j, w = nearest[i, k], share[i, k]
            x += w * (rest[j, 0] - template[j, 0])
            y += w * (rest[j, 1] - template[j, 1])
            z += w * (rest[j, 2] - template[j, 2])
        out[i, 0], out[i, 1], out[i, 2] = x, y, z


@compiled(fastmath=SAFE_FASTMATH)
def draw_cutouts(pixels, faces, first, uv, uv_faces, face_texture, textures, depth, triangle, bary):
    """Draw the faces from ``first`` on into buffers of ``raster_one``, where their texture is opaque (hair)."""
    height, width = depth.shape
    size, wrap = np.float32(textures.shape[1]), textures.shape[1] - 1
    for k in range(first, faces.shape[0]):
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        x0, y0, x1, y1, x2, y2 = (
            pixels[a, 0], pixels[a, 1], pixels[b, 0], pixels[b, 1], pixels[c, 0], pixels[c, 1]
        )  # fmt: skip
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0:
            continue
        left, right = max(int(min(x0, x1, x2) + 0.5), 0), min(int(max(x0, x1, x2) - 0.5), width - 1)
        top, bottom = max(int(min(y0, y1, y2) + 0.5), 0), min(int(max(y0, y1, y2) - 0.5), height - 1)
        r0, r1, r2 = 1 / pixels[a, 2], 1 / pixels[b, 2], 1 / pixels[c, 2]
        texture = textures[face_texture[k]]
        for py in range(top, bottom + 1):
            for px in range(left, right + 1):
                x, y = px + np.float32(0.5), py + np.float32(0.5)
                w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) / area
                w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) / area
                w0 = 1 - w1 - w2
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                z = 1 / (w0 * r0 + w1 * r1 + w2 * r2)
                if z >= depth[py, px]:
                    continue
                w0, w1, w2 = w0 * r0 * z, w1 * r1 * z, w2 * r2 * z
                i, j, m = uv_faces[k, 0], uv_faces[k, 1], uv_faces[k, 2]
                u = w0 * uv[i, 0] + w1 * uv[j, 0] + w2 * uv[m, 0]
                v = w0 * uv[i, 1] + w1 * uv[j, 1] + w2 * uv[m, 1]
                if texture[int((1 - v) * size) & wrap, int(u * size) & wrap, 3] < 100:
                    continue
                depth[py, px], triangle[py, px] = z, k
                bary[py, px, 0], bary[py, px, 1], bary[py, px, 2] = w0, w1, w2
