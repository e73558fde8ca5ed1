"""The README's commands and programs run as they stand, in a folder that has nothing but the samples."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    """The lines that call the program; cloning and make are tried by others."""
    lines = [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if line.startswith("monobody ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readme")
    (path / "samples").symlink_to(ROOT / "samples")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_commands_run(command: str, folder: Path) -> None:
    words = [sys.executable, "-m", "monobody.cli", *shlex.split(command)[1:]]
    result = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("program", blocks("python"))
def test_programs_run(program: str, folder: Path) -> None:
    result = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_readme_shows_how_to_use_it() -> None:
    assert any("predict" in command for command in commands())
    assert blocks("python")
    assert len(README.splitlines()) < 150


def test_files_that_the_readme_names_are_there() -> None:
    for name in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / name).exists(), name
