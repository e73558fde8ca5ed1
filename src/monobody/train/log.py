"""What a run leaves to look at: two tables, pictures, and TensorBoard events where TensorBoard is installed.

    OUT/train.csv        one row per step: losses, learning rate, seconds
    OUT/validation.csv   one row per validation
    OUT/pictures/        NAME_STEP.png, such as predicted and true joints drawn over crops

A run that was killed may have logged steps that its last checkpoint does not know; they are cut off when it resumes, so
that a table never shows one step twice. A number that a run did not log before it was resumed gets a column of its own,
empty up to there.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from monobody.errors import UserError
from monobody.files import atomic_write

BONES = ((0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11), (8, 12), (9, 12), (12, 13), (2, 3))
"""Pairs of LSP's 14 joints that a drawing connects."""


class RunLog:
    """The open tables of one run.

    Args:
        folder: the run's folder; made if need be.
        resume_step: rows of later steps are dropped; 0 starts afresh.

    Raises:
        UserError: the folder cannot be written, or the disk is full; so do all methods.
    """

    def __init__(self, folder: Path, *, resume_step: int = 0) -> None:
        self.folder = folder
        self.columns: dict[str, list[str]] = {}
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("train", "validation"):
                self.columns[name] = _keep_rows(folder / f"{name}.csv", last_step=resume_step)
            self.board = _tensorboard(folder, resume_step)

    def row(self, table: str, step: int, values: Mapping[str, float]) -> None:
        """Append one row to the table `train` or `validation`."""
        path = self.folder / f"{table}.csv"
        columns = self.columns[table]
        added = [name for name in ("step", *values) if name not in columns]
        with _writing(path):
            if added:
                columns += added
                _write_rows(path, columns, _read_rows(path)[1] if path.exists() else [])
            with path.open("a", newline="") as file:
                cells = {"step": step} | {name: f"{value:.9g}" for name, value in values.items()}
                csv.writer(file).writerow([cells.get(name, "") for name in columns])
            if self.board is not None:
                for name, value in values.items():
                    self.board.add_scalar(f"{table}/{name}", value, step)

    def picture(self, name: str, step: int, rgb: np.ndarray) -> None:
        """Keep a picture, (height, width, 3) uint8."""
        with atomic_write(self.folder / "pictures" / f"{name}_{step:08d}.png", suffix=".png") as path:
            Image.fromarray(rgb).save(path)
        if self.board is not None:
            with _writing(self.folder / "tensorboard"):
                self.board.add_image(name, rgb, step, dataformats="HWC")

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        if self.board is not None:
            with _writing(self.folder / "tensorboard"):
                self.board.close()


def read_table(path: Path) -> dict[str, list[float]]:
    """Read a table of a run as columns of numbers; NaN where a row has none."""
    columns, rows = _read_rows(path)
    cells = zip(*rows, strict=True) if rows else [()] * len(columns)
    return {name: [float(cell or math.nan) for cell in column] for name, column in zip(columns, cells, strict=True)}


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


def _keep_rows(path: Path, *, last_step: int) -> list[str]:
    """Drop a table's rows of later steps, and return its columns; none where the table begins anew."""
    if not path.exists():
        return []
    columns, rows = _read_rows(path)
    if last_step == 0 or not columns:
        path.unlink()
        return []
    _write_rows(path, columns, [row for row in rows if int(row[0]) <= last_step])
    return columns


def _read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return a table's columns and its rows without those that were cut short when the run was killed."""
    # Whatever was being written then has no end of line, or not all of its cells.
    with path.open(newline="", errors="replace") as file:
        lines = file.readlines()
    whole = list(csv.reader(line for line in lines if line.endswith("\n") and "\0" not in line))
    if not whole or whole[0][:1] != ["step"]:
        return [], []
    columns = whole[0]
    return columns, [row for row in whole[1:] if len(row) == len(columns) and row[0].isdecimal()]


def _write_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table anew; rows of fewer columns end in empty cells."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([*row, *[""] * (len(columns) - len(row))] for row in rows)
    with atomic_write(path) as temporary:
        temporary.write_text(text.getvalue(), newline="")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say in one sentence what keeps a run from being logged."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot write the run's log {path}: {error.strerror or error}. Free space or choose another --out folder, "
            "then go on with --resume."
        ) from error


def _tensorboard(folder: Path, resume_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=resume_step + 1)
