"""`monobody fit`: bodies fitted to keypoints that another program found."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from monobody.cli.folders import ensure_writable
from monobody.cli.predict import conclude


def fit(
    pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="PHOTO|FOLDER|GLOB")],
    *,
    keypoints: Path,
    out: Annotated[Path, arg(aliases=["-o"])] = Path("out"),
    save: str = "overlay,glb,json",
    mask: Path | None = None,
    start: str = "mean",
    person: str = "all",
    body: Path | None = None,
    focal_px: float | None = None,
    fov: float | None = None,
    device: str = "auto",
    trust: bool = False,
    overwrite: bool = False,
) -> int:
    """Fit bodies to keypoints that another program found; write overlays, meshes, numbers.

    Args:
        pictures: Photos, folders of photos, or quoted patterns.
        keypoints: A file of OpenPose, COCO, MediaPipe, mmpose, LSP or one's own, or a folder with one for each photo.
        out: Folder for the results.
        save: What to write, any of overlay,side,glb,obj,npz,json.
        mask: A picture that is white where the person is; or a folder with one for each photo.
        start: The body that the fit starts from: mean, or a model's (lift, hmr-small, a weights file).
        person: Whom to fit: all, best, or a number in the file, counted from 0.
        body: A SMPL file to fit, instead of the shipped body.
        focal_px: Focal length in pixels; otherwise from EXIF, or the picture's diagonal.
        fov: Horizontal field of view in degrees, instead of the focal length.
        device: Where the model runs that the fit starts from: auto, cpu, cuda, cuda:1, ...
        trust: Fit keypoints even where the picture, or the mask, surely shows somebody else.
        overwrite: Do pictures again that have all their results already.
    """
    from monobody.predict.batch import collect_jobs, parse_kinds, run_jobs
    from monobody.predict.progress import Progress

    kinds = parse_kinds(save)
    jobs = collect_jobs(pictures, out)
    ensure_writable(out)
    from monobody.data.keypoint_files.read_people import read_people
    from monobody.predict.fit_picture import load_fitter
    from monobody.predict.mask_file import Masks
    from monobody.predict.predictor import choose_camera

    choose_camera(1, 1, focal_px=focal_px, fov_deg=fov)  # Refuses impossible numbers once, not for every picture.
    people = read_people(keypoints)
    people.check_pictures([job.picture.name for job in jobs])
    masks = Masks(mask, [job.picture for job in jobs])
    fitter = load_fitter(start, device=device, body=body)
    with Progress(len(jobs)) as progress:
        outcome = run_jobs(
            jobs,
            out,
            kinds,
            lambda path: fitter(
                path, people, person=person, mask=masks.of(path), focal_px=focal_px, fov_deg=fov, trust=trust
            ),
            overwrite=overwrite,
            report=lambda job, news: progress.step(f"{job.picture}: {news}"),
        )
    nobody = f"{keypoints} lists nobody in it."
    return conclude(outcome, out, fitter.model, fitter.terms, nobody=nobody)
