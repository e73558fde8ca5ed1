"""Rebuild three.js as the viewer's pages carry it: the parts that are used, in one minified script, from npm.

`python scripts/build_viewer.py` needs npm and the npm registry; it replaces src/monobody/web/assets/three.min.js. The
script defines one name, `THREE`, so that a page can hold it and ours side by side without a server or modules.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / "src" / "monobody" / "web" / "assets"
THREE, ESBUILD = "0.187.0", "0.28.2"
USED = (
    "AmbientLight", "Bone", "BufferAttribute", "BufferGeometry", "Color", "CylinderGeometry", "DirectionalLight",
    "GridHelper", "HemisphereLight", "InstancedMesh", "Matrix4", "Mesh", "MeshLambertMaterial", "PerspectiveCamera",
    "Quaternion", "Scene", "Skeleton", "SkinnedMesh", "SphereGeometry", "Vector3", "WebGLRenderer",
)  # fmt: skip
NOTICE = f"/*! three.js {THREE}, https://threejs.org, copyright 2010-2026 three.js authors, MIT licence: see NOTICE */"


def build(folder: Path) -> str:
    """Return the script, made in an empty folder."""

    def run(*command: str) -> None:
        subprocess.run(command, cwd=folder, check=True)

    run("npm", "init", "--yes")
    run("npm", "install", "--no-audit", "--no-fund", f"three@{THREE}", f"esbuild@{ESBUILD}")
    entry = f'export {{ {", ".join(USED)} }} from "three";\n'
    entry += 'export { OrbitControls } from "three/addons/controls/OrbitControls.js";\n'
    (folder / "entry.js").write_text(entry)
    run(
        "npx", "esbuild", "entry.js", "--bundle", "--minify", "--format=iife", "--global-name=THREE",
        "--legal-comments=none", "--target=es2020", f"--banner:js={NOTICE}", "--outfile=three.min.js",
    )  # fmt: skip
    return (folder / "three.min.js").read_text()


def main() -> None:
    """Write the file and say how large it is."""
    parser = argparse.ArgumentParser(description="Rebuild three.js for the viewer.")
    parser.add_argument("--out", type=Path, default=ASSETS / "three.min.js")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        script = build(Path(folder))
    assert "</script" not in script
    out.write_text(script)
    print(f"{out}: {len(script) / 1e3:.0f} KB")


if __name__ == "__main__":
    main()
