"""Files of predictions: what is written is read again, and what cannot be right is refused in one sentence."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monobody.body.skeleton import SKELETONS
from monobody.errors import UserError
from monobody.evaluate.predictions import (
    Predictions,
    as_joints,
    behind_camera,
    ensure_of,
    joined,
    read_predictions,
    write_predictions,
)

N, H = 3, 2
NAMES = tuple(f"S9/Walking.{number:06d}" for number in range(N))


def everything() -> dict[str, Any]:
    """All fields, so that nothing can be forgotten on the way."""
    rng = np.random.default_rng(0)
    weights = rng.uniform(size=(N, H))
    return {
        "model": "ours", "terms": "as you like", "names": NAMES, "joint_set": "lsp14", "absolute": True,
        "joints_cam_m": rng.normal((0, 0, 9), size=(N, H, 14, 3)), "joints_px": rng.normal(size=(N, H, 14, 2)),
        "weights": weights / weights.sum(1, keepdims=True), "rotations": np.tile(np.eye(3), (N, H, 24, 1, 1)),
        "betas": rng.normal(size=(N, H, 10)), "translation_m": rng.uniform(1, 9, (N, H, 3)),
        "focal_px": rng.uniform(500, 900, N), "principal_px": rng.normal(size=(N, 2)),
        "body_digest": "ab" * 32, "made_with": "cd" * 32,
    }  # fmt: skip


def assert_same(one: Predictions, other: Predictions) -> None:
    for field in fields(Predictions):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if isinstance(first, np.ndarray):
            np.testing.assert_array_equal(first, second)
            assert first.dtype == second.dtype
        else:
            assert first == second, field.name


def test_everything_is_read_again(tmp_path: Path) -> None:
    content = everything()
    assert set(content) == {field.name for field in fields(Predictions)}
    predictions = Predictions(**content)
    write_predictions(predictions, tmp_path / "p.npz")
    assert_same(read_predictions(tmp_path / "p.npz"), predictions)
    assert_same(joined([predictions.of(slice(0, 1)), predictions.of(slice(1, 3))]), predictions)
    assert predictions.hypotheses == H


def test_somebody_elses_file_needs_little(tmp_path: Path) -> None:
    joints = np.zeros((N, 1, 14, 3), np.float32)
    np.savez(tmp_path / "theirs.npz", names=np.array(NAMES), joint_set="lsp14", joints_cam_m=joints, notes="hello")
    predictions = read_predictions(tmp_path / "theirs.npz")
    assert (predictions.model, predictions.terms, predictions.hypotheses) == ("theirs", "not stated", 1)
    assert predictions.names == NAMES


def test_joints_are_matched_by_name() -> None:
    joints = np.zeros((N, 1, 17, 3)) + np.arange(17)[:, None]
    predictions = Predictions(model="m", terms="t", names=NAMES, joint_set="h36m17", joints_cam_m=joints)
    found = as_joints(predictions, "lsp14")
    names = [SKELETONS["h36m17"].joints[int(number)] for number in found[0, 0, :, 0]]
    assert tuple(names) == SKELETONS["lsp14"].joints


SPOILT: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown joint set": ({"joint_set": "mine"}, r'no joint set "mine"; choose from .*lsp14'),
    "joints of another set": (
        {"joint_set": "h36m17"},
        r"joints_cam_m has the shape \(3, 2, 14, 3\), not \(3, 2, 17, 3\)",
    ),
    "fewer people": ({"joints_px": np.zeros((2, H, 14, 2))}, r"joints_px has the shape \(2, 2, 14, 2\)"),
    "fewer hypotheses": ({"betas": np.zeros((N, 1, 10))}, r"betas has the shape \(3, 1, 10\)"),
    "NaN": ({"translation_m": np.full((N, H, 3), np.nan)}, r'translation_m of "S9/Walking.000000" is not a finite'),
    "infinity": ({"focal_px": np.array([1, np.inf, 1])}, r'focal_px of "S9/Walking.000001" is not a finite number'),
    "weights of 1.2": ({"weights": np.full((N, H), 0.6)}, r"add up to 1.2, the least is 0.6: they must be shares of 1"),
    "negative weights": ({"weights": np.tile([1.5, -0.5], (N, 1))}, r"the least is -0.5: they must be shares of 1"),
    "no weights": ({"weights": None}, "has 2 hypotheses but no weights"),
    "all weights zero": ({"weights": np.zeros((N, H))}, "add up to 0"),
    "an unknown body": ({"body_digest": ""}, "rotations without betas or body_digest"),
    "no betas": ({"betas": None}, "rotations without betas or body_digest"),
    "no rotations": ({"rotations": np.ones((N, H, 24, 3, 3))}, "no rotation matrices"),
    "no joints": ({"joints_cam_m": None, "joints_px": None}, "neither joints_cam_m nor joints_px"),
    "texts for numbers": ({"betas": np.full((N, H, 10), "x")}, "betas does not hold numbers"),
    "names that are numbers": ({"names": np.arange(N)}, "names must be one text for each person"),
    "a list of models": ({"model": np.array(["a", "b"])}, "model must be one text"),
    "a list of yes and no": ({"absolute": np.array([True, False, True])}, r"absolute must be one yes or no"),
    "absolute in words": ({"absolute": "no"}, r"absolute must be one yes or no"),
    "names in another encoding": ({"names": np.array([b"a", b"\xff\xfe", b"c"])}, "names is no text in UTF-8"),
    "a model in another encoding": ({"model": np.array(b"\xff\xfe")}, "model is no text in UTF-8"),
    "no hypotheses": (
        {name: everything()[name][:, :0] for name in ("joints_cam_m", "joints_px", "weights", "rotations", "betas")}
        | {"translation_m": None},
        "has no hypotheses: give at least one answer",
    ),
    "mirrors": ({"rotations": np.tile(np.diag([1, 1, -1]), (N, H, 24, 1, 1))}, "rotations mirror"),
    "no focal length": (
        {"focal_px": np.array([500, 0, 500])},
        r'focal_px of "S9/Walking.000001" is 0: a focal length is positive',
    ),
    "millimetres": ({"joints_cam_m": everything()["joints_cam_m"] * 1000}, "m large .*: give metres, not millimetres"),
    "joints behind the camera": (
        {"joints_cam_m": everything()["joints_cam_m"] - np.array([0, 0, 20]), "made_with": ""},
        r'by joints_cam_m 3 of 3 people stand behind the camera, "S9/Walking.000000" at z = -1\d',
    ),
    "bodies behind the camera": (
        {"translation_m": np.tile([0.0, 0.0, -3.0], (N, H, 1)), "made_with": ""},
        r'by translation_m 3 of 3 people stand behind the camera, "S9/Walking.000000" at z = -3 m',
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_cannot_be_right_is_refused(what: str, tmp_path: Path) -> None:
    changes, sentence = SPOILT[what]
    content = {name: value for name, value in (everything() | changes).items() if value is not None}
    np.savez(tmp_path / "p.npz", allow_pickle=False, **{name: np.asarray(value) for name, value in content.items()})
    with pytest.raises(UserError, match=sentence) as refused:
        read_predictions(tmp_path / "p.npz")
    assert str(refused.value).startswith(str(tmp_path / "p.npz"))
    assert "\n" not in str(refused.value)


def test_one_person_behind_the_camera_stops_nothing(tmp_path: Path) -> None:
    """A network's monster is measured; so is a last lot of nobody else, which says that it is the network's."""
    content: dict[str, Any] = everything() | {"made_with": ""}
    content["translation_m"] = np.tile([0.0, 0.0, 3.0], (N, H, 1))
    content["translation_m"][1, 0, 2] = -2
    write_predictions(Predictions(**content), tmp_path / "p.npz")
    read = read_predictions(tmp_path / "p.npz")
    assert behind_camera(read) == 1
    ours = replace(read, made_with="digest").of(slice(1, 2))
    write_predictions(ours, tmp_path / "lot.npz")
    assert behind_camera(read_predictions(tmp_path / "lot.npz")) == 1


@pytest.mark.parametrize("lost", ["names", "joint_set"])
def test_what_is_missing_is_named(lost: str, tmp_path: Path) -> None:
    content = everything()
    del content[lost]
    np.savez(tmp_path / "p.npz", allow_pickle=False, **{name: np.asarray(value) for name, value in content.items()})
    with pytest.raises(UserError, match=f"lacks {lost}"):
        read_predictions(tmp_path / "p.npz")


def test_damaged_files_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.npz"
    with pytest.raises(UserError, match="There is no file of predictions"):
        read_predictions(file)
    write_predictions(Predictions(**everything()), file)
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    for damaged in (whole[: len(whole) // 2], b"", b"PK\x03\x04 nothing", bytes(flipped)):
        file.write_bytes(damaged)
        with pytest.raises(UserError, match=r"no \.npz of predictions, or damaged") as refused:
            read_predictions(file)
        assert "\n" not in str(refused.value)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(UserError, match=r"no \.npz of predictions"):
        read_predictions(tmp_path / "array.npy")

    class Exploit:
        def __reduce__(self) -> tuple[Any, ...]:
            return (print, ("run",))

    evil: Any = np.array([Exploit()], object)
    np.savez(file, **everything() | {"betas": evil})
    with pytest.raises(UserError, match="pickle"):
        read_predictions(file)
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (NAMES[:2], r"has predictions of 3 people, the test set has 2"),
        ((*NAMES, "another"), r"has predictions of 3 people, the test set has 4"),
        (NAMES[::-1], r'in another order: number 1 is "S9/Walking.000000", in the test set it is "S9/Walking.000002"'),
        (
            (NAMES[0], "S1/x", NAMES[2]),
            r'of other people: number 2 is "S9/Walking.000001", in the test set it is "S1/x"',
        ),
    ],
)
def test_other_people_are_refused(names: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        ensure_of(Predictions(**everything()), names, "p.npz")


def test_nothing_wrong_is_written(tmp_path: Path) -> None:
    content: dict[str, Any] = everything() | {"betas": np.full((N, H, 10), np.nan)}
    with pytest.raises(UserError, match="betas of"):
        write_predictions(Predictions(**content), tmp_path / "p.npz")
    assert list(tmp_path.iterdir()) == []
