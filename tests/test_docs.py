"""The pages' commands are ones that the program understands, and the files that the pages name are there."""

import functools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monobody import cli
from monobody.cli import clips, main
from monobody.predict import batch

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "log.md")]


def commands() -> list[str]:
    """The lines in fenced blocks that call the program, without what is said about them."""
    blocks = [block for page in PAGES for block in re.findall(r"```\w*\n(.*?)```", page.read_text(), flags=re.DOTALL)]
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return sorted({line for line in lines if line.startswith("monobody ") and "completion" not in line})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a verb was asked; nothing is done."""
    said: dict[str, Any] = {}

    def instead(verb: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(verb)
        def recorded(*arguments: object, **options: object) -> int:
            said.update(options)
            return 0

        return recorded

    monkeypatch.setattr(cli, "VERBS", {name: instead(verb) for name, verb in cli.VERBS.items()})
    return said


def test_pages_have_commands() -> None:
    assert len(commands()) > 30
    assert {command.split()[1] for command in commands()} >= {"predict", "train", "evaluate", "export"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    for name in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / name).exists(), name


@pytest.mark.parametrize("command", commands())
def test_commands_are_understood(command: str, asked: dict[str, Any]) -> None:
    assert main(shlex.split(command)[1:]) == 0
    if "pictures" in asked:
        film = any(str(picture).endswith(".mp4") or str(picture).isdigit() for picture in asked["pictures"])
        assert set(str(asked["save"]).split(",")) <= set(clips.OUTPUTS if film else batch.OUTPUTS)
