"""HMR's claim, tested: a critic that knows real bodies makes 2D labels enough (Kanazawa et al., CVPR 2018, section 4).

Three ways to supervise one network, equally long, on the same rows: synthetic people, and photos with clicked joints.

    hmr_paired            2D joints, the critic, and the synthetic people's 3D joints and bodies
    hmr_unpaired          2D joints and the critic; no 3D label is ever shown
    hmr_no_critic_no_3d   2D joints alone: "monsters" that lie on the joints and are no bodies

Losses, their weights (60 for 2D, 60 for 3D, 1 for the critic), batch and regressor are HMR's: three blind iterations,
only the last one held to labels, all of them to the critic. What is not: BlazePose's trunk is the encoder, frozen, and
its features are computed once, so that days become minutes. For the same reason the regressor is 512 wide and the full
pose's critic 256, not 1,024; learning rates are 1e-3 and 2e-3 where HMR has 1e-5 and 1e-4; dropout is 0.1 and not 0.5.
Rotations are 6D; crops are turned.

The regressor gets the trunk's last map and its landmarks in 2D with their visibility; depths and landmarks in metres
are kept from it. The trunk was trained by others, who had 3D labels: what is tested here is how the regressor is
supervised, and not whether 2D labels alone could have taught the trunk.

All variants go on from one checkpoint that knows 2D alone. Their 2D errors fall at different speeds, so they are
compared where these are equal: the target is the smallest 2D error that every run reaches, and each run is
reported at the first measurement that meets it (and, beside that, at its end). Two seeds each; a difference smaller
than what seeds make is called so.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from monobody.body.model import Body
from monobody.errors import UserError
from monobody.evaluate.ablation_runs import VARIANTS, Lab, Run, Settings
from monobody.files import atomic_write

COLUMNS = {
    "mpjpe_mm": "MPJPE mm", "pa_mpjpe_mm": "PA-MPJPE mm", "people_2d_px": "2D people px",
    "photos_2d_px": "2D photos px", "impossible_joints_percent": "impossible joints %",
    "self_intersecting_percent": "through itself %", "pose_log_density": "pose nats", "shape_rms": "shape rms",
    "step": "step",
}  # fmt: skip
"""What the table has of every row, and how it is called there."""


def evaluate_ablation(
    data: Path | None = None,
    *,
    out: Path,
    settings: Settings | None = None,
    json_path: Path | None = None,
    figure: Path | None = None,
) -> dict[str, Any]:
    """Train all variants, print the table, write `ablation.json`, `.png` and `.html`, and return the numbers.

    An interrupted call goes on where it stopped.

    Args:
        data: folder of data as for training; None for procedural people alone.
        out: folder for features and runs, and for the results where these have no path of their own.
        settings: how long and how; the defaults where left out.
        json_path: where the numbers go.
        figure: where the picture goes.

    Raises:
        UserError: `out` holds an ablation with other settings, or `data` is no data folder.
    """
    if data is not None and not data.is_dir():
        raise UserError(f"There is no data folder {data}: check the path, or leave it out to go without photos.")
    settings = settings or Settings()
    settle(out, settings, data)
    body = Body.load()
    lab = Lab(out, data, body, settings)
    lab.prepare()
    steps = settings.steps or lab.affordable_steps()
    runs = lab.train(steps)
    report = summarise(runs)
    outputs = {name: lab.output_at(runs, name, report["target_2d_px"]) for name in VARIANTS}
    report |= {
        "depth_signs_of_the_first_seed": {name: lab.held_out.depth_signs(output) for name, output in outputs.items()},
        "start": lab.measured_start(),
        "truth": lab.held_out.truth(),
        "steps": steps,
        "minutes": settings.minutes,
        "seeds": list(settings.seeds),
        "settings": asdict(settings),
        "held_out_people": int((lab.held_out.rows["has_joints_3d"] > 0).sum()),
        "held_out_photos": int((lab.held_out.rows["has_joints_3d"] == 0).sum()),
        "command": f"monobody evaluate ablation{' --data DATA' * (data is not None)} --minutes {settings.minutes:g}",
        "commit": this_commit(),
    }
    print_table(report)
    with atomic_write(json_path or out / "ablation.json") as temporary:
        temporary.write_text(json.dumps(rounded(report) | {"settings": report["settings"]}, indent=1) + "\n")
    from monobody.evaluate.ablation_figure import draw_figure
    from monobody.evaluate.ablation_page import ablation_page

    figure = figure or out / "ablation.png"
    draw_figure(
        figure,
        body=body,
        held_out=lab.held_out,
        sample=lab.held_out_samples().__getitem__,
        outputs=outputs,
    )
    with atomic_write(out / "ablation.html") as temporary:
        temporary.write_text(ablation_page(report, figure.read_bytes()), encoding="utf-8")
    return report


def summarise(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the rows of the table: every variant where its 2D error first meets the target, and at its end.

    The target is the largest among the runs' smallest 2D errors. `spread` is, of each variant and number, the largest
    difference between seeds.
    """
    target = max(min(numbers["error_2d_px"] for numbers in run.measured.values()) for run in runs)
    rows, ends = {}, {}
    spread: dict[str, dict[str, float]] = {}
    by_run: list[dict[str, Any]] = []
    for variant in dict.fromkeys(run.variant for run in runs):
        mine = [run for run in runs if run.variant == variant]
        steps = [run.first_below(target) for run in mine]
        at = [run.measured[step] for run, step in zip(mine, steps, strict=True)]
        last = [run.measured[max(run.measured)] for run in mine]
        rows[variant] = _mean(at) | {"step": sum(steps) / len(steps)}
        ends[variant] = _mean(last)
        spread[variant] = {name: max(row[name] for row in at) - min(row[name] for row in at) for name in at[0]}
        by_run += [
            {"variant": variant, "seed": run.seed, "step": step, **numbers}
            for run, step, numbers in zip(mine, steps, at, strict=True)
        ]
    curves = {f"{run.variant}/{run.seed}": {str(step): run.measured[step] for step in run.measured} for run in runs}
    return {
        "rows": rows,
        "rows_at_the_end": ends,
        "target_2d_px": target,
        "spread": spread,
        "runs": by_run,
        "verdicts": verdicts(rows, spread),
        "curves": curves,
    }


def verdicts(rows: Mapping[str, Mapping[str, float]], spread: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Say of each variant and the next, and each number, whether they differ by more than seeds of either do."""
    said = []
    for first, second in pairwise(VARIANTS):
        for name in spread[first]:
            difference, by_chance = (
                rows[second][name] - rows[first][name],
                max(spread[v][name] for v in (first, second)),
            )
            word = "within the seeds' spread" if abs(difference) <= by_chance else f"{difference:+.1f}"
            said.append(f"{name}, {second} against {first}: {word} (spread {by_chance:.1f})")
    return said


def table_rows(report: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """Return the variants' rows at equal 2D error, then where all began, and the people's own bodies."""
    return {**report["rows"], "2D alone (start)": report["start"], "true bodies": report["truth"]}


def print_table(report: Mapping[str, Any]) -> None:
    """Print the rows and, below them, what they are worth."""
    from rich.console import Console
    from rich.table import Table

    table = Table("at equal 2D error", *COLUMNS.values())
    for name, row in table_rows(report).items():
        table.add_row(name, *(f"{row[key]:.1f}" if key in row else "-" for key in COLUMNS))
    console = Console()
    console.print(table)
    for name, signs in report["depth_signs_of_the_first_seed"].items():
        away, mirrored = signs["turned_away_percent"], signs["better_mirrored_percent"]
        console.print(f"{name}: {away:.0f} % turned away, {mirrored:.0f} % better with their depth mirrored (seed 0)")
    for verdict in report["verdicts"]:
        console.print(verdict, highlight=False)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def rounded(value: Any) -> Any:
    """Return nested numbers with three decimals."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list | tuple) else value


def settle(out: Path, settings: Any, data: Path | None, **more: Any) -> None:
    """Remember an ablation's settings in its folder, or make sure that they are the same."""
    path = out / "settings.json"
    now = json.loads(json.dumps(asdict(settings) | {"data": None if data is None else str(data)} | more))
    if path.exists() and json.loads(path.read_text()) != now:
        raise UserError(f"{out} holds an ablation with other settings: give another --out, or the same settings.")
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(now, indent=1) + "\n")


def this_commit() -> str | None:
    """Return the commit of the code that runs, where it runs from a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
