"""Draw one dressed person: skin the body in its clothes, rasterise, paint."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8

from monobody.body.assets import BodyData
from monobody.data.exposure import LINEAR
from monobody.data.garments import TEXTURE_SIZE, DressedMesh, draw_cutouts, dress, follow
from monobody.data.ground import ground_shadow
from monobody.data.lighting import Light
from monobody.data.paint import SHADOW_SIZE, bump_volume, paint, project
from monobody.data.skinning import SkinnedBody, add_normals, skin
from monobody.data.textures import Textures
from monobody.data.undressed import WHITE, Look, bare_outfit, recolour
from monobody.data.wardrobe import Outfit, stand_off
from monobody.render.raster import raster_one


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A posed, dressed person before the camera."""

    rest: Float[np.ndarray, "v 3"]
    """T-posed vertices with shape and pose correctives."""
    transforms: Float[np.ndarray, "24 3 4"]
    translation_m: Float[np.ndarray, "3"]
    rotations: Float[np.ndarray, "24 3 3"]
    axis_angle: Float[np.ndarray, "24 3"]
    betas: Float[np.ndarray, "10"]
    outfit: Outfit
    skin: int
    skin_gain: Float[np.ndarray, "3"]
    meshes: tuple[int, ...] = ()
    """Which garments of the textures they wear over the painted ones,"""
    mesh_gain: tuple[Float[np.ndarray, "3"], ...] = ()
    """and the tint of each."""
    look: Look = "dressed"

    def without_clothes(self, look: Look) -> "Figure":
        """Return the same person bare, to be painted otherwise."""
        white = np.ones(3, np.float32)
        return replace(self, look=look, outfit=bare_outfit(self.outfit), meshes=(), mesh_gain=(), skin_gain=white)

    def moved(self, translation_m: Float[np.ndarray, "3"]) -> "Figure":
        """Return the same person elsewhere."""
        return replace(self, translation_m=translation_m)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A window of the picture with one person drawn in it."""

    rgba: Float[np.ndarray, "h w 4"]
    """Premultiplied linear light, ``oversampling`` times as fine as the picture."""
    part: UInt8[np.ndarray, "h w"]
    """One plus the body part (of 24) at each pixel of ``rgba``, 0 where it is empty."""
    ground_shadow: Float[np.ndarray, "s s"] | None
    """How much of the sun each pixel of the picture loses, if that is known."""
    x0: int
    y0: int
    """The window's first pixel in the picture."""


class FigurePainter:
    """Draws figures of one body with one set of textures."""

    def __init__(self, data: BodyData, body: SkinnedBody, textures: Textures) -> None:
        self.body, self.textures = body, textures
        self.uv = np.ascontiguousarray(data.vt, np.float32)
        self.uv_faces = np.ascontiguousarray(data.ft, np.int32)
        self.eyes = eye_labels(data)
        self.part = (np.asarray(data.part24) + 1).astype(np.uint8)
        self.bumps = bump_volume()
        self.bare = dress(body, self.uv, self.uv_faces, [])
        plain = np.full((TEXTURE_SIZE, TEXTURE_SIZE, 4), 255, np.uint8)
        pictures = [plain if mesh.texture is None else mesh.texture for mesh in textures.garments]
        self.pictures = np.stack(pictures or [plain])
        self.first_hair = sum(not mesh.is_hair for mesh in textures.garments)

    def draw(
        self,
        figure: Figure,
        world_from_camera: Float[np.ndarray, "3 3"],
        light: Light,
        focal_px: float,
        principal_px: Float[np.ndarray, "2"],
        size: int,
        oversampling: int,
        shadows: bool,
    ) -> Drawing | None:
        """Draw a person; None where nothing of them is in the picture."""
        outfit = figure.outfit
        mesh, vertices = self._pose(figure)
        pixels = np.empty_like(vertices)
        x0, y0, x1, y1, nearest = project(
            vertices, figure.translation_m, np.float32(focal_px), *principal_px.astype(np.float32), pixels
        )
        low = np.clip(np.floor([x0, y0]), 0, size).astype(int)
        width, height = np.clip(np.ceil([x1, y1]), 0, size).astype(int) - low
        if nearest < 0.05 or width < 2 or height < 2:
            return None
        normals = np.zeros_like(vertices)
        add_normals(vertices, mesh.faces, normals)
        pixels[:, :2] -= low.astype(np.float32)
        pixels[:, :2] *= oversampling
        rows, columns = height * oversampling, width * oversampling
        depth, triangle = np.empty((rows, columns), np.float32), np.empty((rows, columns), np.int32)
        part = np.empty((rows, columns), np.uint8)
        bary, rgba = np.empty((rows, columns, 3), np.float32), np.empty((rows, columns, 4), np.float32)
        opaque = len(mesh.faces) - mesh.cutouts
        raster_one(pixels, mesh.faces[:opaque], depth, triangle, bary, not figure.meshes)
        if mesh.cutouts:
            draw_cutouts(
                pixels, mesh.faces, opaque, mesh.uv, mesh.uv_faces, mesh.face_texture, self.pictures, depth, triangle,
                bary,
            )  # fmt: skip
        sun_direction = (world_from_camera.T @ light.sun_direction).astype(np.float32)
        shadow, shadow_frame = np.empty((1, 1), np.float32), np.zeros((3, 4), np.float32)
        if shadows and light.sun.max() > 0.05:
            shadow, shadow_frame = shadow_map(vertices, mesh.faces, sun_direction)
        gain = np.ones((len(self.pictures), 3), np.float32)
        for number, tint in zip(figure.meshes, figure.mesh_gain, strict=True):
            gain[number] = tint
        dressed = figure.look == "dressed"
        eyes = self.eyes[mesh.body_vertex] * dressed
        paint(
            triangle, bary, depth, np.float32(focal_px * oversampling), mesh.faces, mesh.template, mesh.normals,
            normals, vertices, eyes, mesh.uv, mesh.uv_faces, outfit.cuts, outfit.pattern,
            outfit.colour, outfit.scale, outfit.tile, outfit.grain, outfit.folds,
            self.textures.skins[figure.skin] if dressed else WHITE,
            figure.skin_gain, self.textures.tiles, self.bumps, LINEAR, mesh.face_texture, self.first_hair,
            self.pictures, gain, np.ascontiguousarray(world_from_camera, np.float32), light.irradiance, sun_direction,
            light.sun, shadow, shadow_frame, shadows, self.part[mesh.body_vertex], rgba, part,
        )  # fmt: skip
        recolour(rgba, part, figure.look)
        up = world_from_camera[1]
        fallen = (
            ground_shadow(vertices, mesh.faces, up, sun_direction, focal_px, principal_px, size) if shadows else None
        )
        return Drawing(rgba=rgba, part=part, ground_shadow=fallen, x0=int(low[0]), y0=int(low[1]))

    def _pose(self, figure: Figure) -> tuple[DressedMesh, np.ndarray]:
        """Join a figure's body and garments, and pose them; the body's eyes are never covered by their labels."""
        body, outfit = self.body, figure.outfit
        mesh = self.bare
        if figure.meshes:
            worn = [(self.textures.garments[number], number) for number in figure.meshes]
            mesh = dress(body, self.uv, self.uv_faces, worn)
        rest = np.empty_like(mesh.template)
        count = len(body.template)
        stand_off(figure.rest, body.normals, body.template, outfit.cuts, outfit.thickness_m, self.bumps, rest[:count])
        for number in sorted(figure.meshes):  # Hair last, as in the joined mesh.
            garment = self.textures.garments[number]
            end = count + len(garment.place)
            follow(figure.rest, body.template, garment.place, garment.nearest, garment.share, rest[count:end])
            count = end
        posed = np.empty_like(rest)
        skin(rest, mesh.weight_joint, mesh.weight, figure.transforms, posed)
        return mesh, posed


def shadow_map(vertices: np.ndarray, faces: np.ndarray, sun_direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rasterise the body as the sun sees it: depths, and the frame that takes camera points to (u, v, depth)."""
    forward = -sun_direction
    right = np.cross(forward, np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.9 else np.array([1.0, 0.0, 0.0]))
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward]).astype(np.float32)
    # The person fits in a ball about their middle. From 100 m away the sun's rays are parallel enough for a
    # perspective-correct rasteriser.
    middle = 0.5 * (vertices[::64].min(0) + vertices[::64].max(0))
    radius = 1.06 * float(np.linalg.norm(vertices[::64] - middle, axis=1).max())
    scale = np.array([SHADOW_SIZE / 2 / radius, SHADOW_SIZE / 2 / radius, 1], np.float32)
    shift = np.array([SHADOW_SIZE / 2, SHADOW_SIZE / 2, 100], np.float32) - scale * (axes @ middle)
    frame = np.concatenate([axes * scale[:, None], shift[:, None]], axis=1)
    pixels = vertices @ frame[:, :3].T + frame[:, 3]
    depth = np.empty((SHADOW_SIZE, SHADOW_SIZE), np.float32)
    triangle = np.empty((SHADOW_SIZE, SHADOW_SIZE), np.int32)
    raster_one(pixels.astype(np.float32), faces, depth, triangle, np.empty((0, 0, 3), np.float32), False)
    return depth, np.ascontiguousarray(frame, np.float32)


def eye_labels(data: BodyData) -> UInt8[np.ndarray, "v"]:
    """Return 0 on the body, 1 on the whites of the eyes, 2 on irises: the mesh's small loose pieces in the face."""
    piece = np.arange(len(data.v_template))
    edges = np.concatenate([data.faces[:, [0, 1]], data.faces[:, [1, 2]]])
    while True:
        lowest = piece.copy()
        np.minimum.at(lowest, edges[:, 0], piece[edges[:, 1]])
        np.minimum.at(lowest, edges[:, 1], piece[edges[:, 0]])
        lowest = lowest[lowest]
        if (lowest == piece).all():
            break
        piece = lowest
    labels = np.zeros(len(piece), np.uint8)
    numbers, counts = np.unique(piece, return_counts=True)
    for number in numbers[counts < len(piece) // 20]:
        members = np.flatnonzero(piece == number)
        points = data.v_template[members]
        front = points[points[:, 2].argmax()]
        labels[members] = 1 + (np.linalg.norm(points - front, axis=1) < 0.0065)
    return labels
