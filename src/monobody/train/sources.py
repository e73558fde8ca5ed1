"""Where training gets its pictures: a folder of data, and what a recipe makes of it.

The folder holds what is there of
    lsp_extended/                  photos with clicked joints, in their own layout
    lsp_extended_regions.npz       where the detector finds these people (scripts/locate_people.py)
    pose_bank.npz                  motion capture on the body (scripts/build_pose_bank.py)
    textures/                      skins, clothes, backgrounds for synthetic people
    synthetic/*.tar                synthetic people rendered before (scripts/render_synthetic.py)
or, packed for another machine by scripts/pack_for_device.py, `photos_train.npz` in place of the photos.
Without photos training is on synthetic people alone. These are rendered as they are needed unless some were before;
without a bank they take poses from the shipped prior, without textures they wear procedural ones.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from monobody.data.mix import Mix, Part, Samples, batches
from monobody.data.packed import PackedSamples
from monobody.data.pose_bank import PoseBank
from monobody.data.sample import Augment, Sample
from monobody.data.shards import SampleFiles
from monobody.train.hmr_task import BatchStream, Validation
from monobody.train.recipes import Recipe
from monobody.train.task import Batch

if TYPE_CHECKING:
    from monobody.body.prior import PosePrior

SYNTHETIC_SEED, VALIDATION_SEED = 1, 2


def stream(recipe: Recipe, data: Path | None, size: int, *, seed: int | None = None) -> BatchStream:
    """Return a recipe's endless batches of `size` pixel crops.

    Args:
        recipe: says how much of them are photos, and who draws the people.
        data: the folder; None for procedural people alone.
        size: side of the crops in pixels.
        seed: names the stream; the recipe's seed where left out.
    """
    seed = recipe.plan.seed if seed is None else seed
    photos = photos_of(data, "train")
    share = recipe.photo_share if photos is not None else 0.0
    if recipe.draw_on_device:
        return _drawn_stream(recipe, data, photos, share, size, seed)
    parts = []
    if share < 1:
        rendered = sorted((data / "synthetic").glob("*.tar")) if data is not None else []
        people = SampleFiles(*rendered) if rendered else people_of(data, seed=SYNTHETIC_SEED)
        parts.append(Part(samples=people, share=1 - share, augment=Augment()))
    if photos is not None:
        parts.append(Part(samples=photos, share=share, augment=Augment()))
    mix = Mix(parts, size=size, seed=seed)
    return lambda first, process, processes: batches(
        mix, size=recipe.batch, first=first, process=process, processes=processes, workers=recipe.workers
    )


def _drawn_stream(
    recipe: Recipe, data: Path | None, photos: Sequence[Sample] | None, share: float, size: int, seed: int
) -> BatchStream:
    """Return batches whose photos come from worker processes and whose people are drawn where the network trains."""
    photo_count = round(share * recipe.batch)

    def endless(first: int, process: int, processes: int) -> Iterator[Batch]:
        from monobody.data.synthetic_torch import TorchPeople
        from monobody.data.textures import Textures

        on_card = torch.cuda.is_available() and recipe.plan.device != "cpu"
        device = torch.device("cuda", torch.cuda.current_device()) if on_card else torch.device("cpu")
        people = TorchPeople(_poses(data), Textures.load(_textures(data)), device=device, size=size, seed=seed)
        loaded = None
        if photos is not None and photo_count > 0:
            mix = Mix([Part(samples=photos, share=1.0, augment=Augment())], size=size, seed=seed)
            loaded = batches(
                mix, size=photo_count, first=first, process=process, processes=processes, workers=recipe.workers
            )
        for number in count(first):
            drawn = people.batch(number * processes + process, recipe.batch - photo_count)
            if loaded is None:
                yield drawn
                continue
            seen = next(loaded)
            yield {name: torch.cat([drawn[name], seen[name].to(device, non_blocking=True)]) for name in drawn}

    return endless


def validation_of(recipe: Recipe, data: Path | None, size: int) -> Validation:
    """Return a recipe's validation: people in held-out poses and textures, and photos kept from training."""
    people = people_of(data, seed=VALIDATION_SEED, held_out=True)
    photos = photos_of(data, "validation") or []
    # Spread over the validation list, which follows the order of the data set.
    stride = max(len(photos) // max(recipe.validation_photos, 1), 1)
    return Validation(
        synthetic=[people[number] for number in range(recipe.validation_synthetic)],
        photos=[photos[number] for number in range(0, len(photos), stride)][: recipe.validation_photos],
        size=size,
    )


def people_of(data: Path | None, *, seed: int, held_out: bool = False) -> Samples:
    """Return endless synthetic people, posed and dressed from the folder."""
    from monobody.data.synthetic import SyntheticPeople

    return SyntheticPeople(seed, _poses(data), _textures(data), held_out=held_out)


def photos_of(data: Path | None, split: Literal["train", "validation"]) -> Sequence[Sample] | None:
    """Return the folder's photos of one split, each with the detector's region where that is known; None without."""
    if data is not None and (data / f"photos_{split}.npz").is_file():
        return PackedSamples(data / f"photos_{split}.npz")
    if data is None or not (data / "lsp_extended").is_dir():
        return None
    from monobody.data.datasets.lsp import LspExtended
    from monobody.data.located import Located

    photos = LspExtended(data / "lsp_extended", split)
    regions = data / "lsp_extended_regions.npz"
    return Located(photos, photos.names, regions) if regions.is_file() else photos


def _poses(data: Path | None) -> "PoseBank | PosePrior":
    if data is not None and (data / "pose_bank.npz").is_file():
        return PoseBank.load(data / "pose_bank.npz")
    from monobody.body.prior import PosePrior

    return PosePrior.load()


def _textures(data: Path | None) -> Path | None:
    return data / "textures" if data is not None and (data / "textures").is_dir() else None
