"""Videos from end to end, with people on paper and the mean pose in place of networks."""

import resource
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import street
import torch
from clips import write_clip
from PIL import Image
from scenes import load_body_once, shipped_body
from street import CROSSING

from monobody.cli import main
from monobody.errors import UserError
from monobody.fit.lift import Lift
from monobody.motion import Motion
from monobody.predict import journal, track, video
from monobody.predict.assemble import people_of
from monobody.predict.estimate import LandmarkEstimator, MeanPose
from monobody.predict.frames import open_source
from monobody.predict.predictor import Predictor
from monobody.render.film import film


@pytest.fixture(autouse=True)
def _paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track, "read_region", street.read)
    load_body_once(monkeypatch)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(MeanPose(shipped_body()), shipped_body(), model="mean-pose", terms="Apache-2.0")


def street_film(path: Path, paths: Sequence[street.Path] = CROSSING, frames: int = 60, **options: Any) -> Path:
    pictures = [street.picture(paths, frame) for frame in range(frames)]
    return write_clip(path, frames=frames, width=640, height=360, pictures=pictures, **options)


def same(first: Motion, second: Motion) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(first.tracks, second.tracks, strict=True)
        for name in ("frames", "rotations", "betas", "translation_m", "seen", "score")
    )


@pytest.mark.slow
def test_people_who_cross_are_two_tracks_with_one_bridged(predictor: Predictor, tmp_path: Path) -> None:
    path = street_film(tmp_path / "street.mp4", sound="aac")
    calls: list[tuple[int, int | None]] = []
    motion = predictor(
        path, detector=street.detector, every=6, progress=lambda *done: calls.append(done), journal=tmp_path / "journal"
    )
    assert isinstance(motion, Motion)
    assert [one.id for one in motion.tracks] == [0, 1]
    front, behind = motion.tracks
    assert front.seen.all()
    assert len(front.frames) == 60
    assert np.array_equal(behind.frames, np.arange(60))
    assert 3 < (~behind.seen).sum() < 20
    assert calls[-1] == (60, 60)
    assert len(calls) == 60
    assert np.allclose(motion.times_s, np.arange(60) / 25, atol=1e-3)
    # They walk to the right and to the left.
    assert np.diff(front.translation_m[:, 0]).mean() > 0 > np.diff(behind.translation_m[:, 0]).mean()
    # Gaps longer than asked for stay.
    moments = [each for part in sorted((tmp_path / "journal").glob("part_*")) for each in journal._read(part)]
    (_, left), _ = people_of(moments, shipped_body(), max_gap_s=0.0)
    assert left.seen.all()
    assert np.array_equal(left.frames, behind.frames[behind.seen])
    motion.save(tmp_path / "street.npz")
    assert np.allclose(Motion.load(tmp_path / "street.npz").tracks[1].translation_m, behind.translation_m, atol=1e-5)


def test_smoothing_can_be_left_out(predictor: Predictor, tmp_path: Path) -> None:
    path = street_film(tmp_path / "street.mp4", CROSSING[:1], frames=10)
    plain = predictor.video(path, detector=street.detector, smooth_s=0)
    calm = predictor.video(path, detector=street.detector, smooth_s=0.2)

    def jolts(motion: Motion) -> float:
        return float(np.abs(np.diff(motion.tracks[0].translation_m, n=2, axis=0)).mean())

    assert jolts(calm) < jolts(plain)


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PART", 4)
    path = street_film(tmp_path / "street.mp4", frames=16)
    options: dict[str, Any] = {"detector": street.detector, "every": 6}
    whole = predictor.video(path, **options)

    def stop(done: int, total: int | None) -> None:
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predictor.video(path, journal=tmp_path / "journal", progress=stop, **options)
    # As after kill -9: what lay in memory is gone.
    last = sorted((tmp_path / "journal").glob("part_*"))[-1]
    last.unlink()
    looked: list[int] = []
    people = predictor.people

    def counted(*arguments: Any) -> Any:
        looked.append(1)
        return people(*arguments)

    monkeypatch.setattr(predictor, "people", counted)
    told: list[int] = []
    again = predictor.video(
        path, journal=tmp_path / "journal", progress=lambda done, total: told.append(done), **options
    )
    assert same(whole, again)
    assert len(looked) == 8
    assert told == [9, 10, 11, 12, 13, 14, 15, 16]  # So that the time left is that of what is left.
    predictor.video(path, journal=tmp_path / "journal", progress=lambda done, total: told.append(done), **options)
    assert told[8:] == [16]
    journal.discard(tmp_path / "journal")
    assert not (tmp_path / "journal").exists()


def test_a_journal_of_something_else_is_begun_anew(predictor: Predictor, tmp_path: Path) -> None:
    first, second = street_film(tmp_path / "a.mp4", frames=8), street_film(tmp_path / "b.mp4", CROSSING[:1], frames=9)
    predictor.video(first, journal=tmp_path / "journal", detector=street.detector)
    motion = predictor.video(second, journal=tmp_path / "journal", detector=street.detector)
    assert len(motion.times_s) == 9
    assert len(motion.tracks) == 1
    for damaged in (b"damaged", b"", b"PK\3\4cut off"):
        (tmp_path / "journal" / "part_0000000.npz").write_bytes(damaged)
        assert same(motion, predictor.video(second, journal=tmp_path / "journal", detector=street.detector))
    less = predictor.video(second, journal=tmp_path / "journal", detector=street.detector, seconds=0.2)
    assert less.times_s.max() < 0.2


def test_a_journal_knows_a_model_by_its_numbers(tmp_path: Path) -> None:
    """Other weights under the same name are another model."""
    path, folder, motions = street_film(tmp_path / "a.mp4", CROSSING[:1], frames=6), tmp_path / "journal", []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = Lift(shipped_body())
        for tensor in network.parameters():
            torch.nn.init.normal_(tensor, std=0.02)
        estimator = LandmarkEstimator(network, torch.device("cpu"))
        mine = Predictor(estimator, shipped_body(), model="mine.safetensors", terms="mine")
        motions.append(mine.video(path, journal=folder, detector=street.detector))
        assert same(motions[-1], mine.video(path, detector=street.detector))
    assert not same(*motions)


def test_a_journal_knows_frames_and_people_by_their_files(predictor: Predictor, tmp_path: Path) -> None:
    """A frame, or a file of people, that was replaced under its name is another one."""
    frames, people, options = tmp_path / "frames", tmp_path / "people.json", {"journal": tmp_path / "journal", "fps": 5}
    frames.mkdir()
    for frame in range(4):
        Image.fromarray(street.picture(CROSSING, frame)).save(frames / f"{frame}.png")
    assert len(predictor.video(frames, detector=street.detector, **options).tracks) == 2
    for frame in range(4):
        Image.fromarray(street.picture(CROSSING[:1], frame)).save(frames / f"{frame}.png")
    assert len(predictor.video(frames, detector=street.detector, **options).tracks) == 1
    keys = []
    for content in ("one", "two"):
        people.write_text(content)
        keys.append(video._key(predictor, open_source(frames, fps=5), video.VideoOptions(detector=people)))
    assert keys[0] != keys[1]


def test_only_so_many_seconds(predictor: Predictor, tmp_path: Path) -> None:
    path = street_film(tmp_path / "street.mp4", frames=30)
    assert len(predictor.video(path, detector=street.detector, seconds=0.4).times_s) == 10


def test_a_single_frame_is_a_motion(predictor: Predictor, tmp_path: Path) -> None:
    motion = predictor(street_film(tmp_path / "one.mp4", frames=1), detector=street.detector, foot_lock=True)
    assert len(motion.times_s) == 1
    assert len(motion.tracks) == 2


def test_a_folder_of_frames_is_a_clip(predictor: Predictor, tmp_path: Path) -> None:
    for frame in range(5):
        Image.fromarray(street.picture(CROSSING, frame)).save(tmp_path / f"{frame}.png")
    motion = predictor.video(tmp_path, fps=5, detector=street.detector)
    assert np.allclose(motion.times_s, np.arange(5) / 5)
    assert len(motion.tracks) == 2


def test_a_stream_gives_scenes_with_ids(predictor: Predictor, tmp_path: Path) -> None:
    path = street_film(tmp_path / "street.mp4", frames=5)
    frames = list(predictor.stream(path, detector=street.detector, every=4))
    assert [frame.number for frame in frames] == list(range(5))
    assert all(frame.ids == (0, 1) and len(frame.scene.people) == 2 for frame in frames)
    assert frames[3].scene.overlay().shape == (360, 640, 3)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"smooth": 1}, "no option"), ({"smooth_s": -1}, "smoothing"), ({"every": 0}, "looks"),
        ({"seconds": 0}, "seconds"), ({"focal_px": -3}, "focal"), ({"boxes": [(0, 0, 5, 5)]}, "Boxes"),
        ({"detector": "nobody"}, "detector"),
    ],
)  # fmt: skip
def test_choices_that_make_no_sense(predictor: Predictor, tmp_path: Path, options: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=word):
        predictor(write_clip(tmp_path / "a.mp4", frames=2), **options)


def test_choices_of_videos_are_refused_for_pictures(predictor: Predictor) -> None:
    with pytest.raises(UserError, match="smooth_s"):
        predictor(np.zeros((64, 64, 3), np.uint8), smooth_s=0.1)


@pytest.fixture
def paper_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "find_detector", lambda name: street.detector)


@pytest.mark.usefixtures("paper_detector")
def test_the_command_writes_what_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = street_film(tmp_path / "street.mp4", frames=6, sound="aac"), tmp_path / "out"
    save = "npz,bvh,json,overlay,sheet"
    assert main(["predict", str(path), "-o", str(out), "--save", save, "--model", "mean-pose", "--foot-lock"]) == 0
    said = capsys.readouterr().out
    assert "2 people in 6 frames" in said
    assert "overlay.mp4" in said
    names = sorted(item.name for item in out.iterdir())
    assert names == [
        "street.json", "street.npz", "street_overlay.mp4", "street_person_0.bvh", "street_person_1.bvh",
        "street_sheet.jpg",
    ]  # fmt: skip
    with av.open(str(out / "street_overlay.mp4")) as container:
        assert container.streams.video[0].frames == 6
        assert container.streams.audio[0].codec_context.name == "aac"


@pytest.mark.usefixtures("paper_detector")
def test_a_clip_without_people_is_code_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = street_film(tmp_path / "empty.mp4", (), frames=4), tmp_path / "out"
    assert main(["predict", str(path), "-o", str(out), "--model", "mean-pose"]) == 1
    assert "found no person" in capsys.readouterr().err
    assert list(out.iterdir()) == []


MISTAKES: list[tuple[list[str], str]] = [
    (["{clip}", "{photo}"], "two runs"),
    (["{clip}", "{folder}/elsewhere/clip.mkv"], "one name"),
    (["{clip}", "--engine", "ray"], "--engine"),
    (["{photo}", "--smooth", "0.2"], "--smooth"),
    (["{photo}", "--foot-lock"], "--foot-lock"),
    (["{clip}", "--save", "hologram"], "hologram"),
    (["{clip}", "--box", "1,2,30,40"], "--box"),
    (["{clip}", "--smooth", "-1"], "smoothing"),
    (["{clip}", "--every", "0"], "looks"),
    (["{clip}", "--fov", "200"], "field of view"),
    (["{text}"], "damaged or no video"),
    (["{song}"], "no pictures"),
    (["{folder}/missing.mp4"], "no file"),
    (["93", "--seconds", "1"], "webcam 93"),
    (["{clip}", "--model", "nobody"], "no model"),
    (["{clip}", "-o", "{photo}/out"], "Cannot write"),
]


@pytest.mark.parametrize(("words", "sentence"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_mistakes_are_one_sentence_and_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    from clips import write_sound

    clip, photo = write_clip(tmp_path / "clip.mp4", frames=2), tmp_path / "photo.jpg"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(photo)
    (tmp_path / "text.mp4").write_text("This is no video. " * 50)
    write_sound(tmp_path / "song.m4a").rename(tmp_path / "song.mp4")
    known = {"clip": clip, "photo": photo, "text": tmp_path / "text.mp4", "song": tmp_path / "song.mp4"}
    filled = [word.format(folder=tmp_path, **known) for word in words]
    out = [] if "-o" in filled else ["-o", str(tmp_path / "out")]
    model = [] if "--model" in filled else ["--model", "mean-pose"]
    assert main(["predict", *filled, *out, *model]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert "Traceback" not in said
    assert (
        not [item for item in (tmp_path / "out").rglob("*") if item.is_file()] if (tmp_path / "out").exists() else True
    )


def test_a_full_disk_in_the_middle_of_a_film(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(UserError, match="Cannot write"), film(tmp_path / "film.mp4", 320, 240, 25) as writing:  # noqa: PT012
            for frame in range(40):
                writing.add(np.roll(noise, frame * 7, axis=1), frame / 25)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_hypotheses_are_chosen_over_time(predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose second answer weighs more for a moment does not make people jump."""
    path, frame = street_film(tmp_path / "street.mp4", CROSSING[:1], frames=20), [0]
    people = predictor.people

    def several(*arguments: Any) -> Any:
        found = []
        for person in people(*arguments):
            (first,) = person.hypotheses
            assert first.rotations is not None
            assert first.theta is not None
            turned = first.rotations.copy()
            turned[[1, 4, 16, 18]] = turned[[1, 4, 16, 18]] @ np.array(
                [[1, 0, 0], [0, 0, -1.0], [0, 1.0, 0]], np.float32
            )
            light = 0.7 if frame[0] in (8, 9) else 0.3
            other = replace(first, rotations=turned, weight=light)
            found.append(replace(person, hypotheses=(replace(first, weight=1 - light), other)))
        frame[0] += 1
        return tuple(found)

    monkeypatch.setattr(predictor, "people", several)
    motion = predictor.video(path, detector=street.detector, smooth_s=0)
    one = motion.tracks[0]
    assert np.ptp(one.rotations[:, 1], axis=0).max() < 1e-6
    assert one.hypotheses is not None
    assert one.hypotheses.weight.shape == (2, 20)
    assert np.allclose(one.hypotheses.rotations[0], one.rotations, atol=1e-6)
    assert one.hypotheses.weight[0, 8] == pytest.approx(0.3)
