"""Where training gets its pictures: a folder of data, and what a recipe makes of it.

The folder holds what is there of
    lsp_extended/                  photos with clicked joints, in their own layout
    lsp_extended_regions.npz       where the detector finds these people (scripts/locate_people.py)
    pose_bank.npz                  motion capture on the body (scripts/build_pose_bank.py)
    textures/                      skins, clothes, backgrounds for synthetic people
    synthetic/*.tar                synthetic people rendered before (scripts/render_synthetic.py)
    prepared/NAME/                 published data sets (`monobody prepare NAME`), and banks of bodies alone;
                                   NAME lsp_extended_validation: its split `validation`, to validate with
or, packed for another machine by scripts/pack_for_device.py, `photos_train.npz` in place of the photos.
What takes the place of sets that are missing is told in `train/mixture.py`. Synthetic people are rendered as they are
needed unless some were before; without a bank they take poses from the shipped prior, without textures they wear
procedural ones.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from monobody.data.faults import LARGEST_SHARE, Samples, usable
from monobody.data.mix import Mix, Part, batches
from monobody.data.packed import PackedSamples
from monobody.data.pose_bank import PoseBank
from monobody.data.prepared import Prepared
from monobody.data.published_crop import MPII_SHOULDER_TO_HIP_PX, SHOULDER_TO_HIP_PX, with_published_crops
from monobody.data.real_bodies import RealBodies
from monobody.data.sample import Sample
from monobody.data.shards import SampleFiles
from monobody.data.staging import sample_betas
from monobody.errors import UserError
from monobody.train.hmr_task import BatchStream, RealBodySource, Validation
from monobody.train.launch import cores
from monobody.train.mixture import LSP_EXTENDED, SYNTHETIC, available
from monobody.train.recipe import Recipe
from monobody.train.step import SKIPPED
from monobody.train.task import Batch

if TYPE_CHECKING:
    from monobody.body.prior import PosePrior

KNOWN = (
    "prepared",
    "lsp_extended",
    "synthetic",
    "pose_bank.npz",
    "textures",
    "readings",
    "photos_train.npz",
)
"""What a data folder may hold; one with nothing of it is another folder."""
PREPARED_VALIDATION = "lsp_extended_validation"
"""Folder of LSP Extended's prepared validation split."""
SYNTHETIC_SEED, VALIDATION_SEED, BODY_SEED = 1, 2, 3


def stream(
    recipe: Recipe,
    data: Path | None,
    size: int,
    *,
    seed: int | None = None,
    shape_space: str = "monobody",
    masks: bool = False,
) -> BatchStream:
    """Return a recipe's endless batches of `size` pixel crops.

    Args:
        recipe: says which sets they come from, how crops are placed and moved, and who draws the people.
        data: the folder; None for procedural people alone.
        size: side of the crops in pixels.
        seed: names the stream; the recipe's seed where left out.
        shape_space: of the body in training; betas of other spaces are not labels.
        masks: whether rows have them.
    """
    seed = recipe.plan.seed if seed is None else seed
    shares, _ = available(recipe, data)
    if recipe.draw_on_device and SYNTHETIC in shares:
        return _drawn_stream(recipe, data, shares, size, seed, shape_space)
    mix = Mix(
        [_part(recipe, data, name, share) for name, share in shares.items()],
        size=size,
        seed=seed,
        shape_space=shape_space,
        masks=masks,
    )
    workers = min(recipe.workers, cores())
    return lambda first, process, processes: batches(
        mix, size=recipe.batch, first=first, process=process, processes=processes, workers=workers
    )


def _part(recipe: Recipe, data: Path | None, name: str, share: float) -> Part:
    """Return one set of a mixture as its recipe wants it."""
    samples = samples_of(name, data)
    if recipe.crop == "hmr":
        hip = MPII_SHOULDER_TO_HIP_PX if name == "mpii" else SHOULDER_TO_HIP_PX
        samples = with_published_crops(samples, shoulder_to_hip_px=hip)
    return Part(samples=samples, share=share, augment=recipe.augment)


def _drawn_stream(
    recipe: Recipe, data: Path | None, shares: Mapping[str, float], size: int, seed: int, shape_space: str
) -> BatchStream:
    """Return batches whose photos come from worker processes and whose people are drawn where the network trains."""
    if recipe.crop == "hmr":
        raise UserError(f"{recipe.name}: people who are drawn on the device have no HMR crops. Draw them beforehand.")
    photos = {name: share for name, share in shares.items() if name != SYNTHETIC}
    photo_count = round(recipe.batch * sum(photos.values()) / sum(shares.values()))

    def endless(first: int, process: int, processes: int) -> Iterator[Batch]:
        from monobody.data.synthetic_torch import TorchPeople
        from monobody.data.textures import Textures

        on_card = torch.cuda.is_available() and recipe.plan.device != "cpu"
        device = torch.device("cuda", torch.cuda.current_device()) if on_card else torch.device("cpu")
        textures = Textures.load(_textures(data))
        people = TorchPeople(_poses(data), textures, device=device, size=size, seed=seed, augment=recipe.augment)
        loaded = None
        if photo_count > 0:
            parts = [_part(recipe, data, name, share) for name, share in photos.items()]
            mix = Mix(parts, size=size, seed=seed, shape_space=shape_space)
            workers = min(recipe.workers, cores())
            loaded = batches(mix, size=photo_count, first=first, process=process, processes=processes, workers=workers)
        for number in count(first):
            drawn = people.batch(number * processes + process, recipe.batch - photo_count)
            if shape_space != "monobody":
                drawn |= {name: torch.zeros_like(drawn[name]) for name in ("betas", "has_betas")}
            if loaded is None:
                yield drawn
                continue
            seen = next(loaded)
            together = {name: torch.cat([drawn[name], seen[name].to(device, non_blocking=True)]) for name in drawn}
            yield together | {SKIPPED: seen[SKIPPED]}

    return endless


def validation_of(recipe: Recipe, data: Path | None, size: int, shape_space: str = "monobody") -> Validation:
    """Return a recipe's validation: people in held-out poses and textures, and photos kept from training."""
    synthetic, real = validation_samples(recipe, data)
    return Validation(synthetic=synthetic, photos=real, size=size, shape_space=shape_space)


def validation_samples(recipe: Recipe, data: Path | None) -> tuple[list[Sample], list[Sample]]:
    """Return the rendered people and the photos that a recipe validates with."""
    people = people_of(data, seed=VALIDATION_SEED, held_out=True)
    photos = photos_of(data, "validation") or []
    if not photos and recipe.validation_photos > 0:
        print(
            f"{recipe.name}: there are no photos to validate with; `monobody prepare lsp_extended --split validation` "
            f"makes some, to be put in DATA/prepared/{PREPARED_VALIDATION}.",
            file=sys.stderr,
            flush=True,
        )
    # Spread over the validation list, which follows the order of the data set.
    stride = max(len(photos) // max(recipe.validation_photos, 1), 1)
    chosen = range(0, len(photos), stride)[: recipe.validation_photos]
    sets = ((people, range(recipe.validation_synthetic), "synthetic people"), (photos, chosen, "validation photos"))
    synthetic, real = (
        usable(with_published_crops(samples) if recipe.crop == "hmr" else samples, indices, what=what)
        for samples, indices, what in sets
    )
    return synthetic, real


def samples_of(name: str, data: Path | None) -> Samples:
    """Return the training samples of a set that is there, by its name in a mixture."""
    if name == SYNTHETIC:
        rendered = sorted((data / "synthetic").glob("*.tar")) if data is not None else []
        return SampleFiles(*rendered) if rendered else people_of(data, seed=SYNTHETIC_SEED)
    if name == LSP_EXTENDED and (photos := photos_of(data, "train")) is not None:
        return photos
    assert data is not None
    return Prepared(data / "prepared" / name)


def real_bodies_of(data: Path | None, shape_space: str = "monobody") -> RealBodySource:
    """Return the real bodies that a critic compares with: motion capture of the folder, else the shipped prior's.

    Banks that `monobody prepare amass` and `mosh` wrote are drawn from as well, in proportion to their poses.
    """
    paths = [] if data is None else [data / "pose_bank.npz", *sorted((data / "prepared").glob("*/bank.npz"))]
    banks = [PoseBank.load(path) for path in paths if path.is_file()]
    if banks:
        return RealBodies(banks=banks, shape_space=shape_space)
    from monobody.body.prior import PosePrior

    prior = PosePrior.load()

    def bodies(number: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((BODY_SEED, number))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        betas = np.stack([sample_betas(rng) for _ in range(count)])
        return prior.sample(count, generator)[:, 1:].numpy(), betas

    return bodies


def people_of(data: Path | None, *, seed: int, held_out: bool = False) -> Samples:
    """Return endless synthetic people, posed and dressed from the folder."""
    from monobody.data.synthetic import SyntheticPeople

    return SyntheticPeople(seed, _poses(data), _textures(data), held_out=held_out)


def photos_of(
    data: Path | None, split: Literal["train", "validation"], *, located: bool = True
) -> Sequence[Sample] | None:
    """Return the folder's photos of one split; None without.

    Each has the detector's region where that is known, or, with `located` off, that of its joints in any case. Photos
    to validate with may be prepared ones too, of their own split.
    """
    if data is not None and (data / f"photos_{split}.npz").is_file():
        return PackedSamples(data / f"photos_{split}.npz")
    if data is None or not (data / "lsp_extended").is_dir():
        kept = None if data is None else data / "prepared" / PREPARED_VALIDATION
        return Prepared(kept) if split == "validation" and kept is not None and kept.is_dir() else None
    from monobody.data.datasets.lsp_extended import LspExtended
    from monobody.data.located import Located

    photos = LspExtended(data / "lsp_extended", split)
    lost = photos.left_out["no picture on disk"]
    if lost > LARGEST_SHARE * (lost + len(photos)):
        raise UserError(
            f"{lost} of {lost + len(photos)} photos of {data / 'lsp_extended'} ({split}) are missing: unpack the "
            "archive again, whole."
        )
    regions = data / "lsp_extended_regions.npz"
    return Located(photos, photos.names, regions) if located and regions.is_file() else photos


def _poses(data: Path | None) -> "PoseBank | PosePrior":
    if data is not None and (data / "pose_bank.npz").is_file():
        return PoseBank.load(data / "pose_bank.npz")
    from monobody.body.prior import PosePrior

    return PosePrior.load()


def _textures(data: Path | None) -> Path | None:
    return data / "textures" if data is not None and (data / "textures").is_dir() else None
