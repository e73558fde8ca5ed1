"""Predicted bodies against true ones: mesh upon mesh, drawn over each other, and whether anybody can stand so."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from monobody.body.collision import CapsuleBody, overlaps_m, self_intersecting
from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.evaluate.bodies import can_be_drawn, drawn_parts, vertices_cam_m
from monobody.evaluate.held_out import MOVED_JOINTS
from monobody.evaluate.predictions import Predictions
from monobody.evaluate.protocol import EvaluationSet
from monobody.metrics import area_pve, mask_iou, pve
from monobody.render.parts import part_labels, part_map, projected

Values = dict[str, Float[np.ndarray, " n"]]
"""Everybody's values, by column."""


def compare_bodies(
    people: EvaluationSet, predictions: Predictions, hypothesis: Int[np.ndarray, " n"], body: Body
) -> Values:
    """Return what one predicted body of everybody is worth, by the columns of `synthetic.py`.

    Meshes are compared only where the predictions' body is the people's own, the shipped one; what is drawn only where
    the predictions say how.

    Args:
        people: with the truth that `true_people.py` gives.
        predictions: with bodies.
        hypothesis: which of each person's.
        body: that of the predictions.
    """
    true_body = Body.load()
    pair = _Pair(
        predictions=predictions,
        people=people,
        body=body,
        true_body=true_body,
        labels=part_labels(body.data),
        true_labels=part_labels(true_body.data),
    )
    columns = [pair.of(person, int(which)) for person, which in enumerate(hypothesis)]
    assert predictions.rotations is not None
    assert predictions.betas is not None
    everybody = np.arange(len(hypothesis))
    rotations, betas = (
        torch.from_numpy(array[everybody, hypothesis].astype(np.float32))
        for array in (predictions.rotations, predictions.betas)
    )
    return {key: np.array([column[key] for column in columns]) for key in columns[0]} | plausibility(
        rotations, betas, body
    )


def plausibility(rotations: Float[torch.Tensor, "n 24 3 3"], betas: Float[torch.Tensor, "n 10"], body: Body) -> Values:
    """Return each body's per cent of impossible joints, and 100 where it runs through itself, else 0."""
    with torch.inference_mode():
        possible = PosePrior.load().within_limits(rotations[:, 1:])[:, :MOVED_JOINTS].double().mean(1)
        crossing = self_intersecting(overlaps_m(CapsuleBody(body)(rotations, betas))).double()
    return {"impossible_joints": 100 * (1 - possible.numpy()), "through_itself": 100 * crossing.numpy()}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pair:
    """Predicted and true bodies, and which part each of their vertices belongs to."""

    people: EvaluationSet
    predictions: Predictions
    body: Body
    true_body: Body
    labels: UInt8[np.ndarray, " V"]
    true_labels: UInt8[np.ndarray, " V"]

    def of(self, person: int, hypothesis: int) -> dict[str, float]:
        """Return one person's columns."""
        truth = self.people.truth
        true_m, true_root_m = _posed(self.true_body, truth["rotations"][person], truth["betas"][person])
        shift_m = truth["translation_m"][person]
        numbers = self._meshes(person, hypothesis, true_m, true_root_m)
        if not can_be_drawn(self.predictions):
            return numbers
        width, height = truth["sizes_px"][person].tolist()
        found_m = vertices_cam_m(self.predictions, self.body, person, hypothesis)
        drawn = drawn_parts(self.predictions, self.body, self.labels, person, found_m, (width, height))
        seen = projected(true_m + shift_m, float(truth["focal_px"][person]), truth["principal_px"][person])
        wanted = part_map(seen, self.true_body.data, self.true_labels, height, width)
        inside = wanted > 0
        numbers["iou"] = 100 * float(mask_iou(drawn > 0, inside))
        numbers["parts"] = 100 * float((drawn == wanted)[inside].mean()) if inside.any() else np.nan
        if truth["has_mask"].all():
            mask = self.people.samples[person].mask
            assert mask is not None
            numbers["mask_iou"] = 100 * float(mask_iou(drawn > 0, mask > 127))
        return numbers

    def _meshes(
        self, person: int, hypothesis: int, true_m: Float[np.ndarray, "V 3"], true_root_m: Float[np.ndarray, "3"]
    ) -> dict[str, float]:
        """Return the errors of the mesh, posed and in T-pose; none where the two bodies have other vertices."""
        if self.body.digest != self.true_body.digest:
            return {}
        assert self.predictions.rotations is not None
        assert self.predictions.betas is not None
        rotations, betas = (array[person, hypothesis] for array in (self.predictions.rotations, self.predictions.betas))
        found_m, root_m = _posed(self.body, rotations, betas)
        roots_m = (root_m, true_root_m)
        at_rest = []
        with torch.inference_mode():
            for each in (betas, self.people.truth["betas"][person]):
                identity = self.true_body.identity(torch.from_numpy(np.float32(each)))
                at_rest.append((identity.vertices_m.double(), identity.joints_m[0].double()))
        (shape_m, pelvis_m), (true_shape_m, true_pelvis_m) = at_rest
        return {
            "pve_mm": float(pve(found_m, true_m, roots_m=roots_m)),
            "area_pve_mm": float(area_pve(found_m, true_m, self.true_body.data.faces, roots_m=roots_m)),
            "shape_mm": float(pve(shape_m, true_shape_m, roots_m=(pelvis_m, true_pelvis_m))),
        }


def _posed(
    body: Body, rotations: Float[np.ndarray, "24 3 3"], betas: Float[np.ndarray, "10"]
) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "3"]]:
    """Return a body's vertices and its pelvis, where posing leaves them."""
    with torch.inference_mode():
        posed = body(torch.from_numpy(np.float32(rotations)), torch.from_numpy(np.float32(betas)))
    return posed.vertices_m.double().numpy(), posed.joints_m[0].double().numpy()
