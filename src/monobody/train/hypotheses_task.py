"""X as Supervision in training: crops in, several poses out, and no 3D label of any photo.

A batch has pairs, rendered crops with their joints, and photos with masks. What it costs: `train/hypotheses_terms.py`.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from monobody.data.geodesic import GeodesicWeights
from monobody.models.decode import joint_wise, joints_of
from monobody.models.detectors import Detector
from monobody.models.marginals import marginals
from monobody.models.physique import Physique
from monobody.models.places import places
from monobody.models.pose_graph import PoseGraphCritic
from monobody.models.released_decoding import released_joints
from monobody.models.skeleton_mask import Limbs
from monobody.train.hmr_task import BatchStream, as_input
from monobody.train.hypotheses_settings import HypothesesSettings
from monobody.train.hypotheses_terms import (
    adversarial_losses,
    build_losses,
    dense_losses,
    mask_losses,
    pair_loss,
    usable_hypotheses,
)
from monobody.train.task import Batch, Findings

Labels = Callable[[Mapping[str, Tensor]], Batch]
"""From a stream's rows to those of `data/hypothesis_row.py`."""


class HypothesesTask:
    """A detector of several hypotheses, with the physique network and the critic where losses ask for them.

    Args:
        detector: the network.
        stream: batches of rows.
        validate: what is measured now and then.
        settings: losses, rates, and how rows are looked at.
        labels: what the rows say; as they are where left out.
    """

    def __init__(
        self,
        detector: Detector,
        stream: BatchStream,
        validate: Callable[[nn.Module], Findings],
        settings: HypothesesSettings,
        *,
        labels: Labels = dict,
    ) -> None:
        self.detector, self.stream, self.labels, self._validate = detector, stream, labels, validate
        self.settings, weights = settings, settings.weights
        self.geodesic = GeodesicWeights(released=weights.released) if settings.geodesic else None
        self.modules: dict[str, nn.Module] = {"detector": detector}
        self.limbs: Limbs | None = None
        if weights.looks_at_masks:
            self.modules["physique"], self.limbs = Physique(), Limbs.of(detector.joint_set)
        learning = [parameter for module in self.modules.values() for parameter in module.parameters()]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "detector": _adam([p for p in learning if p.requires_grad], settings.rate)
        }
        self.critic: PoseGraphCritic | None = None
        if weights.adversarial > 0:
            self.critic = PoseGraphCritic(detector.joint_set)
            self.modules["critic"] = self.critic
            self.optimisers["critic"] = _adam(list(self.critic.parameters()), settings.critic_rate)

    def batches(self, first: int, *, process: int, processes: int) -> Iterator[Batch]:
        for number, rows in enumerate(self.stream(first, process, processes), first):
            yield rows | {"small": torch.tensor(number < self.settings.grow_after)}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        weights, hypotheses, small = self.settings.weights, self.settings.hypotheses, bool(batch["small"])
        labels = self.labels(batch)
        pairs, depth_range = labels["has_joints"], self.detector.depth_range
        # Rows with joints are the rendered ones, the others are photos.
        photos = 1 - pairs
        said = marginals(self.detector(self._seen(labels, small=small)))
        if weights.released:
            joints, found = released_joints(said, modes=hypotheses, depth_range=depth_range)
        else:
            where, found = joints_of(said, modes=hypotheses, depth_range=depth_range)
            joints = joint_wise(where, found)
        there = usable_hypotheses(found)
        terms: Batch = {}
        if weights.plane > 0 or weights.depth > 0:
            dense = dense_losses(said, labels, depth_range=depth_range)
            terms |= dense if hypotheses > 1 else {"plane": dense["plane"]}
        if weights.pairs > 0:
            terms["pairs"] = pair_loss(joints, there, labels, weights)
        if self.limbs is not None:
            whole = joints[:, 0, :, :2] if weights.released else places(said.plane)
            physique = self.modules["physique"]
            terms |= mask_losses(
                whole,
                labels,
                self.limbs,
                physique,
                size=self.settings.mask_size,
                released=weights.released,
                geodesic=self.geodesic,
            )
        if weights.looks_at_build:
            terms |= build_losses(joints, there, photos, weights, self.detector.joint_set)
        terms = {name: getattr(weights, name) * term for name, term in terms.items() if getattr(weights, name) > 0}
        if self.critic is not None:
            real = labels["joints"][(labels["known"] > 0).all(1)]
            judged = adversarial_losses(joints, there, photos, real, self.critic, weights)
            terms |= {name: weights.adversarial * term for name, term in judged.items()}
        return terms

    def _seen(self, labels: Mapping[str, Tensor], *, small: bool) -> Float[Tensor, "b 3 s s"]:
        """Return what the detector looks at: some people before black, so that masks serve but are not needed."""
        images = as_input(labels["images"])
        bare = (torch.rand(len(images)) < self.settings.bare_share).to(images.device) & (labels["has_mask"] > 0)
        kept = torch.where(bare[:, None, None], labels["mask"].float() / 255, 1.0)
        images = images * kept[:, None]
        return nn.functional.avg_pool2d(images, 2) if small else images

    def validate(self) -> Findings:
        return self._validate(self.detector)


def _adam(learning: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(learning, lr=rate, betas=(0.5, 0.999))
