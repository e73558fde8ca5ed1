"""The errors of meshes: PVE, the mean distance of vertices, and the same with every vertex worth its share of the skin.

Points are in metres, errors in millimetres. Meshes share their topology, vertex by vertex.
"""

import torch
from jaxtyping import Float, Int

from monobody.metrics.pose import joint_errors_mm
from monobody.metrics.tensors import Either, Kind, answer, length, mean_of, real, total


def pve(
    predicted_m: Float[Kind, "*b v 3"],
    target_m: Float[Kind, "*#b v 3"],
    *,
    roots_m: tuple[Float[Either, "*b 3"], Float[Either, "*b 3"]] | None = None,
) -> Float[Kind, "*b"]:
    """Return each person's mean per-vertex error (PVE, also MPVPE or V2V) in mm.

    ``roots_m`` are the predicted and the true root, usually the pelvis as both bodies have it, that are laid upon each
    other first; without, nothing is moved. For the error after the best similarity, give ``align(predicted, target)``.
    """
    return answer(mean_of(vertex_errors_mm(real(predicted_m), real(target_m), roots_m=roots_m)), predicted_m)


def area_pve(
    predicted_m: Float[Kind, "*b v 3"],
    target_m: Float[Kind, "*#b v 3"],
    faces: Int[Either, "f 3"],
    *,
    roots_m: tuple[Float[Either, "*b 3"], Float[Either, "*b 3"]] | None = None,
) -> Float[Kind, "*b"]:
    """Return each person's mean error over the true surface in mm: every vertex weighs its share of the area.

    A plain mean over SMPL's vertices is one over faces and hands for the most part, where the mesh is dense.
    """
    errors = vertex_errors_mm(real(predicted_m), real(target_m), roots_m=roots_m)
    weights = vertex_areas(real(target_m), faces)
    return answer(total(weights * errors) / total(weights), predicted_m)


def vertex_errors_mm(
    predicted_m: Float[Kind, "*b v 3"],
    target_m: Float[Kind, "*#b v 3"],
    *,
    roots_m: tuple[Float[Either, "*b 3"], Float[Either, "*b 3"]] | None = None,
) -> Float[Kind, "*b v"]:
    """Return each vertex's distance from its target in mm, after the roots are laid upon each other where given."""
    predicted, target = real(predicted_m), real(target_m)
    if roots_m is not None:
        predicted = predicted - real(roots_m[0])[..., None, :]
        target = target - real(roots_m[1])[..., None, :]
    return answer(joint_errors_mm(predicted, target, root=None), predicted_m)


def vertex_areas(vertices_m: Float[Kind, "*b v 3"], faces: Int[Either, "f 3"]) -> Float[Kind, "*b v"]:
    """Return each vertex's share of the surface in square metres: a third of every triangle that it is a corner of."""
    vertices = real(vertices_m)
    corners = torch.as_tensor(faces, device=vertices.device).long()
    a, b, c = (vertices[..., corners[:, number], :] for number in range(3))
    thirds = length(torch.linalg.cross(b - a, c - a, dim=-1)) / 6
    areas = torch.zeros(vertices.shape[:-1], dtype=vertices.dtype, device=vertices.device)
    for number in range(3):
        areas = areas.index_add(-1, corners[:, number], thirds)
    return answer(areas, vertices_m)
