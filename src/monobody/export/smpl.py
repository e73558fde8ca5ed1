"""SMPL's parameters as AMASS keeps them: one .npz for each person with poses, betas, trans and the rate.

``poses`` (f, 72) are axis-angles, the root's into a world with z up (y up if asked), ``trans`` (f, 3) metres is what
SMPL adds to the posed body, ``betas`` (10). They belong to the body they were made with and mean nothing on another.
"""

import io
from pathlib import Path

import numpy as np
import torch

from monobody.body.rotation import matrix_to_axis_angle
from monobody.export.armature import Z_UP, places_of
from monobody.export.options import ExportOptions
from monobody.export.paths import numbered, written_together
from monobody.export.resample import evenly
from monobody.motion import Motion, Track


def write_smpl(motion: Motion, path: str | Path, options: ExportOptions) -> list[Path]:
    """Write a file for each person, or for each of their hypotheses: all of them or none.

    A file has the frames from the person's first to their last; ``first_frame`` says where that is in the clip.
    """
    motion = evenly(motion, options.fps)
    takes = places_of(motion, options)
    paths = [Path(path)] if len(takes) == 1 else [numbered(path, name) for name, *_ in takes]
    contents = (_file(take, shift_m, motion, options) for _, take, shift_m, _ in takes)
    return written_together(paths, contents)


def _file(take: Track, shift_m: np.ndarray, motion: Motion, options: ExportOptions) -> bytes:
    with torch.no_grad():
        rest = motion.with_body().identity(torch.from_numpy(take.betas).float()).joints_m
    pelvis_m = rest[0].double().numpy()
    turn = np.eye(3) if options.up == "y" else Z_UP
    world = motion.T_world_camera
    rotations = take.rotations.astype(np.float64).copy()
    rotations[:, 0] = turn @ world[:3, :3] @ rotations[:, 0]
    # The root turns about the pelvis, which is not the origin.
    places_m = (take.translation_m + pelvis_m) @ world[:3, :3].T + world[:3, 3] + shift_m
    content = io.BytesIO()
    np.savez_compressed(
        content,
        allow_pickle=False,
        poses=matrix_to_axis_angle(torch.from_numpy(rotations)).numpy().reshape(-1, 72),
        betas=take.betas,
        trans=places_m @ turn.T - pelvis_m,
        mocap_framerate=np.array(motion.fps),
        gender=np.array("neutral"),
        seen=take.seen,
        first_frame=np.array(int(take.frames[0])),
        body_digest=np.array(motion.body_digest),
        terms=np.array(motion.terms),
    )
    return content.getvalue()
