"""Pack what training needs into one small folder, for a machine with a graphics card and nothing else.

    python scripts/pack_for_device.py --data DATA [-o device_pack] [--megabytes 17.5]

DATA holds `lsp_extended/` and `textures/`, and what there is of `pose_bank.npz` (built here otherwise, from `mocap/`),
`lsp_extended_regions.npz` and `start.safetensors`. The pack has the same layout in small, so that it is a data folder
of its own: `monobody train hmr-small --data device_pack` trains from it.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from monobody.data.datasets.lsp_extended import LspExtended
from monobody.data.located import Located
from monobody.data.packed import pack_samples
from monobody.data.pose_bank import PoseBank
from monobody.errors import UserError

POSES = 12_000
"""Poses kept of the bank, drawn as training draws them."""
VALIDATION_PHOTOS = 250
REGION_PX, QUALITY = 128, 60


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, default=Path("device_pack"))
    parser.add_argument("--megabytes", type=float, default=17.5)
    arguments = parser.parse_args()
    try:
        pack(arguments.data, arguments.out, arguments.megabytes)
    except UserError as error:
        print(f"pack_for_device: {error}", file=sys.stderr)
        return 2
    for path in sorted(path for path in arguments.out.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size / 1e6:7.2f} MB  {path.relative_to(arguments.out)}")
    print(f"{size_mb(arguments.out):7.2f} MB  in all")
    return 0


def pack(data: Path, whole: Path, megabytes: float) -> None:
    """Fill the folder `whole` from the data folder, at once; photos get the room that everything else leaves."""
    if not (data / "lsp_extended").is_dir() or not (data / "textures").is_dir():
        raise UserError(f"{data} needs lsp_extended/ and textures/: see docs/datasets.md.")
    if whole.exists() and not (whole / "photos_train.npz").is_file():
        raise UserError(f"{whole} is there and no pack: remove it, or choose another folder with -o.")
    out = whole.with_name(f".{whole.name}.partial")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    pack_poses(data, out)
    pack_textures(data / "textures", out / "textures")
    if (data / "start.safetensors").is_file():
        shutil.copyfile(data / "start.safetensors", out / "start.safetensors")
    validation = photos_of(data, "validation")
    pack_samples(
        (validation[index] for index in spread(len(validation), VALIDATION_PHOTOS)),
        out / "photos_validation.npz",
        region_px=REGION_PX,
        quality=QUALITY,
        megabytes=2.0,
    )
    training = photos_of(data, "train")
    order = np.random.default_rng(0).permutation(len(training))
    pack_samples(
        (training[int(index)] for index in order),
        out / "photos_train.npz",
        region_px=REGION_PX,
        quality=QUALITY,
        # The file is smaller than its pictures, whose headers repeat themselves, by more than the labels take.
        megabytes=(megabytes - size_mb(out)) * 1.15,
    )
    shutil.rmtree(whole, ignore_errors=True)
    out.replace(whole)


def photos_of(data: Path, split: str) -> Located | LspExtended:
    photos = LspExtended(data / "lsp_extended", "validation" if split == "validation" else "train")
    regions = data / "lsp_extended_regions.npz"
    return Located(photos, photos.names, regions) if regions.is_file() else photos


def spread(length: int, count: int) -> list[int]:
    return sorted({int(index) for index in np.linspace(0, length - 1, min(count, length))})


def pack_poses(data: Path, out: Path) -> None:
    """Keep a part of the bank in half precision, with the shares that training would have drawn them in."""
    file = data / "pose_bank.npz"
    if not file.is_file():
        file = out / "whole_bank.npz"
        script = Path(__file__).with_name("build_pose_bank.py")
        subprocess.run([sys.executable, str(script), "--data", str(data / "mocap"), "-o", str(file)], check=True)
    bank = PoseBank.load(file)
    rng = np.random.default_rng(0)
    drawn = [np.unique(bank.sample_index(4 * POSES, rng, held_out=held_out)) for held_out in (False, True)]
    kept = np.concatenate([rng.permutation(drawn[0])[: POSES - 1000], rng.permutation(drawn[1])[:1000]])
    whole = {name: column[kept] for name, column in bank.columns().items()}
    small = {
        name: values.astype(np.float16) if values.dtype == np.float32 else values for name, values in whole.items()
    }
    # The weights span more than half precision does.
    small |= {name: whole[name].astype(np.float32) for name in ("balanced", "unusual")}
    PoseBank(**small, shape_space=bank.shape_space).save(out / "pose_bank.npz")
    (out / "whole_bank.npz").unlink(missing_ok=True)


def pack_textures(textures: Path, out: Path) -> None:
    """Shrink skins, backgrounds and materials under their own names, which say what is held out."""
    for folder, size, quality in (("skins", 384, 75), ("backgrounds_cc_by", 320, 55), ("hdri_tonemapped", 320, 55)):
        for path in sorted((textures / folder).glob("*.jpg")):
            with Image.open(path) as picture:
                picture = picture.convert("RGB")
                picture.thumbnail((2 * size, size))
                (out / folder).mkdir(parents=True, exist_ok=True)
                picture.save(out / folder / path.name, quality=quality, optimize=True)
    (out / "ambientcg_thumbs").mkdir(parents=True)
    sheets = json.loads((textures / "ambientcg_thumbs" / "index.json").read_text())
    for name in sheets:
        with Image.open(textures / "ambientcg_thumbs" / name) as sheet:
            sheet.convert("RGB").save(out / "ambientcg_thumbs" / name, quality=20, method=6)
    (out / "ambientcg_thumbs" / "index.json").write_text(json.dumps(sheets))
    shutil.copyfile(textures / "hdri_env_32x64_linear.npz", out / "hdri_env_32x64_linear.npz")


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
