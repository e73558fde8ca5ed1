"""The open benchmark: what there is here, side by side, on people whom anybody may have. `monobody evaluate open`

    synthetic MPJPE, PA-MPJPE, PVE    500 rendered held-out people (`synthetic.py`)
    PCK@0.1, PCK@0.05                 the 500 photos of LSP Extended that are kept from training (`keypoints_2d.py`)
    IoU                               bare bodies against the masks of 100 photos of Clothing Co-Parsing
    impossible                        per cent of the people in LSP Extended's photos one of whose 21 joints is bent
                                      further than any captured pose (`body/prior.py`)
    ms                                of processor time a person, beside finding them; all threads together

Everybody sees the same detections: people are looked for in the boxes that are known. Rows and detections are kept
in `--out`: a model that is new is measured, the others are not again. Without `lsp_extended/` or
`clothing_coparsing/` the columns of photos stay empty.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from monobody.body.model import Body
from monobody.body.prior import PosePrior
from monobody.errors import UserError
from monobody.evaluate.answers import HYPOTHESES
from monobody.evaluate.bodies import can_be_drawn
from monobody.evaluate.entrants import (
    JOINTS,
    TOGETHER,
    UNTIED,
    Answers,
    Entrant,
    Found,
    apart_from,
    asked,
    fitted,
    lifted,
)
from monobody.evaluate.held_out import MOVED_JOINTS
from monobody.evaluate.kept_rows import FOUND, kept_rows
from monobody.evaluate.masked_people import FOLDER as MASKED
from monobody.evaluate.masked_people import open_masked, silhouette_ious
from monobody.evaluate.open_protocol import open_protocol
from monobody.evaluate.people import first
from monobody.evaluate.predictions import Predictions, ensure_of, ensure_sound
from monobody.evaluate.protocol import EvaluationSet, Result, Row
from monobody.evaluate.protocols import find_protocol
from monobody.evaluate.quick import BLAZEPOSE_JOINTS, blazepose_joints, real_numbers, synthetic_numbers
from monobody.evaluate.report import to_json, write_report
from monobody.evaluate.terminal import print_result
from monobody.files import atomic_write, sha256_of
from monobody.predict.predictor import LIFTED, Predictor, load
from monobody.predict.refine import REFINING

PHOTOS = "lsp_extended"
SYNTHETIC_COLUMNS, PHOTO_COLUMNS = ("mpjpe_mm", "pa_mpjpe_mm", "pve_mm"), ("pck_0.1", "pck_0.05")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sets:
    """The people, found once."""

    synthetic: Found
    photos: Found | None
    masked: Found | None


def evaluate_open(
    *,
    data: Path | None,
    out: Path,
    json_path: Path | None = None,
    device: str = "auto",
    limit: int | None = None,
) -> Result:
    """Measure everything that is shipped, print the table, write the report.

    Args:
        data: folder that holds `lsp_extended/` and `clothing_coparsing/`; what is not there is left out, and said.
        out: folder for the report, and for the rows and detections of earlier runs, which are taken from there.
        json_path: write the numbers here as well.
        device: where networks run; fits run on the processor.
        limit: only so many people of each kind, the first ones.

    Raises:
        UserError: `limit` leaves nobody, or a data set is there but not whole.
    """
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit} leaves nobody: give a positive number.")
    began = time.perf_counter()
    sets, missing = opened(data, limit, out)
    rows = tuple(measured(sets, device, out))
    counts = {
        name: 0 if found is None else len(found.detections)
        for name, found in (("synthetic", sets.synthetic), ("photos", sets.photos), ("masks", sets.masked))
    }
    result = Result(
        protocol=open_protocol(),
        rows=rows,
        count=sum(counts.values()),
        partial=" ".join(missing),
        facts={
            "people": counts,
            "finding_ms": round(sets.synthetic.ms_a_person, 1),
            "threads": torch.get_num_threads(),
            "people_in_one_fit": TOGETHER,
            "hardly_seen": sum(found.hardly_seen for found in _all(sets)),
            "seconds": round(time.perf_counter() - began, 1),
        },
    )
    print_result(result)
    if json_path is not None:
        with atomic_write(json_path) as temporary:
            temporary.write_text(json.dumps(to_json(result), indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    write_report(result, out)
    print(f"Report: {out / 'report.html'}")
    return result


def opened(data: Path | None, limit: int | None, out: Path) -> tuple[Sets, list[str]]:
    """Find the people of all three sets, and say what there is not; detections are kept in `out`."""

    def chosen(people: EvaluationSet) -> EvaluationSet:
        return people if limit is None or limit >= len(people.names) else first(people, limit)

    missing = [] if limit is None else [f"At most {limit:,} people of each kind were measured."]
    there = {name: data is not None and (data / name).is_dir() for name in (PHOTOS, MASKED)}
    missing += [
        f"There is no {name}/ in the folder of data: its columns are empty."
        for name, is_there in there.items()
        if not is_there
    ]
    # What is wrong with a data set shows before minutes of looking for people.
    synthetic = chosen(find_protocol("synthetic").open(None))
    photos = masked = None
    if data is not None and there[PHOTOS]:
        photos = chosen(find_protocol("lsp-extended").open(data))
    if data is not None and there[MASKED]:
        masked = chosen(open_masked(data))

    def found(name: str, people: EvaluationSet | None) -> Found | None:
        return None if people is None else Found.of(people, out / FOUND / f"{name}.npz")

    rendered = found("synthetic", synthetic)
    assert rendered is not None
    return Sets(synthetic=rendered, photos=found("photos", photos), masked=found("masked", masked)), missing


def measured(sets: Sets, device: str, out: Path) -> Iterator[Row]:
    """Yield the rows, one entrant after the other; those that `out` keeps of the same people are not measured again."""
    from monobody.hub import MODELS, find_weights

    body = Body.load()
    people = {name: None if found is None else found.people.names for name, found in _by_name(sets).items()}
    settings = {"refining": asdict(REFINING), "device": device, "hypotheses": HYPOTHESES}

    def kept(name: str, measure: Callable[[], Iterable[Row]], **decided_by: str) -> list[Row]:
        return kept_rows(out, name, {"people": people, "body": body.digest} | settings | decided_by, measure)

    yield from kept(
        "mean-pose", lambda: _rows("mean pose", asked(load("mean-pose", device=device, body=body)), sets, body)
    )
    alone = fitted(body, None, settings=UNTIED, model="smplify", terms="Apache-2.0")
    yield from kept("smplify", lambda: _rows("SMPLify, from the mean pose", alone, sets, body))
    for model in MODELS.values():
        if model.shipped and not model.animals:
            weights = sha256_of(find_weights(model.name))
            ask = partial(load, model.name, device=device, body=body, hypotheses=HYPOTHESES)
            yield from kept(model.name, lambda ask=ask: _model_rows(ask(), sets, body), weights=weights)
    yield from kept("blazepose", lambda: [_blazepose(sets)])


def _model_rows(predictor: Predictor, sets: Sets, body: Body) -> Iterator[Row]:
    """Yield a model's rows, and those of its bodies refined, or of its skeletons made bodies."""
    answers = {id(found): asked(predictor)(found) for found in _all(sets)}
    yield from _rows(predictor.model, lambda found: answers[id(found)], sets, body)
    if any(each.predictions.rotations is None for each in answers.values()):
        yield from _rows(predictor.model + LIFTED, lambda found: lifted(body, answers[id(found)])(found), sets, body)
        return

    def refine(found: Found) -> Answers:
        start = answers[id(found)]
        given = start.predictions
        entrant = fitted(body, start, settings=REFINING, model=f"{given.model}, refined", terms=given.terms)
        return entrant(found)

    yield from _rows(f"{predictor.model}, refined", refine, sets, body)


def _rows(method: str, entrant: Entrant, sets: Sets, body: Body) -> Iterator[Row]:
    """Yield a row for each way in which an entrant's hypotheses may count."""
    answers = {name: None if found is None else _sound(entrant(found), found) for name, found in _by_name(sets).items()}
    rendered, photos, masked = (answers[name] for name in ("synthetic", "photos", "masked"))
    assert rendered is not None
    in_3d = _measured("synthetic", sets.synthetic, rendered)
    in_2d = {}
    if photos is not None and sets.photos is not None:
        in_2d = {row.choice: row for row in _measured("lsp-extended", sets.photos, photos)}
    for row in in_3d:
        numbers: dict[str, float | None] = {key: row.numbers.get(key) for key in SYNTHETIC_COLUMNS}
        numbers |= {key: in_2d[row.choice].numbers[key] for key in PHOTO_COLUMNS if row.choice in in_2d}
        if not row.oracle:
            # Of the hypothesis that is shown to somebody who does not know the truth; skeletons have no such numbers.
            if masked is not None and sets.masked is not None and can_be_drawn(masked.predictions):
                numbers["iou"] = float(silhouette_ious(sets.masked.people, masked.predictions, body).mean())
            if photos is not None and photos.predictions.rotations is not None:
                numbers["impossible"] = impossible_percent(photos.predictions)
            numbers["ms"] = rendered.ms_a_person
        own_set = rendered.predictions.joint_set
        source = row.source if own_set == JOINTS else f"{row.source}; {apart_from(own_set, body)}"
        yield replace(row, method=method, numbers=numbers, source=source)


def _sound(answers: Answers, found: Found) -> Answers:
    """Return answers about everybody, in order, all of them numbers: nobody drops out of a mean in silence."""
    ensure_sound(answers.predictions, answers.predictions.model)
    ensure_of(answers.predictions, found.people.names, answers.predictions.model)
    return answers


def _measured(name: str, found: Found, answers: Answers) -> tuple[Row, ...]:
    chosen = find_protocol(name)
    return chosen.measure(chosen, found.people, answers.predictions).rows


def impossible_percent(predictions: Predictions) -> float:
    """Return the per cent of people with a joint, of the 21 that are captured, bent further than any captured pose."""
    assert predictions.rotations is not None
    everybody = np.arange(len(predictions.names))
    weights = predictions.weights
    chosen = np.zeros(len(everybody), np.int64) if weights is None else weights.argmax(1)
    rotations = torch.from_numpy(predictions.rotations[everybody, chosen].astype(np.float32))
    within = PosePrior.load().within_limits(rotations[:, 1:])[:, :MOVED_JOINTS]
    return 100 * float(1 - within.all(1).double().mean())


def _blazepose(sets: Sets) -> Row:
    """Return the detector's own landmarks: a peer without a body, on the 12 of LSP's 14 joints that it has."""
    found = sets.synthetic
    numbers = synthetic_numbers(list(found.people.samples), blazepose_joints(found.detections), BLAZEPOSE_JOINTS)
    if sets.photos is not None:
        photos = sets.photos
        numbers |= real_numbers(list(photos.people.samples), blazepose_joints(photos.detections), BLAZEPOSE_JOINTS)
    plain = {name.removeprefix("synthetic_").removeprefix("real_"): float(value) for name, value in numbers.items()}
    source = "MediaPipe's landmarks in the picture and in metres, as they come; neck and top of the head are not judged"
    return Row(method="BlazePose, 12 of the 14 joints", numbers=plain, ours=True, source=source)


def _by_name(sets: Sets) -> dict[str, Found | None]:
    return {"synthetic": sets.synthetic, "photos": sets.photos, "masked": sets.masked}


def _all(sets: Sets) -> list[Found]:
    return [found for found in _by_name(sets).values() if found is not None]
