"""Several files of one result: named after what is in them, all of them written or none."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from monobody.files import atomic_write


def suffix_of(path: str | Path) -> str:
    """Return a path's extension in small letters; ".smpl.npz" is one."""
    name = Path(path).name.lower()
    return ".smpl.npz" if name.endswith(".smpl.npz") else Path(name).suffix


def numbered(path: str | Path, part: str) -> Path:
    """Return the path with a part's name before the extension: walk.bvh, person_1 -> walk_person_1.bvh."""
    path = Path(path)
    suffix = path.name[len(path.name) - len(suffix_of(path)) :]
    return path.with_name(f"{path.name.removesuffix(suffix)}_{part}{suffix}")


def written_together(paths: Iterable[Path], contents: Iterable[bytes]) -> list[Path]:
    """Write files; where one cannot be written, none of them appears and older ones stay as they are.

    Raises:
        UserError: a file cannot be written.
    """
    done = []
    with ExitStack() as stack:
        for path, content in zip(paths, contents, strict=True):
            stack.enter_context(atomic_write(path, suffix=path.suffix)).write_bytes(content)
            done.append(path)
    return done
