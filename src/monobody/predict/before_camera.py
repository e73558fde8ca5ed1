"""A posed body before the picture's camera, as a scene holds it: the 85 numbers, its joints in metres and in pixels."""

import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.model import Body, Posed
from monobody.body.rotation import matrix_to_axis_angle
from monobody.camera import Camera, project, weak_camera
from monobody.data.crop import Crop
from monobody.fit.evidence import Fits
from monobody.scene import Hypothesis


def hypothesis_of(
    body: Body,
    posed: Posed,
    *,
    rotations: Float[Tensor, "24 3 3"],
    betas: Float[Tensor, "10"],
    weak: Float[Tensor, "3"],
    translation_m: Float[Tensor, "3"],
    camera: Camera,
) -> Hypothesis:
    """Return a body that was posed by these rotations and this shape, moved before the camera.

    ``weak`` is its camera s, tx, ty in the person's upright crop.
    """
    joints = {name: _keypoints(body, posed.vertices_m, name) for name in body.data.keypoint_regressors}
    joints["smpl24"] = posed.joints_m
    joints_cam_m = {name: points + translation_m for name, points in joints.items()}
    return Hypothesis(
        theta=torch.cat([weak, matrix_to_axis_angle(rotations).reshape(72), betas]).numpy(),
        rotations=rotations.numpy(),
        translation_m=translation_m.numpy(),
        joints_cam_m={name: points.numpy() for name, points in joints_cam_m.items()},
        joints_px={
            name: project(points, camera.focal_px, camera.principal_px).numpy() for name, points in joints_cam_m.items()
        },
    )


def hypothesis_of_fit(
    body: Body, fits: Fits, row: int, crop: Crop, camera: Camera, *, width_px: int, height_px: int
) -> Hypothesis:
    """Return a fitted body; its weak camera is the one that sees it where it stands, in the upright ``crop``."""
    rotations, betas, translation_m = fits.rotations[row], fits.betas[row], fits.translation_m[row]
    upright = Crop(crop.centre_px, crop.size_px)
    with torch.inference_mode():
        return hypothesis_of(
            body,
            body(rotations, betas),
            rotations=rotations,
            betas=betas,
            weak=weak_camera(translation_m, upright, camera.focal_px, width_px, height_px),
            translation_m=translation_m,
            camera=camera,
        )


def _keypoints(body: Body, vertices_m: Float[Tensor, "v 3"], set_name: str) -> Float[Tensor, "k 3"]:
    """Return the points of a joint set, NaN where the body has no such point."""
    points = body.keypoints(vertices_m, set_name)
    return points.masked_fill(~torch.from_numpy(body.data.placed(set_name))[:, None], torch.nan)
