"""`monobody prepare`: published data sets to what training reads."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from monobody.cli.exits import OK
from monobody.cli.folders import ensure_writable
from monobody.errors import UserError


def prepare(
    name: Annotated[Positional[str | None], arg(metavar="NAME")] = None,
    *,
    root: Path | None = None,
    out: Annotated[Path | None, arg(aliases=["-o"])] = None,
    split: str | None = None,
    workers: int = 2,
    partial: bool = False,
    list: bool = False,
) -> int:
    """Turn a published data set, as it was downloaded, into the shards that training reads.

    Args:
        name: Which data set; --list tells which there are.
        root: Folder of the data set, laid out as it comes; docs/datasets.md shows how.
        out: Folder for the shards and their manifest, for this set alone.
        split: Which part of the set; its first where left out.
        workers: Processes.
        partial: Prepare what is there where something is missing.
        list: Print the data sets: what they are, on what terms, where to get them.
    """
    from monobody.data.prepare import prepare as run
    from monobody.data.prepare import summary, table

    if list:
        print(table())
        return OK
    if name is None or root is None or out is None:
        raise UserError("Give a data set and its folders: monobody prepare NAME --root DIR --out DIR, or --list.")
    ensure_writable(out)
    print(summary(run(name, root, out, split=split, workers=workers, partial=partial), out))
    return OK
