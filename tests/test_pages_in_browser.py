"""The pages' own scripts, run by a browser where there is one (Debian: chromium): sorting, filters, keys."""

import html
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from results import people, result

from monobody.evaluate.gallery import write_gallery
from monobody.evaluate.portrait import Portraits
from monobody.evaluate.report_page import report_page

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no chromium")]


def run(page: Path, script: str) -> list:
    """Run a script at the end of a page, and return what it has said with `say`."""
    asked = page.with_name("asked.html")
    ending = f"""<script>
    const said = [], say = value => said.push(value);
    setTimeout(() => {{ {script}
      const out = document.createElement("pre"); out.id = "said"; out.textContent = JSON.stringify(said);
      document.body.append(out); }}, 300);
    </script></body>"""
    asked.write_text(page.read_text().replace("</body>", ending))
    assert BROWSER is not None
    words = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
        f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=4000", "--dump-dom", asked.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300).stdout
    found = re.search(r'<pre id="said">(.*?)</pre>', dom, flags=re.DOTALL)
    assert found is not None, dom[-2000:]
    return json.loads(html.unescape(found[1]))


def test_tables_are_sorted_by_a_click(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(report_page(result([110.0])))
    assert run(
        path,
        """
        const table = document.querySelector("table"), buttons = table.querySelectorAll("th button");
        const methods = () => [...table.tBodies[0].rows].map(row => row.cells[0].textContent);
        for (const place of [1, 1, 2, 0]) { buttons[place].click(); say(methods()); }
        say(table.querySelector("th").getAttribute("aria-sort"));
        """,
    ) == [
        ["Theirs, 2018", "ours", "Others, 2019"],  # By MPJPE; who has none stays below.
        ["ours", "Theirs, 2018", "Others, 2019"],
        ["ours", "Others, 2019", "Theirs, 2018"],  # By PCK.
        ["Others, 2019", "ours", "Theirs, 2018"],
        "ascending",
    ]


def test_galleries_are_sorted_filtered_and_walked_through(tmp_path: Path) -> None:
    measured = result([30.0, math.nan, 10.0, 20.0])
    samples, predictions = people(4)
    measured = replace(measured, names=("d", "none", "b", "c"))
    portraits = Portraits.of(measured, samples, replace(predictions, names=measured.names))
    path = write_gallery(tmp_path / "gallery.html", measured, portraits)
    assert run(
        path,
        """
        const names = () => [...document.querySelectorAll("#grid span")].map(each => each.textContent).join(" ");
        const set = (id, value) => { const each = typeof id === "string" ? document.getElementById(id) : id;
          each.value = value; each.dispatchEvent(new Event("input")); };
        const press = key => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        const shown = () => document.getElementById("shown").textContent;
        say(names()); say(shown());
        set("sort", "up"); say(names());
        set("sort", ""); say(names());
        set("low", "15"); say(names()); set("high", "25"); say(names()); say(shown());
        set("low", ""); set("high", ""); set("name", "NONE"); say(names()); set("name", "");
        const group = document.querySelector("select[data-group]");
        set(group, "Sitting"); say(names()); set(group, "");
        press("ArrowRight"); press("ArrowRight"); say(document.activeElement.title);
        document.activeElement.click();
        const dialog = document.querySelector("dialog");
        say(dialog.open); say(document.getElementById("large-name").textContent);
        press("ArrowRight"); say(document.getElementById("large-name").textContent);
        for (let more = 0; more < 5; more++) press("ArrowRight");
        say(document.getElementById("large-name").textContent);
        say([...document.querySelectorAll("#grid img")].every(each => each.loading === "lazy"));
        """,
    ) == [
        "d c b none", "4 of 4 people, mean 20.0", "b c d none", "d none b c",
        "d c", "c", "1 of 4 people, mean 20.0", "none", "b c", "none", True, "none", "b", "c", True,
    ]  # fmt: skip
