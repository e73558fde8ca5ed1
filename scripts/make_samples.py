"""Rebuild samples/: real photos from a PyPI wheel, and synthetic scenes of one and several people.

    python scripts/make_samples.py [--wheel scikit_image-0.26.0-....whl]

Without a wheel it is fetched with pip (23 MB). `samples/README.md` says what each picture is and on what terms.
"""

import argparse
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from PIL import Image

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
WHEEL = "scikit-image==0.26.0"
PHOTOS = {"astronaut.jpg": "skimage/data/astronaut.png", "camera.jpg": "skimage/data/camera.png"}


def main() -> None:
    """Write every sample anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="scikit-image's wheel, if it is at hand")
    wheel: Path | None = parser.parse_args().wheel
    SAMPLES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_photos(wheel or download(Path(folder)))


def download(folder: Path) -> Path:
    """Fetch the wheel with pip and return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", folder]
    subprocess.run([*command, WHEEL], check=True)
    return next(folder.glob("*.whl"))


def write_photos(wheel: Path) -> None:
    """Take the photos out of the wheel and store them as JPEG, their size unchanged."""
    with zipfile.ZipFile(wheel) as archive:
        for name, member in PHOTOS.items():
            with Image.open(io.BytesIO(archive.read(member))) as picture:
                picture.save(SAMPLES / name, quality=92)


if __name__ == "__main__":
    main()
