"""A posed body as what animation files can hold: a rest mesh, a tree of joints, at most four weights a vertex.

Animation files know neither pose correctives nor a fifth weight. So the rest mesh is solved for: it is the one that,
skinned with four weights in the predicted pose, gives our posed mesh. The correctives of this pose are baked into
it, and so is what the dropped weights would have done.

Frames here are glTF's: x right, y up, z towards the viewer, metres, the picture's camera at the origin. It is the
camera frame turned by half a turn about x.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from monobody.body.skeleton import SKELETONS
from monobody.scene import Person, Scene

MOST_WEIGHTS = 4
Y_UP = np.diag([1.0, -1.0, -1.0])
"""Takes the camera frame (y down, z forward) to the file's (y up, z backward)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rig:
    """One person, ready for a file."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    rest_joints_m: Float[np.ndarray, "24 3"]
    """Joints of the rest pose (arms stretched out), body frame."""
    rest_vertices_m: Float[np.ndarray, "v 3"]
    """The mesh that belongs to the rest pose."""
    joint_index: UInt8[np.ndarray, "v 4"]
    joint_weight: Float[np.ndarray, "v 4"]
    rotations: Float[np.ndarray, "24 3 3"]
    """Each joint's rotation against its parent's; the root's against the file's axes."""
    translation_m: Float[np.ndarray, "3"]
    """Where the body frame's origin lies in the file's frame."""


def rig_person(scene: Scene, person: Person) -> Rig:
    """Return the best hypothesis of a person as a rig whose skinned mesh is the scene's, moved to the file's frame."""
    import torch

    body, best = scene.with_body(), person.best
    skeleton = SKELETONS["smpl24"]
    with torch.no_grad():
        rest_joints_m = body.identity(torch.from_numpy(best.betas)).joints_m.cpu().numpy().astype(np.float64)
    rotations = best.rotations.astype(np.float64).copy()
    rotations[0] = Y_UP @ rotations[0]
    # The root turns about the pelvis, so the turn to y-up has to be made up for in the translation.
    pelvis_m = rest_joints_m[0]
    translation_m = Y_UP @ (best.translation_m + pelvis_m) - pelvis_m
    index, weight = strongest_weights(body.data.weights)
    skinning = skinning_transforms(rotations, rest_joints_m, skeleton.parents)
    posed_m = scene.vertices_cam_m(person).astype(np.float64) @ Y_UP.T - translation_m
    return Rig(
        names=skeleton.joints,
        parents=skeleton.parents,
        rest_joints_m=rest_joints_m,
        rest_vertices_m=unposed(posed_m, skinning, index, weight),
        joint_index=index,
        joint_weight=weight,
        rotations=rotations,
        translation_m=translation_m,
    )


def strongest_weights(
    weights: Float[np.ndarray, "v j"], count: int = MOST_WEIGHTS
) -> tuple[UInt8[np.ndarray, "v c"], Float[np.ndarray, "v c"]]:
    """Return each vertex's ``count`` strongest joints, strongest first, and their weights scaled to add up to 1.

    Unused places hold joint 0 with weight 0, as glTF wants it.
    """
    index = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    chosen = np.take_along_axis(weights, index, axis=1).astype(np.float64)
    chosen /= chosen.sum(axis=1, keepdims=True)
    return np.where(chosen > 0, index, 0).astype(np.uint8), chosen.astype(np.float32)


def skinning_transforms(
    rotations: Float[np.ndarray, "j 3 3"], rest_joints_m: Float[np.ndarray, "j 3"], parents: tuple[int, ...]
) -> Float[np.ndarray, "j 3 4"]:
    """Return, for each joint, the affine map from the rest mesh to where the joint carries it."""
    turns, places = [rotations[0]], [rest_joints_m[0]]
    for joint in range(1, len(parents)):
        parent = parents[joint]
        turns.append(turns[parent] @ rotations[joint])
        places.append(places[parent] + turns[parent] @ (rest_joints_m[joint] - rest_joints_m[parent]))
    moved = [place - turn @ rest for turn, place, rest in zip(turns, places, rest_joints_m, strict=True)]
    return np.concatenate([np.stack(turns), np.stack(moved)[:, :, None]], axis=2)


def blended(
    skinning: Float[np.ndarray, "j 3 4"], index: Int[np.ndarray, "v c"], weight: Float[np.ndarray, "v c"]
) -> Float[np.ndarray, "v 3 4"]:
    """Return each vertex's affine map: its joints' maps, averaged by weight."""
    return np.einsum("vc,vcij->vij", weight.astype(np.float64), skinning[index])


def unposed(
    posed_m: Float[np.ndarray, "v 3"],
    skinning: Float[np.ndarray, "j 3 4"],
    index: Int[np.ndarray, "v c"],
    weight: Float[np.ndarray, "v c"],
) -> Float[np.ndarray, "v 3"]:
    """Return the rest mesh that skinning takes to ``posed_m``.

    Where joints turn against each other by nearly half a turn, their blend flattens space and has no good inverse.
    The damping keeps such a vertex near where a rigid inverse would put it, instead of metres away, and costs
    hundredths of a millimetre elsewhere.
    """
    maps = blended(skinning, index, weight)
    linear, shift = maps[:, :, :3], maps[:, :, 3]
    # The strongest joint's map alone is a rotation; its inverse is a safe first guess.
    strongest = skinning[index[:, 0]]
    guess = np.einsum("vji,vj->vi", strongest[:, :, :3], posed_m - strongest[:, :, 3])
    residual = posed_m - shift - np.einsum("vij,vj->vi", linear, guess)
    normal = np.einsum("vki,vkj->vij", linear, linear) + 1e-5 * np.eye(3)
    pulled = np.einsum("vki,vk->vi", linear, residual)
    return guess + np.linalg.solve(normal, pulled[:, :, None])[:, :, 0]
