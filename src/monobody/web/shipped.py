"""The pages' own files, which come with the package: HTML, styles, scripts, and photos and a clip to try."""

from importlib.resources import files

EXAMPLES = {"one": "one.jpg", "group": "group.jpg", "crossing": "crossing.mp4"}
"""The examples' files; ``scripts/make_example_clip.py`` makes the clip."""


def asset(name: str) -> str:
    """Return one of the pages' own files as text."""
    return (files("monobody.web") / "assets" / name).read_text(encoding="utf-8")


def example(name: str) -> bytes:
    """Return one of the examples, a JPEG or an MP4."""
    return (files("monobody.web") / "examples" / EXAMPLES[name]).read_bytes()
