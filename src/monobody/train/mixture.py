"""Which data sets a training gets: those that its recipe names, or what takes the place of those that are not there.

A set is there when `DATA/prepared/NAME/` holds it (`monobody prepare NAME`); LSP Extended also in its own layout. Few
people have all of HMR's sets. Where some of a kind are missing, the others of that kind are drawn more often, so that
the share of rows with 3D labels stays; where all of a kind are, synthetic people stand in for the sets with 3D labels,
and LSP Extended, or else synthetic people, for those without. That is said, never done silently.
"""

from collections.abc import Mapping
from pathlib import Path

from monobody.data.prepared import MANIFEST, Prepared, read_manifest
from monobody.errors import UserError
from monobody.train.recipe import Recipe

SYNTHETIC, LSP_EXTENDED = "synthetic", "lsp_extended"
SETS_WITH_3D = frozenset({SYNTHETIC, "h36m", "mpi_inf_3dhp", "threedpw", "surreal"})
"""Sets whose people have 3D labels. Of others (somebody's own, say) the first sample tells."""
HELD_OUT = ("test", "val")
"""How the names of splits begin that are there to measure with."""


def available(recipe: Recipe, data: Path | None) -> tuple[dict[str, float], str]:
    """Return the shares of the sets to train on, and a sentence about what is missing, empty where nothing is.

    Raises:
        UserError: the recipe wants 3D labels and no set in its mixture has any; or a set is there to measure with.
    """
    wanted = recipe.shares()
    with_3d = {name for name in wanted if has_3d(name, data)}
    if recipe.looks_at_3d and not with_3d:
        raise UserError(
            f"{recipe.name} learns from 3D labels, but none of {', '.join(wanted)} is known to have any: add "
            f"{', '.join(sorted(SETS_WITH_3D))} to the mixture, or train hmr-unpaired, which needs none."
        )
    missing = [name for name in wanted if not is_there(name, data)]
    if not missing:
        return wanted, ""
    shares: dict[str, float] = {}
    for kind in (True, False):
        mine = {name: share for name, share in wanted.items() if (name in with_3d) == kind}
        left = {name: share for name, share in mine.items() if name not in missing} or dict.fromkeys(
            [SYNTHETIC if kind or not is_there(LSP_EXTENDED, data) else LSP_EXTENDED][: len(mine)], 1.0
        )
        for name, share in left.items():
            shares[name] = shares.get(name, 0.0) + share * sum(mine.values()) / sum(left.values())
    where = "no data folder is given" if data is None else f"{data} has no prepared/{', prepared/'.join(missing)}"
    return shares, f"{recipe.name}: {where}; training on {described(shares)} instead."


def is_there(name: str, data: Path | None) -> bool:
    """Tell whether a data folder has a set.

    Raises:
        UserError: its prepared set is one to measure with.
    """
    if name == SYNTHETIC:
        return True
    if data is None:
        return False
    if name == LSP_EXTENDED and ((data / name).is_dir() or (data / "photos_train.npz").is_file()):
        return True
    folder = data / "prepared" / name
    if not (folder / MANIFEST).is_file():
        return False
    manifest = read_manifest(folder)
    if str(manifest.get("split", "")).startswith(HELD_OUT):
        raise UserError(
            f"{folder} holds the split '{manifest['split']}', which is there to measure with: write a split to train "
            f"on with `monobody prepare {manifest['name']} --split ...`, or leave {name} out of the mixture."
        )
    return True


def has_3d(name: str, data: Path | None) -> bool:
    """Tell whether the people of a set have 3D labels."""
    if name in SETS_WITH_3D or data is None or name == LSP_EXTENDED or not is_there(name, data):
        return name in SETS_WITH_3D
    samples = Prepared(data / "prepared" / name)
    return len(samples) > 0 and (samples[0].joints_cam_m is not None or samples[0].rotations is not None)


def described(shares: Mapping[str, float]) -> str:
    """Name sets with their shares: `synthetic people 50 %, lsp_extended 50 %`."""
    total = sum(shares.values())
    titles = {SYNTHETIC: "synthetic people"}
    return ", ".join(f"{titles.get(name, name)} {100 * share / total:.3g} %" for name, share in shares.items())
