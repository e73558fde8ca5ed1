"""Bodies of held-out people in numbers: how far off they are in 3D and in 2D, and whether anybody can stand so.

    mpjpe_mm, pa_mpjpe_mm        14 LSP joints of synthetic people, mid-hips aligned, or the best similarity
    error_2d_px                  mean distance of the visible 2D joints in HMR's crop of 224 pixels, the mean of
    people_2d_px, photos_2d_px   synthetic people's (19 joints) and photos' (14)
    impossible_joints_percent    of the 21 joints that motion capture moves, those bent further than `body/prior.py`
                                 has ever seen (hands apart: they are rigid there)
    self_intersecting_percent    bodies that run through themselves (`body/collision.py`)
    pose_log_density             nats above chance that the pose prior gives the poses, mean
    shape_rms                    of the ten shape coefficients; 1 in the population

The people come as the features of a frozen encoder and their labels (`train/feature_task.py`), so that a regressor is
measured in a second.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from monobody.body.collision import CapsuleBody, overlaps_m, self_intersecting
from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.camera import project_weak
from monobody.metrics import mpjpe, pa_mpjpe
from monobody.models.hmr import HMROutput

CROP_PX = 224
MOVED_JOINTS = 21
"""The first of the prior's 23 joints; the hands follow."""
PLAUSIBILITY = ("impossible_joints_percent", "self_intersecting_percent", "pose_log_density", "shape_rms")


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Held-out people and everything that measures a regressor on them."""

    rows: dict[str, Tensor]
    """As `cache_features` kept them."""
    joint_body: JointBody
    capsules: CapsuleBody
    prior: PosePrior

    @staticmethod
    def load(folder: Path, body: Body, joint_body: JointBody) -> "HeldOut":
        """Read people whose features were cached."""
        rows = {path.stem: torch.from_numpy(np.load(path)) for path in folder.glob("*.npy")}
        return HeldOut(rows=rows, joint_body=joint_body, capsules=CapsuleBody(body), prior=PosePrior.load())

    @torch.no_grad()
    def predict(self, regressor: nn.Module) -> HMROutput:
        """Return the regressor's last estimate of everybody."""
        regressor.eval()
        return regressor(self.rows["features"].float())[-1]

    @torch.no_grad()
    def measure(self, output: HMROutput) -> dict[str, float]:
        """Return the numbers of the module's table; what nobody can be measured on is left out."""
        joints_m = self.joint_body(output.rotations, output.betas)["cocoplus19"]
        off_px = self.off_2d_px(output)
        known = self.rows["has_joints_3d"] > 0
        numbers: dict[str, float] = {}
        if known.any():
            true_m, found_m = self.rows["joints_3d"][known], joints_m[known, :14]
            numbers["mpjpe_mm"] = float(mpjpe(found_m, true_m).mean())
            numbers["pa_mpjpe_mm"] = float(pa_mpjpe(found_m, true_m).mean())
        groups = {"people_2d_px": known, "photos_2d_px": ~known}
        in_2d = {name: float(off_px[group].nanmean()) for name, group in groups.items() if group.any()}
        return (
            numbers
            | {"error_2d_px": sum(in_2d.values()) / len(in_2d)}
            | in_2d
            | self.plausibility(output.rotations, output.betas)
        )

    @torch.no_grad()
    def plausibility(self, rotations: Float[Tensor, "n 24 3 3"], betas: Float[Tensor, "n 10"]) -> dict[str, float]:
        """Return how possible bodies are, whosever they are."""
        joints = rotations[:, 1:]
        possible = self.prior.within_limits(joints)[:, :MOVED_JOINTS].float()
        overlaps = overlaps_m(self.capsules(rotations, betas))
        values = (
            100 * float(1 - possible.mean()),
            100 * float(self_intersecting(overlaps).float().mean()),
            float(self.prior.log_density(joints).mean()),
            float(betas.square().mean().sqrt()),
        )
        return dict(zip(PLAUSIBILITY, values, strict=True))

    @torch.no_grad()
    def off_2d_px(self, output: HMROutput) -> Float[Tensor, " n"]:
        """Return everybody's mean distance of visible joints in pixels; NaN of people without any."""
        joints_m = self.joint_body(output.rotations, output.betas)["cocoplus19"]
        off = (project_weak(joints_m, output.camera) - self.rows["keypoints_2d"]).norm(dim=-1) * CROP_PX / 2
        visible = self.rows["visible"] > 0
        return torch.where(visible, off, torch.nan).nanmean(dim=1)

    @torch.no_grad()
    def depth_signs(self, output: HMROutput) -> dict[str, float]:
        """Return what 2D cannot tell: who is turned away by over 90 degrees, who would be nearer mirrored in depth.

        Per cent of the synthetic people.
        """
        known = self.rows["has_body"] > 0
        turn = output.rotations[known, 0].mT @ self.rows["rotations"][known, 0]
        # The cosine of the angle is (trace - 1) / 2.
        away = turn.diagonal(dim1=1, dim2=2).sum(1) < 1
        found_m = self.joint_body(output.rotations, output.betas)["cocoplus19"][known, :14]
        mirrored_m, true_m = found_m * torch.tensor([1.0, 1.0, -1.0]), self.rows["joints_3d"][known]
        better = mpjpe(mirrored_m, true_m) < mpjpe(found_m, true_m)
        return {
            "turned_away_percent": 100 * float(away.float().mean()),
            "better_mirrored_percent": 100 * float(better.float().mean()),
        }

    def truth(self) -> dict[str, float]:
        """Return how possible the synthetic people's own bodies are by the same yardsticks."""
        known = self.rows["has_body"] > 0
        return self.plausibility(self.rows["rotations"][known], self.rows["betas"][known]) if known.any() else {}
