"""What `monobody predict` does with videos, folders of frames and webcams."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monobody.cli.exits import OK, PARTLY, REFUSED
from monobody.cli.folders import ensure_writable
from monobody.errors import UserError

if TYPE_CHECKING:
    from monobody.motion import Motion
    from monobody.predict.predictor import Predictor
    from monobody.predict.video import VideoOptions

FILMS = {"overlay": "_overlay.mp4", "side": "_side.mp4", "turntable": "_turntable.mp4", "sheet": "_sheet.jpg"}
FILES = {
    "glb": ".glb", "fbx": ".fbx", "bvh": ".bvh", "obj": ".obj", "csv": ".csv", "json": ".json", "npz": ".npz",
    "smpl": ".smpl.npz",
}  # fmt: skip
OUTPUTS = FILES | FILMS
"""What ``--save`` can name for a video, and how each file's name ends. Numbers are written before films."""
NEWS_EVERY_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipChoices:
    """The options of `monobody predict` that speak of videos; None where left out."""

    fps: float | None = None
    smooth: float | None = None
    every: int | None = None
    seconds: float | None = None
    foot_lock: bool = False

    def given(self) -> list[str]:
        """Return the options that were given, as they are written on the command line."""
        named = {"--fps": self.fps, "--smooth": self.smooth, "--every": self.every, "--seconds": self.seconds}
        return [name for name, value in named.items() if value is not None] + ["--foot-lock"] * self.foot_lock


def clips_among(sources: Sequence[str], choices: ClipChoices) -> bool:
    """Tell whether what is to be predicted are clips: videos, a webcam's number, or with ``--fps`` folders of frames.

    Raises:
        UserError: photos and clips are mixed, or an option for clips is given for photos.
    """
    from glob import glob

    from monobody.predict.frames import is_video

    def is_clip(source: str) -> bool:
        if source.isdigit() and not Path(source).exists():
            return True
        if Path(source).is_dir():
            return choices.fps is not None
        return is_video(source) or (not Path(source).exists() and any(map(is_video, glob(source, recursive=True))))

    found = [is_clip(source) for source in sources]
    if any(found) and not all(found):
        raise UserError("Photos and videos take different options: predict them in two runs.")
    if choices.given() and not any(found):
        raise UserError(
            f"{', '.join(choices.given())}: for videos, and these are photos (a folder of frames needs --fps)."
        )
    return any(found)


def predict_clips(
    sources: Sequence[str],
    out: Path,
    save: str,
    predictor_for: "Callable[[], Predictor]",
    choices: ClipChoices,
    **options: Any,
) -> int:
    """Predict clips one after the other and write what was asked for; return the exit code.

    Args:
        sources: files, patterns, folders of frames, or webcams' numbers.
        out: folder for the results.
        save: kinds of :data:`OUTPUTS`, separated by commas.
        predictor_for: loads the model; called once all else is known to be right.
        choices: options of clips.
        options: fields of ``VideoOptions`` that photos have too.

    Raises:
        UserError: there is nothing to predict, or an output cannot be written.
    """
    from glob import glob

    from monobody.predict.video import VideoOptions

    kinds = tuple(dict.fromkeys(part.strip() for part in save.split(",") if part.strip()))
    unknown = [kind for kind in kinds if kind not in OUTPUTS]
    if unknown or not kinds:
        raise UserError(f'Cannot save "{",".join(unknown) or save}" of a video: choose from {",".join(OUTPUTS)}.')
    if set(kinds) & {"overlay", "side", "turntable"}:
        from monobody.render.film import h264_encoder

        h264_encoder()  # Known to be missing before hours of work, not after.
    given = {"smooth_s": choices.smooth, "every": choices.every, "seconds": choices.seconds, "fps": choices.fps}
    made = VideoOptions(
        **options, foot_lock=choices.foot_lock, **{name: value for name, value in given.items() if value is not None}
    )
    paths = list(
        dict.fromkeys(path for source in sources for path in (sorted(glob(source, recursive=True)) or [source]))
    )
    _check_names(paths)
    ensure_writable(out)
    predictor = predictor_for()
    codes = []
    for path in paths:
        try:
            codes.append(_predict_one(predictor, path, out, kinds, made))
        except UserError as error:
            if len(paths) == 1:
                raise
            print(f"monobody: {error if path in str(error) else f'{path}: {error}'}", file=sys.stderr)
            codes.append(REFUSED)
    if all(code == REFUSED for code in codes):
        return REFUSED
    return OK if all(code == OK for code in codes) else PARTLY


def _check_names(paths: Sequence[str]) -> None:
    """Refuse clips whose results would take each other's place."""
    taken: dict[str, str] = {}
    for path in paths:
        name = (Path(path).resolve().name if Path(path).is_dir() else Path(path).stem).lower()
        if (other := taken.setdefault(name, path)) != path:
            raise UserError(
                f"The results of {other} and {path} would have one name: predict them in two runs with -o each."
            )


def _predict_one(
    predictor: "Predictor", source: str, out: Path, kinds: Sequence[str], options: "VideoOptions"
) -> int:  # fmt: skip
    from dataclasses import replace

    from monobody.predict.frames import open_source
    from monobody.predict.journal import discard
    from monobody.predict.video import predict_video

    clip = open_source(source, fps=options.fps)
    if clip.kind == "webcam":
        source = str(_recorded(clip, out, options))
        options = replace(options, seconds=None)
        clip = open_source(source)
    journal = out / f".{clip.name}.monobody"
    with News(f"{clip.name}: frames") as news:
        motion = predict_video(predictor, source, options, progress=news, journal=journal)
    if not motion.tracks:
        print(f"monobody: {source}: found no person in {len(motion.times_s)} frames.", file=sys.stderr)
        discard(journal)
        return PARTLY
    for line in _summary(motion):
        print(line)
    for kind in [kind for kind in OUTPUTS if kind in kinds]:
        for path in _written(motion, kind, source, out / f"{clip.name}{OUTPUTS[kind]}"):
            print(path)
    discard(journal)
    print(f"(model {motion.model}: {motion.terms})")
    return OK


def _written(motion: "Motion", kind: str, source: str, path: Path) -> list[Path]:
    """Write one kind of output; return its files, those for more people left out."""
    if kind in FILES:
        return motion.save(path)[:1]
    from monobody.export import films

    if kind == "sheet":
        return [films.contact_sheet(motion, source, path)]
    with News(f"{motion.name}: {kind}") as news:
        if kind == "overlay":
            return [films.overlay_film(motion, source, path, progress=news)]
        draw = films.side_film if kind == "side" else films.turntable_film
        return [draw(motion, path, progress=news)]


def _summary(motion: "Motion") -> list[str]:
    """Return how many people there were, and what is to be known of them."""
    from monobody.export.writers import report

    people, frames = len(motion.tracks), len(motion.times_s)
    seconds = float(motion.times_s[-1] - motion.times_s[0])
    who = f"{people} {'person' if people == 1 else 'people'} in {frames} frames ({seconds:.1f} s)"
    return [f"{motion.name}: {who}", *(f"  {line}" for line in report(motion))]


def _recorded(clip: Any, out: Path, options: "VideoOptions") -> Path:
    """Film the webcam until the time is over or Ctrl-C; predicting as fast as it films would lose frames."""
    from monobody.render.film import film

    path = out / f"{clip.name}.mp4"
    print(f"Filming {clip.path}; Ctrl-C ends it." if options.seconds is None else f"Filming {clip.path}.")
    with film(path, clip.width_px, clip.height_px, clip.rate) as writing:
        try:
            for shot in clip:
                if options.seconds is not None and shot.time_s >= options.seconds:
                    break
                writing.add(shot.rgb, shot.time_s)
        except KeyboardInterrupt:
            print()
    return path


class News:
    """How far a clip is, and how long it will take: a bar on a terminal, else a line now and then."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._began = self._last = time.monotonic()
        self._first: int | None = None
        """How many were done at the first call: what an earlier run left, or what the models took to load."""
        self._bar: Any = None
        if sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, transient=True)
            self._task = self._bar.add_task(what, total=None)

    def __enter__(self) -> "News":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int | None) -> None:
        """Note that so many are done, of so many if that is known."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)
            return
        now = time.monotonic()
        if self._first is None:
            self._first, self._began = done, now
        if now - self._last < NEWS_EVERY_S:
            return
        self._last = now
        left = ""
        if total is not None and done > self._first:
            seconds = (now - self._began) / (done - self._first) * max(total - done, 0)
            left = f" of {total}, about {_duration(seconds)} left"
        print(f"{self.what} {done}{left}", flush=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
