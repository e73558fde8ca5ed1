"""The recipe `lift`, from a folder of data to a weights file.

The data folder holds
    pose_bank.npz                      motion capture on the body (scripts/build_pose_bank.py)
    readings/*.npz                     what the detector said of known people (scripts/read_landmarks.py), if any;
    readings/validation*.npz           files of this name are only measured with
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from monobody.body.model import Body
from monobody.data.pose_bank import PoseBank
from monobody.errors import UserError
from monobody.fit.lift import Lift
from monobody.fit.readings import Readings, concatenate
from monobody.models.storage import load_weights, save_weights
from monobody.train.checkpoint import RunState
from monobody.train.engine import fit
from monobody.train.lift_task import LiftSettings, LiftTask
from monobody.train.plan import Plan
from monobody.train.processes import is_main

TERMS = "Apache-2.0"
PHOTO_TERMS = "research use: trained with LSP Extended, whose licence is not stated"


def train_lift(
    settings: LiftSettings, plan: Plan, body: Body, data: Path | None, out: Path, *, resume: bool, start: Path | None
) -> RunState:
    """Train the lifter and leave `weights.safetensors` in `out`; begin with the weights of `start` where given.

    Raises:
        UserError: the data folder has no pose bank, or a file in it is unusable.
    """
    if data is None or not (data / "pose_bank.npz").is_file():
        raise UserError("The lifter learns from motion capture: give --data a folder with pose_bank.npz in it.")
    training, validation = _readings(data / "readings")
    torch.manual_seed(settings.seed)
    lift = Lift(body)
    if start is not None:
        load_weights(lift, start, body_digest=body.digest)
    bank = PoseBank.load(data / "pose_bank.npz")
    task = LiftTask(lift, bank, settings, readings=training, held_out_readings=validation)
    shared = {"name": "lift", "lift": asdict(settings), "plan": asdict(plan), "body": body.digest}
    state = fit(task, plan, out, resume=resume, settings=shared)
    if not is_main():
        return state
    with torch.no_grad():
        found = task.validate().numbers
    save_weights(lift, out / "weights.safetensors", card=_card(body, training, state, found), int8=False)
    return state


def _readings(folder: Path) -> tuple[Readings | None, Readings | None]:
    """Return those to train on and those to measure with."""
    files = sorted(folder.glob("*.npz"))
    held_out = [file for file in files if file.name.startswith("validation")]
    parts = [[Readings.load(file) for file in files if (file in held_out) == wanted] for wanted in (False, True)]
    training, validation = (concatenate(part) if part else None for part in parts)
    return training, validation


def _card(body: Body, readings: Readings | None, state: RunState, found: Any) -> dict[str, Any]:
    photos = 0 if readings is None else int((readings.has_body == 0).sum())
    people = 0 if readings is None else len(readings) - photos
    return {
        "model": "lift",
        "body_digest": body.digest,
        "recipe": "lift",
        "data": f"motion capture (CMU and others); {people} readings of rendered people, {photos} of LSP Extended",
        "terms": PHOTO_TERMS if photos else TERMS,
        "steps": state.step,
        "minutes": round(state.seconds / 60, 1),
        "validation": {name: round(value, 2) for name, value in found.items()},
    }
