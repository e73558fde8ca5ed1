"""Textures made of nothing but noise and numbers: skins, materials, rooms and fields, for those without any files."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFilter

SKIN_TONES, MATERIALS, BACKDROPS = 12, 200, 60
_SIZE = 384


def skins(rng: np.random.Generator, size: int) -> list[UInt8[np.ndarray, "s s 3"]]:
    """Make skin textures from light to dark, over the range of measured skin reflectances."""
    made = []
    for darkness in np.linspace(0, 1, SKIN_TONES):
        tone = (1 - darkness) * np.array([236, 194, 168]) + darkness * np.array([82, 51, 36])
        made.append(speckled(rng, tone * np.exp(0.05 * rng.normal(size=3)), size, 7.0))
    return made


def materials(rng: np.random.Generator, size: int) -> UInt8[np.ndarray, "n s s 3"]:
    """Make cloth, plaster, stone and the like: muted colours, some woven, some veined."""
    tiles = []
    for _ in range(MATERIALS):
        tile = speckled(rng, muted(rng), size, rng.uniform(3, 25)).astype(np.float32)
        if rng.random() < 0.4:
            rows, columns = np.mgrid[:size, :size]
            thread = 2 ** rng.integers(1, 5)
            tile *= 1 - rng.uniform(0.05, 0.4) * (((rows // thread) + (columns // thread)) % 2)[..., None]
        tiles.append(np.clip(tile, 0, 255).astype(np.uint8))
    return np.stack(tiles)


def backdrops(rng: np.random.Generator) -> list[UInt8[np.ndarray, "s s 3"]]:
    """Make rooms and landscapes without people."""
    return [_room(rng) if rng.random() < 0.5 else _field(rng) for _ in range(BACKDROPS)]


def muted(rng: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Draw a colour as things have them: mostly greys and browns, seldom bright."""
    grey = rng.uniform(25, 235)
    saturation = 0.12 + 0.5 * rng.random() ** 3
    return np.clip(grey * np.exp(saturation * rng.normal(size=3)), 0, 255)


def smooth_noise(rng: np.random.Generator, cells: int, size: int, channels: int = 1) -> Float[np.ndarray, "s s c"]:
    """Return noise of unit variance at the nodes of a ``cells`` grid, enlarged smoothly to ``size`` pixels."""
    grid = rng.standard_normal((channels, cells, cells), np.float32)
    planes = [np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BICUBIC)) for plane in grid]
    return np.stack(planes, axis=-1)


def speckled(rng: np.random.Generator, colour: np.ndarray, size: int, strength: float) -> UInt8[np.ndarray, "s s 3"]:
    """Return a colour with coarse and fine noise."""
    layers = sum(smooth_noise(rng, cells, size) / (1 + k) for k, cells in enumerate((4, 16, 64)))
    return np.clip(colour + strength * layers, 0, 255).astype(np.uint8)


def _room(rng: np.random.Generator) -> np.ndarray:
    """A wall with pictures or windows, a floor of boards in perspective, furniture as boxes."""
    foot = int(_SIZE * rng.uniform(0.5, 0.85))
    wall, floor = 60 + 0.75 * muted(rng), muted(rng)
    picture = Image.new("RGB", (_SIZE, _SIZE), _rgb(wall))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(0, 4)):
        x, y = rng.uniform(0, _SIZE), rng.uniform(0, 0.6 * foot)
        w, h = rng.uniform(0.1, 0.35, 2) * _SIZE
        draw.rectangle(
            (x, y, x + w, y + h), _rgb(muted(rng) if rng.random() < 0.6 else np.full(3, 245.0)), _rgb(wall / 2)
        )
    draw.rectangle((0, foot, _SIZE, _SIZE), _rgb(floor))
    vanishing = (rng.uniform(0, _SIZE), foot - rng.uniform(0.1, 0.4) * _SIZE)
    for x in np.linspace(-2 * _SIZE, 3 * _SIZE, rng.integers(12, 50)):
        share = (foot - vanishing[1]) / (_SIZE - vanishing[1])
        start = vanishing[0] + (x - vanishing[0]) * share
        draw.line((start, foot, x, _SIZE), _rgb(0.85 * floor), 1)
    draw.rectangle((0, foot - 6, _SIZE, foot), _rgb(np.minimum(wall * 1.15, 255)))
    for _ in range(rng.integers(1, 6)):
        x, base = rng.uniform(0, _SIZE), foot + rng.uniform(0, 0.12) * _SIZE
        w, h = rng.uniform(0.08, 0.4) * _SIZE, rng.uniform(0.1, 0.45) * _SIZE
        body = muted(rng)
        draw.rectangle((x, base - h, x + w, base), _rgb(body))
        draw.rectangle((x, base - h, x + w, base - 0.9 * h), _rgb(np.minimum(body * 1.2, 255)))
    return _lived_in(rng, picture)


def _field(rng: np.random.Generator) -> np.ndarray:
    """A sky, hills one behind the other, and a ground whose texture grows towards the camera."""
    horizon = int(_SIZE * rng.uniform(0.3, 0.7))
    sky = np.array([150, 185, 225]) * rng.uniform(0.6, 1.1) + rng.normal(0, 12, 3)
    ground = np.array([105, 115, 70]) * rng.uniform(0.5, 1.4) * np.exp(0.2 * rng.normal(size=3))
    canvas = np.empty((_SIZE, _SIZE, 3), np.float32)
    canvas[:horizon] = np.linspace(0.85, 1.12, horizon)[:, None, None] * sky
    clouds = np.clip(smooth_noise(rng, 6, _SIZE)[:horizon], 0, 2)
    canvas[:horizon] += rng.uniform(0, 40) * clouds
    below = np.arange(_SIZE - horizon) / (_SIZE - horizon)
    grain = smooth_noise(rng, 90, _SIZE)[horizon:] * (0.3 + below)[:, None, None]
    canvas[horizon:] = ground + rng.uniform(4, 22) * grain + 25 * (below - 0.5)[:, None, None]
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for layer in range(rng.integers(1, 4)):
        heights = smooth_noise(rng, int(rng.integers(4, 30)), _SIZE)[0, :, 0]
        top = horizon - _SIZE * (0.10 - 0.03 * layer) * (1 + 0.5 * heights)
        colour = _rgb(0.5 * sky * (0.6 - 0.2 * layer) + ground * (0.4 + 0.2 * layer))
        draw.polygon([(0, horizon), *((x, float(top[x])) for x in range(_SIZE)), (_SIZE, horizon)], colour)
    return _lived_in(rng, picture)


def _lived_in(rng: np.random.Generator, picture: Image.Image) -> np.ndarray:
    """Soften a drawing and give it uneven light and grain."""
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.5))), np.float32)
    light = 1 + 0.12 * smooth_noise(rng, 3, _SIZE)
    return np.clip(soft * light + 4 * smooth_noise(rng, 128, _SIZE), 0, 255).astype(np.uint8)


def _rgb(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in np.clip(colour, 0, 255))
    return red, green, blue
