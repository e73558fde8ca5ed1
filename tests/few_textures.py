"""Textures for tests of synthetic pictures: a handful, made in no time."""

import numpy as np

from monobody.data.lighting import studio_lights
from monobody.data.procedural import muted, speckled
from monobody.data.textures import Textures


def few_textures(seed: int = 0) -> Textures:
    """Three backgrounds, four materials, three lights, nobody's skin."""
    rng = np.random.default_rng(seed)
    return Textures(
        skins=[],
        tiles=np.stack([speckled(rng, muted(rng), 128, 8.0) for _ in range(4)]),
        backgrounds=[speckled(rng, muted(rng), 160, 20.0) for _ in range(3)],
        lights=studio_lights(rng, 3),
    )
