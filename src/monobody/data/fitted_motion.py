"""Motion capture that somebody fitted a body model to, written as one pose bank: HMR's unpaired bodies (section 3.3).

    OUT/bank.npz          poses with their shapes, as `PoseBank.load` reads them
    OUT/manifest.json     name, licence, counts by source, what was skipped and why, the bank's digest
    OUT/parts/*.npz       what is read so far, one file for each source: a stopped run goes on behind the last one

Readers (`datasets/amass.py`, `datasets/mosh.py`) list clips and read one at a time, thinned, in the y-up world of the
pose bank. Weights are computed as for any bank, with subjects in the place of actions, whose names nobody wrote down.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from monobody.data.pose_bank import PoseBank, balanced_weights
from monobody.errors import UserError
from monobody.files import atomic_write, sha256_of

FORMAT = "monobody pose bank 2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One recording on disk."""

    path: Path
    source: str
    """The data set that it comes from; one part is written for each."""
    name: str
    """Unique among all clips."""
    subject: str
    """Who moves; subjects share half of the sampling weight equally."""
    held_out: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedMotion:
    """What a clip holds: its kept poses (axis-angle, the root to a y-up world), shape, and number of frames."""

    rotations_aa: Float[NDArray, "t 24 3"]
    betas: Float[NDArray, "10"]
    shape_space: str
    """Whose coefficients ``betas`` are."""
    frames: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What a bank is made of and what its manifest says of it."""

    name: str
    licence: str
    get_it: str
    expected: dict[str, int]
    thinning: str
    """How frames were chosen, in words; another wording makes another bank."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Clips on disk that are not meant, by reason."""
    clips: Sequence[Clip] = field(repr=False)
    read: Callable[[Clip], FittedMotion] = field(repr=False)
    """Raises UserError for a clip that cannot be used."""


def write_bank(source: Source, out: str | Path, *, workers: int = 2) -> dict[str, Any]:
    """Write a bank and return its manifest; what an earlier run of the same input has written is not read again.

    Clips that cannot be used are left out, counted and listed with their reason in the manifest.

    Raises:
        UserError: there are no clips, none can be used, or nothing can be written.
    """
    out = Path(out)
    if not source.clips:
        raise UserError(f"There is nothing of {source.name} to write. {source.get_it}")
    whole = _fingerprint(source.thinning, source.clips)
    done = _finished(out, whole)
    if done is not None:
        return done
    clips = sorted(source.clips, key=lambda clip: (clip.source, clip.name))
    parts: list[dict[str, NDArray]] = []
    pool = ThreadPoolExecutor(max(workers, 1))
    try:
        for name, group in groupby(clips, key=lambda clip: clip.source):
            members = list(group)
            path = out / "parts" / f"{_file_name(name)}-{_fingerprint(source.thinning, members)[:12]}.npz"
            if not path.is_file():
                _write_part(path, members, _shown(pool.map(_attempt(source.read), members), name, len(members)))
            with np.load(path, allow_pickle=False) as file:
                parts.append(dict(file))
    finally:
        # Who stops the program does not want to wait for clips that nobody has begun to read.
        pool.shutdown(cancel_futures=True)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    skipped = dict(zip(columns.pop("skipped"), columns.pop("reason"), strict=True))
    frames = dict(zip(columns.pop("counted"), columns.pop("frames"), strict=True))
    if not len(columns["clip"]):
        raise UserError(f"No clip of {source.name} can be used. The first: {next(iter(skipped.values()))}")
    balanced, unusual = balanced_weights(_joints(columns["rotations_aa"]), columns["action"], columns["held_out"])
    people = columns.pop("shape_spaces")
    spaces = dict(zip(*np.unique(people, return_counts=True), strict=True))
    told: dict[str, Any] = {"shape_space": str(people[0])} if len(spaces) == 1 else {"shape_spaces": people}
    bank = PoseBank(**columns, **told, balanced=balanced, unusual=unusual)
    bank.save(out / "bank.npz")
    manifest = {
        "format": FORMAT,
        "name": source.name,
        "licence": source.licence,
        "source": source.get_it,
        "input": whole,
        "shape_spaces": {str(space): int(count) for space, count in spaces.items()},
        "thinning": source.thinning,
        "poses": len(bank),
        "held_out": int(bank.held_out.sum()),
        "clips": len(source.clips) - len(skipped),
        "frames": {str(name): int(count) for name, count in frames.items()},
        "expected": source.expected,
        "left_out": source.left_out,
        "skipped": {str(name): str(reason) for name, reason in skipped.items()},
        "sha256": sha256_of(out / "bank.npz"),
    }
    with atomic_write(out / "manifest.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n")
    for part in (out / "parts").glob("*.npz"):
        part.unlink()
    (out / "parts").rmdir()
    return manifest


def y_up(rotations_aa: Float[NDArray, "t 24 3"]) -> Float[NDArray, "t 24 3"]:
    """Take poses whose root turns the body to a z-up world to the bank's y-up world: (x, y, z) becomes (x, z, -y)."""
    import torch

    from monobody.body.rotation import axis_angle_to_matrix, matrix_to_axis_angle

    turn = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)
    root = turn @ axis_angle_to_matrix(torch.from_numpy(np.asarray(rotations_aa[:, 0], np.float64)))
    turned = np.array(rotations_aa, np.float32)
    turned[:, 0] = matrix_to_axis_angle(root).numpy()
    return turned


def _attempt(read: Callable[[Clip], FittedMotion]) -> Callable[[Clip], FittedMotion | str]:
    """Return a reader that gives the reason where a clip cannot be used."""

    def attempt(clip: Clip) -> FittedMotion | str:
        try:
            motion = read(clip)
        except UserError as error:
            return str(error)
        if not (np.isfinite(motion.rotations_aa).all() and np.isfinite(motion.betas).all()):
            return f"{clip.path} holds numbers that are not finite."
        return motion

    return attempt


def _write_part(path: Path, clips: Sequence[Clip], motions: Iterable[FittedMotion | str]) -> None:
    """Write all of one source in one file: columns of the bank, and what was skipped."""
    pairs = list(zip(clips, motions, strict=True))
    kept = [(clip, motion) for clip, motion in pairs if isinstance(motion, FittedMotion)]
    lost = [(clip.name, reason) for clip, reason in pairs if isinstance(reason, str)]
    length = [len(motion.rotations_aa) for _, motion in kept]
    columns: dict[str, Any] = {
        "rotations_aa": np.concatenate([motion.rotations_aa for _, motion in kept] or [np.zeros((0, 24, 3))]),
        "betas": np.repeat(np.array([motion.betas for _, motion in kept]).reshape(-1, 10), length, axis=0),
        "shape_spaces": np.repeat(np.array([motion.shape_space for _, motion in kept], str), length),
        "source": np.repeat(np.array([clip.source for clip, _ in kept], str), length),
        "clip": np.repeat(np.array([clip.name for clip, _ in kept], str), length),
        "action": np.repeat(np.array([clip.subject for clip, _ in kept], str), length),
        "held_out": np.repeat(np.array([clip.held_out for clip, _ in kept], bool), length),
        "skipped": np.array([name for name, _ in lost], str),
        "reason": np.array([reason for _, reason in lost], str),
        "counted": np.array([clips[0].source]),
        "frames": np.array([sum(motion.frames for _, motion in kept)], np.int64),
    }
    for name in ("rotations_aa", "betas"):
        columns[name] = columns[name].astype(np.float32)
    with atomic_write(path, suffix=".npz") as temporary:
        np.savez_compressed(temporary, **columns)


def _joints(rotations_aa: Float[NDArray, "n 24 3"], at_once: int = 20_000) -> Float[NDArray, "n 24 3"]:
    """Return where the joints of the shipped body's mean shape are in these poses."""
    import torch

    from monobody.body.kinematics import forward_kinematics
    from monobody.body.model import Body
    from monobody.data.staging import to_matrices

    body = Body.load()
    joints = np.empty(rotations_aa.shape, np.float32)
    for start in range(0, len(joints), at_once):
        rotations = torch.from_numpy(to_matrices(rotations_aa[start : start + at_once]))
        rest = body.joint_template.expand(len(rotations), 24, 3)
        joints[start : start + at_once] = forward_kinematics(rotations, rest, body.parents)[1].numpy()
    return joints


def _finished(out: Path, whole: str) -> dict[str, Any] | None:
    """Return the manifest of a bank of the same input that is whole, or None."""
    try:
        manifest = json.loads((out / "manifest.json").read_text())
        same = manifest["format"] == FORMAT and manifest["input"] == whole
        return manifest if same and manifest["sha256"] == sha256_of(out / "bank.npz") else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fingerprint(thinning: str, clips: Sequence[Clip]) -> str:
    """Tell inputs apart by their clips' names, sizes and roles and by the thinning."""
    lines = sorted(f"{clip.name} {clip.subject} {clip.held_out} {clip.path.stat().st_size}" for clip in clips)
    return hashlib.sha256("\n".join([FORMAT, thinning, *lines]).encode()).hexdigest()


def _file_name(source: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in source)


def _shown(motions: Iterable[FittedMotion | str], name: str, total: int) -> Iterable[FittedMotion | str]:
    """Show a bar on a terminal, nothing elsewhere."""
    if not sys.stdout.isatty():
        return motions
    from rich.progress import track

    return track(motions, description=name, total=total)
