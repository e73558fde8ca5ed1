"""What is behind and in front of synthetic people: cuts of photos, walls and floors of materials, things in the way."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from monobody.data.crop import Crop, extract
from monobody.data.procedural import muted, smooth_noise
from monobody.data.textures import Textures


def sample_background(
    rng: np.random.Generator, textures: Textures, size: int, *, horizon: float = 0.5, roll_rad: float = 0.0
) -> UInt8[np.ndarray, "s s 3"]:
    """Draw a background picture: mostly a cut of a photo, else a wall and a floor, a material, or soft blotches.

    Panoramas (twice as wide as high) know where the horizon is: it is put at the height ``horizon``, in picture sizes
    from the top, and rolled as the camera is, so that people stand on their ground.
    """
    kind = rng.random()
    if kind < 0.72:
        return _photo_cut(rng, textures, size, horizon, roll_rad)
    if kind < 0.88:
        return _wall_and_floor(rng, textures, size)
    if kind < 0.93:
        return _enlarged(textures.tiles[rng.integers(len(textures.tiles))], size)
    cells = int(rng.integers(2, 17))
    noise = smooth_noise(rng, cells, size) + 0.3 * smooth_noise(rng, cells, size, 3)
    blotches = muted(rng) + rng.uniform(5, 50) * noise
    return np.clip(blotches, 0, 255).astype(np.uint8)


def occlude(
    rng: np.random.Generator, textures: Textures, image: UInt8[np.ndarray, "s s 3"], around_px: np.ndarray
) -> Float[np.ndarray, "s s"]:
    """Put one to three things before the picture, in place; return how much of each pixel they cover.

    Things are patches of other pictures or materials in the shape of ellipses, boards and polygons, near the points
    ``around_px`` (n, 2).
    """
    size = len(image)
    cover = Image.new("L", (size, size))
    for _ in range(rng.integers(1, 4)):
        shape = Image.new("L", (size, size))
        draw = ImageDraw.Draw(shape)
        centre = around_px[rng.integers(len(around_px))] + rng.normal(size=2) * 0.06 * size
        radius = rng.uniform(0.03, 0.16, 2) * size
        kind = rng.random()
        if kind < 0.35:
            draw.ellipse([*(centre - radius), *(centre + radius)], fill=255)
        elif kind < 0.6:  # A board, rail or post that runs through the picture.
            along = rng.normal(size=2)
            along *= size / np.linalg.norm(along)
            draw.line([*(centre - along), *(centre + along)], fill=255, width=int(rng.uniform(0.02, 0.12) * size))
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
            corners = centre + 1.3 * radius * np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(
                0.6, 1, (1, 2)
            )
            draw.polygon([tuple(corner) for corner in corners], fill=255)
        cover.paste(255, mask=shape)
    # Softened by half a pixel, like every edge in a photo.
    weight = np.asarray(cover.resize((size // 2, size // 2), Image.Resampling.BOX).resize((size, size), 2), np.float32)
    weight /= 255
    front = sample_background(rng, textures, size).astype(np.float32) * rng.uniform(0.5, 1.2)
    image[:] = np.clip(image + weight[..., None] * (front - image), 0, 255).astype(np.uint8)
    return weight


def _photo_cut(rng: np.random.Generator, textures: Textures, size: int, horizon: float, roll_rad: float) -> np.ndarray:
    photo = textures.backgrounds[rng.integers(len(textures.backgrounds))]
    height, width = photo.shape[:2]
    side = int(rng.uniform(0.4, 1.0) * min(height, width))
    y, x, turn = rng.uniform(0, height - side), rng.uniform(0, width - side), rng.normal(0, 0.03)
    if width == 2 * height:
        side = rng.uniform(0.35, 0.75) * height
        x, turn = rng.uniform(0, width - side), -roll_rad
        y = float(np.clip(height / 2 - horizon * side, 0, height - side))
    picture = extract(photo, Crop((x + side / 2, y + side / 2), side, turn), size)
    return picture[:, ::-1] if rng.random() < 0.5 else picture


def _wall_and_floor(rng: np.random.Generator, textures: Textures, size: int) -> np.ndarray:
    """A wall seen straight on and a floor in perspective, each of one material, tinted."""
    horizon = int(size * rng.uniform(0.35, 0.9))
    wall, floor = (textures.tiles[rng.integers(len(textures.tiles))] for _ in range(2))
    cells = wall.shape[0]
    rows, columns = np.mgrid[:size, :size]
    repeats = rng.uniform(1, 5)
    picture = wall[
        (rows * repeats * cells / size).astype(int) % cells, (columns * repeats * cells / size).astype(int) % cells
    ]
    picture = picture * np.exp(0.2 * rng.normal(size=3)) * rng.uniform(0.6, 1.1)
    # A floor row at depth d below the camera has height 1 / d under the horizon of the camera.
    eye = size * rng.uniform(0.1, 0.45)
    below = (np.arange(horizon, size) - horizon + eye) / size
    depth = rng.uniform(0.6, 2.0) / below
    v = (depth * cells * 2).astype(int) % cells
    u = ((np.arange(size) / size - 0.5)[None, :] * depth[:, None] * cells * 2).astype(int) % cells
    picture[horizon:] = floor[v[:, None], u] * np.exp(0.2 * rng.normal(size=3)) * rng.uniform(0.5, 1.0)
    shade = np.linspace(rng.uniform(0.7, 1.2), rng.uniform(0.7, 1.2), size)
    return np.clip(picture * shade[None, :, None], 0, 255).astype(np.uint8)


def _enlarged(tile: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(tile).resize((size, size), Image.Resampling.BICUBIC))
