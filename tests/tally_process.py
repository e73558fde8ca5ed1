"""One of several processes that measure a small set together: python tally_process.py RANK WORLD FOLDER CASE."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from torch.utils.data import DataLoader, DistributedSampler

from monobody.errors import UserError
from monobody.metrics import Tally, Total, joint_errors_mm, pa_mpjpe, segmentation_counts

SAMPLES = 11


class Poses(torch.utils.data.Dataset):
    """Samples with their numbers, of very different sizes, so that the order of a plain sum would show."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, number: int) -> tuple[int, torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(number)
        predicted, target = torch.randn(2, 14, 3, generator=generator) * 10.0 ** (number % 5 - 2)
        return number, predicted, target


def measured(batches) -> Tally:
    tally = Tally(SAMPLES)
    for index, predicted, target in batches:
        counts = segmentation_counts((predicted > 0).int(), (target > 0).int(), classes=2)
        errors = joint_errors_mm(predicted, target)
        tally.add(index, pa_mm=pa_mpjpe(predicted, target), joints_mm=errors, counts=counts)
    return tally


def write(total: Total, path: Path) -> None:
    """The sums and means, bit for bit."""
    total = total.whole()
    results = {f"{kind}_{name}": getattr(total, kind)(name) for name in total.values for kind in ("sum", "mean")}
    np.savez(path, index=total.index, **results)


def main(rank: int, world: int, folder: Path, case: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/{case}", rank=rank, world_size=world)
    sampler = DistributedSampler(Poses(), world, rank, shuffle=True, seed=3)
    assert len(sampler) * world > SAMPLES, "some samples come twice"
    tally = measured(DataLoader(Poses(), batch_size=3, sampler=sampler))
    if case == "idle" and rank > 0:
        tally = Tally(SAMPLES)
    if case == "idle" and rank == 0:
        tally = measured(DataLoader(Poses(), batch_size=4))
    if case == "other" and rank > 0:
        tally = Tally(SAMPLES)
        tally.add([0], something=np.zeros(1))
    try:
        write(tally.total(), folder / f"{case}_{rank}.npz")
    except UserError as error:
        (folder / f"{case}_{rank}.txt").write_text(str(error), encoding="utf-8")
    distributed.destroy_process_group()


if __name__ == "__main__":
    for one in sys.argv[4].split(","):
        main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), one)
