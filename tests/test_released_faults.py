"""docs/released-faults.md: each fault has tests that are there; and two faults whose tests have no other place."""

import ast
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from monobody.data.crop import Crop
from monobody.data.prepared_writer import write_prepared
from monobody.data.sample import Sample
from monobody.train.mixture import available, has_3d, is_there
from monobody.train.recipe import parse_mixture
from monobody.train.recipes import find_recipe

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "monobody"


def table() -> dict[int, list[str]]:
    """The page's rows by number: what the released code does, what monobody does, the tests."""
    lines = (ROOT / "docs" / "released-faults.md").read_text(encoding="utf-8").splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if re.match(r"\| \d+ \|", line)]
    return {int(number): [cell.strip() for cell in cells] for number, *cells in rows}


@cache
def written_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_fault_is_told_once_and_in_order() -> None:
    assert list(table()) == list(range(1, 24))
    assert all(len(cells) == 3 and all(cells) for cells in table().values())


def test_every_fault_names_tests_and_files_that_are_there() -> None:
    missing = []
    for number, (_, ours, tests) in table().items():
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", tests)
        assert named, f"{number} names no test"
        assert tests.count("`") == 2 * len(named), f"{number}: {tests}"
        missing += [f"{number}: {file}::{name}" for file, name in named if name not in written_in(file)]
        files = re.findall(r"`([\w/]+\.py)`", ours)
        assert files, f"{number} names no file"
        missing += [f"{number}: {file}" for file in files if not (SOURCE / file).is_file()]
    assert not missing, "\n".join(missing)


def photo(number: int) -> Sample:
    image = np.random.default_rng(number).integers(0, 256, (40, 30, 3), np.uint8)
    keypoints = np.full((19, 2), 12, np.float32) + np.arange(19, dtype=np.float32)[:, None] / 2
    return Sample(image=image, crop=Crop((15.0, 20.0), 24.0), keypoints_px=keypoints, visible=np.ones(19, np.float32))


def test_a_set_is_known_by_its_name_and_its_labels_and_not_by_parts_of_a_path(tmp_path: Path) -> None:
    """The folder, and a set in it, are called as if they were Human3.6M and MPI-INF-3DHP; neither is."""
    data = tmp_path / "hm36" / "mpi_inf_3dhp"
    write_prepared("my_h36m", [photo(0), photo(1)], data / "prepared" / "my_h36m")
    assert is_there("my_h36m", data)
    assert not has_3d("my_h36m", data)
    assert not is_there("h36m", data)
    assert not is_there("mpi_inf_3dhp", data)
    recipe = replace(find_recipe("xas-tiny"), mixture={"synthetic": 0.5, "my_h36m": 0.5})
    assert available(recipe, data) == ({"synthetic": 0.5, "my_h36m": 0.5}, "")
    shares, told = available(replace(recipe, mixture={"h36m": 1.0}), data)
    assert shares == {"synthetic": 1.0}
    assert "prepared/h36m" in told


def test_no_string_is_run_and_no_handler_takes_whatever_comes() -> None:
    assert parse_mixture("__import__('os').abort()=1") == {"__import__('os').abort()": 1.0}
    wrong = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            runs = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec")
            if runs or (isinstance(node, ast.ExceptHandler) and node.type is None):
                wrong.append(f"{path.relative_to(SOURCE)}: {ast.unparse(node)[:80]}")
    assert not wrong, "\n".join(wrong)
