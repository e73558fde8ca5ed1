"""What a run leaves to look at: two tables, pictures, and TensorBoard events where TensorBoard is installed.

    OUT/train.csv        one row per step: losses, learning rate, seconds
    OUT/validation.csv   one row per validation
    OUT/pictures/        NAME_STEP.png, such as predicted and true joints drawn over crops

A run that was killed may have logged steps that its last checkpoint does not know; they are cut off when it resumes, so
that a table never shows one step twice.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from monobody.files import atomic_write

BONES = ((0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11), (8, 12), (9, 12), (12, 13), (2, 3))
"""Pairs of LSP's 14 joints that a drawing connects."""


class RunLog:
    """The open tables of one run.

    Args:
        folder: the run's folder; made if need be.
        resume_step: rows of later steps are dropped; 0 starts afresh.
    """

    def __init__(self, folder: Path, *, resume_step: int = 0) -> None:
        self.folder = folder
        self.tables: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("train", "validation"):
            _keep_rows(folder / f"{name}.csv", last_step=resume_step)
        self.board = _tensorboard(folder, resume_step)

    def row(self, table: str, step: int, values: Mapping[str, float]) -> None:
        """Append one row to the table `train` or `validation`."""
        path = self.folder / f"{table}.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", *values])
            writer.writerow([step, *(f"{value:.9g}" for value in values.values())])
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(f"{table}/{name}", value, step)

    def picture(self, name: str, step: int, rgb: np.ndarray) -> None:
        """Keep a picture, (height, width, 3) uint8."""
        with atomic_write(self.folder / "pictures" / f"{name}_{step:08d}.png", suffix=".png") as path:
            Image.fromarray(rgb).save(path)
        if self.board is not None:
            self.board.add_image(name, rgb, step, dataformats="HWC")

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        if self.board is not None:
            self.board.close()


def read_table(path: Path) -> dict[str, list[float]]:
    """Read a table of a run as columns of numbers."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else [])}


def draw_joints(
    crops: np.ndarray, true_px: np.ndarray, visible: np.ndarray, predicted_px: np.ndarray, *, columns: int = 8
) -> np.ndarray:
    """Return one sheet of crops with true joints in green and predicted ones in red.

    Args:
        crops: (n, size, size, 3) uint8.
        true_px, predicted_px: (n, 14 or more, 2) pixels of the crops, LSP's joints first.
        visible: (n, 14 or more); joints of 0 are not drawn on the true side.
    """
    drawn = []
    for crop, true, seen, predicted in zip(crops, true_px, visible, predicted_px, strict=True):
        picture = Image.fromarray(crop)
        pen = ImageDraw.Draw(picture)
        for points, colour, shown in ((true, (40, 230, 60), seen > 0), (predicted, (255, 60, 50), seen >= 0)):
            for a, b in BONES:
                if shown[a] and shown[b]:
                    pen.line([tuple(points[a]), tuple(points[b])], fill=colour, width=2)
        drawn.append(np.asarray(picture))
    rows = -(-len(drawn) // columns)
    size = crops.shape[1]
    sheet = np.zeros((rows * size, columns * size, 3), np.uint8)
    for number, picture in enumerate(drawn):
        y, x = divmod(number, columns)
        sheet[y * size : (y + 1) * size, x * size : (x + 1) * size] = picture
    return sheet


def _keep_rows(path: Path, *, last_step: int) -> None:
    if not path.exists():
        return
    if last_step == 0:
        path.unlink()
        return
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    kept = io.StringIO()
    writer = csv.writer(kept)
    writer.writerow(rows[0])
    # The row that was being written when the run was killed may be cut short.
    writer.writerows(row for row in rows[1:] if len(row) == len(rows[0]) and int(row[0]) <= last_step)
    with atomic_write(path) as temporary:
        temporary.write_text(kept.getvalue(), newline="")


def _tensorboard(folder: Path, resume_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=resume_step + 1)
