"""Samples written as SPIN's table, the form that other projects' loaders read: `datasets/spin.py` has the columns."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from monobody.data.datasets.spin import PART, PELVIS
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.files import atomic_write

BOX_MARGIN = 1.2
"""SPIN's boxes are this much larger than the tight box of the known joints."""


def export_spin(samples: Iterable[Sample], table: str | Path, *, quality: int = 95) -> int:
    """Write `TABLE.npz`, and the pictures as `images/TABLE/000000.jpg ...` beside it; return how many people.

    `has_smpl` is 1 where rotations and betas are SMPL's; those of other bodies are left out. 3D joints are given from
    the middle of the hips. People with fewer than two known joints are left out, as a box needs two.

    Raises:
        UserError: no sample could be written.
    """
    import torch
    from PIL import Image

    from monobody.body.rotation import matrix_to_axis_angle

    table = Path(table).with_suffix(".npz")
    rows: list[dict[str, Any]] = []
    for sample in samples:
        known = sample.visible > 0
        if known.sum() < 2:
            continue
        name = f"images/{table.stem}/{len(rows):06d}.jpg"
        with atomic_write(table.parent / name, suffix=".jpg") as temporary:
            Image.fromarray(sample.image).save(temporary, quality=quality)
        low, high = sample.keypoints_px[known].min(0), sample.keypoints_px[known].max(0)
        part, joints = np.zeros((24, 3)), np.zeros((24, 4))
        part[list(PART), :2], part[list(PART), 2] = sample.keypoints_px - 0.5, known
        part[~(part[:, 2] > 0)] = 0
        if sample.joints_cam_m is not None:
            joints[:14, :3] = sample.joints_cam_m - sample.joints_cam_m[2:4].mean(0)
            joints[[*range(14), PELVIS], 3] = 1
        pose, smpl = np.zeros(72), sample.shape_space.startswith("smpl")
        if sample.rotations is not None and sample.betas is not None and smpl:
            pose = matrix_to_axis_angle(torch.from_numpy(np.asarray(sample.rotations, np.float64))).numpy().ravel()
        smpl = smpl and sample.rotations is not None and sample.betas is not None
        rows.append(
            {
                "imgname": name,
                "center": (low + high) / 2 - 0.5,
                "scale": BOX_MARGIN * float(max(high - low)) / 200,
                "part": part,
                "S": joints,
                "pose": pose,
                "shape": sample.betas if smpl else np.zeros(10),
                "has_smpl": float(smpl),
                "gender": {"smpl-male": "m", "smpl-female": "f"}.get(sample.shape_space, "n"),
            }
        )
    if not rows:
        raise UserError("There is nobody to write: no sample has two known joints.")
    with atomic_write(table, suffix=".npz") as temporary:
        columns: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        np.savez_compressed(temporary, **columns)
    return len(rows)
