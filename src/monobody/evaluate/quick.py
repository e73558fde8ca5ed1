"""The quick evaluation: does a model find bodies that fit, in 3D on rendered people and in 2D on photos?

Both kinds of pictures are treated as `predict` treats a picture with a given box. The box is that of the known LSP
joints, wider by a tenth of its larger side all round; the detector finds the person in it and places the region of
interest; the model answers in that region; its joints are taken back to the picture.

    synthetic_mpjpe_mm, synthetic_pa_mpjpe_mm    14 LSP joints, mid-hips aligned, or the best similarity (HMR)
    real_pck_0.1, real_pck_0.05                  per cent of all visible clicked joints that lie within 0.1 (0.05) of
                                                 the larger side of the box about the person's visible joints

Two yardsticks pass the same way. `mean_pose` does not look: a person of mean shape standing upright in the region of
interest, which is placed and turned by the detector all the same. `blazepose` are the detector's own landmarks, on
the 12 of LSP's joints that it has (no neck, no top of the head).

The synthetic people come from motion capture clips, shapes, textures and backgrounds that no training sees, and are
shipped (`scripts/build_evaluation.py`). The photos are the 500 of LSP Extended that are kept from training, and
need its data.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.kinematics import JointBody
from monobody.body.skeleton import correspondence
from monobody.camera import project_through_picture, project_weak
from monobody.data.crop import turn_back
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.files import atomic_write
from monobody.metrics import mpjpe, pa_mpjpe, pck
from monobody.predict.detect import Detection, find_detector
from monobody.predict.estimate import Estimator, MeanPose, knows_picture, views_of, with_own_crops

SYNTHETIC = Path(__file__).parents[1] / "assets" / "evaluation" / "people.tar"
PHOTOS = "lsp_extended"
BOX_MARGIN = 0.1
THRESHOLDS = (0.1, 0.05)
BLAZEPOSE_JOINTS = [i for i, source in enumerate(correspondence("blazepose33", "lsp14")) if source >= 0]

Numbers = dict[str, Any]
Joints = tuple[Float[Tensor, "n k 2"], Float[Tensor, "n k 3"]]
"""Of n people in the pictures' pixels, and in metres and the pictures' camera frames."""
Measure = Callable[[Sequence[Sample], Joints, Sequence[int]], Numbers]


def evaluate_quick(
    data: str | Path | None = None,
    model: str | Path | None = None,
    *,
    json_path: str | Path | None = None,
    device: str = "auto",
    limit: int | None = None,
) -> Numbers:
    """Measure a model, print a table and return the numbers, for JSON as they are.

    Args:
        data: folder with `lsp_extended/`; else `$MONOBODY_DATA`; without either the real numbers are None.
        model: a name or a weights file; the default model where left out.
        json_path: write the numbers here as well.
        device: where the model runs.
        limit: only the first so many of the synthetic people and of the photos.

    Raises:
        UserError: there is no such model, or `data` was given and holds no photos.
    """
    from monobody.data.shards import SampleFiles
    from monobody.predict.predictor import load

    began = time.perf_counter()
    predictor = load(model, device=device)
    joint_body = JointBody.from_body(predictor.body, ("lsp14",))
    estimators = {"model": predictor.estimator, "mean_pose": MeanPose(predictor.body)}
    people = SampleFiles(SYNTHETIC)[:limit]
    synthetic = compare(people, estimators, joint_body, synthetic_numbers)
    photos = _photos(data)
    real, note = {}, f"No photos: give --data, or set $MONOBODY_DATA, to a folder with {PHOTOS}/."
    if photos is not None:
        photos = photos[:limit]
        real, note = compare(photos, estimators, joint_body, real_numbers), ""
    none = {f"real_pck_{threshold}": None for threshold in THRESHOLDS}
    measured = {name: synthetic[name] | real.get(name, none) for name in synthetic}
    numbers = {
        "model": predictor.model,
        **measured["model"],
        "mean_pose": measured["mean_pose"],
        "blazepose": measured["blazepose"] | {"joints": len(BLAZEPOSE_JOINTS)},
        "synthetic_people": len(people),
        "real_people": 0 if photos is None else len(photos),
        "seconds": round(time.perf_counter() - began, 1),
        "note": note,
    }
    _print(numbers)
    if json_path is not None:
        with atomic_write(json_path) as temporary:
            temporary.write_text(json.dumps(numbers, indent=2) + "\n")
    return numbers


def compare(
    samples: Sequence[Sample], estimators: Mapping[str, Estimator], joint_body: JointBody, measure: Measure
) -> dict[str, Numbers]:
    """Find the samples' people once and measure every estimator, and the detector's own landmarks, on them."""
    found = find_people(samples)
    rows = {
        name: measure(samples, estimate_joints(estimator, joint_body, samples, found), range(14))
        for name, estimator in estimators.items()
    }
    return rows | {"blazepose": measure(samples, blazepose_joints(found), BLAZEPOSE_JOINTS)}


def find_people(samples: Sequence[Sample], detector: str = "blazepose") -> list[Detection]:
    """Find the person of each sample within the box of its known joints, as `predict --box` does."""
    find = find_detector(detector)
    return [find(sample.image, [joints_box(sample).tolist()])[0] for sample in samples]


def joints_box(sample: Sample) -> Float[np.ndarray, "4"]:
    """Return the box about a sample's known LSP joints, widened, and cut at the picture's edges."""
    points = sample.keypoints_px[:14][sample.visible[:14] > 0]
    low, high = points.min(0), points.max(0)
    margin = BOX_MARGIN * float((high - low).max())
    height, width = sample.image.shape[:2]
    limits = np.array([width, height])
    return np.concatenate([np.clip(low - margin, 0, limits), np.clip(high + margin, 0, limits)])


def estimate_joints(
    estimator: Estimator, joint_body: JointBody, samples: Sequence[Sample], detections: Sequence[Detection]
) -> Joints:
    """Return LSP's joints of the bodies that an estimator gives, in the pictures."""
    pixels, metres = [], []
    with torch.inference_mode():
        for sample, detection in zip(samples, with_own_crops(estimator, detections), strict=True):
            output = estimator(sample.image, [detection])
            joints_m = joint_body(output.rotations, output.betas)["lsp14"]
            if knows_picture(estimator):
                view = views_of(sample.image, [detection], camera=None)
                seen = project_through_picture(joints_m, output.camera, view)
            else:
                seen = project_weak(joints_m, output.camera)
            pixels.append(detection.crop.to_picture(seen[0].double()))
            metres.append(turn_back(joints_m[0, ..., None], detection.crop.angle_rad)[..., 0])
    return torch.stack(pixels).float(), torch.stack(metres)


def blazepose_joints(detections: Sequence[Detection]) -> Joints:
    """Return those of LSP's joints that BlazePose has, as it says them."""
    chosen = [correspondence("blazepose33", "lsp14")[i] for i in BLAZEPOSE_JOINTS]
    pixels = np.stack([detection.landmarks_px[chosen] for detection in detections])
    turned = [turn_back(d.world_m[chosen][..., None], d.crop.angle_rad)[..., 0] for d in detections]
    return torch.from_numpy(pixels).float(), torch.from_numpy(np.stack(turned)).float()


def synthetic_numbers(samples: Sequence[Sample], joints: Joints, chosen: Sequence[int] = range(14)) -> Numbers:
    """Return the 3D errors of the `chosen` LSP joints."""
    truth = torch.from_numpy(np.stack([_joints_cam_m(sample) for sample in samples])).float()[:, list(chosen)]
    return {
        "synthetic_mpjpe_mm": round(float(mpjpe(joints[1], truth).mean()), 2),
        "synthetic_pa_mpjpe_mm": round(float(pa_mpjpe(joints[1], truth).mean()), 2),
    }


def real_numbers(samples: Sequence[Sample], joints: Joints, chosen: Sequence[int] = range(14)) -> Numbers:
    """Return the shares of correct ones among the visible of the `chosen` LSP joints.

    The size of a person is always that of all visible joints.
    """
    truth = torch.from_numpy(np.stack([sample.keypoints_px[:14] for sample in samples])).float()
    visible = torch.from_numpy(np.stack([sample.visible[:14] for sample in samples])) > 0
    predicted = truth.clone()
    predicted[:, list(chosen)] = joints[0]
    left_out = [i for i in range(14) if i not in chosen]
    counted = visible.clone()
    counted[:, left_out] = False
    return {
        f"real_pck_{t}": round(float(pck(predicted, truth, visible, threshold=t, counted=counted)), 2)
        for t in THRESHOLDS
    }


def _joints_cam_m(sample: Sample) -> Float[np.ndarray, "14 3"]:
    assert sample.joints_cam_m is not None, "synthetic people know their joints"
    return sample.joints_cam_m


def _photos(data: str | Path | None) -> Sequence[Sample] | None:
    """Return the validation photos, or None where no data was given."""
    from monobody.data.datasets.lsp_extended import LspExtended

    folder = data if data is not None else os.environ.get("MONOBODY_DATA")
    if folder is None:
        return None
    if not (Path(folder) / PHOTOS).is_dir():
        raise UserError(f"{folder} has no {PHOTOS}/: give the folder that holds it, or leave --data out.")
    return LspExtended(Path(folder) / PHOTOS, "validation")


def _print(numbers: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "MPJPE mm", "PA-MPJPE mm", "PCK@0.1 %", "PCK@0.05 %")
    keys = ("synthetic_mpjpe_mm", "synthetic_pa_mpjpe_mm", "real_pck_0.1", "real_pck_0.05")
    for name, row in (
        (numbers["model"], numbers),
        ("mean pose", numbers["mean_pose"]),
        ("blazepose's 12 joints", numbers["blazepose"]),
    ):
        table.add_row(str(name), *("-" if row[key] is None else f"{row[key]:.1f}" for key in keys))
    console = Console()
    console.print(table)
    counts = f"{numbers['synthetic_people']} synthetic people, {numbers['real_people']} photos"
    console.print(f"{counts}, {numbers['seconds']:.0f} s", numbers["note"])
