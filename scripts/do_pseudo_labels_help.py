"""Does a network learn from pseudo-labels? ``python scripts/do_pseudo_labels_help.py DATA OUT --people TAR... -o RUN``

The regressor of the shipped `hmr-small` goes on learning on features of its own encoder, computed once: the same rows,
the same order, the same number of steps, from the same weights; once with the bodies that were fitted to the photos,
once with the photos' 2D joints alone. Both with synthetic people beside the photos, and without. Measured before and
after, on photos and synthetic people that nobody learnt from: 2D joints, 3D joints where truth is known, and how
possible the bodies are.

`OUT` is what `scripts/make_pseudo_labels.py` wrote; `DATA` holds lsp_extended/ and its regions; `TAR` are synthetic
people to train on (`scripts/render_synthetic.py`).
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monobody.body.collision import CapsuleBody
from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.camera import project_weak
from monobody.data.mix import Mix, Part, batches, fixed_rows
from monobody.data.prepared import Prepared
from monobody.data.sample import Augment, Sample
from monobody.data.shards import SampleFiles
from monobody.evaluate.held_out import HeldOut
from monobody.evaluate.quick import SYNTHETIC
from monobody.files import atomic_write, sha256_of
from monobody.hub import find_weights
from monobody.metrics import pck
from monobody.models.hmr import HMR
from monobody.models.output import HMROutput
from monobody.predict.predictor import load
from monobody.train.feature_task import FLAGS_3D, LABELS_3D, cache_features
from monobody.train.hmr_task import as_input
from monobody.train.sources import photos_of
from monobody.train.terms import LossWeights, body_losses

BATCH, ROWS_AT_ONCE = 128, 32
RATE, WARMUP, EARLIER = 2e-4, 50, 0.3
KEY = "training"
NUMBERS = (
    "people_mpjpe_mm", "people_pa_mpjpe_mm", "people_pck_0.1", "photos_pck_0.1", "photos_pck_0.05",
    "photos_impossible_joints_percent", "photos_self_intersecting_percent", "photos_pose_log_density",
)  # fmt: skip

Rows = dict[str, Tensor]


def cached(model: HMR, samples: Sequence[Sample], folder: Path, rows: int, seed: int) -> Rows:
    """Return features and labels of so many augmented crops, computed once."""
    mix = Mix([Part(samples=samples, share=1.0, augment=Augment())], size=model.input_size, seed=seed)

    def stream(first: int, process: int, processes: int) -> Iterator[dict[str, Tensor]]:
        return batches(mix, size=ROWS_AT_ONCE, first=first, process=process, processes=processes, workers=0)

    cache_features(model, stream, folder, batches=rows // ROWS_AT_ONCE, settings={"rows": rows, "seed": seed})
    return {path.stem: torch.from_numpy(np.load(path)) for path in sorted(folder.glob("*.npy"))}


def held_out(model: HMR, samples: Sequence[Sample], path: Path) -> Rows:
    """Return features and labels of people in their own regions, computed once."""
    if path.is_file():
        with np.load(path) as file:
            return {name: torch.from_numpy(file[name]) for name in file.files}
    rows = fixed_rows(samples, model.input_size)
    with torch.no_grad():
        features = [model.encoder(as_input(part)) for part in rows.pop("images").split(ROWS_AT_ONCE)]
    rows = {name: value for name, value in rows.items() if isinstance(value, Tensor)} | {
        "features": torch.cat(features)
    }
    with atomic_write(path, suffix=".npz") as temporary:
        np.savez(temporary, allow_pickle=False, **{name: value.numpy() for name, value in rows.items()})
    return rows


def without_3d(rows: Rows) -> Rows:
    """Return rows that know 2D joints alone."""
    empty = {name: torch.zeros_like(rows[name]) for name in (*LABELS_3D, *FLAGS_3D)}
    return rows | empty


def trained(model: HMR, parts: Sequence[Rows], joints: JointBody, steps: int, seed: int) -> None:
    """Go on with the regressor's training; every batch takes as many rows of each part."""
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(model.regressor.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda n: min((n + 1) / WARMUP, 1.0) * 0.5 * (1 + np.cos(np.pi * n / steps))
    )
    rng = np.random.default_rng(seed)
    model.regressor.train()
    for _ in range(steps):
        drawn = [torch.from_numpy(rng.integers(len(part["features"]), size=BATCH // len(parts))) for part in parts]
        chosen = [{name: value[i] for name, value in part.items()} for part, i in zip(parts, drawn, strict=True)]
        batch = {name: torch.cat([each[name] for each in chosen]) for name in chosen[0]}
        losses = body_losses(model.regressor(batch["features"].float()), batch, joints, LossWeights(earlier=EARLIER))
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.regressor.parameters(), 20.0)
        optimiser.step()
        schedule.step()


@torch.no_grad()
def measured(model: HMR, people: HeldOut, photos: HeldOut) -> dict[str, float]:
    """Return everything that tells how good the regressor is now."""
    numbers: dict[str, float] = {}
    for name, rows in (("people", people), ("photos", photos)):
        output: HMROutput = rows.predict(model.regressor)
        numbers |= {f"{name}_{key}": value for key, value in rows.measure(output).items()}
        seen = project_weak(rows.joint_body(output.rotations, output.betas)["cocoplus19"], output.camera)[:, :14]
        known = rows.rows["keypoints_2d"][:, :14], rows.rows["visible"][:, :14] > 0
        for threshold in (0.1, 0.05):
            numbers[f"{name}_pck_{threshold}"] = float(pck(seen, *known, threshold=threshold))
    return {name: round(value, 2) for name, value in numbers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--people", type=Path, nargs="+", required=True)
    parser.add_argument("--rows", type=int, default=3200, help="crops of photos, and as many of synthetic people")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, required=True, help="keeps features, by the weights' digest")
    parser.add_argument("--json", type=Path, help="put the numbers into this file, beside others")
    options = parser.parse_args()
    torch.set_num_threads(1)
    weights = sha256_of(find_weights("hmr-small"))
    kept_in: Path = options.output / weights[:12]  # Features of other weights are no use.
    kept_in.mkdir(parents=True, exist_ok=True)
    shipped, body = load_network(), Body.load()
    joints = JointBody.from_body(body, ("cocoplus19",))
    measure = {"joint_body": joints, "capsules": CapsuleBody(body), "prior": PosePrior.load()}
    shown = held_out(shipped, list(SampleFiles(SYNTHETIC)), kept_in / "held_out_people.npz")
    real = photos_of(options.data, "validation")
    assert real is not None, f"{options.data} holds no lsp_extended/"
    seen = held_out(shipped, [real[i] for i in range(len(real))], kept_in / "held_out_photos.npz")
    people, photos = (HeldOut(rows=rows, **measure) for rows in (shown, seen))
    labels = Prepared(options.labels)
    known = cached(shipped, labels, kept_in / "photos", options.rows, 11)
    drawn = cached(shipped, SampleFiles(*options.people), kept_in / "people", options.rows, 12)
    arms = {
        "synthetic people, photos in 2D": [drawn, without_3d(known)],
        "synthetic people, photos with fitted bodies": [drawn, known],
        "photos in 2D alone": [without_3d(known)],
        "photos with fitted bodies alone": [known],
    }
    table: dict[str, list[dict[str, float]]] = {"before": [measured(shipped, people, photos)]}
    show("before", table["before"][0])
    for seed in range(options.seeds):
        for name, parts in arms.items():
            began, model = time.process_time(), deepcopy(shipped)
            trained(model, parts, joints, options.steps, seed)
            table.setdefault(name, []).append(measured(model, people, photos))
            show(f"{name}, seed {seed}, {time.process_time() - began:.0f} CPU s", table[name][-1])
    summary: dict[str, Any] = {
        "weights_sha256": weights,
        "photos": len(labels), "rows": options.rows, "steps": options.steps, "batch": BATCH, "rate": RATE,
        "held_out": {"people": len(shown["features"]), "photos": len(seen["features"])}, "runs": table,
    }  # fmt: skip
    if options.json is not None:
        kept = json.loads(options.json.read_text()) if options.json.is_file() else {}
        with atomic_write(options.json) as temporary:
            temporary.write_text(json.dumps(kept | {KEY: summary}, indent=1) + "\n")


def load_network() -> HMR:
    """Return the shipped network."""
    model = load("hmr-small", device="cpu").estimator.model  # pyright: ignore[reportAttributeAccessIssue]
    model.requires_grad_(True)
    return model


def show(name: str, numbers: dict[str, float]) -> None:
    print(f"{name:62}", *(f"{numbers[key]:8.2f}" for key in NUMBERS), flush=True)


if __name__ == "__main__":
    main()
