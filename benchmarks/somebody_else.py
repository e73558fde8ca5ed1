"""How often keypoints are refused or doubted as somebody else's: python benchmarks/somebody_else.py DATA [EVERY]

On every second of LSP Extended's validation photos, those with odd numbers (the rule was chosen on the others): with
their own clicked joints, those of the next photo, their own moved aside by 35 % of the picture, in reverse order, and
with left and right exchanged.
"""

import sys
from pathlib import Path

import numpy as np

from monobody.body.skeleton import SKELETONS
from monobody.data.datasets.lsp_extended import LspExtended
from monobody.predict.somebody_else import doubt_about

photos = LspExtended(Path(sys.argv[1]) / "lsp_extended", "validation")
chosen = [photos[i] for i in range(1, len(photos), int(sys.argv[2]) if len(sys.argv) > 2 else 2)]
tables = [np.column_stack([each.keypoints_px[:14], each.visible[:14] > 0]).astype(float) for each in chosen]
sizes = [np.array([each.image.shape[1], each.image.shape[0], 1.0]) for each in chosen]
others = [(i + 1) % len(chosen) for i in range(len(chosen))]
aside = []
for table, (width, _, _) in zip(tables, sizes, strict=True):
    left = table[table[:, 2] > 0, 0].mean() < width / 2
    aside.append(table + np.array([0.35 * width * (1 if left else -1), 0, 0]))
cases = {
    "their own joints": tables,
    "another photo's": [tables[other] * sizes[i] / sizes[other] for i, other in enumerate(others)],
    "moved aside": aside,
    "in reverse order": [table[::-1] for table in tables],
    "left and right exchanged": [table[list(SKELETONS["lsp14"].flip)] for table in tables],
}

print(f"| {len(chosen)} photos | refused % | warned of % | passed % |\n|---|---|---|---|")
for name, keypoints in cases.items():
    doubts = [doubt_about(each.image, table, "lsp14") for each, table in zip(chosen, keypoints, strict=True)]
    refused = 100 * float(np.mean([doubt is not None and doubt.sure for doubt in doubts]))
    passed = 100 * float(np.mean([doubt is None for doubt in doubts]))
    print(f"| {name} | {refused:.1f} | {100 - refused - passed:.1f} | {passed:.1f} |", flush=True)
