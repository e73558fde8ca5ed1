"""A result in every form: what the numbers mean stays with them, none is lost, and nothing of a data set is markup."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from results import column, people, protocol, published, result

from monobody.evaluate.markdown import to_markdown
from monobody.evaluate.page import embedded, page, table, text
from monobody.evaluate.protocol import Row
from monobody.evaluate.report import to_json, write_report
from monobody.evaluate.report_page import report_page
from monobody.evaluate.rows import statement
from monobody.evaluate.terminal import print_result

HOSTILE = '<script>alert("1")</script> | `x` & "quotes"'
VOID = {"meta", "img", "input", "br", "link", "hr"}


class Reader(HTMLParser):
    """Reads a page as strictly as it can: every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def asks_for(html: str) -> list[str]:
    """Every address that a page would fetch."""
    reader = Reader(html)
    loaded = [value for name, value in reader.attributes if name in ("src", "srcset", "poster", "data", "action")]
    return loaded + re.findall(r"url\(|@import|https?://", html)


def test_json_has_every_number_and_none_that_is_not_one() -> None:
    measured = result([90.0, math.nan, 110.0, 130.0])
    back = json.loads(json.dumps(to_json(measured), allow_nan=False))
    assert back["protocol"] == "toy"
    assert back["count"] == 4
    assert back["people"]["errors"]["mpjpe_mm"] == [90.0, None, 110.0, 130.0]
    assert back["people"]["names"] == list(measured.names)
    assert back["left_out"] == {"no face is seen": 3}
    assert [row["method"] for row in back["rows"]] == ["ours", "Theirs, 2018", "Others, 2019"]
    assert back["rows"][0]["numbers"] == {"mpjpe_mm": 110.0, "pck_percent": 50.0}
    assert back["rows"][1]["numbers"] == {"mpjpe_mm": 87.97, "pck_percent": None}
    assert back["rows"][1]["source"] == "their paper, table 2"
    assert [row["oracle"] for row in back["rows"]] == [False, False, True]
    assert back["joints"]["wrist"] == {"mean": 60.0, "count": 3, "unit": "mm"}
    assert back["joints"]["nobody's"] == {"mean": None, "count": 0, "unit": "mm"}
    assert back["breakdown"]["activity"]["Walking"] == {"mpjpe_mm": 100.0, "count": 2}
    assert back["facts"]["weights"] is None
    assert back["statement"]["root"] == "mid-hips"


def test_the_statement_says_who_was_measured_who_was_not_and_who_chose() -> None:
    said = statement(result([1.0, 2.0]))
    assert list(said)[:5] == ["people", "joints", "root", "alignment", "boxes"]
    assert said["measured"] == "2 of 6,980 that the protocol states"
    assert said["left out"] == "3: no face is seen"
    assert said["answers"] == "ours: one answer a person"
    chosen = replace(result([1.0]).rows[0], hypotheses=10, choice="best per joint")
    assert "best per joint of 10 (an oracle" in statement(replace(result([1.0]), rows=(chosen,)))["answers"]
    unknown = replace(result([1.0]), protocol=protocol(expected=None), left_out={})
    assert statement(unknown)["measured"] == "1"
    assert statement(unknown)["left out"] == "nobody"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_has_every_row_and_column() -> None:
    lines = to_markdown(result([90.0, 130.0])).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("| method"))
    assert cells(lines[first]) == ["method", "MPJPE mm", "PCK %", "answers", "source"]
    assert cells(lines[first + 1]) == ["---", "---:", "---:", "---", "---"]
    assert cells(lines[first + 2]) == ["**ours**", "110.0", "50.00", "1", "hmr, Apache-2.0"]
    assert cells(lines[first + 3]) == ["Theirs, 2018", "88.0", "-", "1", "their paper, table 2"]
    assert cells(lines[first + 4])[:3] == ["Others, 2019", "-", "77.10"]
    assert "an oracle" in cells(lines[first + 4])[3]
    assert "| Walking | 2 | 100.0 |" in lines


def test_numbers_that_are_none_are_dashes_never_zeros() -> None:
    measured = result([math.nan])
    assert "nan" not in to_markdown(measured).lower()
    html = report_page(measured)
    assert '<td class="number" data-value="">-</td>' in html
    assert "NaN mm" not in html


@pytest.mark.parametrize("rows", [(), published()])
@pytest.mark.parametrize("count", [1, 5])
def test_every_form_of_small_results(rows: tuple[Row, ...], count: int, tmp_path: Path) -> None:
    measured = replace(result([10.0 * n for n in range(count)]), protocol=protocol(published=rows))
    written = write_report(measured, tmp_path)
    assert [path.name for path in written] == ["result.json", "result.md", "report.html"]
    html = (tmp_path / "report.html").read_text()
    assert html.count("<tr") == 1 + 1 + len(rows) + 2 * 1  # Heading and ours, published ones; a breakdown of one group.
    assert not asks_for(html)
    assert json.loads((tmp_path / "result.json").read_text())["count"] == count
    print_result(measured)


def test_a_bare_result_is_a_report_too(tmp_path: Path) -> None:
    bare = replace(
        result([1.0]), names=(), errors={}, joint_errors={}, groups={}, breakdown={}, facts={}, left_out={},
        protocol=protocol(published=()),
    )  # fmt: skip
    write_report(bare, tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert "svg" not in Reader(html).tags
    assert "110" not in html


def test_the_terminal_has_statement_rows_sources_and_warning(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    measured = replace(result([90.0, 130.0]), partial="Only the first 2 of 7 people were measured.")
    print_result(measured, Console(width=200))
    printed = capsys.readouterr().out
    for expected in (
        "mid-hips", "H36M-17 regressor", "3: no face is seen", "Only the first 2 of 7", "110.0", "88.0",
        "their paper, table 2", "Walking",
    ):  # fmt: skip
        assert expected in printed
    assert printed.index("mid-hips") < printed.index("110.0") < printed.index("88.0")


def test_wide_tables_are_printed_in_parts_and_lose_no_column(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    columns = tuple(replace(column(), key=f"k{n}", heading=f"number {n:02d} mm") for n in range(12))
    rows = (replace(result([1.0]).rows[0], numbers={f"k{n}": 100.0 + n for n in range(12)}),)
    wide = replace(result([1.0]), rows=rows, protocol=protocol(columns=columns, headline="k0"), breakdown={})
    print_result(wide, Console(width=80))
    printed = capsys.readouterr().out
    for n in range(12):
        assert f"number {n:02d} mm" in printed
        assert f"{100 + n}.0" in printed
    assert printed.count(" ours ") >= 3
    assert max(map(len, printed.splitlines())) <= 80


def test_markup_in_names_is_text_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    measured = result([5.0, 7.0])
    groups = {HOSTILE: (HOSTILE, "[bold]b[/bold]")}
    hostile = replace(
        measured,
        names=(HOSTILE, "b"),
        rows=(replace(measured.rows[0], method=HOSTILE, source=HOSTILE),),
        protocol=protocol(title=HOSTILE, people=HOSTILE),
        partial=HOSTILE,
        groups=groups,
        breakdown={HOSTILE: {HOSTILE: {"mpjpe_mm": 1.0, "count": 1}}},
        joint_errors={HOSTILE: np.array([1.0, 2.0])},
        facts={HOSTILE: HOSTILE},
        left_out={HOSTILE: 1},
    )
    write_report(hostile, tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert Reader(html).tags.count("script") == 1
    assert "alert(" not in "".join(re.findall(r"<script>.*?</script>", html, flags=re.DOTALL))
    assert sum(HOSTILE in part for part in Reader(html).texts) >= 8
    markdown = (tmp_path / "result.md").read_text()
    assert "<script" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({len(cells(line)) for line in rows[:4]}) == 1
    assert json.loads((tmp_path / "result.json").read_text())["people"]["names"][0] == HOSTILE
    print_result(hostile, Console(width=400))
    assert HOSTILE in capsys.readouterr().out


def test_data_for_scripts_cannot_leave_its_element() -> None:
    value = {"name": "</script><script>alert(1)</script><!--", "n": [1.5, None]}
    html = page("t", embedded("data", value))
    assert Reader(html).tags.count("script") == 2
    inside = re.search(r'id="data">(.*?)</script>', html, flags=re.DOTALL)
    assert inside is not None
    assert json.loads(inside[1]) == value
    with pytest.raises(ValueError, match="JSON"):
        embedded("data", math.nan)


def test_pages_forbid_themselves_the_network() -> None:
    html = report_page(result([1.0, 2.0]))
    policy = re.search(r'Policy" content="([^"]+)"', html)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "http" not in html.replace("http-equiv", "")
    assert not asks_for(html)


def test_tables_are_sorted_by_numbers_not_by_their_text() -> None:
    html = table(["a", "b"], [["x", "1,204"], ["y", "-"], ["z", "9.5"]], numeric=[False, True])
    assert re.findall(r'data-value="([^"]*)"', html) == ["1204.0", "", "9.5"]
    exact = table(["b"], [["9.5"]], numeric=[True], values=[[9.4999]])
    assert 'data-value="9.4999"' in exact


def test_plain_text_in_attributes() -> None:
    assert text("a\"b'<&>") == "a&quot;b&#x27;&lt;&amp;&gt;"


def test_numbers_are_written_before_pictures(tmp_path: Path) -> None:
    """Whatever goes wrong with the pictures, the numbers are there, and no page is half there."""

    class Broken:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            raise OSError("a disk that fails")

    measured = result([1.0, 2.0])
    with pytest.raises(OSError, match="a disk that fails"):
        write_report(measured, tmp_path, samples=Broken(), predictions=people(2)[1])  # pyright: ignore[reportArgumentType]
    assert json.loads((tmp_path / "result.json").read_text())["count"] == 2
    assert not (tmp_path / "report.html").exists()
    assert not list(tmp_path.glob(".*"))


def test_units_and_digits_are_the_columns(capsys: pytest.CaptureFixture[str]) -> None:
    fine = replace(result([1.23456]), protocol=protocol(columns=(replace(column(), digits=3),), published=()))
    assert "| 1.235 |" in to_markdown(fine)
