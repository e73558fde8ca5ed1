"""The protocols by their names: which file states each, and which of its variants is meant.

A protocol's file has a function ``protocol(name, *, variant, body)`` that states it; it is imported when it is asked
for. `quick`, `open` and `ablation` are no protocols but programmes of their own (`cli/evaluate.py`).
"""

from importlib import import_module
from pathlib import Path

from monobody.errors import UserError
from monobody.evaluate.protocol import Protocol

FILES = {
    "h36m-p1": "h36m",
    "h36m-p2": "h36m",
    "mpi-inf-3dhp": "mpi_inf_3dhp",
    "3dpw": "threedpw",
    "lsp": "lsp",
    "lsp-extended": "keypoints_2d",
    "coco": "keypoints_2d",
    "synthetic": "synthetic",
}
"""Which file of `monobody.evaluate` states a protocol."""


def find_protocol(name: str, *, variant: str | None = None, body: str | Path | None = None) -> Protocol:
    """Return a protocol by its name.

    Args:
        name: one of ``FILES``.
        variant: one of several protocols of that name; the file's first where left out.
        body: the body that predictions are meant for, where meshes are measured; the shipped one where left out.

    Raises:
        UserError: there is no such protocol or variant.
    """
    if name not in FILES:
        raise UserError(f'There is no protocol "{name}": choose from {", ".join(FILES)}.')
    return import_module(f"monobody.evaluate.{FILES[name]}").protocol(name, variant=variant, body=body)


def usual_root(name: str, data: Path | None) -> Path | None:
    """Return a data set's folder below the one that holds them all, named as `monobody prepare` names it, if there."""
    folders = {"h36m-p1": "h36m", "h36m-p2": "h36m", "3dpw": "threedpw"}
    root = None if data is None else data / folders.get(name, name.replace("-", "_"))
    return root if root is not None and root.is_dir() else None


def chosen_variant(name: str, variant: str | None, known: tuple[str, ...]) -> str:
    """Return the variant that is meant, the first where none is named.

    Raises:
        UserError: the protocol has no such variant.
    """
    if variant is not None and variant not in known:
        choice = f"choose from {', '.join(known)}" if known else "leave --variant out"
        raise UserError(f'{name} has no variant "{variant}": {choice}.')
    return variant or (known[0] if known else "")
