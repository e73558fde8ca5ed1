"""What synthetic people are dressed in and placed before: skins, materials, backgrounds, light.

Read from a folder of free textures where the user has one (``docs/datasets.md``), made procedurally where not, so
that nothing has to be downloaded. A fifth of each kind, chosen by a digest of the file name, is held out for
evaluation.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from monobody.data.garments import GarmentMesh, read_garments
from monobody.data.lighting import Light, light_from_panorama, studio_lights
from monobody.data.procedural import backdrops, materials, skins
from monobody.errors import UserError

SKIN_SIZE = 512
TILE_SIZE = 128
NEEDED = (
    ("skins/*.jpg",),
    ("backgrounds_cc_by/*.jpg", "hdri_tonemapped/*.jpg"),
    ("ambientcg_thumbs/index.json",),
    ("hdri_env_32x64_linear.npz",),
)
"""What a texture folder must have; of each line one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Textures:
    """Everything in memory, as sRGB uint8."""

    skins: list[UInt8[np.ndarray, "512 512 3"]]
    """Laid out by the body's UV coordinates."""
    tiles: UInt8[np.ndarray, "n 128 128 3"]
    """Cloth, wood, stone ..., for garments, walls, floors and things in the way."""
    backgrounds: list[UInt8[np.ndarray, "h w 3"]]
    """Photos without people."""
    lights: list[Light]
    garments: list[GarmentMesh] = field(default_factory=list)
    """Clothes, shoes and hair as meshes, hair last; none where there is no file of them."""

    @staticmethod
    def load(folder: str | Path | None, *, held_out: bool = False, garments: str | Path | None = None) -> "Textures":
        """Read the folder (or make textures where it is None), its training or its held-out part.

        Args:
            folder: with skins, materials, backgrounds and light; see ``docs/datasets.md``.
            held_out: read the part for evaluation.
            garments: file made by ``scripts/build_garments.py``; ``garments.npz`` in the folder where left out.

        Raises:
            UserError: the folder lacks one of the expected parts.
        """
        if folder is None:
            return _procedural(held_out)
        folder = Path(folder)
        for parts in NEEDED:
            if not any(any(folder.glob(part)) for part in parts):
                raise UserError(
                    f"{folder} is not a texture folder: it has no {' or '.join(parts)}. See docs/datasets.md."
                )
        skins = [file for file in sorted((folder / "skins").glob("*.jpg")) if "suit" not in file.name]
        photos = sorted((folder / "backgrounds_cc_by").glob("*.jpg"))
        panoramas = sorted((folder / "hdri_tonemapped").glob("*.jpg"))
        garments = Path(garments) if garments else folder / "garments.npz"
        meshes = read_garments(garments, folder) if garments.is_file() else []
        meshes = [mesh for mesh in meshes if is_held_out(mesh.name) == held_out]
        return Textures(
            garments=sorted(meshes, key=lambda mesh: mesh.is_hair),
            skins=[_read(file, (SKIN_SIZE, SKIN_SIZE)) for file in _part(skins, held_out)],
            tiles=_read_tiles(folder / "ambientcg_thumbs", held_out),
            backgrounds=[_read(file) for file in _part(photos, held_out) + _part(panoramas, held_out)],
            lights=_read_lights(folder / "hdri_env_32x64_linear.npz", held_out),
        )


def is_held_out(name: str) -> bool:
    """Tell whether a file is for evaluation only, by a digest of its name."""
    return hashlib.sha256(name.encode()).digest()[0] < 51


def _part(files: list[Path], held_out: bool) -> list[Path]:
    """Return the training or the held-out files; never an empty list where there are files."""
    part = [file for file in files if is_held_out(file.name) == held_out]
    return part or files[: 1 if held_out else None]


def _read(file: Path, size: tuple[int, int] | None = None) -> UInt8[np.ndarray, "h w 3"]:
    with Image.open(file) as picture:
        picture = picture.convert("RGB")
        return np.asarray(picture.resize(size, Image.Resampling.BOX) if size else picture)


def _read_tiles(folder: Path, held_out: bool) -> UInt8[np.ndarray, "n 128 128 3"]:
    tiles = []
    for name, boxes in json.loads((folder / "index.json").read_text()).items():
        with Image.open(folder / name) as picture:
            sheet = picture.convert("RGB")
        for number, (x0, y0, x1, y1) in enumerate(boxes):
            # Sheets mix materials of one family, so single tiles are held out. Narrow ones would be stretched.
            if is_held_out(f"{name}:{number}") == held_out and min(x1 - x0, y1 - y0) >= 90:
                tile = sheet.crop((x0 + 1, y0 + 1, x1 - 1, y1 - 1)).resize((TILE_SIZE, TILE_SIZE))
                tiles.append(np.asarray(tile))
    return np.stack(tiles)


def _read_lights(file: Path, held_out: bool) -> list[Light]:
    with np.load(file) as panoramas:
        names = [name for name in panoramas.files if is_held_out(name) == held_out]
        return [light_from_panorama(panoramas[name].astype(np.float32)) for name in names]


def _procedural(held_out: bool) -> Textures:
    rng = np.random.default_rng([20, int(held_out)])
    return Textures(
        skins=skins(rng, SKIN_SIZE),
        tiles=materials(rng, TILE_SIZE),
        backgrounds=backdrops(rng),
        lights=studio_lights(rng, 24),
    )
