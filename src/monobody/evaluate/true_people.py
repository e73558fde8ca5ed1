"""What is known of synthetic people, as arrays: bodies, joints, and the camera that saw them."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.data.sample import Sample
from monobody.errors import UserError

LARGEST_MISFIT_M = 0.005
LARGEST_MISFIT_PX = 1.0
"""By how much the joints of a body, or their image, may miss the labels before these contradict each other."""


def truth_of(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what is known of people by name, the first axis of each array people.

    ``joints_cam_m`` and ``keypoints_px`` are LSP's 14, ``visible`` tells which of them are in the picture,
    ``rotations``, ``betas`` and ``translation_m`` pose the shipped body before the camera of ``focal_px`` and
    ``principal_px``; ``sizes_px`` are width and height, ``has_mask`` tells who has a mask.

    Raises:
        UserError: not everything is known of somebody, or what is known contradicts itself.
    """
    if not len(samples):
        raise UserError("The set of synthetic people holds nobody.")
    joint_body = JointBody.from_body(Body.load(), ("lsp14",))
    rows = [_of_one(sample, name, joint_body) for sample, name in zip(samples, names, strict=True)]
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _of_one(sample: Sample, name: str, joint_body: JointBody) -> dict[str, np.ndarray]:
    rotations, betas, joints_m = sample.rotations, sample.betas, sample.joints_cam_m
    if rotations is None or betas is None or joints_m is None:
        raise UserError(f"{name}: body or joints are not known; give people that `monobody synthesize` has made.")
    with torch.inference_mode():
        posed_m = joint_body(torch.from_numpy(np.float32(rotations)), torch.from_numpy(np.float32(betas)))["lsp14"]
    shifts = joints_m.astype(np.float64) - posed_m.double().numpy()
    translation_m = shifts.mean(0)
    if sample.shape_space != "monobody" or np.abs(shifts - translation_m).max() > LARGEST_MISFIT_M:
        raise UserError(
            f"{name}: its joints are not those of the shipped body in its pose; the set is of another body."
        )
    focal_px, principal_px, misfit_px = camera_that_saw(joints_m, sample.keypoints_px[:14])
    if misfit_px > LARGEST_MISFIT_PX:
        raise UserError(f"{name}: no camera sees its 3D joints where its 2D joints are ({misfit_px:.1f} pixels off).")
    height, width = sample.image.shape[:2]
    return {
        "joints_cam_m": joints_m,
        "keypoints_px": sample.keypoints_px[:14],
        "visible": sample.visible[:14] > 0,
        "rotations": rotations,
        "betas": betas,
        "translation_m": translation_m,
        "focal_px": np.array(focal_px),
        "principal_px": principal_px,
        "sizes_px": np.array([width, height]),
        "has_mask": np.array(sample.mask is not None),
    }


def camera_that_saw(
    joints_cam_m: Float[np.ndarray, "k 3"], joints_px: Float[np.ndarray, "k 2"]
) -> tuple[float, Float[np.ndarray, "2"], float]:
    """Return the focal length and principal point that project joints to where they were seen, and the largest misfit.

    Exact labels leave nothing to choose: u = f X / Z + c is linear in f and c.
    """
    rays = joints_cam_m[:, :2].astype(np.float64) / joints_cam_m[:, 2:]
    seen_px = joints_px.astype(np.float64)
    about, apart = rays - rays.mean(0), seen_px - seen_px.mean(0)
    focal_px = float((about * apart).sum() / (about * about).sum())
    principal_px = seen_px.mean(0) - focal_px * rays.mean(0)
    misfit_px = np.abs(focal_px * rays + principal_px - seen_px).max()
    return focal_px, principal_px, float(misfit_px)
