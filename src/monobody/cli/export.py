"""`monobody export`: a result that is there already, in the files that other programs open."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from monobody.cli.exits import OK


def export(
    file: Annotated[Positional[Path], arg(metavar="FILE.npz")],
    *,
    out: Annotated[UseAppendAction[tuple[Path, ...]], arg(aliases=["-o"], metavar="FILE")],
    rig: str = "smpl",
    rest: str | None = None,
    up: str | None = None,
    unit: str | None = None,
    fps: float | None = None,
    root: str = "world",
    foot_lock: bool = False,
    hypotheses: str = "best",
    person: Annotated[UseAppendAction[tuple[int, ...]], arg(metavar="ID")],
    correctives: bool = False,
    body: Path | None = None,
) -> int:
    """Write a scene or motion as GLB, FBX, BVH, OBJ, CSV, JSON or SMPL parameters, without predicting again.

    Args:
        file: What `monobody predict --save npz` or `Motion.save` wrote.
        out: Where to; the extension says what: .glb .fbx .bvh .obj .csv .json .npz .smpl.npz. May be given several
            times. What takes a file for each person or frame is numbered.
        rig: Joint names and bone axes of smpl, mixamo, ue5 or unity.
        rest: Arms at rest: t (level) or a (45 degrees down); the rig's own where left out.
        up: Axis that points up: y or z.
        unit: Unit of length: m or cm.
        fps: Frames in a second; the clip's own where left out.
        root: Where people move: world (where they were), origin (from there on), or in-place.
        foot_lock: Hold feet where they stand; they slide less, and the floor becomes the world's.
        hypotheses: The best answer for each person, or all of them, an armature each.
        person: Whom to write, by their ids; everybody where left out. May be given several times.
        correctives: Add morph targets for what bent joints do to the flesh (.glb).
        body: The body file that it was made with, where that is not the shipped one.
    """
    from monobody.body.model import Body
    from monobody.errors import UserError
    from monobody.export.motion_npz import motion_from
    from monobody.export.npz import holds_skeletons, scene_from
    from monobody.export.options import ExportOptions, options_for
    from monobody.export.paths import suffix_of
    from monobody.export.safe_npz import read_arrays
    from monobody.export.writers import report

    if not out:
        raise UserError("Say where to with -o FILE, such as -o walk.fbx; the extension says what.")
    choices = {
        "rig": rig, "rest": rest, "up": up, "unit": unit, "fps": fps, "root": root, "hypotheses": hypotheses,
        "person": person, "correctives": correctives,
    }  # fmt: skip
    for path in out:  # All choices are judged before anything is written.
        options_for(suffix_of(path), choices)
        if path.resolve() == file.resolve():
            raise UserError(f"{path} is what is read: choose another name to write to.")
    arrays, own_body = read_arrays(file, "motion"), None if body is None else Body.load(body)
    if holds_skeletons(arrays):
        if foot_lock:
            raise UserError("--foot-lock holds the feet of bodies, and this file has skeletons: predict with --lift.")
        scene = scene_from(arrays, file, own_body)
        changed = {name: value for name, value in choices.items() if value != getattr(ExportOptions(), name)}
        for path in out:
            which = {"hypotheses": hypotheses} if suffix_of(path) == ".glb" else {}
            print(scene.save(path, **(changed | which)))
        return OK
    motion = motion_from(arrays, file, own_body)
    if foot_lock:
        from monobody.predict.ground import lock_feet

        motion = lock_feet(motion)
    for line in report(motion):
        print(line)
    for path in out:
        written = motion.save(path, **choices)
        more = f" and {len(written) - 1} more" if len(written) > 1 else ""
        print(f"{written[0]}{more}")
    return OK
