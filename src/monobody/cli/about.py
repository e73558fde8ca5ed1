"""`monobody body`, `models` and `doctor`: what there is, and whether it is whole."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from monobody.cli.exits import OK, PARTLY


def body(file: Annotated[Positional[Path | None], arg(metavar="FILE")] = None) -> int:
    """Check a body file (.npz or .pkl) and print its facts.

    Args:
        file: The body file, the shipped one where left out. Nothing in it is executed.
    """
    from monobody.body.describe import describe_body

    print(describe_body(file))
    return OK


def models(*, fetch: str | None = None, sha256: str | None = None, offline: bool = False) -> int:
    """List the models: what they are, whether they are here, on what terms; or fetch weights.

    Args:
        fetch: Fetch the weights of this model, or of this address, into the cache. Nothing else is ever fetched.
        sha256: What the file at an address must have, as its publisher says.
        offline: Take what is in the cache and nothing else; so does MONOBODY_OFFLINE=1.
    """
    from monobody import hub

    if fetch is None:
        print(hub.table())
        return OK
    said = -1

    def report(done: int, total: int | None) -> None:
        nonlocal said
        share = 10 * done // total if total else done // 10_000_000
        if share != said:
            said = share
            print(f"{done / 1e6:.1f} MB" + (f" of {total / 1e6:.1f}" if total else ""), flush=True)

    print(hub.fetch(fetch, sha256=sha256, offline=offline, report=report))
    return OK


def doctor() -> int:
    """Print what to paste into a bug report, and check the shipped files."""
    from monobody.doctor import examine

    report, healthy = examine()
    print(report)
    return OK if healthy else PARTLY
