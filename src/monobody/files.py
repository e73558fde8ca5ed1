"""Files written whole or not at all, and the digests that identify them."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monobody.errors import UserError


def make_public(made: Path) -> None:
    """Give a file of `mkstemp`, which is private, the permissions that any new file of the user would have."""
    umask = os.umask(0)
    os.umask(umask)
    made.chmod(0o666 & ~umask)


@contextmanager
def atomic_write(path: str | Path, suffix: str = "") -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block ends without an exception.

    Writers that choose a format by the file's extension are given it by ``suffix``. Readers see the old file or
    the whole new one, never a part of it.

    Raises:
        UserError: the folder cannot be made or written, or the disk is full.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=suffix, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        make_public(temporary)
        temporary.replace(target)
    except OSError as error:
        raise UserError(
            f"Cannot write {target}: {error.strerror or error}. Choose another output folder or free space."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
