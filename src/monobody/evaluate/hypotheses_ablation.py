"""What each part of X as Supervision is worth: the same network, equal steps, one part left out at a time, two seeds.

The network is `xas-mini` at 64 pixels, from scratch: no part of it has seen a photo's pose label. All rows go on from
one first stage on rendered pairs, and learn from what they are about (`evaluate/hypotheses_runs.py`). Measured on the
500 shipped rendered people, whose clips, textures and backgrounds are held out, in their true regions, and in 2D on LSP
Extended's validation photos in the regions that their clicked joints give.

Four choices of a pose (`train/hypotheses_validation.py`): `confident` and `whole` need no truth; `best_whole` asks an
oracle which of 5 whole poses is best, `best_joints` which of 3 depths is, joint by joint. Each with and without
left-right repair, joint by joint or by bodies, which looks at the truth as well. Scale and the root's depth are true
in all: the paper's protocol. Two measures are no rows of the method: `fixed_joints`, what the same oracle makes of the
mean and one distance to either side of it, the same for everybody, which knows nothing of where other depths are; and
`supervised_linear`, a linear map from the confident pose to the true one, fitted to labelled rendered people (the
"supervised post-processing" of this literature). `modes_*` are the same network's modes (`models/decode.py`). Of photos
there is no truth in 3D; two measures need none: how far left bones are from as long as right ones, and bones from a
body's proportions.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.bones import usual_bones_m
from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.data.mix import fixed_rows
from monobody.data.sample import Sample
from monobody.data.shards import SampleFiles
from monobody.errors import UserError
from monobody.evaluate.ablation import rounded, settle, this_commit
from monobody.evaluate.ablation_runs import PEOPLE
from monobody.evaluate.hypotheses_runs import ROWS, Lab, Settings
from monobody.evaluate.true_people import camera_that_saw
from monobody.files import atomic_write, sha256_of
from monobody.models.detectors import Detector, detector_of
from monobody.models.storage import load_weights, read_card
from monobody.train.hypotheses_labels import SETS
from monobody.train.hypotheses_validation import (
    MODES,
    POSES,
    REPAIRS,
    Answers,
    Truth,
    answers_from,
    answers_of,
    choices,
    marginals_of,
    numbers_of,
    photo_numbers,
    truth_of,
)
from monobody.train.mixture import is_there
from monobody.train.sources import photos_of, samples_of

ALWAYS = frozenset(ROWS) - {"more_photos"}
"""Rows that are compared whatever there is; where photos with masks are missing, rendered people stand in for them."""
DISTANCES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
"""Of `fixed_joints`, in halves of the crop; the one that serves best counts."""
MOVING = [joint for joint, parent in enumerate(SKELETONS["xas18"].parents) if parent >= 0]
"""Joints that have a bone to a parent: all but the root."""
LABELLED = 2_000
"""Rendered training people that the supervised linear map is fitted to."""
COLUMNS = {
    "confident_mpjpe_mm": "confident", "whole_mpjpe_mm": "whole", "best_whole_mpjpe_mm": "best of 5 whole*",
    "best_joints_mpjpe_mm": "best of 3 a joint*", "fixed_joints_mpjpe_mm": "mean, fixed distance*",
    "confident_pa_mpjpe_mm": "confident PA",
    "confident_absolute_mm": "confident absolute", "best_joints_sides_by_joint_absolute_mm": "paper's best*",
    "pck_0.1": "photos PCK@0.1 %", "pck_0.05": "@0.05 %", "photos_lopsided_percent": "sides differ %",
    "photos_proportions_percent": "proportions off %",
}  # fmt: skip
"""What the table has of every row; * asks an oracle."""


def evaluate_hypotheses(
    data: Path | None = None,
    *,
    out: Path,
    settings: Settings | None = None,
    rows: Sequence[str] = tuple(ROWS),
    start: Path | None = None,
    json_path: Path | None = None,
) -> dict[str, Any]:
    """Train every row with every seed, print the table, write `hypotheses.json` and return the numbers.

    An interrupted call goes on where it stopped.

    Args:
        data: folder of data as for training; None for procedural people alone.
        out: folder for the runs, and for the numbers where they have no path of their own.
        settings: how long and how.
        rows: some of `ROWS`.
        start: weights of `xas-mini` to go on from, in place of a first stage.
        json_path: where the numbers go.

    Raises:
        UserError: `out` holds a comparison with other settings, or `data` is no folder.
    """
    if data is not None and not data.is_dir():
        raise UserError(f"There is no data folder {data}: check the path, or leave it out to go without photos.")
    settings = settings or Settings()
    settle(out, settings, data, start=None if start is None else sha256_of(start))
    lab, ruler = Lab(out, data, settings, start), Ruler(data, settings)
    steps = lab.affordable_steps()
    measured: dict[str, list[dict[str, float]]] = {}
    rows = [row for row in rows if all(is_there(name, data) for name in ROWS[row].mixture) or row in ALWAYS]
    for seed in settings.seeds:
        for row in rows:
            detector, hypotheses = load_detector(lab.weights(row, seed, steps))
            measured.setdefault(row, []).append(ruler.measure(detector, hypotheses))
            shown = "  ".join(f"{name} {measured[row][-1][name]:.1f}" for name in COLUMNS if name in measured[row][-1])
            print(f"{row} seed {seed}: {shown}", flush=True)
    report = {
        "rows": {row: _mean(runs) for row, runs in measured.items()},
        "spread": {row: _spread(runs) for row, runs in measured.items()},
        "about": {row: ROWS[row].about for row in rows},
        "start": ruler.measure(*load_detector(lab.beginning(steps), size=settings.size)),
        "mean_pose": ruler.mean_pose(),
        "hypotheses": {
            "single": 1,
            "others": f"{MODES} depths a joint, {POSES} whole poses",
            "oracle": "best_whole, best_joints and every repair of sides look at the truth; confident and whole do not",
        },
        "held_out": {"people": len(ruler.truth.cube), "photos": ruler.photo_count, "joints": 18},
        "steps": steps,
        "settings": asdict(settings),
        "photos": {row: list(ROWS[row].mixture) for row in rows},
        "command": f"monobody evaluate hypotheses{' --data DATA' * (data is not None)}"
        f"{' --model START' * (start is not None)} --minutes {settings.minutes:g}",
        "commit": this_commit(),
    }
    print_table(report)
    with atomic_write(json_path or out / "hypotheses.json") as temporary:
        temporary.write_text(json.dumps(rounded(report) | {"settings": report["settings"]}, indent=1) + "\n")
    return report


def load_detector(weights: Path, *, size: int | None = None) -> tuple[Detector, int]:
    """Return the detector of a weights file, and how many depths it gives each joint.

    `size` is that of the crops it is to look at, where that is not its own.
    """
    card = read_card(weights)
    detector = detector_of(card)
    detector.input_size = size or detector.input_size
    load_weights(detector, weights)
    return detector.eval(), int(card["hypotheses"])


class Ruler:
    """Held-out people, and what is measured on them."""

    def __init__(self, data: Path | None, settings: Settings, *, size: int | None = None) -> None:
        body = Body.load()
        self.size = size or settings.size
        self.joints, self.usual_m = JointBody.from_body(body, SETS), usual_bones_m(body)
        people = SampleFiles(PEOPLE)
        count = min(settings.held_out, len(people))
        self.people = fixed_rows([with_camera(people[index]) for index in range(count)], self.size)
        self.truth = truth_of(self.people, self.joints)
        photos = photos_of(data, "validation", located=False) or []
        self.photo_count = min(settings.held_out, len(photos))
        seen = [photos[index] for index in range(self.photo_count)]
        self.photos = fixed_rows(seen, self.size) if seen else None
        self._labelled: tuple[dict[str, Tensor], Truth] | None = None
        self.data = data

    def measure(self, detector: Detector, hypotheses: int) -> dict[str, float]:
        """Return everything that is measured of a detector."""
        with torch.no_grad():
            said = marginals_of(detector, self.people["images"])
            found = answers_from(said, detector, self.usual_m, hypotheses=hypotheses)
            numbers = numbers_of(found, self.truth, repairs=tuple(REPAIRS))
            numbers |= self.after_linear_map(detector, hypotheses, choices(found, self.truth.cube)["confident"])
            numbers |= self.fixed_distances(answers_from(said, detector, self.usual_m, hypotheses=1).joint_wise)
            if hypotheses > 1:
                modes = answers_from(said, detector, self.usual_m, hypotheses=hypotheses, reading="modes")
                numbers |= {f"modes_{name}": value for name, value in numbers_of(modes, self.truth).items()}
            if self.photos is not None:
                seen = answers_of(detector, self.photos["images"], self.usual_m, hypotheses=hypotheses)
                numbers |= photo_numbers(seen, self.photos) | build_numbers(seen.whole[:, 0], self.usual_m)
        return numbers

    def fixed_distances(self, mean: Float[Tensor, "b 1 k 3"]) -> dict[str, float]:
        """Return the errors of the best of three depths a joint that know nothing: the mean, and as far on either side.

        The distance is the one that serves best on these very people.
        """
        found = [numbers_of(beside(mean, distance), self.truth) for distance in DISTANCES]
        best = min(found, key=lambda numbers: numbers["best_joints_mpjpe_mm"])
        return {f"fixed_joints_{name}_mm": best[f"best_joints_{name}_mm"] for name in ("mpjpe", "absolute", "pa_mpjpe")}

    def after_linear_map(
        self, detector: Detector, hypotheses: int, confident: Float[Tensor, "b k 3"]
    ) -> dict[str, float]:
        """Return the errors after a linear map fitted to labelled people: supervised, for comparison alone."""
        rows, truth = self.labelled()
        found = answers_of(detector, rows["images"], self.usual_m, hypotheses=hypotheses)
        seen, wanted = _design(choices(found, truth.cube)["confident"]), truth.cube.double().flatten(1)
        ridge = 1e-2 * len(seen) * torch.eye(seen.shape[1], dtype=seen.dtype)
        fitted = torch.linalg.solve(seen.T @ seen + ridge, seen.T @ wanted)
        mapped = (_design(confident) @ fitted).unflatten(1, (-1, 3)).float()
        return {f"supervised_linear_{name}": float(v.mean()) for name, v in self.truth.errors(mapped).items()}

    def labelled(self) -> tuple[dict[str, Tensor], Truth]:
        """Return rendered training people, whose labels the linear map may see."""
        if self._labelled is None:
            people = samples_of("synthetic", self.data)
            rows = fixed_rows([people[index] for index in range(LABELLED)], self.size)
            self._labelled = rows, truth_of(rows, self.joints)
        return self._labelled

    def mean_pose(self) -> dict[str, float]:
        """Return the errors of one and the same pose for everybody, the mean of training people: the yardstick."""
        mean = self.labelled()[1].cube.mean(0, keepdim=True).expand_as(self.truth.cube)
        return {name: float(errors.mean()) for name, errors in self.truth.errors(mean).items()}


def beside(mean: Float[Tensor, "b 1 k 3"], distance: float | Float[Tensor, " k"]) -> Answers:
    """Return the mean, and the mean moved farther and nearer, in halves of the crop; by joint, where that is said."""
    offsets = torch.zeros(3, mean.shape[2], 3)
    offsets[1, :, 2], offsets[2, :, 2] = distance, -distance
    poses = mean + offsets
    return Answers(joint_wise=poses, whole=poses, weight=torch.full(poses.shape[:2], 1 / 3))


def build_numbers(poses: Float[Tensor, "b k 3"], usual_m: Float[Tensor, " k"]) -> dict[str, float]:
    """Return by how much left bones differ from right ones, and bones from a body's: 100 mean |log ratio|."""
    length = log_lengths(poses)
    sides = [MOVING.index(SKELETONS["xas18"].flip[joint]) for joint in MOVING]
    paired = [place for place, other in enumerate(sides) if place != other]
    lopsided = (length - length[:, sides]).abs()[:, paired]
    usual = length - usual_m[MOVING].log()
    off = (usual - usual.median(1, keepdim=True).values).abs()
    return {
        "photos_lopsided_percent": 100 * float(lopsided.mean()),
        "photos_proportions_percent": 100 * float(off.mean()),
    }


def log_lengths(poses: Float[Tensor, "*b 18 3"]) -> Float[Tensor, "*b 17"]:
    """Return the logarithms of the lengths of the bones to the joints `MOVING`, in the unit of the poses."""
    ends = poses[..., [SKELETONS["xas18"].parents[joint] for joint in MOVING], :]
    return (poses[..., MOVING, :] - ends).norm(dim=-1).clamp_min(1e-3).log()


def with_camera(sample: Sample) -> Sample:
    """Return a rendered person with the camera that its labels imply, where the file does not have it."""
    if sample.focal_px is not None:
        return sample
    assert sample.joints_cam_m is not None
    focal_px, principal_px, _ = camera_that_saw(sample.joints_cam_m, sample.keypoints_px[:14])
    return replace(sample, focal_px=focal_px, principal_px=(float(principal_px[0]), float(principal_px[1])))


def print_table(report: Mapping[str, Any]) -> None:
    """Print the rows: means of the seeds, and how far seeds are apart."""
    from rich.console import Console
    from rich.table import Table

    table = Table("MPJPE mm, root aligned, unless said otherwise", *COLUMNS.values())
    for name, row in {"where all begin": report["start"], **report["rows"]}.items():
        apart = report["spread"].get(name, {})
        shown = [f"{row[key]:.1f}" + (f" ±{apart[key] / 2:.1f}" if apart else "") for key in COLUMNS if key in row]
        table.add_row(name, *shown)
    console = Console(width=200)
    console.print(table)
    console.print(
        f"mean pose: {report['mean_pose']['mpjpe_mm']:.1f} mm. * an oracle chooses. ± half the seeds' spread."
    )


def _design(poses: Float[Tensor, "b k 3"]) -> Float[Tensor, "b n"]:
    flat = poses.double().flatten(1)
    return torch.cat([flat, torch.ones(len(flat), 1, dtype=flat.dtype)], dim=1)


def _mean(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def _spread(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.ptp([run[name] for run in runs])) for name in runs[0]}
