"""A result in files: JSON, Markdown, and HTML pages with figures.

Whatever the form, it begins with what the numbers mean: whose people and how many, who was left out and why, joints,
regressor, root, alignment, boxes. Our rows come first, then those that others have published, with their source. A
number that is not there is a dash (null in JSON), never a zero.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monobody.evaluate.markdown import to_markdown
from monobody.evaluate.predictions import Predictions
from monobody.evaluate.protocol import Result
from monobody.evaluate.rows import all_rows, joint_means, number_of, plain, statement
from monobody.files import atomic_write

if TYPE_CHECKING:
    from monobody.body.model import Body
    from monobody.data.sample import Sample


def write_report(
    result: Result,
    folder: str | Path,
    *,
    samples: "Sequence[Sample] | None" = None,
    predictions: Predictions | None = None,
    body: "Body | None" = None,
    gallery: bool = True,
) -> list[Path]:
    """Write result.json, result.md and report.html; with people to draw also percentiles.png and gallery.html.

    Numbers are written first: whatever goes wrong with a picture, they are there.

    Args:
        result: what was measured.
        folder: made where it does not exist.
        samples: the people's pictures, in the order of the result.
        predictions: what the result's first row answered for them.
        body: what the predictions pose; the shipped body where left out and the predictions are of that.
        gallery: whether to draw everybody; their pictures go to `gallery/` beside the page.

    Raises:
        UserError: the folder cannot be written, or samples and predictions are not of the result's people.
    """
    from monobody.evaluate.report_page import report_page

    folder = Path(folder)
    written = [
        _write(folder / "result.json", json.dumps(to_json(result), indent=1, allow_nan=False, ensure_ascii=False)),
        _write(folder / "result.md", to_markdown(result)),
    ]
    if samples is not None and predictions is not None and result.protocol.headline in result.errors:
        from monobody.evaluate.gallery import write_gallery
        from monobody.evaluate.percentiles import choose, draw_percentiles
        from monobody.evaluate.portrait import Portraits

        portraits = Portraits.of(result, samples, predictions, body)
        picks = choose(result)
        if picks:
            written.append(draw_percentiles(folder / "percentiles.png", result, picks, portraits))
        if gallery:
            written.append(write_gallery(folder / "gallery.html", result, portraits))
        page = report_page(result, picks=picks, portraits=portraits, gallery=gallery)
    else:
        page = report_page(result)
    written.append(_write(folder / "report.html", page))
    _remove_earlier(folder, written)
    return written


def _remove_earlier(folder: Path, written: Sequence[Path]) -> None:
    """Remove figures of an earlier report in the same folder, which would pass for this one's."""
    from monobody.evaluate.gallery import remove_others

    for path in (folder / "percentiles.png", folder / "gallery.html"):
        if path not in written and path.is_file():
            path.unlink()
            pictures = path.with_suffix("")
            if pictures.is_dir():
                remove_others(pictures, [])
                if not any(pictures.iterdir()):
                    pictures.rmdir()


def to_json(result: Result) -> dict[str, Any]:
    """Return everything as plain numbers and text; what is not there, or no number, is None.

    `people` has every person's numbers in the order of their names, `joints` every joint's mean and over how many.
    """
    protocol = result.protocol
    return plain(
        {
            "protocol": protocol.name,
            "title": protocol.title,
            "statement": statement(result),
            "notes": protocol.notes,
            "count": result.count,
            "expected": protocol.expected,
            "partial": result.partial,
            "left_out": result.left_out,
            "headline": protocol.headline,
            "columns": [
                {"key": column.key, "heading": column.heading, "better": column.better, "digits": column.digits}
                for column in protocol.columns
            ],
            "rows": [
                {
                    "method": row.method,
                    "ours": row.ours,
                    "numbers": {column.key: number_of(row, column) for column in protocol.columns}
                    | {key: value for key, value in row.numbers.items() if value is not None},
                    "hypotheses": row.hypotheses,
                    "choice": row.choice,
                    "oracle": row.oracle,
                    "source": row.source,
                }
                for row in all_rows(result)
            ],
            "breakdown": result.breakdown,
            "joints": {
                name: {"mean": mean, "count": count, "unit": result.joint_unit}
                for name, (mean, count) in joint_means(result).items()
            },
            "people": {"names": result.names, "errors": result.errors, "groups": result.groups},
            "facts": result.facts,
        }
    )


def _write(path: Path, text: str) -> Path:
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n" * (not text.endswith("\n")), encoding="utf-8")
    return path
