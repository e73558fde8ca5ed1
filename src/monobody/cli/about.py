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


def models() -> int:
    """List the models: what they are, whether they are here, on what terms."""
    from monobody.hub import table

    print(table())
    return OK


def doctor() -> int:
    """Print what to paste into a bug report, and check the shipped files."""
    from monobody.doctor import examine

    report, healthy = examine()
    print(report)
    return OK if healthy else PARTLY
