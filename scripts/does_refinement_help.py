"""Does fitting to the detector's landmarks help a network? ``python scripts/does_refinement_help.py --data DATA``

Prints a table and writes `docs/results/refinement.json`. The people are the first of those that `monobody evaluate
quick` measures with, found in the same way: 3D errors on rendered people, shares of correct joints (PCK) on these and
on photos. Every fit is made with the camera that `monobody predict` assumes where nothing is known, a focal length of
the picture's diagonal, but for the rows that say otherwise.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.data.crop import turn_back
from monobody.data.sample import Sample, camera_of
from monobody.data.shards import SampleFiles
from monobody.evaluate.quick import (
    BLAZEPOSE_JOINTS,
    PHOTOS,
    SYNTHETIC,
    blazepose_joints,
    estimate_joints,
    find_people,
    real_numbers,
    synthetic_numbers,
)
from monobody.evaluate.true_people import camera_that_saw
from monobody.files import atomic_write
from monobody.fit.evidence import Evidence, Fits, Start
from monobody.fit.settings import Settings
from monobody.fit.smplify import fit_bodies
from monobody.fit.terms import project
from monobody.predict.refine import FOLLOWED, LANDMARKS, REFINING

MODELS = ("hmr-small", "lift")
LANDMARK_NOISE, TRUE_NOISE = REFINING.keypoint_noise, 0.01
TIES = (0.05, REFINING.start_error_rad, 0.3, None)


@dataclass(frozen=True, kw_only=True)
class People:
    """Samples, what the detector and the networks said about them, and their cameras."""

    samples: Sequence[Sample]
    landmarks_px: Float[Tensor, "n 33 2"]
    scores: Float[Tensor, "n 33"]
    blazepose: tuple[Tensor, Tensor]
    starts: dict[str, Start]
    joints: dict[str, tuple[Tensor, Tensor]]
    """LSP's joints by model, pixels and metres."""

    def evidence(self, *, true: bool = False, true_camera: bool = False) -> Evidence:
        """Return the landmarks, or the known joints, as evidence."""
        cameras = [true_pinhole(s) if true_camera else camera_of(s) for s in self.samples]
        focal, principal = (torch.tensor(values).float() for values in zip(*cameras, strict=True))
        if true:
            points, known = self.known()
            return Evidence(keypoints_px=points, confidence=known, focal_px=focal, principal_px=principal)
        return Evidence(
            keypoints_px=self.landmarks_px,
            confidence=self.scores * torch.tensor(FOLLOWED),
            keypoint_set=LANDMARKS,
            focal_px=focal,
            principal_px=principal,
        )

    def known(self) -> tuple[Tensor, Tensor]:
        """Return the samples' own keypoints and which are visible."""
        points = np.stack([sample.keypoints_px for sample in self.samples])
        visible = np.stack([sample.visible for sample in self.samples])
        return torch.from_numpy(points).float(), torch.from_numpy(visible).float()


def true_pinhole(sample: Sample) -> tuple[float, tuple[float, float]]:
    """Return the pinhole that a rendered person was seen through, from their joints in 3D and in the picture."""
    assert sample.joints_cam_m is not None
    focal_px, (x, y), _ = camera_that_saw(sample.joints_cam_m, sample.keypoints_px[:14])
    return focal_px, (float(x), float(y))


def gather(samples: Sequence[Sample], body: Body) -> People:
    """Find the samples' people and ask every model about them."""
    from monobody.predict.predictor import load

    found = find_people(samples)
    starts, joints = {}, {}
    for name in MODELS:
        predictor = load(name, device="cpu")
        rotations, betas = [], []
        with torch.inference_mode():
            for sample, detection in zip(samples, found, strict=True):
                output = predictor.estimator(sample.image, [detection])
                turned = output.rotations[0].clone()
                turned[0] = turn_back(turned[0], detection.crop.angle_rad)
                rotations.append(turned)
                betas.append(output.betas[0])
        starts[name] = Start(rotations=torch.stack(rotations).clone(), betas=torch.stack(betas).clone())
        joints[name] = estimate_joints(predictor.estimator, JointBody.from_body(body, ("lsp14",)), samples, found)
    return People(
        samples=samples,
        landmarks_px=torch.from_numpy(np.stack([d.landmarks_px for d in found])).float(),
        scores=torch.from_numpy(np.stack([d.landmarks_score for d in found])).float(),
        blazepose=blazepose_joints(found),
        starts=starts,
        joints=joints,
    )


def measured(people: People, joints: tuple[Tensor, Tensor], chosen: Sequence[int] = range(14)) -> dict[str, Any]:
    """Return PCK, and 3D errors where these are known."""
    numbers = dict(real_numbers(people.samples, joints, chosen))
    if people.samples[0].joints_cam_m is not None:
        numbers |= synthetic_numbers(people.samples, joints, chosen)
    return {name.removeprefix("real_").removeprefix("synthetic_"): value for name, value in numbers.items()}


def fitted(
    people: People, evidence: Evidence, start: str | None, tie: float | None, noise: float, body: Body
) -> tuple[dict[str, Any], Fits]:
    """Return the numbers of one kind of fit, and the fits."""
    settings = replace(Settings(), start_error_rad=tie, keypoint_noise=noise)
    began = time.process_time()
    fits = fit_bodies(evidence, body, start=None if start is None else people.starts[start], settings=settings)
    seconds = time.process_time() - began
    joints = JointBody.from_body(body, ("lsp14",))(fits.rotations, fits.betas)["lsp14"]
    assert evidence.focal_px is not None
    assert evidence.principal_px is not None
    seen = project(joints + fits.translation_m[:, None], evidence.focal_px, evidence.principal_px)
    numbers = measured(people, (seen, joints)) | {
        "pose_nats": round(float(fits.prior_nats.mean()), 1),
        "reprojection_percent": round(100 * float(fits.reprojection_relative.mean()), 2),
        "cpu_ms": round(1000 * seconds / len(people.samples)),
    }
    return numbers, fits


def table(rendered: People, photos: People | None, body: Body) -> dict[str, dict[str, Any]]:
    """Return the numbers of every row: those of rendered people and those of photos."""
    groups = {"rendered": rendered} | ({} if photos is None else {"photos": photos})
    rows: dict[str, dict[str, Any]] = {}

    def row(name: str, numbers: dict[str, dict[str, Any]]) -> None:
        rows[name] = numbers
        print(f"{name:52}", *(format_cells(numbers.get(group)) for group in ("rendered", "photos")), flush=True)

    print(f"{'':52}  MPJPE     PA  PCK@0.1  @0.05 (rendered)            PCK@0.1  @0.05 (photos)")
    row("blazepose (12 joints)", {g: measured(p, p.blazepose, BLAZEPOSE_JOINTS) for g, p in groups.items()})

    def fit(start: str | None, tie: float | None) -> dict[str, dict[str, Any]]:
        return {g: fitted(p, p.evidence(), start, tie, LANDMARK_NOISE, body)[0] for g, p in groups.items()}

    for model in MODELS:
        row(model, {g: measured(p, p.joints[model]) for g, p in groups.items()})
        for tie in TIES if model == MODELS[0] else TIES[1:2]:
            row(f"{model} + landmarks, tied within {tie} rad", fit(model, tie))
    row("mean pose + landmarks", fit(None, None))
    for label, camera in (("", False), (", true camera", True)):
        known = rendered.evidence(true=True, true_camera=camera)
        for start in (None, MODELS[0]):
            name = f"{start or 'mean pose'} + true joints in 2D{label}"
            row(name, {"rendered": fitted(rendered, known, start, 0.3, TRUE_NOISE, body)[0]})
    return rows


def format_cells(numbers: dict[str, Any] | None) -> str:
    if numbers is None:
        return ""
    keys = ("mpjpe_mm", "pa_mpjpe_mm", "pck_0.1", "pck_0.05")
    return " ".join(f"{numbers[key]:7.1f}" for key in keys if key in numbers) + "       "


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, help="folder with lsp_extended/; without it no photos")
    arguments.add_argument("--limit", type=int, default=200, help="so many people of each kind")
    arguments.add_argument("--json", type=Path, default=Path("docs/results/refinement.json"))
    options = arguments.parse_args()
    torch.set_num_threads(1)
    body = Body.load()
    rendered = gather(list(SampleFiles(SYNTHETIC)[: options.limit]), body)
    photos = None
    if options.data is not None:
        from monobody.data.datasets.lsp_extended import LspExtended

        everything = LspExtended(options.data / PHOTOS, "validation")
        photos = gather([everything[i] for i in range(min(options.limit, len(everything)))], body)
    rows = table(rendered, photos, body)
    counts = {"rendered": len(rendered.samples), "photos": 0 if photos is None else len(photos.samples)}
    with atomic_write(options.json) as temporary:
        temporary.write_text(json.dumps({"people": counts, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
