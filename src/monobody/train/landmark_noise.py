"""A detector's mistakes, imitated on true landmarks: what a lifter has to learn to live with.

Measured on sports photos, BlazePose reads three people of four to a few per cent of the region and the others wrongly
as a whole; a low score warns of about half of its bad joints. Its depth is squeezed and leans, limbs flip towards and
away from the viewer, sides are exchanged, and what the picture's edge cuts off is guessed. Each mistake has its
probability in `Mistakes`; every person draws its own.

Shapes: b people, the 35 landmarks of `body/landmarks.py`, in crop coordinates and metres.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from monobody.body.landmarks import COUNT, FLIP, NAMES, Landmarks
from monobody.body.rotation import axis_angle_to_matrix
from monobody.body.skeleton import SKELETONS


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistakes:
    """How often a detector errs, and by how much."""

    error: float = 0.02
    """Typical error of a landmark of a person read well, in crop coordinates; other people's is log-normal around."""
    error_spread: float = 0.7
    hidden_limb: float = 0.12
    """Probability, for each arm and leg, that it is guessed: errors ten times as large and a low score."""
    cut_off: float = 0.1
    """Probability that all beyond a random line is guessed."""
    swapped_limb: float = 0.03
    """Probability that the two arms or the two legs are exchanged."""
    swapped_person: float = 0.04
    """Probability that all sides are exchanged: front and back mistaken for one another."""
    flipped_limb: float = 0.15
    """Probability, for each arm and leg, that its depth is mirrored at the limb's root."""
    lean: float = 0.2
    """Deviation of the angle by which the 3D points lean towards or away from the viewer, radians."""
    world_error_m: float = 0.025
    no_world: float = 0.1
    """Share of people who come with 2D joints alone."""
    one_set: float = 0.15
    """Share of people of whom another joint set is known: LSP's, COCO's or HMR's 19."""
    dropped: float = 0.05
    """Probability of each landmark to be missing, in every tenth person."""


LIMBS = tuple(
    tuple(i for i, name in enumerate(NAMES) if name.startswith(side) and name.removeprefix(f"{side}_") in places)
    for places in (("elbow", "wrist", "pinky", "index", "thumb"), ("knee", "ankle", "heel", "toe"))
    for side in ("left", "right")
)
"""Left arm, right arm, left leg, right leg, without their roots."""
ROOTS = tuple(NAMES.index(name) for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip"))
OTHER_SETS = ("lsp14", "coco17", "cocoplus19")


def misread(
    image: Float[Tensor, "b 35 2"], world_m: Float[Tensor, "b 35 3"], mistakes: Mistakes, generator: torch.Generator
) -> Landmarks:
    """Return true landmarks as a detector would give them."""
    people = len(image)

    def chance(probability: float, *shape: int) -> Tensor:
        return (torch.rand(people, *shape, generator=generator) < probability).float()

    def normal(*shape: int) -> Tensor:
        return torch.randn(people, *shape, generator=generator)

    guessed = torch.zeros(people, COUNT)
    for limb in LIMBS:
        guessed[:, limb] = chance(mistakes.hidden_limb, 1)
    guessed = torch.maximum(guessed, _beyond_a_line(image, generator) * chance(mistakes.cut_off, 1))

    # A back taken for a front: all sides are exchanged and what is near seems far.
    swap = chance(mistakes.swapped_person, 1)
    image = _swap(image, swap, FLIP)
    world_m = _swap(world_m * torch.cat([torch.ones(people, 1, 2), 1 - 2 * swap[..., None]], dim=-1), swap, FLIP)
    for limbs in (LIMBS[:2], LIMBS[2:]):
        exchange = _exchange(limbs)
        swap = chance(mistakes.swapped_limb, 1)
        image, world_m = _swap(image, swap, exchange), _swap(world_m, swap, exchange)

    error = mistakes.error * torch.exp(mistakes.error_spread * normal(1))
    error = (error * (1 + 9 * guessed) * torch.exp(0.4 * normal(COUNT)))[..., None]
    image = image + error * (normal(COUNT, 2) + _along_limbs(normal(COUNT, 2)))
    world_m = _misplaced_depth(world_m, mistakes, generator)
    scale = torch.exp(0.1 * normal(1, 1))
    world_error = mistakes.world_error_m + 1.0 * error
    world_m = scale * world_m + world_error * (normal(COUNT, 3) + _along_limbs(normal(COUNT, 3)))

    # The score knows of guesses, and a little of its own error.
    surety = 3.0 - 3.0 * guessed - 12.0 * error[..., 0] + normal(COUNT) + 0.5 * normal(1)
    score = surety.sigmoid()
    score[:, COUNT - 2 :] = 0.0
    score = score * (1 - chance(0.1, 1) * chance(mistakes.dropped, COUNT))
    world_score = score.clone()

    other = chance(mistakes.one_set, 1)
    which = torch.randint(len(OTHER_SETS), (people,), generator=generator)
    allowed = torch.stack([_members(name) for name in OTHER_SETS])[which]
    score = torch.where(other > 0, allowed * surety.sigmoid(), score)
    world_score = world_score * (1 - other) * (1 - chance(mistakes.no_world, 1))
    return Landmarks(image=image, score=score, world_m=world_m, world_score=world_score)


def _swap(
    points: Float[Tensor, "b k d"], share: Float[Tensor, "b 1"], order: tuple[int, ...]
) -> Float[Tensor, "b k d"]:
    return torch.where(share[..., None] > 0, points[:, list(order)], points)


def _exchange(limbs: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """The permutation that exchanges two limbs and leaves the rest."""
    members = {i for limb in limbs for i in limb}
    return tuple(FLIP[i] if i in members else i for i in range(COUNT))


def _along_limbs(noise: Float[Tensor, "b k d"]) -> Float[Tensor, "b k d"]:
    """Make errors of a limb's joints pull together: each limb shares one draw, its far joints feel all of it."""
    shared = torch.zeros_like(noise)
    for limb in LIMBS:
        shared[:, limb] = noise[:, limb[:1]]
    return shared


def _beyond_a_line(image: Float[Tensor, "b k 2"], generator: torch.Generator) -> Float[Tensor, "b k"]:
    """Mark what lies on the far side of a random line that cuts through the person."""
    angle = 2 * torch.pi * torch.rand(len(image), 1, generator=generator)
    along = image[..., 0] * angle.cos() + image[..., 1] * angle.sin()
    low, high = along.amin(1, keepdim=True), along.amax(1, keepdim=True)
    return (along > low + (high - low) * (0.4 + 0.5 * torch.rand(len(image), 1, generator=generator))).float()


def _misplaced_depth(
    world_m: Float[Tensor, "b k 3"], mistakes: Mistakes, generator: torch.Generator
) -> Float[Tensor, "b k 3"]:
    """Mirror some limbs' depth, squeeze all depth, and let the whole lean."""
    people = len(world_m)
    x, y, z = world_m.unbind(-1)
    for limb, root in zip(LIMBS, ROOTS, strict=True):
        flip = torch.rand(people, 1, generator=generator) < mistakes.flipped_limb
        z = z.clone()
        z[:, limb] = torch.where(flip, 2 * z[:, root : root + 1] - z[:, limb], z[:, limb])
    z = z * (0.4 + 0.7 * torch.rand(people, 1, generator=generator))
    lean = torch.zeros(people, 3)
    lean[:, 0] = mistakes.lean * torch.randn(people, generator=generator)
    lean[:, 1] = mistakes.lean * torch.randn(people, generator=generator)
    return torch.stack([x, y, z], dim=-1) @ axis_angle_to_matrix(lean).mT


def _members(set_name: str) -> Float[Tensor, "35"]:
    return torch.tensor([float(name in SKELETONS[set_name].joints) for name in NAMES])
