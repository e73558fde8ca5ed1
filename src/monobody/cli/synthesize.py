"""`monobody synthesize`: synthetic people as a contact sheet or a data set."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from monobody.cli.exits import OK


def synthesize(
    *,
    out: Annotated[Path, arg(aliases=["-o"])],
    count: Annotated[int, arg(aliases=["-n"])] = 64,
    seed: int = 0,
    size: int = 128,
    data: Path | None = None,
    bank: Path | None = None,
) -> int:
    """Draw synthetic people: a contact sheet (-o sheet.png) or a data set (-o folder or -o file.tar).

    Args:
        out: A .png for a contact sheet; a folder or a .tar for a data set.
        count: How many.
        seed: Same seed, same people.
        size: Side of the pictures in pixels.
        data: Folder with textures; without it everything is procedural.
        bank: Pose bank; without it poses come from the shipped prior.
    """
    from monobody.data.synthesize import synthesize as draw

    draw(out, count=count, seed=seed, size_px=size, data=data, bank=bank)
    return OK
