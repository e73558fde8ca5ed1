"""Pictures of more people than are looked for: who is found is found well, and that others are left out is said."""

from pathlib import Path

import numpy as np
import pytest
import street
from clips import write_clip
from PIL import Image
from scenes import shipped_body

from monobody.cli import main
from monobody.predict import blaze_search, track
from monobody.predict.blaze_search import MAX_REGIONS
from monobody.predict.detect import BlazeDetector
from monobody.predict.estimate import MeanPose
from monobody.predict.predictor import Predictor

PHOTO = Path(__file__).parents[1] / "samples" / "synthetic_one_c.jpg"


def crowd(rows: int, columns: int, height_px: int = 150) -> np.ndarray:
    """Return one person many times over."""
    one = Image.open(PHOTO).convert("RGB").crop((153, 37, 352, 488))
    return np.tile(np.asarray(one.resize((height_px * one.width // one.height, height_px))), (rows, columns, 1))


def mean_pose() -> Predictor:
    return Predictor(MeanPose(shipped_body()), shipped_body(), model="mean-pose", terms="Apache-2.0")


@pytest.mark.slow
def test_sixty_people_are_more_than_are_looked_for() -> None:
    scene = mean_pose()(crowd(5, 12))
    assert 15 <= len(scene.people) <= MAX_REGIONS
    (note,) = scene.notes
    assert note.startswith(f"no more than {MAX_REGIONS} people are looked for, and ")
    boxes = np.array([person.box_px for person in scene.people])
    centres = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2 / [66, 150]).astype(int)
    assert len(np.unique(centres, axis=0)) == len(boxes)  # Nobody twice.


@pytest.mark.slow
def test_three_hundred_small_people_are_none_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is a tenth of the picture's height and too small for the detector."""
    Image.fromarray(crowd(10, 30)).save(tmp_path / "crowd.png")
    out = tmp_path / "out"
    assert main(["predict", str(tmp_path / "crowd.png"), "-o", str(out), "--model", "mean-pose"]) == 1
    assert "found no person. If there is one, give its --box" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_one_person_is_no_crowd_however_many_places_look_a_little_like_somebody() -> None:
    photo = np.asarray(Image.open(PHOTO.with_name("camera.jpg")).convert("RGB"))
    detector = BlazeDetector()
    assert len(detector(photo)) == 1
    assert detector.notes == ()


def test_who_is_followed_already_makes_a_crowd_too(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.asarray(Image.open(PHOTO).convert("RGB"))
    (one,) = blaze_search.everybody(photo)
    propose_everywhere(monkeypatch, rows=2)
    for followed, unread in ((0, 0), (14, 0), (15, 10)):
        assert blaze_search.look_over(photo, [one] * followed) == ([], unread)


def test_three_hundred_places_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector is made to propose a person at each of 300 places."""
    propose_everywhere(monkeypatch)
    detector = BlazeDetector()
    assert detector(crowd(1, 1)) == []
    assert detector.notes == (
        "no more than 30 people are looked for, and 270 other places look like somebody: show fewer at once",
    )
    detector(crowd(1, 1), [(0, 0, 60, 140)])
    assert detector.notes == ()


def test_a_film_s_note_outlives_a_run_that_was_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(track, "read_region", street.read)
    propose_everywhere(monkeypatch)
    pictures = [street.picture(street.CROSSING, frame) for frame in range(4)]
    clip = write_clip(tmp_path / "crowd.mp4", frames=4, width=640, height=360, pictures=pictures)
    for _ in range(2):  # The second time from the journal alone.
        motion = mean_pose().video(clip, journal=tmp_path / "journal")
        assert motion.notes == (
            "no more than 30 people are looked for, and 270 other places look like somebody: show fewer at once",
        )
        monkeypatch.setattr(blaze_search, "_proposals", None)


def propose_everywhere(monkeypatch: pytest.MonkeyPatch, rows: int = 15) -> None:
    """Let stage one see somebody at 20 places a row, 300 in all, and stage two nobody."""
    from monobody.data.crop import Crop
    from monobody.predict.blazepose import Candidate

    places = [Crop((40.0 * column, 60.0 * row), 50.0) for row in range(rows) for column in range(20)]
    found = [Candidate(score=0.9, region=place) for place in places]
    monkeypatch.setattr(blaze_search, "_proposals", lambda rgb, window: found)
    monkeypatch.setattr(blaze_search, "search_windows", lambda *size: [Crop((0.0, 0.0), 100.0)])
    monkeypatch.setattr(blaze_search, "read_twice", lambda *arguments: None)
