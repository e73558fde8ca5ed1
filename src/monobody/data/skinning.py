"""Pose many single bodies quickly on one core: the data workers' twin of ``body.model.Body``.

Shape and pose correctives of a block of bodies are one matrix product; the rest (skinning, joints, normals) are
compiled loops over one body that touch only non-zero weights. The answers agree with ``Body`` within rounding.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from monobody.body.assets import BodyData
from monobody.jit import SAFE_FASTMATH, compiled

INFLUENCES = 7
"""Joints that move a vertex: the shipped body has no more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SkinnedBody:
    """A body file's arrays, laid out for single-body loops."""

    template: Float[np.ndarray, "v 3"]
    normals: Float[np.ndarray, "v 3"]
    """Unit normals of the template."""
    basis: Float[np.ndarray, "217 v3"]
    """Rows: 10 shape directions, 207 pose correctives; columns: vertex coordinates."""
    joint_template: Float[np.ndarray, "24 3"]
    joint_basis: Float[np.ndarray, "24 3 10"]
    parents: tuple[int, ...]
    weight_joint: Int[np.ndarray, "v k"]
    weight: Float[np.ndarray, "v k"]
    faces: Int[np.ndarray, "f 3"]
    keypoint_sets: dict[str, slice]
    """Rows of the stacked regressors that belong to each joint set."""
    keypoint_starts: Int[np.ndarray, "k"]
    """The regressors as a compressed sparse matrix: where each row starts, its vertices, their weights."""
    keypoint_vertices: Int[np.ndarray, "n"]
    keypoint_weights: Float[np.ndarray, "n"]

    @staticmethod
    def from_data(data: BodyData) -> "SkinnedBody":
        """Lay out a body file."""
        weights = np.asarray(data.weights, np.float32)
        order = np.argsort(-weights, axis=1)[:, :INFLUENCES]
        kept = np.take_along_axis(weights, order, axis=1)
        template = np.ascontiguousarray(data.v_template, np.float32)
        shape = np.asarray(data.shapedirs, np.float32).reshape(template.size, -1)[:, :10]
        pose = np.asarray(data.posedirs, np.float32).reshape(template.size, 207)
        regressor = np.asarray(data.J_regressor, np.float32)
        faces = np.ascontiguousarray(data.faces, np.int32)
        sets, rows, start = {}, [], 0
        for name, matrix in data.keypoint_regressors.items():
            sets[name] = slice(start, start + len(matrix))
            rows.append(np.asarray(matrix, np.float32))
            start += len(matrix)
        stacked = np.concatenate(rows)
        keypoint_rows, keypoint_vertices = np.nonzero(stacked)
        return SkinnedBody(
            template=template,
            normals=vertex_normals(template, faces),
            basis=np.ascontiguousarray(np.concatenate([shape, pose], axis=1).T),
            joint_template=regressor @ template,
            joint_basis=np.einsum("jv,vcb->jcb", regressor, shape.reshape(-1, 3, shape.shape[1])),
            parents=tuple(int(parent) for parent in data.parents),
            weight_joint=order.astype(np.int32),
            weight=kept / kept.sum(axis=1, keepdims=True),
            faces=faces,
            keypoint_sets=sets,
            keypoint_starts=np.searchsorted(keypoint_rows, np.arange(start + 1)).astype(np.int32),
            keypoint_vertices=keypoint_vertices.astype(np.int32),
            keypoint_weights=stacked[keypoint_rows, keypoint_vertices],
        )

    def shaped(
        self, rotations: Float[np.ndarray, "n 24 3 3"], betas: Float[np.ndarray, "n 10"]
    ) -> Float[np.ndarray, "n v 3"]:
        """Return rest vertices with shape and pose correctives, in metres, still in the T-pose."""
        count = len(rotations)
        bent = (rotations[:, 1:] - np.eye(3, dtype=np.float32)).reshape(count, 207)
        coefficients = np.concatenate([betas, bent], axis=1).astype(np.float32)
        return (coefficients @ self.basis).reshape(count, -1, 3) + self.template

    def transforms(
        self, rotations: Float[np.ndarray, "n 24 3 3"], betas: Float[np.ndarray, "n 10"]
    ) -> Float[np.ndarray, "n 24 3 4"]:
        """Return what takes rest points of each joint to posed ones: [rotation | translation]."""
        rest = self.joint_template + np.einsum("jcb,nb->njc", self.joint_basis, betas)
        turned = np.empty_like(rotations, np.float64)
        posed = np.empty_like(rest, np.float64)
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                turned[:, joint], posed[:, joint] = rotations[:, joint], rest[:, joint]
                continue
            turned[:, joint] = turned[:, parent] @ rotations[:, joint]
            bone = rest[:, joint] - rest[:, parent]
            posed[:, joint] = posed[:, parent] + (turned[:, parent] @ bone[..., None])[..., 0]
        shift = posed - (turned @ rest[..., None])[..., 0]
        return np.concatenate([turned, shift[..., None]], axis=-1).astype(np.float32)

    def rooted(
        self, transforms: Float[np.ndarray, "24 3 4"], root: Float[np.ndarray, "3 3"], betas: Float[np.ndarray, "10"]
    ) -> Float[np.ndarray, "24 3 4"]:
        """Turn a body that was posed with an identity root about its root joint."""
        pelvis = (self.joint_template[0] + self.joint_basis[0] @ betas).astype(np.float32)
        turned = root @ transforms
        turned[:, :, 3] += pelvis - root @ pelvis
        return turned

    def keypoints(self, vertices_m: Float[np.ndarray, "v 3"]) -> dict[str, Float[np.ndarray, "k 3"]]:
        """Return the joints of every set on a posed body."""
        count = max(rows.stop for rows in self.keypoint_sets.values())
        out = np.empty((count, 3), np.float32)
        _regress(self.keypoint_starts, self.keypoint_vertices, self.keypoint_weights, vertices_m, out)
        return {name: out[rows] for name, rows in self.keypoint_sets.items()}


def vertex_normals(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "v 3"]:
    """Return unit vertex normals, area-weighted, outward for counter-clockwise faces."""
    out = np.zeros_like(vertices)
    add_normals(vertices, faces, out)
    return out


@compiled(fastmath=SAFE_FASTMATH)
def skin(rest, weight_joint, weight, transforms, out):
    """Linear blend skinning of one body: rest (V, 3), transforms (24, 3, 4) -> out (V, 3)."""
    for i in range(rest.shape[0]):
        a, b, c = rest[i, 0], rest[i, 1], rest[i, 2]
        x = y = z = np.float32(0)
        for k in range(weight.shape[1]):
            w = weight[i, k]
            if w == 0:
                break  # Weights are sorted.
            t = transforms[weight_joint[i, k]]
            x += w * (t[0, 0] * a + t[0, 1] * b + t[0, 2] * c + t[0, 3])
            y += w * (t[1, 0] * a + t[1, 1] * b + t[1, 2] * c + t[1, 3])
            z += w * (t[2, 0] * a + t[2, 1] * b + t[2, 2] * c + t[2, 3])
        out[i, 0], out[i, 1], out[i, 2] = x, y, z


@compiled(fastmath=SAFE_FASTMATH)
def add_normals(vertices, faces, out):
    """Fill ``out`` (zeros, (V, 3)) with unit vertex normals."""
    for k in range(faces.shape[0]):
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        wx, wy, wz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        for j in (a, b, c):
            out[j, 0] += nx
            out[j, 1] += ny
            out[j, 2] += nz
    for i in range(out.shape[0]):
        length = np.sqrt(out[i, 0] ** 2 + out[i, 1] ** 2 + out[i, 2] ** 2) + np.float32(1e-20)
        out[i, 0] /= length
        out[i, 1] /= length
        out[i, 2] /= length


@compiled(fastmath=SAFE_FASTMATH)
def _regress(starts, columns, weights, points, out):
    """Multiply a sparse matrix, its rows at ``starts``, with points (V, 3)."""
    for row in range(out.shape[0]):
        x = y = z = np.float32(0)
        for k in range(starts[row], starts[row + 1]):
            w, p = weights[k], columns[k]
            x += w * points[p, 0]
            y += w * points[p, 1]
            z += w * points[p, 2]
        out[row, 0], out[row, 1], out[row, 2] = x, y, z
