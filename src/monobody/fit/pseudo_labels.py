"""Which fitted bodies may be labels: evidence from clicked joints and landmarks, and the measures that a fit must pass.

A photo whose 2D joints somebody clicked has no body; one that is fitted to it can take its place (SPIN, Kolotouros et
al. 2019; EFT, Joo et al. 2021), if it is right. What 2D cannot see makes it wrong: left and right exchanged by those
who clicked, a limb towards the camera that goes away from it. Both show where two witnesses disagree: the clicks and
the detector, and the bodies that a fit reaches from two different networks.
Shapes: n people; lsp14 is the set of the clicks, blazepose33 that of the landmarks, cocoplus19 that of the evidence.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from monobody.body.landmarks import Landmarks
from monobody.body.skeleton import SKELETONS, correspondence
from monobody.fit.evidence import FEWEST_JOINTS, Evidence

NEAR = 0.1
"""A landmark agrees with a click nearer than this share of the person's size."""
AGREEING = 0.6
"""The detector looks at the same person where this share of its landmarks agrees."""
LANDMARK_SAY = 0.3
"""What a landmark counts beside a click's 1: it is about 1.8 times as far off."""
APART = 0.1
"""A pair of joints that are nearer to each other than this does not tell left from right."""

_CLICKS = len(SKELETONS["lsp14"].joints)
_FLIP = list(SKELETONS["lsp14"].flip)
_LIMBS = [i for i, source in enumerate(correspondence("blazepose33", "lsp14")) if source >= 0]
_LIMB_LANDMARKS = [correspondence("blazepose33", "lsp14")[i] for i in _LIMBS]
_FACE_LANDMARKS = list(correspondence("blazepose33", "cocoplus19")[_CLICKS:])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Seen:
    """What is seen of n people in their pictures."""

    clicks_px: Float[Tensor, "n 14 2"]
    """What lies where nobody clicked means nothing, and may be NaN."""
    marked: Float[Tensor, "n 14"]
    """1 where a joint was clicked."""
    landmarks_px: Float[Tensor, "n 33 2"]
    scores: Float[Tensor, "n 33"]
    focal_px: Float[Tensor, " n"]
    principal_px: Float[Tensor, "n 2"]

    def sizes_px(self) -> Float[Tensor, " n"]:
        """Return the larger side of the box about the clicked joints."""
        known = self.marked[..., None] > 0
        low = self.clicks_px.masked_fill(~known, torch.inf).amin(1)
        high = self.clicks_px.masked_fill(~known, -torch.inf).amax(1)
        return (high - low).amax(1)

    def agreeing(self) -> Bool[Tensor, "n 12"]:
        """Return which of the limbs' landmarks are near their clicks."""
        return (self._apart(_LIMBS) < NEAR * self.sizes_px()[:, None]) & (self.marked[:, _LIMBS] > 0)

    def same_person(self) -> Bool[Tensor, " n"]:
        """Tell where the detector looks at the person who was clicked."""
        marked = (self.marked[:, _LIMBS] > 0).sum(1)
        return self.agreeing().sum(1) >= AGREEING * marked

    def sides_exchanged(self) -> Bool[Tensor, " n"]:
        """Tell where the clicks fit the landmarks better with left and right exchanged.

        Distances beyond `NEAR` count as that; the other assignment must be better by half of it on average, over the
        joints far enough from their counterparts to tell.
        """
        size = self.sizes_px()[:, None]
        other = [_FLIP[i] for i in _LIMBS]
        straight, exchanged = ((self._apart(joints) / size).clamp_max(NEAR) for joints in (_LIMBS, other))
        pairs = (self.marked[:, _LIMBS] > 0) & (self.marked[:, other] > 0)
        wide = (self.clicks_px[:, _LIMBS] - self.clicks_px[:, other]).nan_to_num().norm(dim=-1) > APART * size
        telling = (pairs & wide).float() * self.scores[:, _LIMB_LANDMARKS]
        gain = (telling * (straight - exchanged)).sum(1) / telling.sum(1).clamp_min(1e-6)
        return ((pairs & wide).sum(1) >= FEWEST_JOINTS) & (gain > NEAR / 2)

    def evidence(self) -> Evidence:
        """Return clicks at full confidence, and landmarks of lower for the face and for limbs nobody clicked.

        Landmarks are taken only where the detector looks at the same person.
        """
        say = LANDMARK_SAY * self.scores * self.same_person()[:, None]
        points = torch.cat([self.clicks_px, self.landmarks_px[:, _FACE_LANDMARKS]], dim=1)
        confidence = torch.cat([(self.marked > 0).float(), say[:, _FACE_LANDMARKS]], dim=1)
        gaps = self.marked[:, _LIMBS] <= 0
        points[:, _LIMBS] = torch.where(gaps[..., None], self.landmarks_px[:, _LIMB_LANDMARKS], points[:, _LIMBS])
        confidence[:, _LIMBS] = torch.where(gaps, say[:, _LIMB_LANDMARKS], confidence[:, _LIMBS])
        return Evidence(
            keypoints_px=points,
            confidence=confidence,
            keypoint_set="cocoplus19",
            focal_px=self.focal_px,
            principal_px=self.principal_px,
        )

    def lifted_from(
        self, points_crop: Float[Tensor, "n 14 2"], landmarks_crop: Float[Tensor, "n 33 2"], world_m: Tensor
    ) -> Landmarks:
        """Return what the lifter is given: the landmarks, with the clicks in their places.

        Landmarks that contradict their clicks lose their depth; those of somebody else are left out altogether.

        Args:
            points_crop: the clicks in the detector's region.
            landmarks_crop: the landmarks there.
            world_m: theirs in metres, n x 33 x 3.
        """
        same = self.same_person().float()[:, None]
        read = Landmarks.from_joints("blazepose33", landmarks_crop, self.scores * same, world_m=world_m)
        clicked = Landmarks.from_joints("lsp14", points_crop, (self.marked > 0).float())
        given = clicked.score > 0
        near = torch.ones_like(read.score)
        near[:, _LIMB_LANDMARKS] = (self.agreeing() | (self.marked[:, _LIMBS] <= 0)).float()
        return Landmarks(
            image=torch.where(given[..., None], clicked.image, read.image),
            score=torch.where(given, clicked.score, read.score * near),
            world_m=read.world_m,
            world_score=read.world_score * near,
        )

    def _apart(self, joints: list[int]) -> Float[Tensor, "n 12"]:
        return (self.clicks_px[:, joints].nan_to_num() - self.landmarks_px[:, _LIMB_LANDMARKS]).norm(dim=-1)
