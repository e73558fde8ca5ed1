"""The recipes of X as Supervision, from a folder of data to a weights file."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from monobody.body.bones import usual_bones_m
from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.models.backbone import ResNet
from monobody.models.detectors import build_detector
from monobody.models.storage import load_weights, save_weights
from monobody.train.checkpoint import RunState
from monobody.train.engine import fit
from monobody.train.hypotheses_labels import SETS, people_labels
from monobody.train.hypotheses_task import HypothesesTask
from monobody.train.hypotheses_validation import HypothesesValidation
from monobody.train.processes import is_main
from monobody.train.recipe import Recipe
from monobody.train.sources import stream, validation_samples


def train_hypotheses(
    recipe: Recipe,
    body: Body,
    data: Path | None,
    out: Path,
    *,
    resume: bool,
    start: Path | None,
    shape_space: str,
    card: dict[str, Any],
) -> RunState:
    """Train a detector of several hypotheses and leave `weights.safetensors` in `out`; what is `start`, see `train`.

    `card` is what the weights file says besides the network's own numbers.
    """
    settings = recipe.hypotheses
    assert settings is not None
    torch.manual_seed(recipe.plan.seed)
    detector = build_detector(
        recipe.model, size=recipe.size, bins=settings.bins, joint_set=settings.joint_set, **settings.widths
    )
    if start is not None and start.suffix == ".pth" and isinstance(detector.backbone, ResNet):
        detector.backbone.load_imagenet(start)
    elif start is not None:
        load_weights(detector, start, body_digest=body.digest)
    joints, usual_m = JointBody.from_body(body, SETS), usual_bones_m(body)
    # The main process alone measures.
    measured = recipe if is_main() else replace(recipe, validation_synthetic=0, validation_photos=0)
    synthetic, photos = validation_samples(measured, data)
    validation = HypothesesValidation(
        synthetic=synthetic,
        photos=photos,
        body=joints,
        usual_m=usual_m,
        size=detector.input_size,
        hypotheses=settings.hypotheses,
        shape_space=shape_space,
    )
    task = HypothesesTask(
        detector,
        stream(recipe, data, detector.input_size, shape_space=shape_space, masks=True),
        validation,
        settings,
        labels=lambda rows: people_labels(rows, joints.to(rows["images"].device), depth_range=detector.depth_range),
    )
    state = fit(task, recipe.plan, out, resume=resume, settings=asdict(recipe) | {"body": body.digest})
    if is_main():
        network = {
            "size": detector.input_size,
            "bins": detector.bins,
            "joint_set": detector.joint_set,
            "widths": dict(settings.widths),
            "hypotheses": settings.hypotheses,
        }
        with torch.no_grad():
            found = validation(detector).numbers
        said = {"steps": state.step, "minutes": round(state.seconds / 60, 1)}
        said["validation"] = {name: round(value, 2) for name, value in found.items()}
        save_weights(detector, out / "weights.safetensors", card=card | network | said, int8=False)
    return state
