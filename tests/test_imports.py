"""Imports: light where they must be light, one way only, and nothing whose licence or weight we refuse."""

import ast
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "monobody"

# Later layers import earlier ones. The longest matching prefix decides.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "files", "jit", "arrays"),
    ("body", "camera", "image", "render", "data.crop", "data.warp"),
    ("models", "losses", "metrics"),
    ("data", "fit"),
    ("train", "hypothesis", "scene", "motion", "motion_sources", "hub", "download"),
    ("predict",),
    ("evaluate", "export", "doctor"),
    ("web",),
    ("cli",),
)
# `save` and `load` of scenes and motions are the convenience doors to the exporters; they import them when called.
DOORS = {("scene", "export"), ("motion", "export")}

REFUSED = {
    # Licences that forbid free or commercial use, or that are unknown.
    "albumentationsx", "chumpy", "detectron2", "mmcv", "nvdiffrast", "smplx", "ultralytics",
    # Heavy, unmaintained, or broken beside a CPU build of torch.
    "albumentations", "cv2", "lightning", "pyrender", "pytorch3d", "pytorch_lightning", "roma", "timm", "torchvision",
}  # fmt: skip
# `--detector torchvision` uses the user's own torchvision where it works.
ALLOWED_INSIDE = {("torchvision", "predict")}
CORE = {"torch", "numpy", "numba", "PIL", "safetensors", "tyro", "rich", "jaxtyping", "openvino", "av"}


def modules() -> dict[str, Path]:
    """Every module of the package by its name below ``monobody``; packages count as their ``__init__``."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def layer(module: str) -> int:
    matches = [
        (len(prefix), level)
        for level, prefixes in enumerate(LAYERS)
        for prefix in prefixes
        if module == prefix or module.startswith(f"{prefix}.")
    ]
    assert matches, f"{module} belongs to no layer: add it to LAYERS"
    return max(matches)[1]


def imported(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Dotted names that a file imports, except those that only type checkers see."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    nodes = ast.iter_child_nodes(tree) if top_level_only else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_imports_go_one_way() -> None:
    known = modules()
    wrong = []
    for module, path in known.items():
        if module in ("", "__main__", "cli.__main__"):
            continue
        for name in imported(path):
            target = name.removeprefix("monobody.")
            if not name.startswith("monobody.") or target not in known or target == module:
                continue
            if (module.split(".")[0], target.split(".")[0]) in DOORS:
                continue
            if layer(target) > layer(module):
                wrong.append(f"{module} imports {target}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", ["src", "scripts", "examples"])
def test_refused_packages_are_not_imported(folder: str) -> None:
    wrong = []
    for path in (ROOT / folder).rglob("*.py"):
        for name in {name.split(".")[0] for name in imported(path)} & REFUSED:
            if not any(name == package and inside in path.parts for package, inside in ALLOWED_INSIDE):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_refused_packages_are_not_required() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    names = {line.split("[")[0].split(">")[0].split("=")[0].strip().lower() for line in required}
    assert not names & {name.replace("_", "-") for name in REFUSED} - {"cv2"}
    assert not any(name.startswith("opencv") for name in names)


def test_core_dependencies_are_enough_to_import_every_module() -> None:
    """Top-level imports use the standard library, the core set and ourselves, nothing else."""
    allowed = CORE | {"monobody"} | set(sys.stdlib_module_names)
    wrong = [
        f"{module} imports {name}"
        for module, path in modules().items()
        for name in imported(path, top_level_only=True)
        if name.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_every_module_imports() -> None:
    """In one fresh process, with everything outside of the core made absent."""
    names = [f"monobody.{name}" for name in modules() if name and not name.endswith("__main__")]
    absent = [
        "accelerate", "anny", "cv2", "fastapi", "h5py", "playwright", "pygltflib", "scipy", "tensorboard",
        "torchvision", "trimesh", "uvicorn",
    ]  # fmt: skip
    code = f"import sys\nfor n in {absent!r}: sys.modules[n] = None\nfrom importlib import import_module\n"
    code += f"for n in {names!r}: import_module(n)\n"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_importing_the_package_and_the_command_line_is_light() -> None:
    code = "import sys, monobody, monobody.cli\n"
    code += "print(sorted({'torch', 'numba', 'numpy', 'openvino', 'PIL'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_help_comes_without_torch() -> None:
    code = "import sys\nfrom monobody.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'numba', 'numpy', 'openvino'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]")


def test_public_names_are_there() -> None:
    import monobody

    for name in monobody.__all__:
        assert getattr(monobody, name) is not None
    with pytest.raises(AttributeError):
        monobody.nothing  # noqa: B018
