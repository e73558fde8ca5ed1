"""Shell completion: what the command line prints for bash and zsh completes its verbs and options."""

import shutil
import subprocess

import pytest

from monobody.cli import main

ASK = """
source /dev/stdin
ask() { COMP_WORDS=(monobody "$@"); COMP_CWORD=$#; COMP_LINE="monobody $*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
        _tyro_monobody; echo "${COMPREPLY[@]}"; }
ask export-o
ask predict --foc
"""


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        main(["--tyro-print-completion", shell])
    assert not end.value.code
    return capsys.readouterr().out


def test_bash_completes_verbs_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    said = script("bash", capsys)
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    result = subprocess.run([bash, "-c", ASK], input=said, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["export-onnx", "--focal-px"]


def test_zsh_gets_its_functions(capsys: pytest.CaptureFixture[str]) -> None:
    said = script("zsh", capsys)
    assert said.startswith("#compdef monobody")
    assert "export-onnx" in said
    assert "focal-px" in said
