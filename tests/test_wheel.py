"""The built wheel installs into a clean environment and predicts there."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_wheel_predicts_in_a_clean_environment(tmp_path: Path) -> None:
    """Dependencies are borrowed from this environment by a .pth file: what is tested is what the wheel itself holds."""
    pytest.importorskip("build")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")

    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    packages = next((tmp_path / "clean").glob("lib/python*/site-packages"))
    borrowed = Path(pytest.__file__).resolve().parents[1]
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")

    photo = ROOT / "samples" / "astronaut.jpg"
    predict = [python.with_name("monobody"), "predict", photo, "-o", tmp_path / "out", "--detector", "whole"]
    result = subprocess.run(predict, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "astronaut.glb").stat().st_size > 100_000
    which = [python, "-c", "import monobody; print(monobody.__file__)"]
    where = subprocess.run(which, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert str(tmp_path) in where.stdout
