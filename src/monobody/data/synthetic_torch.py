"""Synthetic people drawn where the network trains: whole training batches on a GPU (or, slowly, a CPU).

    people = TorchPeople(poses, textures, device="cuda", size=256)
    batch = people.batch(number=17, count=256)        # the fields of ``data.sample.TrainingRow``, with a batch axis

What is drawn is sampled as in :mod:`monobody.data.synthetic` by the same functions, on the CPU, a fraction of a
millisecond a person; bodies, pixels and labels are made on the device. Nothing is cut out of a larger picture: the
camera looks through the region of interest itself, moved, scaled and turned as :class:`~monobody.data.sample.Augment`
says. Leaner than the other: painted clothes only, no cast shadows, one person a picture.

Batch ``number`` depends on the seed and the number alone (on one kind of device).
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from monobody.body.kinematics import JointBody
from monobody.body.model import Body, Identity
from monobody.data.augment import degrade_batch
from monobody.data.figure import eye_labels
from monobody.data.paint_torch import Fragments, layers_at, material, reflected
from monobody.data.region import DROP, MARGIN, REACH, TRUNK
from monobody.data.sample import Augment
from monobody.data.skinning import vertex_normals
from monobody.data.staging import root_in_camera, sample_rotations, sample_shapes, sample_view
from monobody.data.textures import Textures
from monobody.data.wardrobe import HAIR, HAIR_BACK, sample_outfit, sample_skin_gain
from monobody.render import shade_torch
from monobody.render.raster_torch import attributes_at, visible_triangles

if TYPE_CHECKING:
    from monobody.data.staging import Poses

BACKGROUND_SIZE = 384
_OUTFIT = ("cuts", "pattern", "colour", "scale", "tile", "grain", "thickness_m", "folds")


class TorchPeople:
    """Endless training batches of synthetic people, drawn on ``device``."""

    def __init__(
        self,
        poses: "Poses",
        textures: Textures,
        *,
        device: str | torch.device = "cuda",
        size: int = 256,
        seed: int = 0,
        augment: Augment | None = None,
        oversampling: int = 2,
        at_once: int = 32,
        body: Body | None = None,
    ) -> None:
        """Put body and textures on the device.

        Args:
            poses: a pose bank, the curated poses, or the shipped prior.
            textures: as read by ``Textures.load``.
            device: where pictures are drawn.
            size: side of the pictures, pixels.
            seed: names the stream.
            augment: how regions are moved and pictures changed; the usual way where left out.
            oversampling: people are drawn this many times larger and averaged.
            at_once: people drawn together; bounds the memory.
            body: the shipped one where left out.
        """
        self.poses, self.textures, self.size, self.seed = poses, textures, size, seed
        self.augment, self.oversampling, self.at_once = augment or Augment(), oversampling, at_once
        self.device = torch.device(device)
        self.body = (body or Body.load()).to(self.device)
        data = self.body.data
        self.joints = JointBody.from_body(self.body, ("cocoplus19", "lsp14")).to(self.device)
        self.template = self._tensor(data.v_template)
        self.normals = self._tensor(vertex_normals(data.v_template, data.faces))
        self.uv, self.uv_faces = self._tensor(data.vt), self._tensor(data.ft).long()
        self.eyes = self._tensor(eye_labels(data)).long()
        self.skins = self._linear(np.stack(textures.skins))
        self.tiles = self._linear(textures.tiles)
        self.backgrounds = self._tensor(np.stack([_square(photo) for photo in textures.backgrounds])).movedim(-1, 1)

    def batch(self, number: int, count: int) -> dict[str, Tensor]:
        """Draw a batch: fields and frames as :func:`monobody.data.sample.training_row` gives them."""
        rng = np.random.default_rng([self.seed, number])
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        parts = [
            self._draw(self._scenes(min(self.at_once, count - first), rng), generator)
            for first in range(0, count, self.at_once)
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _scenes(self, count: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Sample who is drawn and how, on the CPU, and send it over."""
        rotations = sample_rotations(self.poses, count, rng, held_out=False)
        rows: dict[str, list] = {}
        for index in range(count):
            view = sample_view(rng)
            rotations[index, 0] = root_in_camera(rotations[index, 0], view)
            outfit = sample_outfit(rng, len(self.tiles))
            light = self.textures.lights[rng.integers(len(self.textures.lights))].turned(rng.uniform(-math.pi, math.pi))
            skin = int(rng.integers(len(self.textures.skins)))
            row = {name: getattr(outfit, name) for name in _OUTFIT}
            row |= {
                "rotations": rotations[index],
                "betas": sample_shapes(self.poses, 1, rng)[0],
                "world_from_camera": view.world_from_camera,
                "distance_m": view.distance_m,
                "irradiance": light.irradiance,
                "sun_direction": light.sun_direction,
                "sun": light.sun,
                "skin": skin,
                "skin_gain": sample_skin_gain(rng, self.textures.skins[skin], free=rng.random() < 0.1),
                "exposure": math.exp(rng.normal(math.log(0.75), 0.3)),
                "moved": self._moved(rng),
                "background": rng.integers(len(self.backgrounds)),
                "background_window": _window(rng),
                "background_gain": np.exp(0.12 * rng.normal() + 0.03 * rng.normal(size=3)),
            }
            for name, value in row.items():
                rows.setdefault(name, []).append(value)
        return {name: self._tensor(np.stack(values)) for name, values in rows.items()}

    def _moved(self, rng: np.random.Generator) -> np.ndarray:
        """Draw how the region is moved: shift in region sizes (2), log scale, turn, and whether it is any turn."""
        a = self.augment
        any_turn = float(rng.random() < a.full_turn_share)
        turn = rng.uniform(-math.pi, math.pi) if any_turn else a.turn_rad * rng.normal()
        return np.array([*(a.shift * rng.normal(size=2)), a.log_scale * rng.normal(), turn, any_turn])

    @torch.no_grad()
    def _draw(self, scene: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        count = len(scene["betas"])
        rotations, betas = scene["rotations"], scene["betas"]
        joints = self.joints(rotations, betas)
        vertices = self._dressed(scene, rotations, betas)
        hips = joints["lsp14"][:, [2, 3]].mean(1, keepdim=True)
        near = (hips[..., 2] - vertices[..., 2].amin(1, keepdim=True)).squeeze(1)
        shift = torch.zeros_like(hips)
        shift[:, 0, 2] = torch.maximum(scene["distance_m"], near + 0.35)
        joints = {name: points - hips + shift for name, points in joints.items()}
        vertices = vertices - hips + shift

        flat = {name: points[..., :2] / points[..., 2:] for name, points in joints.items()}
        centre, half, angle = jittered(*regions(flat["lsp14"]), scene["moved"])
        keypoints = into_region(flat["cocoplus19"], centre, half, angle)
        corners = into_region(vertices[..., :2] / vertices[..., 2:], centre, half, angle)
        pixels = (corners + 1) * (0.5 * self.size * self.oversampling)
        colour, cover = self._people(torch.cat([pixels, vertices[..., 2:]], -1), vertices, scene)
        images = self._exposed(colour, cover, angle, scene)
        if self.augment.appearance is not None:
            images = degrade_batch(images, generator, self.augment.appearance)

        turn = _about_z(-angle)
        roots = turn @ rotations[:, 0]
        ones = torch.ones(count, device=self.device)
        return {
            "images": (255 * images).round().to(torch.uint8),
            "keypoints_2d": keypoints,
            "visible": ones[:, None].expand(-1, 19).clone(),
            "joints_3d": joints["lsp14"] @ turn.mT,
            "rotations": torch.cat([roots[:, None], rotations[:, 1:]], 1),
            "betas": betas,
            **{name: ones.clone() for name in ("has_joints_3d", "has_body", "has_betas")},
            # The image plane's coordinates are focal lengths from the principal point already.
            "view": torch.cat([(turn[:, :2, :2] @ centre[..., None])[..., 0], 2 * half[:, None]], -1),
        }

    def _dressed(self, scene: dict[str, Tensor], rotations: Tensor, betas: Tensor) -> Float[Tensor, "b v 3"]:
        """Pose bodies whose clothed vertices stand off the skin."""
        identity = self.body.identity(betas)
        count, vertices = len(betas), len(self.template)
        cuts = scene["cuts"][:, None].expand(-1, vertices, -1).reshape(count * vertices, -1)
        place = self.template.expand(count, -1, -1).reshape(-1, 3)
        layer = layers_at(cuts, place).view(count, vertices)
        push = scene["thickness_m"].gather(1, layer)
        grown = ((self.template[:, 1] - scene["cuts"][:, HAIR_BACK, None]) / 0.06).clamp(0, 1)
        push = torch.where(layer == HAIR, push * grown, push)
        thick = Identity(vertices_m=identity.vertices_m + push[..., None] * self.normals, joints_m=identity.joints_m)
        return self.body(rotations, identity=thick).vertices_m

    def _people(
        self, pixels: Float[Tensor, "b v 3"], vertices: Float[Tensor, "b v 3"], scene: dict[str, Tensor]
    ) -> tuple[Float[Tensor, "b 3 s s"], Float[Tensor, "b 1 s s"]]:
        """Return the people's light, premultiplied by their cover, and the cover."""
        side, faces = self.size * self.oversampling, self.body.faces
        triangle = visible_triangles(pixels, faces, side, side, front_only=True)
        person, row, column = (triangle >= 0).nonzero(as_tuple=True)
        seen = triangle[person, row, column].long()
        _, barycentrics = attributes_at(pixels, faces, triangle)
        share = barycentrics[person, row, column]
        corner = faces[seen]

        def blend(values: Tensor) -> Tensor:
            return (share[..., None] * values).sum(1)

        nearest = corner.gather(1, share.argmax(1, keepdim=True)).squeeze(1)
        world = shade_torch.vertex_normals(vertices, self.body.faces) @ scene["world_from_camera"].mT
        fragments = Fragments(
            person=person,
            place=blend(self.template[corner]),
            template_normal=self.normals[nearest],
            normal=F.normalize(blend(world[person[:, None], corner]), dim=-1),
            uv=blend(self.uv[self.uv_faces[seen]]),
            eye=self.eyes[nearest],
        )
        light = reflected(fragments.normal, person, scene["irradiance"], scene["sun_direction"], scene["sun"])
        colour = light.new_zeros(len(pixels), side, side, 4)
        colour[person, row, column] = F.pad(material(fragments, scene, self.skins, self.tiles) * light, (0, 1), value=1)
        shrunk = F.avg_pool2d(colour.movedim(-1, 1), self.oversampling)
        return shrunk[:, :3], shrunk[:, 3:]

    def _exposed(
        self,
        colour: Float[Tensor, "b 3 s s"],
        cover: Float[Tensor, "b 1 s s"],
        angle: Float[Tensor, "b"],
        scene: dict[str, Tensor],
    ) -> Float[Tensor, "b 3 s s"]:
        """Lay people over their backgrounds, turned as the region is, and encode as sRGB in [0, 1]."""
        window, exposure = scene["background_window"], scene["exposure"][:, None, None, None]
        turned = window[:, 2, None, None] * _about_z(angle)[:, :2, :2]
        turned[:, 0] *= window[:, 3, None]
        theta = torch.cat([turned, window[:, :2, None]], -1)
        grid = F.affine_grid(theta, [len(window), 3, self.size, self.size], align_corners=False)
        photo = self.backgrounds[scene["background"]].float() / 255
        photo = F.grid_sample(photo, grid, padding_mode="reflection", align_corners=False) ** 2.2
        behind = photo * scene["background_gain"][:, :, None, None]
        linear = colour * exposure + behind * (1 - cover)
        knee = 0.7
        linear = torch.where(linear > knee, knee + (1 - knee) * (1 - ((knee - linear) / (1 - knee)).exp()), linear)
        linear = linear.clamp(0, 1)
        return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055)

    def _tensor(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
        return tensor.float() if tensor.dtype == torch.float64 else tensor

    def _linear(self, srgb: np.ndarray) -> Tensor:
        return (self._tensor(srgb).float() / 255) ** 2.2


def regions(lsp14: Float[Tensor, "b 14 2"]) -> tuple[Float[Tensor, "b 2"], Float[Tensor, "b"], Float[Tensor, "b"]]:
    """Return centre, half side and angle of :func:`monobody.data.region.region_from_joints` for a batch."""
    hips, shoulders = lsp14[:, [2, 3]].mean(1), lsp14[:, [8, 9]].mean(1)
    reach = (lsp14 - hips[:, None]).norm(dim=-1).amax(1)
    up = shoulders - hips
    trunk = up.norm(dim=-1)
    direction = up / trunk.clamp_min(1e-9)[:, None]
    radius = REACH * torch.maximum(reach, TRUNK * trunk)
    return hips - DROP * radius[:, None] * direction, MARGIN * radius, torch.atan2(direction[:, 0], -direction[:, 1])


def jittered(
    centre: Float[Tensor, "b 2"], half: Float[Tensor, "b"], angle: Float[Tensor, "b"], moved: Float[Tensor, "b 5"]
) -> tuple[Float[Tensor, "b 2"], Float[Tensor, "b"], Float[Tensor, "b"]]:
    """Move, scale and turn regions as :func:`monobody.data.sample.jitter` does."""
    cos, sin = angle.cos(), angle.sin()
    u, v = 2 * moved[:, 0] * half, 2 * moved[:, 1] * half
    centre = centre + torch.stack([cos * u - sin * v, sin * u + cos * v], -1)
    angle = torch.where(moved[:, 4] > 0, moved[:, 3], angle + moved[:, 3])
    return centre, half * moved[:, 2].exp(), angle


def into_region(
    points: Float[Tensor, "b k 2"], centre: Float[Tensor, "b 2"], half: Float[Tensor, "b"], angle: Float[Tensor, "b"]
) -> Float[Tensor, "b k 2"]:
    """Return crop coordinates in [-1, 1] of points on the image plane."""
    apart = (points - centre[:, None]) / half[:, None, None]
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    return torch.stack([cos * apart[..., 0] + sin * apart[..., 1], cos * apart[..., 1] - sin * apart[..., 0]], -1)


def _about_z(angle: Float[Tensor, "b"]) -> Float[Tensor, "b 3 3"]:
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], -1).unflatten(-1, (3, 3))


def _square(photo: np.ndarray) -> np.ndarray:
    """Cut a photo's middle square and resize it to the size that all backgrounds share."""
    from PIL import Image

    height, width = photo.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    cut = Image.fromarray(photo[y : y + side, x : x + side])
    return np.asarray(cut.resize((BACKGROUND_SIZE, BACKGROUND_SIZE), Image.Resampling.BILINEAR))


def _window(rng: np.random.Generator) -> Sequence[float]:
    """Draw which part of a background is seen: centre in [-1, 1], scale, and -1 where it is mirrored."""
    scale = rng.uniform(0.35, 1.0)
    centre = rng.uniform(-1, 1, 2) * (1 - scale)
    return [*centre, scale, float(rng.choice([-1.0, 1.0]))]
