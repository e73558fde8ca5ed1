"""CSV: one row for each frame, person and joint, for spreadsheets and statistics."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from monobody.body.skeleton import SKELETONS
from monobody.camera import project
from monobody.export.armature import joints_cam_m_of, places_of
from monobody.export.options import ExportOptions
from monobody.export.resample import evenly
from monobody.files import atomic_write
from monobody.motion import Motion

COLUMNS = ("frame", "time_s", "person", "seen", "score", "joint", "x_m", "y_m", "z_m", "x_px", "y_px")
"""Metres before the camera (x right, y down, z forward); pixels where the camera is known and the joint before it."""


def write_csv(motion: Motion, path: str | Path, options: ExportOptions) -> list[Path]:
    """Write everybody's 24 joints, whole or not at all."""
    motion = motion if options.fps is None else evenly(motion, options.fps)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(motion, options))
    with atomic_write(path, suffix=".csv") as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return [Path(path)]


def _rows(motion: Motion, options: ExportOptions) -> Iterator[list[object]]:
    names = SKELETONS["smpl24"].joints
    for label, take, _, _ in places_of(motion, options):
        joints_m = joints_cam_m_of(take, motion.with_body())
        person = label.removeprefix("person_")
        for n, frame in enumerate(take.frames):
            about = [int(frame), f"{motion.times_s[frame]:.6f}", person, int(take.seen[n]), f"{take.score[n]:.4f}"]
            for name, place in zip(names, joints_m[n], strict=True):
                pixel = ["", ""]
                if motion.camera is not None and place[2] > 0:
                    seen_px = project(place, motion.camera.focal_px, motion.camera.principal_px)
                    pixel = [f"{value:.2f}" for value in seen_px]
                yield [*about, name, *(f"{value:.5f}" for value in place), *pixel]
