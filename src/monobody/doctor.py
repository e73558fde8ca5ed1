"""What to paste into a bug report: versions, machine, and whether the shipped files are whole."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from monobody.hub import DEFAULT_MODEL, MODELS, find_weights

PACKAGES = ("torch", "numpy", "numba", "pillow", "safetensors", "openvino", "av", "tyro", "rich", "jaxtyping")
OPTIONAL = (
    "accelerate", "tensorboard", "scipy", "torchvision", "onnx", "onnxscript", "onnxruntime", "fastapi", "uvicorn",
    "ray",
)  # fmt: skip
VARIABLES = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "XDG_CACHE_HOME", "MONOBODY_OFFLINE")


def examine() -> tuple[str, bool]:
    """Return the report, and whether everything needed is there."""
    lines, healthy = (
        [f"monobody {_version('monobody')}", f"python {platform.python_version()} ({sys.executable})"],
        True,
    )
    lines.append(f"{platform.platform()}, {os.cpu_count()} cores")
    for package in PACKAGES:
        found = _version(package)
        healthy &= found != "missing"
        lines.append(f"  {package} {found}")
    lines.append("  optional: " + ", ".join(f"{package} {_version(package)}" for package in OPTIONAL))
    for check in (_torch, _detector, _body, _weights):
        try:
            lines.append(f"ok      {check()}")
        except Exception as error:  # Whatever is broken is what this page is for.
            healthy = False
            lines.append(f"BROKEN  {error}")
    lines.append(f"cache   {_cache()}")
    lines.append(
        "set     " + (", ".join(f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ) or "-")
    )
    data = os.environ.get("MONOBODY_DATA")
    lines.append(
        f"data    {data if data and Path(data).is_dir() else 'none ($MONOBODY_DATA; needed for training only)'}"
    )
    lines.append("All is well." if healthy else "Install monobody again: pip install --force-reinstall monobody")
    # What is pasted in public need not say who one is.
    report = "\n".join(lines).replace(str(Path.home()), "~") if Path.home() != Path("/") else "\n".join(lines)
    return f"Paste all of this into a bug report:\n\n```\n{report}\n```", healthy


def _cache() -> str:
    """Return where fetched files are, and how much there is."""
    from monobody.hub import cache_folder

    files = [path for path in cache_folder().rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    return f"{cache_folder()}: {len(files)} files, {size:.0f} MB" if files else f"{cache_folder()}: empty"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _torch() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"torch runs: {torch.get_num_threads()} threads, {device}"


def _detector() -> str:
    from monobody.predict.blaze_networks import blaze_networks

    blaze_networks()
    return "detector: files whole, networks compile"


def _body() -> str:
    from monobody.body.assets import load_body_data

    data = load_body_data()
    return f"body: {data.name} {data.digest[:12]}, {len(data.v_template)} vertices"


def _weights() -> str:
    shipped = [model.name for model in MODELS.values() if model.shipped]
    for name in shipped:
        find_weights(name)
    return f"weights: {', '.join(shipped)} (default {DEFAULT_MODEL})"
