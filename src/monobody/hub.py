"""The models: which there are, where their weights lie, whether these are whole, on what terms.

A model is named, or given as a file. Weights that come with the package lie in ``weights/``; their SHA-256 (in
``SHA256SUMS``, which ``sha256sum -c`` reads) is checked before they are used. A weights file carries its own card:
data, terms, recipe, numbers.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monobody.errors import UserError
from monobody.files import sha256_of

WEIGHTS = Path(__file__).resolve().parent / "weights"
DEFAULT_MODEL = "lift"
XAS = ("xas-resnet50", "xas-small", "xas-mini", "xas-blaze")
"""The detectors of several hypotheses. The alias "xas" is the first whose weights are shipped; those that have learnt
without 3D labels come first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One model that has a name."""

    name: str
    about: str

    @property
    def weights(self) -> Path:
        """Where shipped weights lie."""
        return WEIGHTS / f"{self.name}.safetensors"

    @property
    def shipped(self) -> bool:
        """Whether its weights come with the package, and so have a published SHA-256."""
        return published_sha256(self.weights.name) is not None

    def card(self) -> dict[str, Any]:
        """Return the card in the weights' header, without reading further; empty where there are no weights."""
        if not (self.shipped and self.weights.is_file()):
            return {}
        try:
            with self.weights.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(length))
            return json.loads(header["__metadata__"]["monobody"])
        except (OSError, struct.error, ValueError, KeyError, MemoryError, OverflowError):
            return {"terms": "the file is damaged: install monobody again"}


MODELS = {
    model.name: model
    for model in (
        Model(name="hmr-small", about="HMR on the trunk of BlazePose, 256 px crops"),
        Model(name="lift", about="body from the detector's 33 landmarks; sees no pixels"),
        Model(name="lift-clean", about="the same, trained on synthetic people and permissive data alone"),
        Model(name="hmr-resnet18", about="HMR on ResNet-18, 224 px crops"),
        Model(name="hmr-resnet50", about="HMR on ResNet-50, 224 px crops: the published network"),
        Model(name="xas-resnet50", about="several skeletons a person: X as Supervision on ResNet-50, 256 px crops"),
        Model(name="xas-small", about="the same on ResNet-18, 256 px crops"),
        Model(name="xas-mini", about="the same on a thin ResNet-18, 128 px crops"),
        Model(name="xas-blaze", about="the same on the trunk of BlazePose, which has seen 3D labels"),
        Model(name="mean-pose", about="no network: everybody stands upright; the yardstick"),
    )
}


def resolved(name: str) -> str:
    """Return the model that a name stands for: of "xas" the best detector of hypotheses that is shipped."""
    if name != "xas":
        return name
    return next((one for one in XAS if MODELS[one].shipped), XAS[0])


def find_weights(name_or_file: str | Path) -> Path:
    """Return the weights file of a model's name, checked, or the file itself.

    Raises:
        UserError: no such model or file, a model without shipped weights, or shipped weights that are damaged.
    """
    model = MODELS.get(resolved(str(name_or_file)))
    if model is None:
        path = Path(name_or_file)
        if path.is_file():
            return path
        if path.is_dir():
            raise UserError(f"{path} is a folder: give the weights file in it (.safetensors).")
        known = ", ".join([*MODELS, "xas"])
        raise UserError(f'There is no model or weights file "{name_or_file}": choose {known}, or a file.')
    if not model.shipped:
        raise UserError(
            f"{model.name} comes without weights: train it (`monobody train --list` has the recipes), "
            "then give the file with --model FILE."
        )
    if not model.weights.is_file():
        raise UserError(f"{model.weights} is missing: install monobody again (pip install --force-reinstall monobody).")
    if sha256_of(model.weights) != published_sha256(model.weights.name):
        raise UserError(
            f"{model.weights} is damaged (its SHA-256 is not the published one): "
            "install monobody again (pip install --force-reinstall monobody)."
        )
    return model.weights


def published_sha256(file_name: str) -> str | None:
    """Return the SHA-256 that a shipped file must have; None where it is not known."""
    lines = (WEIGHTS / "SHA256SUMS").read_text(encoding="utf-8").split("\n")
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}.get(file_name)


def table() -> str:
    """Return all models as a table to print."""
    rows = [("model", "weights", "about", "terms")]
    for model in MODELS.values():
        size = f"{model.weights.stat().st_size / 1e6:.1f} MB" if model.shipped and model.weights.is_file() else "none"
        default = " (default)" if model.name == DEFAULT_MODEL else ""
        rows.append((model.name, size, model.about + default, model.card().get("terms", "-")))
    chosen = MODELS[resolved("xas")]
    rows.append(("xas", "none" if not chosen.shipped else "", f"another name of {chosen.name}", "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3]]) for row in rows)
