"""The pages' own files, which come with the package: HTML, styles, scripts, and photos to try."""

from importlib.resources import files


def asset(name: str) -> str:
    """Return one of the pages' own files as text."""
    return (files("monobody.web") / "assets" / name).read_text(encoding="utf-8")


def example(name: str) -> bytes:
    """Return one of the example photos, a JPEG."""
    return (files("monobody.web") / "examples" / f"{name}.jpg").read_bytes()
