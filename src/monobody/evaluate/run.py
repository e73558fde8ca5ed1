"""A protocol from beginning to end: the people, a model's answers or somebody's file of them, the measure, the report.

Nobody is left out on the way. A test set that has not the people of the protocol is refused, or, where that is asked
for, measured as far as it goes; every output then says so.
"""

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from monobody.body.model import Body
from monobody.errors import UserError
from monobody.evaluate.people import first
from monobody.evaluate.predictions import Predictions, behind_camera, ensure_of, ensure_sound, read_predictions
from monobody.evaluate.protocol import EvaluationSet, Protocol, Result
from monobody.evaluate.protocols import find_protocol
from monobody.evaluate.report import to_json, write_report
from monobody.evaluate.terminal import print_result
from monobody.files import atomic_write, sha256_of

GALLERY_AT_MOST = 1_000
"""People who are all drawn unasked; of more only the figure's."""
SECONDS = "seconds_a_person"
"""Key of the column of run times, where a protocol has one."""


def evaluate(
    name: str,
    *,
    root: str | Path | None = None,
    variant: str | None = None,
    model: str | Path | None = None,
    body: str | Path | None = None,
    predictions: str | Path | Predictions | None = None,
    out: str | Path | None = None,
    json_path: str | Path | None = None,
    device: str = "auto",
    limit: int | None = None,
    partial: bool = False,
    gallery: bool = False,
    pictures: bool = True,
) -> Result:
    """Measure a model, or somebody's predictions, by a protocol; print its table and write the report.

    Args:
        name: of the protocol, see `protocols.py`.
        root: the data set's folder; None where the people are shipped.
        variant: one of several protocols of that name.
        model: a name or a weights file; the default model where left out.
        body: the body that the model, or the predictions, were made with; the shipped one where left out.
        predictions: measure these instead of asking a model.
        out: folder for predictions and report; nothing is kept where left out.
        json_path: write the numbers here as well.
        device: where the model runs.
        limit: measure only so many people, the first ones.
        partial: measure an incomplete data set as far as it goes.
        gallery: draw everybody for the report, however many they are.
        pictures: whether the report has any; without, the data set's are not read where predictions are given.

    Raises:
        UserError: there is no such protocol, data set, model or file; the data set has other people than the protocol
            wants; the predictions are not theirs.
    """
    began = time.perf_counter()
    protocol = find_protocol(name, variant=variant, body=body)
    people, missing = chosen_people(protocol, None if root is None else Path(root), limit=limit, partial=partial)
    folder = None if out is None else Path(out)
    facts: dict[str, Any] = {}
    if predictions is None:
        given, facts = _asked(protocol, people, model, body, device, folder)
    else:
        if model is not None:
            raise UserError("Give a model, or a file of predictions, not both.")
        given = predictions if isinstance(predictions, Predictions) else read_predictions(predictions)
    source = str(predictions) if isinstance(predictions, str | Path) else given.model
    # Whoever's they are: a joint that is no number would drop out of a mean in silence.
    ensure_sound(given, source)
    ensure_of(given, people.names, source)
    result = protocol.measure(protocol, people, given)
    if result.count != len(people.names):
        raise AssertionError(f"{protocol.name} measured {result.count} of {len(people.names)} people.")
    taken = facts.pop(SECONDS, None)
    if taken is not None:
        result = replace(
            result, rows=tuple(replace(row, numbers={**row.numbers, SECONDS: taken}) for row in result.rows)
        )
    if behind := behind_camera(given):
        facts["behind_the_camera"] = behind
    facts = dict(result.facts) | facts | {"seconds": round(time.perf_counter() - began, 1)}
    by_file = None if isinstance(predictions, Predictions) else predictions
    told = {"variant": variant, "root": root, "model": model, "predictions": by_file, "body": body, "limit": limit}
    options = [word for key, value in told.items() if value is not None for word in (f"--{key}", str(value))]
    options += ["--partial"] * partial
    result = replace(result, partial=missing, facts=facts, options=tuple(options))
    print_result(result)
    if json_path is not None:
        with atomic_write(json_path) as temporary:
            temporary.write_text(json.dumps(to_json(result), indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    if folder is not None:
        drawn = gallery or result.count <= GALLERY_AT_MOST
        posed = None if body is None else Body.load(body)
        shown = {"samples": people.samples, "predictions": given, "body": posed, "gallery": drawn} if pictures else {}
        write_report(result, folder, **shown)
        print(f"Report: {folder / 'report.html'}")
    return result


def usual_folder(name: str, variant: str | None, model: str | Path | None, predictions: str | Path | None) -> Path:
    """Return where predictions and report go if nobody says: below `runs`, by protocol and model."""
    from monobody.hub import DEFAULT_MODEL

    whose = Path(predictions or model or DEFAULT_MODEL)
    stem = whose.stem if whose.suffix in (".npz", ".safetensors") else whose.name
    return Path("runs") / "-".join(part for part in (name, variant, stem) if part)


def chosen_people(
    protocol: Protocol, root: Path | None, *, limit: int | None, partial: bool
) -> tuple[EvaluationSet, str]:
    """Return the people to measure, and in a sentence why they are not those of the protocol ("" where they are).

    Raises:
        UserError: they are not, and nobody has asked for that.
    """
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit} leaves nobody: give a positive number.")
    people = protocol.open(root)
    found, reasons = len(people.names), list(people.lacking)
    if len(people.samples) != found:
        raise AssertionError(f"{protocol.name} has {len(people.samples)} pictures of {found} people.")
    if protocol.expected is not None and found != protocol.expected:
        reasons.insert(0, f"The data set has {found:,} people where {protocol.name} wants {protocol.expected:,}.")
    if reasons and not partial:
        more = f" ({len(reasons) - 1} more such)" if len(reasons) > 1 else ""
        raise UserError(f"{reasons[0]}{more} Complete it, or say --partial: every output then tells of it.")
    said = [f"Not the whole test set: {' '.join(reasons)}"] if reasons else []
    if limit is not None and limit < found:
        people = first(people, limit)
        said.append(f"Only the first {limit:,} of {found:,} people were measured.")
    return people, " ".join(said)


def _asked(
    protocol: Protocol,
    people: EvaluationSet,
    model: str | Path | None,
    body: str | Path | None,
    device: str,
    folder: Path | None,
) -> tuple[Predictions, dict[str, Any]]:
    """Return a model's answers, and what else decided them."""
    from monobody.evaluate.answers import HYPOTHESES, ask_about
    from monobody.hub import find_weights
    from monobody.predict.predictor import choose_device, load, versions

    predictor = load(model, device=device, body=body, hypotheses=HYPOTHESES)
    weights = "" if predictor.model == "mean-pose" else sha256_of(find_weights(predictor.model))
    asked = [protocol.name, protocol.variant, protocol.joint_set, protocol.boxes, weights, predictor.body.digest]
    made_with = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    given = ask_about(predictor, people, protocol.joint_set, made_with=made_with, folder=folder)
    facts = {"device": str(choose_device(device)), "weights_sha256": weights, "versions": versions()}
    if any(column.key == SECONDS for column in protocol.columns):
        from monobody.evaluate.run_time import machine, seconds_a_person

        facts |= {SECONDS: seconds_a_person(predictor, people), "timed_on": machine(choose_device(device))}
    return given, facts
