"""One person as animation files have it: joints with axes of their own, what they do over time, and a skin.

From a :class:`~monobody.motion.Track` in the camera's frame to the file's frame, unit, rig and rest pose. With R the
body's joint orientations at a time, A those of the rest pose (identity for the T-pose) and O the axes of the bones at
rest, a node of the file stands at

    G_j = R_j A_jᵀ O_j,        its rotation against its parent's is G_pᵀ G_j,

so that at rest every G_j is O_j. Coordinates of a file with z up are ours turned by a quarter about x.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from monobody.body.kinematics import forward_kinematics
from monobody.body.model import Body
from monobody.body.rotation import rotation_about
from monobody.export.options import ExportOptions
from monobody.export.rigs import BODY, RIGS, rest_axes
from monobody.export.skin import strongest_weights, unposed
from monobody.motion import Motion, Track

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
"""Takes a world with y up (z towards the viewer) to one with z up (y away from the viewer)."""
A_POSE_DEG = 45.0
FLOOR_FRAMES = 16
"""So many frames of a clip are looked at to find the floor."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Armature:
    """A person, ready for a file; f frames, n joints, everything in the file's frame and unit."""

    name: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    times_s: Float[np.ndarray, " f"]
    """From the clip's first frame on."""
    rest_places: Float[np.ndarray, "n 3"]
    """The rest pose stands on the floor at the origin, facing the viewer."""
    rest_axes: Float[np.ndarray, "n 3 3"]
    turns: Float[np.ndarray, "f n 3 3"]
    """Each joint's rotation against its parent's axes."""
    moves: dict[int, Float[np.ndarray, "f 3"]]
    """Where joints that move are, in their parent's axes: the root, in a rig with a floor root the pelvis too."""
    offsets: Float[np.ndarray, "n 3"]
    """Where each joint rests in its parent's axes."""
    tips: dict[int, Float[np.ndarray, "3"]]
    """Where the bones of head, hands and toes end at rest."""
    rest_vertices: Float[np.ndarray, "v 3"]
    joint_index: UInt8[np.ndarray, "v 4"]
    joint_weight: Float[np.ndarray, "v 4"]
    rest_rotations: Float[np.ndarray, "24 3 3"]
    """The rest pose in the body's own terms, for correctives."""
    track: Track
    to_file: Float[np.ndarray, "3 3"]
    """Takes y-up metres to the file's frame and unit."""

    def rest_turns(self) -> Float[np.ndarray, "n 3 3"]:
        """Return each joint's rotation against its parent's axes at rest."""
        above = np.stack([self.rest_axes[p] if p >= 0 else np.eye(3) for p in self.parents])
        return np.swapaxes(above, -1, -2) @ self.rest_axes


def armatures(motion: Motion, options: ExportOptions, *, up: str, unit: str, namesakes: bool = False) -> list[Armature]:
    """Return an armature for each person, or for each of their hypotheses.

    Args:
        motion: the clip, at the times that are to be written.
        options: what was chosen.
        up: the axis that points up, unless the options say otherwise.
        unit: the unit of length, unless the options say otherwise.
        namesakes: whether joints of different armatures may have one name; else each is made unique.
    """
    body = motion.with_body()
    to_file = Z_UP if (options.up or up) == "z" else np.eye(3)
    to_file = to_file * (100.0 if (options.unit or unit) == "cm" else 1.0)
    return [
        _armature(name, take, motion, options, body, shift_m, floor_m, to_file, 0 if namesakes else number)
        for number, (name, take, shift_m, floor_m) in enumerate(places_of(motion, options))
    ]


def places_of(motion: Motion, options: ExportOptions) -> list[tuple[str, Track, Float[np.ndarray, "f 3"], float]]:
    """Return what is written: each person, or each of their hypotheses, and how far it is moved for ``options.root``.

    That is in metres, y up, for each of its frames; last stands the height of the clip's floor before that.
    """
    takes = [
        (f"person_{track.id}" + (f"_h{h}" if options.hypotheses == "all" and track.hypotheses else ""), take)
        for track in motion.tracks
        for h, take in enumerate(track.takes() if options.hypotheses == "all" else [track])
    ]
    stand = _stand(motion, [take for _, take in takes], options, motion.with_body())
    return [(name, take, shift, floor) for (name, take), (shift, floor) in zip(takes, stand, strict=True)]


def _armature(
    name: str, track: Track, motion: Motion, options: ExportOptions, body: Body,
    shift: Float[np.ndarray, "f 3"], floor_m: float, to_file: Float[np.ndarray, "3 3"], namesake: int,
) -> Armature:  # fmt: skip
    style = RIGS[options.rig]
    scale = float(np.cbrt(np.linalg.det(to_file)))
    turn = to_file / scale
    t_pose_m = _numpy(body.identity(_tensor(track.betas)).joints_m)
    rest_rotations = rest_pose(options.rest or style.rest)
    posed = body(_tensor(rest_rotations), _tensor(track.betas))
    rest_vertices_m = _numpy(posed.vertices_m)
    rest_orientations, rest_joints_m = _kinematics(rest_rotations, t_pose_m)
    ground = np.array([0.0, rest_vertices_m[:, 1].min(), 0.0])

    world = motion.T_world_camera
    rotations = track.rotations.astype(np.float64).copy()
    rotations[:, 0] = world[:3, :3] @ rotations[:, 0]
    orientations, _ = _kinematics(rotations, t_pose_m)
    pelvis_m = (track.translation_m + t_pose_m[0]) @ world[:3, :3].T + world[:3, 3] + shift
    relative = orientations @ np.swapaxes(rest_orientations, -1, -2)

    index, weight = strongest_weights(body.data.weights)
    if len(track.frames) == 1:
        places_m = _kinematics(rotations, t_pose_m)[1][0] - t_pose_m[0] + pelvis_m[0]
        maps = np.concatenate(
            [relative[0], (places_m - np.einsum("jab,jb->ja", relative[0], rest_joints_m))[:, :, None]], axis=2
        )
        mesh_m = _numpy(body(_tensor(rotations[0]), _tensor(track.betas)).vertices_m) - t_pose_m[0] + pelvis_m[0]
        rest_vertices_m = unposed(mesh_m, maps, index, weight)

    axes = rest_axes(style, rest_joints_m)
    axes = turn @ axes if style.along else axes
    stands = turn @ relative @ turn.T @ axes
    rest_places = (rest_joints_m - ground) @ to_file.T
    root_places = pelvis_m @ to_file.T
    names, parents = style.named(namesake), list(BODY.parents)
    moves = {0: root_places}
    tips = {joint: (tip - ground) @ to_file.T for joint, tip in _tips(rest_vertices_m, rest_joints_m, index).items()}
    if style.floor_root:
        # One more joint, at the origin at rest, below the pelvis on the floor while people move.
        floor = pelvis_m * [1, 0, 1] + [0, floor_m + shift[0, 1], 0]
        below = floor @ to_file.T
        prefix = names[0].removesuffix(style.joints[0])
        names, parents = (prefix + style.floor_root, *names), [-1, *(parent + 1 for parent in parents)]
        stands = np.concatenate([np.tile(np.eye(3), (len(stands), 1, 1, 1)), stands], axis=1)
        axes = np.concatenate([np.eye(3)[None], axes])
        rest_places = np.concatenate([np.zeros((1, 3)), rest_places])
        index = np.where(weight > 0, index + 1, 0).astype(np.uint8)
        tips = {joint + 1: tip for joint, tip in tips.items()}
        moves = {0: below, 1: root_places - below}
    above = [parent if parent >= 0 else None for parent in parents]
    turns, offsets = stands.copy(), rest_places.copy()
    for joint, parent in enumerate(above):
        if parent is not None:
            turns[:, joint] = np.swapaxes(stands[:, parent], -1, -2) @ stands[:, joint]
            offsets[joint] = axes[parent].T @ (rest_places[joint] - rest_places[parent])
    return Armature(
        name=name,
        names=tuple(names),
        parents=tuple(parents),
        times_s=motion.times_s[track.frames] - motion.times_s[0],
        rest_places=rest_places,
        rest_axes=axes,
        turns=turns,
        moves=moves,
        offsets=offsets,
        tips=tips,
        rest_vertices=(rest_vertices_m - ground) @ to_file.T,
        joint_index=index,
        joint_weight=weight,
        rest_rotations=rest_rotations,
        track=track,
        to_file=to_file,
    )


def rest_pose(rest: str) -> Float[np.ndarray, "24 3 3"]:
    """Return the T-pose, or the A-pose: upper arms 45 degrees down."""
    rotations = np.tile(np.eye(3), (24, 1, 1))
    if rest == "a":
        for side, sign in (("left", -1), ("right", 1)):
            angle = torch.tensor(sign * np.deg2rad(A_POSE_DEG), dtype=torch.float64)
            rotations[BODY.index(f"{side}_shoulder")] = rotation_about("z", angle).numpy()
    return rotations


def posed_joints_m(track: Track, motion: Motion) -> Float[np.ndarray, "f 24 3"]:
    """Return a person's joints in the motion's world, y up, metres."""
    world = motion.T_world_camera
    joints_cam_m = joints_cam_m_of(track, motion.with_body())
    return joints_cam_m @ world[:3, :3].T + world[:3, 3]


def joints_cam_m_of(track: Track, body: Body) -> Float[np.ndarray, "f 24 3"]:
    """Return a person's joints before the camera, metres."""
    t_pose_m = _numpy(body.identity(_tensor(track.betas)).joints_m)
    return _kinematics(track.rotations.astype(np.float64), t_pose_m)[1] + track.translation_m[:, None]


def _stand(
    motion: Motion, takes: list[Track], options: ExportOptions, body: Body
) -> list[tuple[Float[np.ndarray, "f 3"], float]]:
    """Return how far each take is moved in each of its frames, y up, metres, and the clip's floor before that."""
    if not takes:
        return []
    world = motion.T_world_camera
    pelvis_m = [posed_joints_m(take, motion)[:, 0] for take in takes]
    # The floor matters only where people are put on it.
    needed = options.root != "world" or RIGS[options.rig].floor_root
    floor_m = min(_lowest_m(take, world, body) for take in takes) if needed else 0.0
    if options.root == "world":
        return [(np.zeros_like(places), floor_m) for places in pelvis_m]
    start = pelvis_m[0][0] * [1, 0, 1] + [0, floor_m, 0]
    if options.root == "origin":
        return [(np.zeros_like(places) - start, floor_m) for places in pelvis_m]
    return [((places[0] - places) * [1, 0, 1] - start, floor_m) for places in pelvis_m]


def _lowest_m(track: Track, world: Float[np.ndarray, "4 4"], body: Body) -> float:
    """Return the height of the lowest vertex in a few frames."""
    some = np.unique(np.linspace(0, len(track.frames) - 1, FLOOR_FRAMES).round().astype(int))
    lowest = np.inf
    for frame in some:
        vertices_m = _numpy(body(_tensor(track.rotations[frame]), _tensor(track.betas)).vertices_m)
        heights = (vertices_m + track.translation_m[frame]) @ world[1, :3] + world[1, 3]
        lowest = min(lowest, float(heights.min()))
    return lowest


def _tips(
    vertices_m: Float[np.ndarray, "v 3"], joints_m: Float[np.ndarray, "24 3"], index: Int[np.ndarray, "v 4"]
) -> dict[int, Float[np.ndarray, "3"]]:
    """Return where the last bones end: on along the bone above, as far as what they move reaches."""
    tips = {}
    for joint in set(range(24)) - set(BODY.parents):
        bone = joints_m[joint] - joints_m[BODY.parents[joint]]
        bone /= np.linalg.norm(bone)
        moved = vertices_m[index[:, 0] == joint] - joints_m[joint]
        reach = (moved @ bone).max(initial=0.02)
        tips[joint] = joints_m[joint] + bone * reach
    return tips


def _kinematics(
    rotations: Float[np.ndarray, "*b 24 3 3"], rest_joints_m: Float[np.ndarray, "24 3"]
) -> tuple[Float[np.ndarray, "*b 24 3 3"], Float[np.ndarray, "*b 24 3"]]:
    """Return orientations and places of the joints, the pelvis where it rests."""
    turns = torch.from_numpy(rotations)
    rest = torch.from_numpy(rest_joints_m).expand(*turns.shape[:-3], 24, 3)
    orientations, places = forward_kinematics(turns, rest, BODY.parents)
    return orientations.numpy(), places.numpy()


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _numpy(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
