"""The models: which there are, where their weights lie, whether these are whole, on what terms.

A model is named, or given as a file. Weights that come with the package lie in ``weights/``; their SHA-256 (in
``SHA256SUMS``, which ``sha256sum -c`` reads) is checked before they are used. Others may be fetched from the web, on
the user's word alone, into a cache; ``DOWNLOADS`` says from where. A weights file carries its own card: data, terms,
recipe, numbers.
"""

import json
import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monobody.errors import UserError
from monobody.files import sha256_of

WEIGHTS = Path(__file__).resolve().parent / "weights"
DEFAULT_MODEL = "lift"
XAS = ("xas-resnet50", "xas-small", "xas-blaze", "xas-mini")
"""The detectors of several hypotheses, the better first. The alias "xas" is the first whose weights are shipped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One model that has a name."""

    name: str
    about: str
    animals: bool = False
    """Whether it is about animals: what measures people passes it over."""

    @property
    def weights(self) -> Path:
        """Where shipped weights lie."""
        return WEIGHTS / f"{self.name}.safetensors"

    @property
    def shipped(self) -> bool:
        """Whether its weights come with the package, and so have a published SHA-256."""
        return published_sha256(self.weights.name) is not None

    @property
    def cached(self) -> Path:
        """Where fetched weights lie."""
        return cache_folder() / "weights" / self.weights.name

    @property
    def download(self) -> "Download | None":
        """Where its weights may be fetched."""
        return downloads().get(self.name)

    def card(self) -> dict[str, Any]:
        """Return the card in the weights' header, without reading further; empty where there are no weights."""
        path = self.weights if self.shipped else self.cached
        if not path.is_file():
            return {}
        try:
            with path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(length))
            return json.loads(header["__metadata__"]["monobody"])
        except (OSError, struct.error, ValueError, KeyError, MemoryError, OverflowError):
            return {"terms": "the file is damaged: install monobody again"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """Weights on the web."""

    url: str
    sha256: str
    bytes: int


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
        Model(name="xas-mini", about="the same on half a ResNet-18, 64 px crops; has seen no joint of a photo"),
        Model(name="xas-blaze", about="the same on the trunk of BlazePose, which has seen 3D labels"),
        Model(name="xas-animal", about="several skeletons of an animal on four legs; give its --box", animals=True),
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
        if re.fullmatch(r"[\w.-]+", str(name_or_file)):
            fetched = cache_folder() / "weights" / f"{name_or_file}.safetensors"
            if fetched.is_file():
                return fetched
        if path.is_dir():
            raise UserError(f"{path} is a folder: give the weights file in it (.safetensors).")
        known = ", ".join([*MODELS, "xas"])
        raise UserError(f'There is no model or weights file "{name_or_file}": choose {known}, or a file.')
    if not model.shipped and (offer := model.download) is not None:
        if not model.cached.is_file():
            raise UserError(
                f"The weights of {model.name} ({offer.bytes / 1e6:.0f} MB) are not here: fetch them with "
                f"`monobody models --fetch {model.name}`."
            )
        if sha256_of(model.cached) != offer.sha256:
            raise UserError(f"{model.cached} is damaged: fetch it again with `monobody models --fetch {model.name}`.")
        return model.cached
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


def downloads() -> dict[str, Download]:
    """Return which models' weights may be fetched: the lines "name  sha256  bytes  url" of ``weights/DOWNLOADS``."""
    path = WEIGHTS / "DOWNLOADS"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return {name: Download(url=url, sha256=digest, bytes=int(size)) for name, digest, size, url in rows}


def cache_folder() -> Path:
    """Return where fetched and derived files are kept: ``monobody`` in $XDG_CACHE_HOME, or in ~/.cache."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "monobody"


def fetch(
    name_or_url: str,
    *,
    sha256: str | None = None,
    offline: bool = False,
    report: Callable[[int, int | None], None] = lambda done, total: None,
) -> Path:
    """Fetch the weights of a model, or of an address with its SHA-256, into the cache and return the file.

    What came from an address is named by its file's name: ``--model NAME`` takes it from then on.

    Raises:
        UserError: there is nothing of that name to fetch, or fetching fails.
    """
    from monobody.download import download

    if "://" in name_or_url:
        name = re.sub(r"[^\w.-]+", "_", name_or_url.split("?")[0].rstrip("/").rpartition("/")[2])
        if not name.endswith(".safetensors") or name.startswith("."):
            raise UserError(f"{name_or_url} is not the address of a .safetensors file: other weights are not read.")
        if name.removesuffix(".safetensors") in (*MODELS, "xas"):
            raise UserError(
                f"{name} is the name of another model here: fetch it yourself and give the file to --model."
            )
        if sha256 is None:
            raise UserError("Give --sha256 with the address: the 64 digits that its publisher names.")
        target = cache_folder() / "weights" / name
        return download(name_or_url, target, sha256, offline=offline, report=report)
    model = MODELS.get(resolved(name_or_url))
    if model is None:
        raise UserError(f'There is no model "{name_or_url}": choose one of `monobody models`, or give an address.')
    if model.shipped:
        return find_weights(model.name)
    if (offer := model.download) is None:
        raise UserError(f"{model.name} has no weights to fetch: train it, or give an address and --sha256.")
    return download(offer.url, model.cached, sha256 or offer.sha256, offline=offline, report=report)


def whereabouts(model: Model) -> str:
    """Return in a few words where a model's weights are."""
    if model.shipped:
        return f"{model.weights.stat().st_size / 1e6:.1f} MB" if model.weights.is_file() else "missing"
    if model.download is None:
        return "none"
    size = f"{model.download.bytes / 1e6:.0f} MB"
    return f"{size}, cached" if model.cached.is_file() else f"{size} to fetch"


def table() -> str:
    """Return all models as a table to print."""
    rows = [("model", "weights", "about", "terms")]
    for model in MODELS.values():
        default = " (default)" if model.name == DEFAULT_MODEL else ""
        rows.append((model.name, whereabouts(model), model.about + default, model.card().get("terms", "-")))
    chosen = MODELS[resolved("xas")]
    rows.append(("xas", "none" if not chosen.shipped else "", f"another name of {chosen.name}", "-"))
    known = {f"{name}.safetensors" for name in MODELS}
    for path in sorted((cache_folder() / "weights").glob("*.safetensors")):
        if path.name not in known:
            rows.append((path.stem, f"{path.stat().st_size / 1e6:.1f} MB, cached", "fetched by you", "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3]]) for row in rows)
