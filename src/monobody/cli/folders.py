"""Where a verb reads and writes: checked before any work."""

import os
from pathlib import Path


def ensure_writable(folder: Path, *, keep: bool = True) -> None:
    """Make an output folder and try a file in it, before minutes of work find out that it cannot be written.

    Args:
        folder: where results are to go.
        keep: whether folders made for this stay; without, a run that is refused leaves nothing behind.

    Raises:
        UserError: it cannot.
    """
    from monobody.files import atomic_write

    made = [each for each in (folder, *folder.parents) if not each.exists()]
    probe = folder / ".monobody-probe"
    with atomic_write(probe):
        pass
    probe.unlink(missing_ok=True)
    for each in [] if keep else made:
        each.rmdir()


def known_data() -> Path | None:
    """Return the folder that $MONOBODY_DATA names, if it does."""
    named = os.environ.get("MONOBODY_DATA")
    return Path(named) if named else None
