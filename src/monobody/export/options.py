"""What may be chosen when a motion is written, which format knows which choice, and what each means by default."""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from monobody.errors import UserError
from monobody.export.rigs import RIGS, RigName

Root = Literal["world", "origin", "in-place"]
FASTEST_FPS = 1000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOptions:
    """The choices of ``monobody export``.

    Raises:
        UserError: a choice that does not exist.
    """

    rig: RigName = "smpl"
    """Whose joint names and bone axes: ``export/rigs.py``."""
    rest: Literal["t", "a"] | None = None
    """Arms level or 45 degrees down at rest; the rig's own habit where left out."""
    up: Literal["y", "z"] | None = None
    """Which axis points up; the format's own habit where left out."""
    unit: Literal["m", "cm"] | None = None
    """The unit of length; the format's own habit where left out."""
    fps: float | None = None
    """Frames in a second; the clip's own where left out."""
    root: Root = "world"
    """Where people move: where they were, from the origin on, or on the spot."""
    hypotheses: Literal["best", "all"] = "best"
    """One armature a person, or one for each hypothesis."""
    person: tuple[int, ...] = ()
    """The ids of those to write; everybody where empty."""
    correctives: bool = False
    """Whether what joints do to the flesh around them is written as morph targets."""

    def __post_init__(self) -> None:
        allowed = {
            "rig": tuple(RIGS), "rest": ("t", "a", None), "up": ("y", "z", None), "unit": ("m", "cm", None),
            "root": get_args(Root), "hypotheses": ("best", "all"), "correctives": (True, False),
        }  # fmt: skip
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                named = ", ".join(str(choice) for choice in choices if choice is not None)
                raise UserError(f"There is no {name} {getattr(self, name)!r}: choose from {named}.")
        if self.fps is not None and not 0 < self.fps <= FASTEST_FPS:
            raise UserError(f"{self.fps:g} frames in a second: give a number above 0 and at most {FASTEST_FPS:g}.")


_ANY = {"fps", "person", "hypotheses"}
_SKELETON = _ANY | {"rig", "rest", "root"}
KNOWN: dict[str, set[str]] = {
    ".glb": _SKELETON | {"correctives"},
    ".fbx": _SKELETON | {"up", "unit"},
    ".bvh": _SKELETON | {"up", "unit"},
    ".obj": _ANY | {"root", "up", "unit"},
    ".csv": _ANY,
    ".json": _ANY,
    ".smpl.npz": _ANY | {"root", "up"},
    ".npz": {"fps", "person"},
}
"""Which choices mean something for which extension. GLB is y up and in metres by its own rules."""


def options_for(suffix: str, given: dict[str, Any]) -> ExportOptions:
    """Return the choices for a format; those left out as None are not given.

    Raises:
        UserError: the format does not exist, or does not know a choice.
    """
    if suffix not in KNOWN:
        raise UserError(f"Cannot write {suffix or 'a file without extension'}: choose one of {', '.join(KNOWN)}.")
    defaults = ExportOptions()
    for name, value in given.items():
        if name not in {each.name for each in fields(ExportOptions)}:
            raise UserError(f"There is no option {name!r} for {suffix}: it knows {', '.join(sorted(KNOWN[suffix]))}.")
        if name not in KNOWN[suffix] and value is not None and value != getattr(defaults, name):
            raise UserError(f"{suffix} has no choice of {name}: it knows {', '.join(sorted(KNOWN[suffix]))}.")
    return ExportOptions(**given)
