"""`monobody predict`: the bodies of everybody in photos."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, UseAppendAction, arg

from monobody.cli.exits import OK, PARTLY, REFUSED
from monobody.cli.folders import ensure_writable
from monobody.errors import UserError

if TYPE_CHECKING:
    from monobody.predict.batch import Outcome
    from monobody.predict.predictor import Predictor


def predict(
    pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="PHOTO|VIDEO|FOLDER|GLOB|TAR|WEBCAM")],
    *,
    out: Annotated[Path, arg(aliases=["-o"])] = Path("out"),
    save: str = "overlay,glb,json",
    model: str | None = None,
    body: Path | None = None,
    hypotheses: str = "all",
    lift: bool = False,
    box: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="X0,Y0,X1,Y1")],
    mask: Annotated[Path | None, arg(metavar="MASK|FOLDER")] = None,
    detector: str = "blazepose",
    focal_px: float | None = None,
    fov: float | None = None,
    refine: bool = False,
    device: str = "auto",
    runtime: str = "torch",
    overwrite: bool = False,
    smooth: float | None = None,
    every: int | None = None,
    seconds: float | None = None,
    fps: float | None = None,
    foot_lock: bool = False,
    workers: int = 0,
    pack: int = 0,
    engine: str = "processes",
) -> int:
    """Predict the bodies of everybody in photos or videos; write overlays, meshes, animations, numbers.

    Args:
        pictures: Photos, videos, folders of photos, quoted patterns, tars (WebDataset), or the number of a webcam.
        out: Folder for the results.
        save: What to write, any of overlay,side,glb,obj,npz,json; of videos also turntable,sheet,fbx,bvh,csv,smpl.
        model: A name from `monobody models`, or a weights file.
        body: The body file that the model was trained with, where that is not the shipped one.
        hypotheses: Of models that give several answers: all, best, or how many. Others give their one.
        lift: Fit bodies to the skeletons of models that give skeletons.
        box: Where a person is, in pixels of the upright picture, instead of looking; may be given several times.
        mask: A picture that is white where the person is, instead of a box; or a folder with one for each photo.
        detector: How to find people: blazepose, whole (the picture is one person), torchvision, or a file of people.
        focal_px: Focal length in pixels; otherwise from EXIF, or the picture's diagonal.
        fov: Horizontal field of view in degrees, instead of the focal length.
        refine: Fit the bodies to the landmarks that the detector found.
        device: auto, cpu, cuda, cuda:1, ...
        runtime: What runs the network: torch, onnxruntime or openvino.
        overwrite: Do pictures again that have all their results already.
        smooth: Of a video: seconds over which motion is smoothed, 0 not at all; 0.1 where left out.
        every: Of a video: look for people in every so manieth frame, and follow them in between; 12 where left out.
        seconds: Of a video or webcam: no more than this.
        fps: Frames in a second of a folder of frames, which is then a clip.
        foot_lock: Of a video: hold feet where they stand.
        workers: Processes that share very many pictures, with a manifest; a run that was killed goes on.
        pack: Results into tars, so many pictures to each, in place of single files.
        engine: Where workers run: processes (of this machine), or ray (the machines of a Ray cluster).
    """
    from monobody.cli.clips import ClipChoices, clips_among, predict_clips
    from monobody.hypothesis import checked_kept

    kept = checked_kept(hypotheses)
    choices = ClipChoices(smooth=smooth, every=every, seconds=seconds, fps=fps, foot_lock=foot_lock)
    if clips_among(pictures, choices):
        if box or mask or workers or pack or engine != "processes":
            raise UserError("--box, --mask, --workers, --pack and --engine are for photos: leave them out for videos.")
        from monobody.predict.predictor import load

        def loaded() -> "Predictor":
            return load(model, device=device, body=body, hypotheses=kept, lift=lift, runtime=runtime)

        return predict_clips(
            pictures, out, save, loaded, choices,
            detector=detector, focal_px=focal_px, fov_deg=fov, refine=refine,
        )  # fmt: skip
    from monobody.predict.batch import collect_jobs, parse_box, parse_kinds, run_jobs
    from monobody.predict.gather import has_tars
    from monobody.predict.progress import Progress

    kinds, boxes = parse_kinds(save), [parse_box(text) for text in box] or None
    if workers or pack or engine != "processes" or has_tars(pictures):
        from monobody.cli.many import in_full, predict_many, threads_of_each
        from monobody.predict.many import Settings

        if mask:
            raise UserError("--mask is for photos of one process: leave it out, or leave out --workers and --pack.")
        settings = Settings(
            out=in_full(out), kinds=kinds, packed=bool(pack), model=model and in_full(model),
            body=body and in_full(body), boxes=None if boxes is None else tuple(boxes), detector=in_full(detector),
            focal_px=focal_px, fov_deg=fov, refine=refine, hypotheses=kept, lift=lift, runtime=runtime, device=device,
            threads=threads_of_each(workers),
        )  # fmt: skip
        return predict_many(pictures, settings, workers=workers, pack=pack, engine=engine, overwrite=overwrite)
    jobs = collect_jobs(pictures, out)
    ensure_writable(out)
    from monobody.predict.detect import PeopleFile, find_detector
    from monobody.predict.mask_file import Masks
    from monobody.predict.predictor import choose_camera, load

    choose_camera(1, 1, focal_px=focal_px, fov_deg=fov)  # Refuses impossible numbers once, not for every picture.
    finder = find_detector(detector)
    if isinstance(finder, PeopleFile):
        finder.people.check_pictures([job.picture.name for job in jobs])
    masks = Masks(mask, [job.picture for job in jobs])
    predictor = load(model, device=device, body=body, hypotheses=kept, lift=lift, runtime=runtime)
    with Progress(len(jobs)) as progress:
        outcome = run_jobs(
            jobs,
            out,
            kinds,
            lambda path: predictor(
                path, boxes=boxes, mask=masks.of(path), detector=finder, focal_px=focal_px, fov_deg=fov, refine=refine
            ),
            overwrite=overwrite,
            report=lambda job, news: progress.step(f"{job.picture}: {news}"),
        )
    return conclude(outcome, out, predictor.model, predictor.terms)


NOBODY = (
    "found no person. If there is one, give its --box X0,Y0,X1,Y1, or use --detector whole if it fills the picture."
)


def conclude(outcome: "Outcome", out: Path, model: str, terms: str, *, nobody: str = NOBODY) -> int:
    """Say what became of a run and return the exit code."""
    made = len(outcome.done)
    if made:
        print(f"{count(made, 'picture')} done, results in {out}/ (model {model}: {terms})")
    if outcome.skipped:
        print(f"{count(len(outcome.skipped), 'picture')} done before: --overwrite does them again")
    for job, reason in outcome.failed:
        # Sentences about the file itself name it already.
        named = reason if str(job.picture) in reason else f"{job.picture}: {reason}"
        print(f"monobody: {named}", file=sys.stderr)
    for job in outcome.empty:
        print(f"monobody: {job.picture}: {nobody}", file=sys.stderr)
    if outcome.failed and not (made or outcome.skipped or outcome.empty):
        return REFUSED
    return PARTLY if outcome.failed or outcome.empty else OK


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
