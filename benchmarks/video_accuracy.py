"""How well people are followed in films, and what smoothing, refinement and foot locks are worth.

    python benchmarks/video_accuracy.py [--seeds 0 1 2] [--json FILE] [--model lift] [--textures DATA/textures]

Films are of synthetic people of whom everything is known (``data/clip_scenes.py``): two who cross, one who leaves and
comes back, one who walks in a circle. Joints are the 24 centres of rotation, hips at the origin. Means are over films,
the spread is the standard deviation between the means of the seeds, each of which has other people.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import monobody
from monobody.body.legs import leg_joints
from monobody.data.clip_scenes import Cast, SyntheticClip, circling, crossing, returning
from monobody.data.textures import Textures
from monobody.export.armature import joints_cam_m_of
from monobody.metrics.motion import acceleration_error
from monobody.metrics.pose import mpjpe, pa_mpjpe
from monobody.motion import Motion
from monobody.predict.assemble import SMOOTH_S, Shapes, as_track, calmed
from monobody.predict.assign import pairs_of_least_cost
from monobody.predict.ground import find_floor, lock_feet, stands
from monobody.predict.refine_track import refined
from monobody.predict.video import VideoOptions, watched
from monobody.render.film import film

HIPS = (1, 2)
NEAR = 0.3
"""A person found is a person there if their joints are no farther away than this share of the height in the picture."""


def main() -> None:
    parser = parser_of_films(__doc__)
    parser.add_argument("--model", default="lift")
    parser.add_argument("--no-refine", action="store_true", help="leave out what takes longest")
    options = parser.parse_args()
    predictor = monobody.load(options.model)
    found = over_films(
        options, lambda clip, path, keep: measured(predictor, clip, path, keep, refine=not options.no_refine)
    )
    conclude({"model": options.model} | found, options.json)


def parser_of_films(about: str | None) -> argparse.ArgumentParser:
    """Return a parser of what all measurements on these films may be told."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--textures", type=Path, help="texture folder; procedural textures where left out")
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--keep", type=Path, help="folder for films and journals, to measure again")
    parser.add_argument("--only", help="measure films of this name alone")
    return parser


def over_films(
    options: argparse.Namespace, measure: Callable[[SyntheticClip, Path, Path], dict[str, Any]]
) -> dict[str, Any]:
    """Draw the films, measure each, given its file and a folder for notes, and return all numbers, means and spread."""
    textures, films = Textures.load(options.textures), dict[str, dict[str, Any]]()
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder)
        for seed in options.seeds:
            for clip in _clips(Cast.of(seed, textures=textures), options):
                if options.only not in (None, clip.name):
                    continue
                name = f"{clip.name}_{seed}"
                films[name] = measure(clip, _film(clip, keep / f"{name}.mp4"), keep)
                print(json.dumps({name: films[name]}, indent=1), flush=True)
    mean, spread = _means(films)
    about = {"fps": options.fps, "width_px": options.width, "seeds": options.seeds}
    return about | {"films": films, "mean": mean, "spread": spread}


def conclude(found: dict[str, Any], path: Path | None) -> None:
    """Print what was found of all films together, and write everything."""
    print(json.dumps({key: value for key, value in found.items() if key != "films"}, indent=1))
    if path is not None:
        path.write_text(json.dumps(_rounded(found), indent=1) + "\n", encoding="utf-8")


def measured(predictor: Any, clip: SyntheticClip, path: Path, keep: Path, *, refine: bool) -> dict[str, Any]:
    """Predict one film, put it together in several ways, and measure each."""
    options = VideoOptions(smooth_s=0, focal_px=clip.focal_px)
    seen, motion = watched(predictor, path, options, journal=keep / f".{path.stem}")
    body, camera = predictor.body, motion.camera
    assert camera is not None
    whole = {"as seen": seen, "smoothed": [calmed(one, SMOOTH_S) for one in seen]}
    if refine:
        whole["refined"] = [refined(one, camera, body)[0] for one in seen]
        whole["refined, smoothed"] = [calmed(one, SMOOTH_S) for one in whole["refined"]]
    found: dict[str, Any] = {"people": len(seen), "true people": len(clip.acts)}
    for name, people in whole.items():
        made = replace(motion, tracks=tuple(as_track(one, body) for one in people))
        found[name] = accuracy(made, clip)
        if name == "smoothed":
            found["ids"] = identities(made, clip)
        if "smoothed" in name:
            locked = lock_feet(made)
            found[f"{name}, feet locked"] = accuracy(locked, clip)
            found[f"feet, {name}"] = feet(made, locked, clip)
    return found


def identities(motion: Motion, clip: SyntheticClip) -> dict[str, float]:
    """Count what a tracker can do wrong."""
    last: dict[int, int] = {}
    switches = missed = false = there = 0
    for matched, visible, present in matches(motion, clip):
        there += len(visible)
        missed += len([person for person in visible if person not in matched])
        false += len(present - set(matched.values()))
        for person, name in matched.items():
            switches += last.get(person, name) != name
            last[person] = name
    return {"switches": switches, "missed %": 100 * missed / max(there, 1), "false %": 100 * false / max(there, 1)}


def accuracy(motion: Motion, clip: SyntheticClip) -> dict[str, float]:
    """Return the errors of poses and accelerations over frames in which people are visible and found."""
    truth = [clip.joints_cam_m(person) for person in range(len(clip.acts))]
    tracks = {track.id: (joints_cam_m_of(track, motion.with_body()), list(track.frames)) for track in motion.tracks}
    pairs: dict[int, list[tuple[int, int]]] = {}
    for frame, (matched, _, _) in enumerate(matches(motion, clip)):
        for person, name in matched.items():
            pairs.setdefault(person, []).append((frame, name))
    pose, aligned, place, jolts = [], [], [], []
    for person, row in pairs.items():
        guess = np.array([tracks[name][0][tracks[name][1].index(frame)] for frame, name in row])
        real = np.array([truth[person][frame] for frame, _ in row])
        pose += mpjpe(guess, real, root=HIPS).tolist()
        aligned += pa_mpjpe(guess, real).tolist()
        place += (1000 * np.linalg.norm(guess[:, 0] - real[:, 0], axis=1)).tolist()
        steady = np.array([row[i + 2][0] - row[i][0] == 2 and row[i + 2][1] == row[i][1] for i in range(len(row) - 2)])
        if steady.any():
            fps = 1 / float(np.median(np.diff(motion.times_s)))
            jolts += np.asarray(acceleration_error(guess, real, fps=fps, root=HIPS))[steady].tolist()
    names = ("MPJPE mm", "PA-MPJPE mm", "place mm", "acceleration mm/s2")
    return {name: float(np.mean(values)) for name, values in zip(names, (pose, aligned, place, jolts), strict=True)}


def feet(motion: Motion, locked: Motion, clip: SyntheticClip) -> dict[str, float]:
    """Return how far feet slide while they truly stand, and how well stands and the floor are found."""
    shapes = Shapes(motion.with_body())
    matched: dict[int, int] = {}
    for pairs, _, _ in matches(motion, clip):
        matched |= {name: person for person, name in pairs.items()}
    slides: dict[str, list[float]] = {"before": [], "after": []}
    right = said = real = 0
    for name, whole in (("before", motion), ("after", locked)):
        for track in whole.tracks:
            if track.id not in matched:
                continue
            act, rest = clip.acts[matched[track.id]], shapes.joints_m(track.betas)
            for side in (0, 1):
                places = leg_joints(track.rotations, rest, track.translation_m + rest[0], side)[1]
                standing = act.standing[track.frames, side]
                both = standing[1:] & standing[:-1] & (np.diff(track.frames) == 1)
                slides[name] += (1000 * np.linalg.norm(np.diff(places[3], axis=0), axis=1)[both]).tolist()
                if name == "before":
                    told = stands(places[2], places[3], motion.times_s[track.frames])
                    right, said, real = (
                        right + int((told & standing).sum()),
                        said + int(told.sum()),
                        real + int(standing.sum()),
                    )
    up = find_floor(motion, motion.with_body())[1, :3]
    truth = clip.camera_from_world[:, 1]
    return {
        "slide before mm/frame": float(np.mean(slides["before"])),
        "slide after mm/frame": float(np.mean(slides["after"])),
        "stands found %": 100 * right / max(real, 1),
        "stands right %": 100 * right / max(said, 1),
        "floor tilt deg": float(np.degrees(np.arccos(np.clip(up @ truth, -1, 1)))),
    }


def matches(motion: Motion, clip: SyntheticClip) -> list[tuple[dict[int, int], list[int], set[int]]]:
    """Return for each frame who was found as whom, who is visible, and which ids are there.

    As in CLEAR MOT (Bernardin and Stiefelhagen, 2008) a pair of the frame before stays one as long as it may be one.
    """
    people = range(len(clip.acts))
    truth, visible = [clip.joints_cam_m(p) for p in people], [clip.visible(p) for p in people]
    tracks = [(track, joints_cam_m_of(track, motion.with_body())) for track in motion.tracks]
    rows: list[tuple[dict[int, int], list[int], set[int]]] = []
    last: dict[int, int] = {}
    for frame in range(len(motion.times_s)):
        here = [person for person in people if visible[person][frame]]
        names = [(track, joints[list(track.frames).index(frame)]) for track, joints in tracks if frame in track.frames]
        cost = np.full((len(people), len(names)), np.inf)
        for person in people:
            real = _px(truth[person][frame], clip)
            for column, (_, joints) in enumerate(names):
                off = np.linalg.norm(_px(joints, clip) - real, axis=1).mean() / np.ptp(real[:, 1])
                cost[person, column] = off if off < NEAR else np.inf
        for person, name in last.items():
            column = next((c for c, (track, _) in enumerate(names) if track.id == name), None)
            if column is not None and np.isfinite(cost[person, column]):
                kept = cost[person, column]
                cost[person], cost[:, column], cost[person, column] = np.inf, np.inf, kept
        matched = {person: names[column][0].id for person, column in pairs_of_least_cost(cost)}
        last |= matched
        # Somebody at the border who is found although most of them is outside is neither right nor wrong.
        beyond = {name for person, name in matched.items() if person not in here}
        rows.append(
            (
                {person: name for person, name in matched.items() if person in here},
                here,
                {track.id for track, _ in names} - beyond,
            )
        )
    return rows


def _px(joints_m: np.ndarray, clip: SyntheticClip) -> np.ndarray:
    return joints_m[:, :2] / np.maximum(joints_m[:, 2:], 0.1) * clip.focal_px


def _clips(cast: Cast, options: argparse.Namespace) -> Sequence[SyntheticClip]:
    at = {"fps": options.fps, "width_px": options.width}
    return crossing(cast, **at), returning(cast, **at), circling(cast, **at)


def _film(clip: SyntheticClip, path: Path) -> Path:
    if not path.is_file():
        with film(path, clip.width_px, clip.height_px, 1 / float(np.median(np.diff(clip.times_s)))) as writing:
            for time_s, rgb in zip(clip.times_s, clip.pictures(), strict=True):
                writing.add(rgb, float(time_s))
    return path


def _rounded(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _rounded(value) for key, value in found.items()}
    return round(found, 2) if isinstance(found, float) else found


def _means(films: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the means of all numbers over films, and how the means of the seeds are spread."""
    whole, by_seed = list(films.values()), dict[str, list[dict[str, Any]]]()
    for name, film_of_seed in films.items():
        by_seed.setdefault(name.rpartition("_")[2], []).append(film_of_seed)
    mean, spread = dict[str, Any](), dict[str, Any]()
    for key in (key for key, value in whole[0].items() if isinstance(value, dict)):
        names = list(whole[0][key])
        mean[key] = {name: float(np.mean([each[key][name] for each in whole])) for name in names}
        if len(by_seed) > 1:
            of_seeds = {n: [np.mean([each[key][n] for each in row]) for row in by_seed.values()] for n in names}
            spread[key] = {name: float(np.std(values, ddof=1)) for name, values in of_seeds.items()}
    return mean, spread


if __name__ == "__main__":
    main()
