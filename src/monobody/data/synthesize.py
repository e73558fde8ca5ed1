"""``monobody synthesize``: a contact sheet of synthetic people, or a data set of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from monobody.data.shards import write_samples
from monobody.data.synthetic import TRAINING, SyntheticPeople
from monobody.errors import UserError
from monobody.files import atomic_write

SHEET_COLUMNS = 8


def synthesize(
    out: str | Path,
    *,
    count: int = 64,
    seed: int = 0,
    size_px: int = 128,
    data: str | Path | None = None,
    bank: str | Path | None = None,
) -> None:
    """Draw people into a contact sheet (``out`` ends in .png) or a data set (a folder, or a .tar).

    Args:
        out: What to write.
        count: How many people.
        seed: Same seed, same people.
        size_px: Side of the pictures.
        data: Folder of textures, or one with a folder ``textures`` inside; procedural textures where left out.
        bank: Pose bank; the shipped pose prior where left out.

    Raises:
        UserError: the count or size is not positive, a file is missing or of another kind, or nothing can be written.
    """
    out = Path(out)
    if count < 1 or not 16 <= size_px <= 2048:
        raise UserError(f"Ask for at least one person, 16 to 2048 pixels large, not {count} of {size_px} pixels.")
    if out.suffix not in ("", ".png", ".tar"):
        raise UserError(f"Cannot tell what {out} should be: end it in .png (contact sheet) or .tar, or name a folder.")
    textures = None if data is None else Path(data)
    if textures is not None and (textures / "textures").is_dir():
        textures = textures / "textures"
    poses = None
    if bank is not None:
        from monobody.data.pose_bank import PoseBank

        poses = PoseBank.load(bank)
    setting = replace(TRAINING, size=size_px, margin=1.15)
    people = SyntheticPeople(seed, poses, textures, setting=setting)
    samples = (people[index] for index in range(count))
    if out.suffix != ".png":
        write_samples(samples, out)
        return
    sheet = contact_sheet([sample.image for sample in samples])
    with atomic_write(out, suffix=".png") as temporary:
        Image.fromarray(sheet).save(temporary)


def contact_sheet(images: list[UInt8[np.ndarray, "s s 3"]], columns: int = SHEET_COLUMNS) -> UInt8[np.ndarray, "h w 3"]:
    """Lay pictures of one size out in rows; the rest of the last row stays white."""
    columns = min(columns, len(images))
    side = images[0].shape[0]
    rows = -(-len(images) // columns)
    sheet = np.full((rows * side, columns * side, 3), 255, np.uint8)
    for number, image in enumerate(images):
        y, x = divmod(number, columns)
        sheet[y * side : (y + 1) * side, x * side : (x + 1) * side] = image
    return sheet
