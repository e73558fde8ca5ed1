"""The driver: counts are kept, a stopped run goes on, partial sets say so, every name stands for something."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from scenes import load_body_once
from test_mpi_inf_3dhp import write_test_sequence

from monobody.body.model import Body
from monobody.camera import Camera
from monobody.cli import main
from monobody.cli.evaluate import Name
from monobody.data.crop import Crop
from monobody.data.sample import Sample
from monobody.errors import UserError
from monobody.evaluate import answers, run
from monobody.evaluate.answers import ask_about, box_about, given_crop
from monobody.evaluate.people import Chosen, first
from monobody.evaluate.predictions import Predictions, read_predictions
from monobody.evaluate.protocol import Column, EvaluationSet, Protocol, Result, Row
from monobody.evaluate.protocols import FILES, find_protocol
from monobody.predict.estimate import MeanPose, Seen, hmr_crop_of
from monobody.predict.predictor import Predictor
from monobody.scene import Hypothesis, Person

COUNT = 7


def sample(number: int) -> Sample:
    keypoints, visible = np.zeros((19, 2), np.float32), np.zeros(19, np.float32)
    keypoints[:2], visible[:2] = [(10 + number, 20), (40, 60)], 1
    return Sample(
        image=np.full((64, 64, 3), number, np.uint8),
        crop=Crop((32.0, 32.0), 60.0),
        keypoints_px=keypoints,
        visible=visible,
    )


def people(count: int = COUNT) -> EvaluationSet:
    return EvaluationSet(
        samples=[sample(number) for number in range(count)],
        names=tuple(f"p{number}" for number in range(count)),
        truth={"number": np.arange(count)},
        groups={"half": tuple("ab"[number % 2] for number in range(count))},
    )


class Asked(Predictor):
    """Answers with the picture's colour, remembers whom it was asked about, and is stopped at somebody."""

    def __init__(self, stop_at: int | None = None) -> None:
        body = Body.load()
        super().__init__(MeanPose(body), body, model="mean-pose", terms="Apache-2.0")
        self.seen: list[int] = []
        self.stop_at = stop_at

    def people(self, rgb: np.ndarray, detections: Any, camera: Camera) -> tuple[Person, ...]:
        number = int(rgb[0, 0, 0])
        if number == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(number)
        hypothesis = Hypothesis(
            theta=np.zeros(85, np.float32),
            rotations=np.tile(np.eye(3, dtype=np.float32), (24, 1, 1)),
            translation_m=np.ones(3, np.float32),
            joints_cam_m={"lsp14": np.full((14, 3), number + 1, np.float32)},
            joints_px={"lsp14": np.zeros((14, 2), np.float32)},
        )
        box = detections[0].box_px
        return (Person(box_px=box, score=1.0, crop=detections[0].crop, hypotheses=(hypothesis,)),)

    def people_in(self, pictures: Sequence[Seen]) -> list[tuple[Person, ...]]:
        return [
            self.people(
                each.rgb, each.detections, each.camera or Camera(focal_px=1.0, principal_px=(0, 0), source="default")
            )
            for each in pictures
        ]


@pytest.fixture(autouse=True)
def _one_body(monkeypatch: pytest.MonkeyPatch) -> None:
    load_body_once(monkeypatch)


@pytest.fixture
def no_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """The crop of the sample is the person's."""
    monkeypatch.setattr(answers, "_placed", lambda predictor, sample, box: given_crop(sample.crop))
    monkeypatch.setattr(answers, "LOT", 2)


@pytest.mark.usefixtures("no_detector")
def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    whole = ask_about(Asked(), people(), "lsp14", made_with="x")
    assert whole.joints_cam_m is not None
    assert whole.joints_cam_m[:, 0, 0, 0].tolist() == list(range(1, COUNT + 1))
    stopped = Asked(stop_at=5)
    with pytest.raises(KeyboardInterrupt):
        ask_about(stopped, people(), "lsp14", made_with="x", folder=tmp_path)
    assert stopped.seen == [0, 1, 2, 3, 4]
    assert not (tmp_path / "predictions.npz").exists()
    goes_on = Asked()
    again = ask_about(goes_on, people(), "lsp14", made_with="x", folder=tmp_path)
    assert goes_on.seen == [4, 5, 6], "of a lot of two, the first was lost"
    np.testing.assert_array_equal(again.joints_cam_m, whole.joints_cam_m)
    assert again.names == whole.names
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.npz"]
    assert read_predictions(tmp_path / "predictions.npz").names == again.names
    silent = Asked()
    ask_about(silent, people(), "lsp14", made_with="x", folder=tmp_path)
    assert silent.seen == []


@pytest.mark.usefixtures("no_detector")
def test_a_few_first_and_everybody_later(tmp_path: Path) -> None:
    ask_about(Asked(), first(people(), 3), "lsp14", made_with="x", folder=tmp_path)
    stopped = Asked(stop_at=5)
    with pytest.raises(KeyboardInterrupt):
        ask_about(stopped, people(), "lsp14", made_with="x", folder=tmp_path)
    goes_on = Asked()
    assert len(ask_about(goes_on, people(), "lsp14", made_with="x", folder=tmp_path).names) == COUNT
    assert (stopped.seen, goes_on.seen) == ([3, 4], [5, 6])
    fewer = Asked()
    found = ask_about(fewer, first(people(), 2), "lsp14", made_with="x", folder=tmp_path)
    assert (fewer.seen, found.names) == ([], ("p0", "p1"))
    assert len(read_predictions(tmp_path / "predictions.npz").names) == COUNT


@pytest.mark.usefixtures("no_detector")
def test_answers_of_another_model_or_set_are_not_mixed_in(tmp_path: Path) -> None:
    ask_about(Asked(), people(), "lsp14", made_with="x", folder=tmp_path)
    with pytest.raises(UserError, match="another model, protocol or set of people: choose another --out"):
        ask_about(Asked(), people(), "lsp14", made_with="y", folder=tmp_path)
    others = replace(people(), names=tuple(f"q{number}" for number in range(COUNT)))
    with pytest.raises(UserError, match="another model, protocol or set of people"):
        ask_about(Asked(), others, "lsp14", made_with="x", folder=tmp_path)


def test_the_stated_crop_is_what_hmr_sees() -> None:
    crop = Crop((120.5, 88.25), 301.0)
    found = hmr_crop_of(given_crop(crop))
    assert found.centre_px == pytest.approx(crop.centre_px)
    assert found.size_px == pytest.approx(crop.size_px)
    assert found.angle_rad == 0


def test_the_box_is_about_the_visible_joints() -> None:
    np.testing.assert_allclose(box_about(sample(0)), [6, 16, 44, 64])
    hidden = replace(sample(0), visible=np.zeros(19, np.float32))
    np.testing.assert_allclose(box_about(hidden), [0, 0, 64, 64])


def test_samples_are_read_when_asked_for() -> None:
    class Read(list[Sample]):
        def __getitem__(self, number: Any) -> Any:
            numbers.append(number)
            return sample(number)

    numbers: list[int] = []
    samples = Read(people(5).samples)
    chosen = Chosen(samples, [4, 2], crop=lambda number, sample: Crop((1.0 * number, 0.0), 10.0))
    assert (len(chosen), numbers) == (2, [])
    assert chosen[1].crop.centre_px == (2.0, 0.0)
    assert numbers == [2]


def protocol(found: EvaluationSet, expected: int | None) -> Protocol:
    def measure(stated: Protocol, people: EvaluationSet, predictions: Any) -> Result:
        row = Row(method="m", numbers={"n": float(len(people.names))}, ours=True)
        return Result(protocol=stated, rows=(row,), count=len(people.names), names=people.names)

    return Protocol(
        name="tiny", title="Tiny", people="", joints="", root="", alignment="", boxes="",
        columns=(Column(key="n", heading="n", better="higher"),), headline="n", expected=expected,
        open=lambda root: found, measure=measure,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "expected", "partial", "limit", "outcome"),
    [
        (people(), COUNT, False, None, (COUNT, "")),
        (people(), None, False, None, (COUNT, "")),
        (people(), None, False, COUNT + 5, (COUNT, "")),
        (people(), COUNT, False, 3, (3, "Only the first 3 of 7 people were measured.")),
        (people(6), COUNT, True, None, (6, "has 6 people where tiny wants 7")),
        (people(6), COUNT, True, 2, (2, "where tiny wants 7. Only the first 2 of 6 people")),
        (replace(people(), lacking=("TS3 is gone.",)), 7, True, None, (7, "Not the whole test set: TS3 is gone.")),
        (people(6), COUNT, False, None, "has 6 people where tiny wants 7. Complete it, or say --partial"),
        (people(6), COUNT, False, 3, "has 6 people where tiny wants 7"),
        (people(8), COUNT, False, None, "has 8 people where tiny wants 7"),
        (replace(people(), lacking=("A is gone.", "b")), None, False, None, r"A is gone. \(1 more such\) Complete it"),
        (people(), COUNT, False, 0, "--limit 0 leaves nobody"),
    ],
)  # fmt: skip
def test_another_count_is_refused_or_told(
    found: EvaluationSet, expected: int | None, partial: bool, limit: int | None, outcome: Any
) -> None:
    if isinstance(outcome, str):
        with pytest.raises(UserError, match=outcome):
            run.chosen_people(protocol(found, expected), None, limit=limit, partial=partial)
        return
    chosen, said = run.chosen_people(protocol(found, expected), None, limit=limit, partial=partial)
    assert len(chosen.names) == len(chosen.samples) == len(chosen.truth["number"]) == outcome[0]
    assert len(chosen.groups["half"]) == outcome[0]
    assert outcome[1] in said
    assert bool(said) == bool(outcome[1])


@pytest.mark.parametrize("asked", [False, True], ids=["given", "a model's"])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"joints_px": np.full((COUNT, 1, 14, 2), np.nan)}, 'mine: joints_px of "p0" is not a finite number'),
        ({"names": tuple(f"q{number}" for number in range(COUNT))}, "mine has predictions of other people"),
    ],
)
def test_nobody_drops_out_of_a_mean_in_silence(
    asked: bool, changes: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether answers come as a file, as an object or from a model; PCK takes NaN for joints that are not judged."""
    content = {"model": "mine", "terms": "", "names": people().names, "joints_px": np.zeros((COUNT, 1, 14, 2))}
    given = Predictions(joint_set="lsp14", **content | changes)
    monkeypatch.setattr(run, "find_protocol", lambda name, variant, body: protocol(people(), COUNT))
    monkeypatch.setattr(run, "_asked", lambda *asked: (given, {}))
    with pytest.raises(UserError, match=sentence):
        run.evaluate("tiny", predictions=None if asked else given)


def test_a_model_through_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody stands in pictures of dots; the given box is the person all the same, and everybody counts."""
    write_test_sequence(tmp_path / "TS3", univ=1.0)
    command = ["evaluate", "mpi-inf-3dhp", "--root", str(tmp_path), "--model", "mean-pose", "--partial", "--limit", "1"]
    command += ["--out", str(tmp_path / "out"), "--json", str(tmp_path / "n.json"), "--device", "cpu"]
    assert main([*command, "--no-pictures"]) == 0
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["count"] == 1
    assert "Only the first 1 of 4 people" in numbers["partial"]
    assert "Only the first 1 of 4 people" in " ".join(capsys.readouterr().out.split())
    told = f"--root {tmp_path} --model mean-pose --limit 1 --partial"
    for file in ("result.md", "report.html"):
        assert f"monobody evaluate mpi-inf-3dhp {told}" in (tmp_path / "out" / file).read_text()
    ours = numbers["rows"][0]
    assert ours["method"] == "mean-pose"
    assert ours["numbers"]["mpjpe_mm"] > ours["numbers"]["pa_mpjpe_mm"] > 1
    given = read_predictions(tmp_path / "out" / "predictions.npz")
    assert given.names == ("TS3/000001",)
    assert given.joint_set == "mpi_inf_3dhp17"
    assert given.body_digest == Body.load().digest
    # Its own file, measured again, gives the same table; of a model beside it nobody knows which is meant.
    again = ["evaluate", "mpi-inf-3dhp", "--root", str(tmp_path), "--partial", "--limit", "1", "--no-pictures"]
    again += ["--predictions", str(tmp_path / "out" / "predictions.npz"), "--out", str(tmp_path / "again")]
    assert main([*again, "--json", str(tmp_path / "again.json")]) == 0
    repeated = json.loads((tmp_path / "again.json").read_text())
    assert repeated["rows"] == numbers["rows"]
    assert main([*again, "--model", "mean-pose"]) == 2
    assert "not both" in capsys.readouterr().err
    assert main([word for word in again if word not in ("--limit", "1")]) == 2
    assert "has predictions of 1 people, the test set has 4" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--against", "lift"]])
def test_a_refused_run_leaves_no_folder(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "h36m-p1", "--root", str(tmp_path / "nowhere"), *options]) == 2
    assert "nowhere" in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_every_name_is_a_protocol_or_a_programme() -> None:
    assert set(get_args(Name)) - set(FILES) <= {"quick", "ablation", "hypotheses", "open"}
    assert set(FILES) <= set(get_args(Name))
    for name in FILES:
        stated = find_protocol(name)
        assert stated.name == name
        assert {column.key for column in stated.columns} >= {stated.headline}
        assert all(text for text in stated.statement().values())
        with pytest.raises(UserError, match=f'{name} has no variant "no such"'):
            find_protocol(name, variant="no such")
    with pytest.raises(UserError, match="choose from h36m-p1, h36m-p2"):
        find_protocol("h36m")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("quick", ["--variant", "x"]),
        ("quick", ["--partial"]),
        ("quick", ["--out", "x"]),
        ("quick", ["--minutes", "3"]),
        ("ablation", ["--model", "lift"]),
        ("ablation", ["--limit", "3"]),
        ("ablation", ["--predictions", "x.npz"]),
        ("h36m-p1", ["--minutes", "3"]),
    ],
)
def test_options_are_not_passed_over_in_silence(
    name: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", name, *options]) == 2
    assert f"{name} does not take {options[0]}: leave it out" in capsys.readouterr().err


def test_published_rows_have_sources_and_only_known_columns() -> None:
    for name in FILES:
        stated = find_protocol(name)
        keys = {column.key for column in stated.columns}
        for row in stated.published:
            assert row.source, row.method
            assert not row.ours
            assert any(value is not None for value in row.numbers.values())
            assert row.numbers.keys() & keys, (name, row.method)
    p1 = {row.method: row.numbers for row in find_protocol("h36m-p1").published}
    assert p1["HMR"] == {"mpjpe_mm": 87.97, "pa_mpjpe_mm": 58.1}
    assert find_protocol("h36m-p1", variant="xas").published == ()
