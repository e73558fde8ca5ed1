"""What decides results, known by what is in it: networks by their numbers, files by their bytes.

A run that goes on where another one stopped must not mix its results with those of another model, body or list of
people that only has the same name.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch

from monobody.errors import UserError
from monobody.files import sha256_of


def estimator_digest(estimator: Any) -> str:
    """Return what tells a model from every other, whatever it is called: its kind, its choices, all its numbers."""
    network: Any = getattr(estimator, "network", getattr(estimator, "model", None))
    told = [type(estimator).__name__, type(network).__name__]
    told += [f"{name}={getattr(estimator, name, None)}" for name in ("crop", "kept", "lift")]
    told += [f"{name}={getattr(network, name, None)}" for name in ("runtime", "input_size", "joint_set", "full_image")]
    digest = hashlib.sha256("\n".join(told).encode())
    if hasattr(network, "state_dict"):
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(f"\n{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def file_digest(path: str | Path) -> str:
    """Return what tells a file, or a folder of files, from another of that name.

    Files are told apart by all their bytes, those of a folder by their names, sizes and times.

    Raises:
        UserError: it is not there or cannot be read.
    """
    whole = Path(path)
    try:
        if not whole.is_dir():
            return sha256_of(whole)
        return listing_digest([item for item in whole.rglob("*") if item.is_file()])
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror or error}.") from error


def listing_digest(paths: list[Path] | tuple[Path, ...]) -> str:
    """Return the digest of files' names, sizes and times."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        stat = path.stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def detector_digest(name_or_file: str | Path) -> str:
    """Return a detector's name, or the digest of the file of people that stands for one.

    Raises:
        UserError: that file cannot be read.
    """
    return file_digest(name_or_file) if Path(name_or_file).exists() else str(name_or_file)
