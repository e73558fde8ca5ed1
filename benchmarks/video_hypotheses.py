"""What choosing among several poses over time is worth (``predict/select.py``), on a model's poses and on made-up ones.

    python benchmarks/video_hypotheses.py [--seeds 0 1 2] [--json FILE] [--model xas]

The films are those of ``video_accuracy.py``. The model gives several skeletons a frame, which are lifted to bodies;
of these the heaviest of each frame is taken, or the likeliest path through all frames, or, which nobody knows, the one
nearest to the truth. The second table's poses are made up, so that the right one is always among them: each frame's
true pose, and ones with limbs turned in depth, with weights that are wrong for a while now and then.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from video_accuracy import HIPS, accuracy, conclude, matches, over_films, parser_of_films

import monobody
from monobody.body.kinematics import forward_kinematics
from monobody.body.legs import shortest_turn, turning
from monobody.body.skeleton import SKELETONS
from monobody.data.clip_scenes import Cast, SyntheticClip, circling, crossing, returning
from monobody.data.textures import Textures
from monobody.export.armature import joints_cam_m_of
from monobody.metrics.motion import acceleration_error
from monobody.metrics.pose import mpjpe
from monobody.predict.assemble import SMOOTH_S, Seen, Shapes, as_track, calmed
from monobody.predict.select import likeliest_path
from monobody.predict.video import VideoOptions, watched


def main() -> None:
    parser = parser_of_films(__doc__)
    parser.add_argument("--model", default="xas")
    options = parser.parse_args()
    predictor = monobody.load(options.model, lift=True)
    found = over_films(options, lambda clip, path, keep: measured(predictor, clip, path, keep))
    made_up = {} if options.only else chosen_over_time(Cast.of(0, textures=Textures.load(options.textures)))
    conclude({"model": predictor.model} | found | {"made-up poses": made_up}, options.json)


def measured(predictor: Any, clip: SyntheticClip, path: Path, keep: Path) -> dict[str, Any]:
    """Choose among the poses that a model gives in three ways, and measure each before and after smoothing."""
    options = VideoOptions(smooth_s=0, focal_px=clip.focal_px)
    seen, motion = watched(predictor, path, options, journal=keep / f".{path.stem}_{predictor.model.split(',')[0]}")
    body = predictor.body
    motion = replace(motion, tracks=tuple(as_track(one, body) for one in seen))
    whose = [pairs for pairs, _, _ in matches(motion, clip)]
    truth = [clip.joints_cam_m(person) for person in range(len(clip.acts))]
    ways: dict[str, list[Seen]] = {"heaviest": [], "likeliest path": [], "nearest to the truth": []}
    counts: list[int] = []
    for one, track in zip(seen, motion.tracks, strict=True):
        several = one.hypotheses
        if several is None:
            for people in ways.values():
                people.append(one)
            continue
        counts += (several.weight > 0).sum(axis=0)[one.seen].tolist()
        nearest = np.zeros(len(one.frames), np.int64)
        takes = [
            replace(track, rotations=turned, translation_m=placed, hypotheses=None)
            for turned, placed in zip(several.rotations, several.translation_m, strict=True)
        ]
        joints_m = [joints_cam_m_of(take, motion.with_body()) for take in takes]
        for row, frame in enumerate(one.frames):
            for person in (person for person, name in whose[frame].items() if name == one.id):
                errors = [float(mpjpe(each[row], truth[person][frame], root=HIPS)) for each in joints_m]
                nearest[row] = np.where(several.weight[:, row] > 0, errors, np.inf).argmin()
        # The likeliest path's poses come first.
        picks = several.weight.argmax(axis=0), np.zeros_like(nearest), nearest
        for people, pick in zip(ways.values(), picks, strict=True):
            people.append(_picked(one, pick, Shapes(body)))
    found: dict[str, Any] = {"several": {"poses a frame": float(np.mean(counts)) if counts else 1.0}}
    for name, people in ways.items():
        for how, calm in (("", people), (", smoothed", [calmed(each, SMOOTH_S) for each in people])):
            made = replace(motion, tracks=tuple(as_track(each, body) for each in calm))
            found[f"{name}{how}"] = accuracy(made, clip)
    return found


def _picked(one: Seen, pick: np.ndarray, shapes: Shapes) -> Seen:
    """Return a person with one of the poses in each frame."""
    assert one.hypotheses is not None
    here = np.arange(len(pick))
    pelvis_m = one.hypotheses.translation_m[pick, here] + shapes.pelvis_m(one.betas)
    return replace(one, rotations=one.hypotheses.rotations[pick, here], pelvis_m=pelvis_m)


def chosen_over_time(cast: Cast, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return errors of the heaviest hypothesis of each frame and of the likeliest path, of poses that are made up.

    Of each true pose there are four, all a little off: itself, one leg mirrored in depth, one arm, both. Weights are
    chance with a lean to the true one, but now and then, for a third of a second, against it.
    """
    generator, rows = np.random.default_rng(seed), []
    for clip in (crossing(cast), circling(cast), returning(cast)):
        for person in range(len(clip.acts)):
            real, times_s = clip.rotations(person), clip.times_s
            rest, frames = clip.cast.rest(person)[0], len(times_s)
            leg, arm = (
                _mirrored(real, rest, "left", ("hip", "knee", "ankle")),
                ("right", ("shoulder", "elbow", "wrist")),
            )
            poses = np.stack([real, leg, _mirrored(real, rest, *arm), _mirrored(leg, rest, *arm)], axis=1)
            axis = 0.03 * generator.normal(size=(poses.size // 9, 3))
            poses = poses @ turning(axis, np.linalg.norm(axis, axis=1)).reshape(poses.shape)
            trust = generator.normal(size=(frames, 4)) + np.array([1.0, 0, 0, 0])
            for start in generator.choice(frames, frames // 25, replace=False):
                trust[start : start + round(0.33 / (times_s[1] - times_s[0])), 0] -= 2.5
            weight = np.exp(trust) / np.exp(trust).sum(axis=1, keepdims=True)
            truth = _posed(real, rest)[1]
            guesses = [_posed(poses[:, h], rest)[1] for h in range(4)]
            errors = np.stack([mpjpe(guess, truth, root=HIPS) for guess in guesses], axis=1)
            ways = {
                "heaviest of each frame": weight.argmax(axis=1),
                "likeliest path": likeliest_path(np.stack(guesses, axis=1), weight, times_s),
                "nearest to the truth": errors.argmin(axis=1),
            }
            here = np.arange(frames)
            for name, path in ways.items():
                guess = np.stack(guesses, axis=1)[here, path]
                jolts = acceleration_error(guess, truth, fps=float(1 / (times_s[1] - times_s[0])), root=HIPS)
                wrong = float(100 * (path != 0).mean())
                rows.append((name, float(errors[here, path].mean()), float(np.mean(jolts)), wrong))
    names = dict.fromkeys(name for name, *_ in rows)
    return {
        name: dict(
            zip(
                ("MPJPE mm", "acceleration mm/s2", "wrong %"),
                np.mean([row[1:] for row in rows if row[0] == name], axis=0).tolist(),
                strict=True,
            )
        )
        for name in names
    }


def _mirrored(rotations: np.ndarray, rest_m: np.ndarray, side: str, limb: tuple[str, str, str]) -> np.ndarray:
    """Return poses with one limb's bones mirrored in depth: they look the same from afar."""
    smpl, rotations = SKELETONS["smpl24"], rotations.copy()
    joints = [smpl.index(f"{side}_{name}") for name in limb]
    orientations = _posed(rotations, rest_m)[0]
    fresh = orientations.copy()
    for joint, following in pairwise(joints):
        bone = orientations[:, joint] @ (rest_m[following] - rest_m[joint])
        fresh[:, joint] = shortest_turn(bone, bone * [1, 1, -1]) @ orientations[:, joint]
    for joint in joints:
        rotations[:, joint] = np.swapaxes(fresh[:, smpl.parents[joint]], -1, -2) @ fresh[:, joint]
    return rotations


def _posed(rotations: np.ndarray, rest_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the joints' orientations and places, the pelvis where it rests."""
    turned, rest = torch.from_numpy(rotations), torch.from_numpy(rest_m).expand(len(rotations), -1, -1)
    orientations, places = forward_kinematics(turned, rest, tuple(SKELETONS["smpl24"].parents))
    return orientations.numpy(), places.numpy()


if __name__ == "__main__":
    main()
