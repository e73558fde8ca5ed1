"""How often keypoints are suspected of being somebody else's: python benchmarks/somebody_else.py DATA

On every eighth of LSP Extended's validation photos (not those on which the rule was chosen): with their own clicked
joints, with those of the next photo, and with their own moved aside by 35 % of the picture.
"""

import sys
from pathlib import Path

import numpy as np

from monobody.data.datasets.lsp_extended import LspExtended
from monobody.predict.somebody_else import suspicion

photos = LspExtended(Path(sys.argv[1]) / "lsp_extended", "validation")
chosen = [photos[i] for i in range(4, len(photos), 8)]
tables = [np.column_stack([each.keypoints_px[:14], each.visible[:14] > 0]).astype(float) for each in chosen]


def share(keypoints: list[np.ndarray]) -> float:
    doubts = [suspicion(each.image, table, "lsp14") for each, table in zip(chosen, keypoints, strict=True)]
    return 100 * float(np.mean([doubt is not None for doubt in doubts]))


sizes = [np.array([each.image.shape[1], each.image.shape[0], 1.0]) for each in chosen]
others = [np.roll(np.arange(len(chosen)), -1)[i] for i in range(len(chosen))]
exchanged = [tables[other] * sizes[i] / sizes[other] for i, other in enumerate(others)]
aside = []
for table, (width, _, _) in zip(tables, sizes, strict=True):
    left = table[table[:, 2] > 0, 0].mean() < width / 2
    aside.append(table + np.array([0.35 * width * (1 if left else -1), 0, 0]))

print(f"{len(chosen)} photos; suspected: their own joints {share(tables):.0f} %, ", end="")
print(f"another photo's {share(exchanged):.0f} %, moved aside {share(aside):.0f} %")
