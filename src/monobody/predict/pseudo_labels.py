"""Bodies for people whose 2D joints were clicked: fitted from two networks' starts, and judged.

The first start is the lifter's, which is given the clicks in place of the landmarks; the second is `hmr-small`'s, which
looks at the picture alone. Both are fitted to the same evidence (`fit/pseudo_labels.py`); the first fit is the label,
the second tells how much of it the evidence decides (`fit/kept.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.kinematics import JointBody
from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.data.crop import turn_back
from monobody.data.sample import Sample, camera_of
from monobody.fit.evidence import Fits, Start
from monobody.fit.kept import Judged
from monobody.fit.pseudo_labels import Seen
from monobody.fit.settings import Settings
from monobody.fit.smplify import fit_bodies
from monobody.fit.terms import project
from monobody.metrics import mpjpe
from monobody.models.output import HMROutput
from monobody.predict.detection import Detection
from monobody.predict.estimate import LandmarkEstimator, PixelEstimator
from monobody.predict.predictor import load

SETTINGS = Settings(start_error_rad=0.3)
"""Clicks say more about a body than the networks do: the tie is loose."""


@dataclass(frozen=True, kw_only=True)
class Labeller:
    """Two networks, the body that both pose, and the prior."""

    body: Body
    joints: JointBody
    lifter: LandmarkEstimator
    network: PixelEstimator
    prior: PosePrior

    @staticmethod
    def load() -> "Labeller":
        """Take the shipped networks, on the processor."""
        lifter, network = load("lift", device="cpu"), load("hmr-small", device="cpu")
        assert isinstance(lifter.estimator, LandmarkEstimator)
        assert isinstance(network.estimator, PixelEstimator)
        return Labeller(
            body=lifter.body,
            joints=JointBody.from_body(lifter.body, ("lsp14",)),
            lifter=lifter.estimator,
            network=network.estimator,
            prior=PosePrior.load(),
        )

    def label(
        self, samples: Sequence[Sample], detections: Sequence[Detection], names: Sequence[str], index: Sequence[int]
    ) -> Judged:
        """Fit people in their pictures.

        Only those whom the detector found where they were clicked, with left and right as clicked, are fitted: what
        speaks against the others is known without. Their bodies are zeros, and their measures NaN.

        Args:
            samples: pictures with clicked joints.
            detections: what the detector says about each.
            names: what the data set calls them.
            index: their places in it.
        """
        seen = seen_in(samples, detections)
        fitted = (seen.same_person() & ~seen.sides_exchanged()).nonzero()[:, 0].tolist()
        n = len(samples)
        measures = {
            name: np.full(n, np.nan, np.float32)
            for name in ("reprojection", "worst", "prior_nats", "beyond_limits", "overlap_m", "apart_mm")
        }
        bodies = {
            "rotations": np.zeros((n, 24, 3, 3), np.float32),
            "betas": np.zeros((n, 10), np.float32),
            "translation_m": np.zeros((n, 3), np.float32),
            "joints_cam_m": np.zeros((n, 14, 3), np.float32),
        }
        if fitted:
            chosen = [samples[i] for i in fitted], [detections[i] for i in fitted]
            fits, other = self.fits(*chosen)
            joints, far = (self.joints(each.rotations, each.betas)["lsp14"] for each in (fits, other))
            found = {
                "rotations": fits.rotations,
                "betas": fits.betas,
                "translation_m": fits.translation_m,
                "joints_cam_m": joints + fits.translation_m[:, None],
                "reprojection": fits.reprojection_relative,
                "worst": _worst(seen, fits, joints, fitted),
                "prior_nats": fits.prior_nats,
                "beyond_limits": fits.beyond_limits,
                "overlap_m": fits.overlap_m,
                "apart_mm": mpjpe(joints, far),
            }
            for name, values in found.items():
                (measures | bodies)[name][fitted] = values.numpy()
        return Judged(
            names=np.array(names),
            index=np.array(index),
            exchanged=seen.sides_exchanged().numpy(),
            same_person=seen.same_person().numpy(),
            marked=(seen.marked > 0).sum(1).numpy(),
            **bodies,
            **measures,
        )

    def fits(self, samples: Sequence[Sample], detections: Sequence[Detection]) -> tuple[Fits, Fits]:
        """Return the fits from the lifter's start, and from that of the network that looks at pixels."""
        evidence = seen_in(samples, detections).evidence()
        starts = self.lifted(samples, detections), self.looked(samples, detections)
        lifted, looked = (
            fit_bodies(evidence, self.body, start=start, settings=SETTINGS, prior=self.prior) for start in starts
        )
        return lifted, looked

    def lifted(self, samples: Sequence[Sample], detections: Sequence[Detection]) -> Start:
        """Return what the lifter makes of clicks and landmarks."""
        pairs = list(zip(samples, detections, strict=True))
        clicks = _tensor([d.crop.to_crop(np.asarray(s.keypoints_px[:14], np.float64)) for s, d in pairs])
        landmarks = _tensor([d.crop.to_crop(np.asarray(d.landmarks_px, np.float64)) for d in detections])
        given = seen_in(samples, detections).lifted_from(clicks, landmarks, _tensor([d.world_m for d in detections]))
        with torch.no_grad():
            return _start(self.lifter.model(given)[-1].output, detections)

    def looked(self, samples: Sequence[Sample], detections: Sequence[Detection]) -> Start:
        """Return what the network makes of the pixels."""
        outputs = [self.network(s.image, [d]) for s, d in zip(samples, detections, strict=True)]
        rotations, betas = (torch.cat([getattr(o, name) for o in outputs]) for name in ("rotations", "betas"))
        return _start(HMROutput(camera=torch.zeros(len(betas), 3), rotations=rotations, betas=betas), detections)


def seen_in(samples: Sequence[Sample], detections: Sequence[Detection]) -> Seen:
    """Return clicks and landmarks of pictures, seen through the cameras that are assumed of any."""
    focal, principal = zip(*[camera_of(sample) for sample in samples], strict=True)
    marked = _tensor([sample.visible[:14] > 0 for sample in samples])
    return Seen(
        clicks_px=_tensor([sample.keypoints_px[:14] for sample in samples]),
        marked=marked,
        landmarks_px=_tensor([d.landmarks_px for d in detections]),
        scores=_tensor([d.landmarks_score for d in detections]),
        focal_px=_tensor(focal),
        principal_px=_tensor(principal),
    )


def _worst(seen: Seen, fits: Fits, joints_m: Float[Tensor, "m 14 3"], fitted: Sequence[int]) -> Float[Tensor, " m"]:
    """Return how far the worst clicked joint is off, over the person's size; landmarks of the face do not count."""
    placed = joints_m + fits.translation_m[:, None]
    off = (project(placed, seen.focal_px[fitted], seen.principal_px[fitted]) - seen.clicks_px[fitted]).norm(dim=-1)
    return off.masked_fill(seen.marked[fitted] <= 0, 0).amax(1) / seen.sizes_px()[fitted]


def _start(output: HMROutput, detections: Sequence[Detection]) -> Start:
    """Turn a network's bodies from the frames of the regions to those of the pictures."""
    rotations = output.rotations.clone()
    for row, detection in zip(rotations, detections, strict=True):
        row[0] = torch.as_tensor(turn_back(row[0], detection.crop.angle_rad))
    return Start(rotations=rotations, betas=output.betas.clone())


def _tensor(values: Sequence[object]) -> Float[Tensor, "..."]:
    return torch.from_numpy(np.asarray(values, np.float32))
