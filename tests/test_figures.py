"""Figures of a result: the right people, bars as long as their numbers, and everybody in the gallery."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from results import column, people, protocol, published, result
from scenes import posed_scene, shipped_body
from test_report import HOSTILE, Reader, asks_for

from monobody.cli import main
from monobody.data.crop import Crop, extract
from monobody.data.sample import Sample
from monobody.data.shards import SampleFiles
from monobody.errors import UserError
from monobody.evaluate.ablation_page import ablation_page
from monobody.evaluate.charts import Bar, bar_chart, result_charts, spread_chart
from monobody.evaluate.gallery import draw_strips, write_gallery
from monobody.evaluate.percentiles import Pick, caption, choose, draw_percentiles, order
from monobody.evaluate.portrait import CORAL, GREEN, Portraits
from monobody.evaluate.predictions import Predictions, write_predictions
from monobody.evaluate.protocol import Column, Result
from monobody.evaluate.quick import SYNTHETIC
from monobody.evaluate.report import write_report
from monobody.evaluate.side_by_side import at_percentiles, compare, write_side_by_side
from monobody.render.side import side_view
from monobody.render.sticks import draw_sticks

HIGHER = Column(key="mpjpe_mm", heading="PCK %", better="higher")


def indices(picks: list[Pick]) -> list[int]:
    return [pick.index for pick in picks]


def test_percentiles_pick_the_nearest_rank() -> None:
    errors = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    picks = choose(result(errors.tolist()))
    assert [pick.value for pick in picks] == [15, 30, 60, 90, 95]
    assert [errors[pick.index] for pick in picks] == [15, 30, 60, 90, 95]
    assert [pick.label for pick in picks] == ["15 %", "30 %", "60 %", "90 %", "95 %"]


def test_where_more_is_better_the_bad_ones_have_less() -> None:
    shares = result([float(n) for n in range(1, 101)], protocol=protocol(columns=(HIGHER,)))
    assert [pick.value for pick in choose(shares)] == [86, 71, 41, 11, 6]


def test_ties_stay_in_the_order_of_the_data_set() -> None:
    assert order(result([2.0, 1.0, 2.0, 1.0])).tolist() == [1, 3, 0, 2]
    assert indices(choose(result([7.0] * 20))) == [2, 5, 11, 17, 18]


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [(0, (15, 30, 60, 90, 95))]), (2, [(0, (15, 30)), (1, (60, 90, 95))])]
)
def test_few_people_are_shown_once(count: int, expected: list[tuple[int, tuple[int, ...]]]) -> None:
    picks = choose(result([float(n) for n in range(count)]))
    assert [(pick.index, pick.percentiles) for pick in picks] == expected


def test_people_without_a_number_are_counted_and_said() -> None:
    errors = [math.nan, 3.0, 1.0, math.nan, 2.0]
    measured = result(errors)
    picks = choose(measured)
    assert set(indices(picks)) <= {1, 2, 4}
    said = caption(measured, picks)
    assert "2 of 5 people have no number" in said
    assert "of 3, sorted" in said
    assert "no number" not in caption(result([1.0]), choose(result([1.0])))
    assert choose(result([math.nan])) == []
    assert choose(replace(measured, errors={})) == []


def widths(svg: str) -> list[float]:
    return [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', svg)]


def test_bars_are_as_long_as_their_numbers() -> None:
    svg = bar_chart("title (n = 3)", [Bar("a", 50.0), Bar("b", 200.0, 7), Bar("c", math.nan), Bar("d", 0.0)], unit="mm")
    lengths = widths(svg)
    np.testing.assert_allclose(np.array(lengths) / lengths[1], [0.25, 1, 0, 0], atol=1e-3)
    reader = Reader(svg)
    assert "title (n = 3)" in reader.texts
    assert "50.0" in reader.texts
    assert "-" in reader.texts
    assert "b: 200.0 mm, 7 people" in reader.texts
    assert 'aria-label="title (n = 3): a 50.0 mm; b 200.0 mm; c - mm; d 0.0 mm"' in svg


@pytest.mark.parametrize("bars", [[], [Bar("a", 0.0)], [Bar("a", math.nan)]])
def test_charts_of_nothing_are_drawn_without_lengths(bars: list[Bar]) -> None:
    assert all(width == 0 for width in widths(bar_chart("t", bars, unit="mm")))


def test_bars_stay_in_the_drawing() -> None:
    svg = bar_chart("t", [Bar("a name that is longer than any column", 12345.6, 123456)], unit="mm")
    width = float(re.search(r'viewBox="0 0 (\d+)', svg)[1])  # pyright: ignore[reportOptionalSubscript]
    left, length = map(float, re.search(r'<rect x="(\d+)"[^>]*width="([\d.]+)"', svg).groups())  # pyright: ignore[reportOptionalMemberAccess]
    assert 0 < left < left + length < width
    assert "a name that is longer than any column" in svg


def test_the_spread_counts_everybody() -> None:
    values = np.array([1.0, 2.0, 2.5, 40.0, 99.9, 100.0, math.nan])
    svg = spread_chart(column(), values)
    counts = [int(text) for text in Reader(svg).texts if re.fullmatch(r"\d+", text)]
    assert sum(counts) == 6
    assert counts[0] == 3
    assert "(n = 6, 1 without)" in svg
    assert widths(spread_chart(column(), np.array([5.0])))


def test_charts_say_of_how_many() -> None:
    charts = result_charts(result([90.0, 130.0, 110.0]))
    titles = [Reader(chart).texts[1] for chart in charts]
    assert titles == [
        "People by MPJPE mm (n = 3)", "Mean error of each joint, mm (n = 3)", "MPJPE mm by activity (n = 2)",
    ]  # fmt: skip
    assert result_charts(result([math.nan], joint_errors={}, breakdown={})) == []


def toy_portraits(measured: Result, *, seed: int = 0) -> Portraits:
    return Portraits.of(measured, *people(len(measured.names), seed=seed))


def test_a_portrait_shows_known_and_predicted_joints() -> None:
    measured = result([1.0])
    portraits = toy_portraits(measured)
    portrait = portraits(0, 96)
    assert all(tile.shape == (96, 96, 3) for tile in portrait.tiles())
    sample, given = portraits.samples[0], portraits.predictions
    assert given.joints_px is not None
    scale = 96 / 90
    for tile, points, colour in (
        (portrait.picture, sample.keypoints_px[:14], GREEN), (portrait.overlay, given.joints_px[0, 0], CORAL),
    ):  # fmt: skip
        found = ((points - 3) * scale).astype(int)
        inside = ((found >= 2) & (found < 94)).all(axis=1)
        assert inside.sum() > 3
        for x, y in found[inside]:
            assert np.abs(tile[y - 1 : y + 2, x - 1 : x + 2].astype(int) - colour).sum(axis=-1).min() < 60
    assert portraits.notes == ["Joints are drawn: the predictions have no bodies."]


def test_joints_that_are_no_numbers_are_left_out_of_the_drawing() -> None:
    grey = np.full((40, 40, 3), 128, np.uint8)
    points = np.array([[5.0, 5.0], [np.nan, 20.0], [1e30, 5.0]])
    drawn = draw_sticks(grey, points, [(0, 1), (1, 2)], colour=(255, 0, 0))
    assert (drawn[5, 5] != 128).any()
    assert (drawn[15:] == 128).all()
    hidden = draw_sticks(grey, points, [(0, 2)], colour=(255, 0, 0), shown=np.array([False, True, True]))
    assert (hidden == 128).all()


def test_the_side_view_projects_points_as_it_draws_them() -> None:
    points = np.array([[0.0, -1.0, 3.0], [0.2, 0.7, 3.4], [-0.3, 0.0, 5.0]])
    side = side_view([points], 200, aspect=1.0)
    found = side.project(points)
    assert ((found > 0) & (found < 200)).all()
    assert found[2, 0] > found[1, 0] > found[0, 0]  # Depth runs to the right.
    assert found[0, 1] < found[1, 1]  # Down stays down.


def body_predictions(count: int) -> tuple[list[Sample], Predictions]:
    """What a model with bodies answers for a person in the middle of a picture, the same for everybody."""
    scene = posed_scene(people=1, seed=0)
    person = scene.people[0]
    assert scene.picture is not None
    crop = Crop(person.crop.centre_px, person.crop.size_px)
    sample = Sample(image=scene.picture, crop=crop, keypoints_px=np.zeros((19, 2)), visible=np.zeros(19))
    best = person.best

    def repeated(array: np.ndarray) -> np.ndarray:
        return np.repeat(np.asarray(array, np.float32)[None, None], count, axis=0)

    return [sample] * count, Predictions(
        model="bodies", terms="none", names=tuple(f"person {index}" for index in range(count)), joint_set="lsp14",
        joints_px=repeated(best.joints_px["lsp14"]), joints_cam_m=repeated(best.joints_cam_m["lsp14"]),
        rotations=repeated(best.rotations), betas=repeated(best.betas), translation_m=repeated(best.translation_m),
        focal_px=np.full(count, scene.camera.focal_px), principal_px=np.tile(scene.camera.principal_px, (count, 1)),
        body_digest=shipped_body().digest,
    )  # fmt: skip


def test_bodies_lie_in_the_portrait_where_they_lie_in_the_picture() -> None:
    samples, predictions = body_predictions(1)
    portrait = Portraits.of(result([1.0]), samples, predictions, shipped_body())(0, 200)
    whole = posed_scene(people=1, seed=0).overlay()
    expected = extract(whole, samples[0].crop, 200)
    covered, wanted = (np.abs(tile.astype(int) - 180).sum(axis=-1) > 40 for tile in (portrait.overlay, expected))
    # What the picture does not hold repeats its edge; there the two differ.
    columns, rows = np.meshgrid(np.arange(200) + 0.5, np.arange(200) + 0.5)
    places = samples[0].crop.to_picture(np.stack([columns, rows], axis=-1) / 100 - 1)
    inside = ((places > 0) & (places < np.array(whole.shape[1::-1]))).all(axis=-1)
    covered, wanted = covered[inside], wanted[inside]
    assert wanted.mean() > 0.05
    assert (covered & wanted).sum() / (covered | wanted).sum() > 0.95
    assert np.unique(portrait.side.reshape(-1, 3), axis=0).shape[0] > 100


def test_portraits_refuse_other_people_and_other_bodies() -> None:
    measured = result([1.0, 2.0])
    samples, predictions = people(2)
    with pytest.raises(UserError, match="named otherwise"):
        Portraits.of(measured, samples, replace(predictions, names=("b", "a")))
    with pytest.raises(UserError, match="give those that the result was measured on"):
        Portraits.of(measured, samples[:1], predictions)
    bodies = body_predictions(2)
    with pytest.raises(UserError, match="another body"):
        Portraits.of(measured, bodies[0], replace(bodies[1], body_digest="f" * 64), shipped_body())


def test_a_body_that_is_not_there_is_drawn_as_joints_and_that_is_said() -> None:
    samples, predictions = body_predictions(1)
    portraits = Portraits.of(result([1.0]), samples, replace(predictions, body_digest="f" * 64))
    assert portraits.body is None
    assert "was not given" in portraits.notes[0]
    portraits(0, 64)


def test_the_figure_is_small_enough_for_a_readme(tmp_path: Path) -> None:
    measured = result([float(n) for n in range(30)])
    path = draw_percentiles(tmp_path / "p.png", measured, choose(measured), toy_portraits(measured))
    assert path.stat().st_size < 300_000
    assert Image.open(path).size == (5 * 190, 42 + 3 * 190)


def people_of(html: str) -> dict:
    found = re.search(r'id="people">(.*?)</script>', html, flags=re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_gallery_has_everybody_with_all_that_is_filtered_by(tmp_path: Path) -> None:
    errors = [30.0, math.nan, 10.0, 20.0]
    measured = replace(result(errors), names=("d", HOSTILE, "b", "c"), groups={HOSTILE: ("x", HOSTILE, "x", "y")})
    samples, predictions = people(4)
    portraits = Portraits.of(measured, samples, replace(predictions, names=measured.names))
    html = write_gallery(tmp_path / "gallery.html", measured, portraits).read_text()
    data = people_of(html)
    assert [one["name"] for one in data["people"]] == list(measured.names)
    assert [one["value"] for one in data["people"]] == [30.0, None, 10.0, 20.0]
    assert [one["groups"][HOSTILE] for one in data["people"]] == ["x", HOSTILE, "x", "y"]
    assert data["people"][0]["label"] == "MPJPE 30.0 mm"
    for one in data["people"]:
        assert Image.open(tmp_path / one["picture"]).size == (3 * 168, 168)
    reader = Reader(html)
    assert reader.tags.count("script") == 2
    assert reader.tags.count("option") == 3 + 1 + 3  # Orders; all and three groups.
    assert not asks_for(html)
    assert "1 have no number" in html


def test_pictures_are_drawn_once_and_old_ones_go(tmp_path: Path) -> None:
    measured = result([1.0, 2.0, 3.0])
    samples, predictions = people(3)
    page, folder = tmp_path / "gallery.html", tmp_path / "gallery"
    write_gallery(page, measured, Portraits.of(measured, samples, predictions))
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / "notes.txt").write_text("somebody's own")
    assert predictions.joints_px is not None
    moved = predictions.joints_px.copy()
    moved[1] += 5
    write_gallery(page, measured, Portraits.of(measured, samples, replace(predictions, joints_px=moved)))
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(after) == 4
    assert "notes.txt" in after
    kept = sorted(set(before) & set(after))
    assert [name[:6] for name in kept] == ["000000", "000002"]
    assert all(before[name] == after[name] for name in kept)


def test_an_interrupted_gallery_goes_on(tmp_path: Path) -> None:
    drawn: list[int] = []

    def draw(index: int) -> np.ndarray:
        if index == 2 and len(drawn) < 3:
            drawn.append(index)
            raise KeyboardInterrupt
        drawn.append(index)
        return np.zeros((8, 8, 3), np.uint8)

    with pytest.raises(KeyboardInterrupt):
        draw_strips(tmp_path, ["a", "b", "c"], draw)
    assert draw_strips(tmp_path, ["a", "b", "c"], draw) == ["000000_a.jpg", "000001_b.jpg", "000002_c.jpg"]
    assert drawn == [0, 1, 2, 2]


def test_one_call_leaves_everything(tmp_path: Path) -> None:
    measured = result([5.0])
    samples, predictions = people(1)
    written = write_report(measured, tmp_path, samples=samples, predictions=predictions)
    names = ["result.json", "result.md", "percentiles.png", "gallery.html", "report.html"]
    assert [path.name for path in written] == names
    html = (tmp_path / "report.html").read_text()
    pictures = [value for name, value in Reader(html).attributes if name == "src"]
    assert len(pictures) == 1
    assert pictures[0].startswith("data:image/jpeg;base64,")
    assert 'href="gallery.html"' in html
    for path in tmp_path.rglob("*"):
        assert not path.name.startswith(".")
    (tmp_path / "gallery" / "mine.txt").touch()
    write_report(measured, tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["gallery", "report.html", "result.json", "result.md"], "no figures of an earlier report"
    assert [path.name for path in (tmp_path / "gallery").iterdir()] == ["mine.txt"]
    without = write_report(measured, tmp_path / "b", samples=samples, predictions=predictions, gallery=False)
    assert "gallery.html" not in [path.name for path in without]
    assert "gallery.html" not in (tmp_path / "b" / "report.html").read_text()


def test_protocols_whose_headline_nobody_has_alone_are_reported_without_people(tmp_path: Path) -> None:
    samples, predictions = people(1)
    measured = result([5.0], protocol=protocol(headline="pck_percent"))
    written = write_report(measured, tmp_path, samples=samples, predictions=predictions)
    assert [path.name for path in written] == ["result.json", "result.md", "report.html"]


def test_people_without_any_number_still_have_a_report(tmp_path: Path) -> None:
    samples, predictions = people(2)
    written = write_report(result([math.nan, math.nan]), tmp_path, samples=samples, predictions=predictions)
    assert [path.name for path in written] == ["result.json", "result.md", "gallery.html", "report.html"]
    assert "2 have no number" in (tmp_path / "gallery.html").read_text()


def test_side_by_side_says_who_gains_what(tmp_path: Path) -> None:
    first = result([10.0, 20.0, 30.0, math.nan, 50.0])
    second = result([15.0, 20.0, 10.0, 40.0, 49.0])
    comparison = compare(first, second)
    np.testing.assert_array_equal(comparison.gain, [-5, 0, 20, math.nan, 1])
    assert comparison.names == ("ours (first)", "ours (second)")
    assert "Of 4 people, ours (second) is better on 2, ours (first) on 1, and 1 are equal" in comparison.summary
    assert "+4.0 on average, +0.5 in the middle" in comparison.summary
    assert "1 have no number" in comparison.summary
    assert at_percentiles(comparison) == [2, 4, 1, 0]
    portraits = (toy_portraits(first), toy_portraits(second, seed=1))
    written = write_side_by_side(tmp_path, comparison, portraits)
    assert [path.name for path in written] == ["side_by_side.html", "side_by_side.png"]
    html = written[0].read_text()
    data = people_of(html)
    assert [one["value"] for one in data["people"]] == [-5, 0, 20, None, 1]
    assert data["people"][2]["label"] == "+20.0 mm: 30.0 to 10.0"
    assert data["people"][0]["label"] == "-5.0 mm: 10.0 to 15.0"
    assert data["people"][3]["label"] == "no number: - to 40.0"
    assert len(list((tmp_path / "side_by_side").glob("*.jpg"))) == 5
    assert not asks_for(html)


def test_more_is_a_gain_where_more_is_better() -> None:
    how = {"protocol": protocol(columns=(HIGHER,))}
    assert compare(result([40.0], **how), result([70.0], **how)).gain.tolist() == [30.0]


def test_only_results_of_the_same_people_are_compared() -> None:
    measured = result([1.0, 2.0])
    for other, said in (
        (replace(measured, names=("b", "a")), "other people"),
        (replace(measured, protocol=protocol(name="another")), 'of "another"'),
        (replace(measured, protocol=protocol(variant="spin")), 'of "spin"'),
        (replace(measured, errors={}), "nothing to compare"),
    ):
        with pytest.raises(UserError, match=said):
            compare(measured, other)


def shipped_answers(folder: Path, name: str, count: int, *, error_m: float) -> Path:
    """A file of predictions for the first shipped people: their true joints, moved."""
    true_m = np.array([sample.joints_cam_m for sample in SampleFiles(SYNTHETIC)[:count]], np.float64)
    moved = true_m + np.random.default_rng(len(name)).normal(0, error_m, true_m.shape)
    given = Predictions(
        model=name, terms="none", names=tuple(f"{index:06d}" for index in range(count)), joint_set="lsp14",
        joints_cam_m=moved[:, None].astype(np.float32),
    )  # fmt: skip
    write_predictions(given, folder / f"{name}.npz")
    return folder / f"{name}.npz"


@pytest.mark.slow
def test_the_command_line_compares_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(shipped_answers(tmp_path, name, 3, error_m=error)) for name, error in (("bad", 0.2), ("good", 0.02))]
    words = ["evaluate", "synthetic", "--limit", "3", "--predictions", files[0], "--against", files[1]]
    out = tmp_path / "out"
    assert main([*words, "--out", str(out)]) == 0
    assert "Of 3 people, good is better on 3, bad on 0" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        "first", "second", "side_by_side", "side_by_side.html", "side_by_side.png",
    }  # fmt: skip
    for folder in ("first", "second"):
        assert {"result.json", "result.md", "report.html", "percentiles.png", "gallery.html"} <= {
            path.name for path in (out / folder).iterdir()
        }
    means = [json.loads((out / name / "result.json").read_text())["rows"][0]["numbers"] for name in ("first", "second")]
    assert means[0]["mpjpe_mm"] > 150 > 50 > means[1]["mpjpe_mm"]
    assert main([*words, "--json", str(tmp_path / "x.json")]) == 2
    assert "--against does not take --json" in capsys.readouterr().err


def test_the_ablation_is_a_page_with_its_monsters() -> None:
    root = Path(__file__).resolve().parents[1] / "docs" / "results"
    report = json.loads((root / "ablation.json").read_text())
    html = ablation_page(report, (root / "ablation.png").read_bytes())
    reader = Reader(html)
    assert "hmr_no_critic_no_3d" in reader.texts
    assert f"{report['rows']['hmr_unpaired']['mpjpe_mm']:.1f}" in reader.texts
    assert [value[:21] for name, value in reader.attributes if name == "src"] == ["data:image/png;base64"]
    assert not re.search(r"https?://", html)


@pytest.mark.parametrize("rows", [(), published()])
def test_figures_of_one_person_without_published_rows(rows: tuple, tmp_path: Path) -> None:
    measured = result([5.0], protocol=protocol(published=rows, expected=None), groups={}, breakdown={})
    comparison = compare(measured, measured)
    written = write_side_by_side(tmp_path, comparison, (toy_portraits(measured), toy_portraits(measured)))
    assert all(path.stat().st_size for path in written)
    assert at_percentiles(comparison) == [0]
