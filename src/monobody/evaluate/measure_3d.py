"""From the errors of every joint of every hypothesis to rows, persons' errors and breakdowns: what 3D protocols share.

A model with several hypotheses gets three rows: the one it believes in most, and two in which the truth chooses among
them, the whole pose or joint by joint. Each kind of error (root-aligned, after a similarity, ...) is chosen for by
itself, so that every number is the best that its oracle can reach.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from monobody.evaluate.choices import picks
from monobody.evaluate.predictions import Predictions
from monobody.evaluate.protocol import Choice, EvaluationSet, Protocol, Result, Row
from monobody.metrics import Tally, align, joint_errors_mm

LOT = 4096
"""People measured at once; more would only fill the memory."""

Errors = Mapping[str, Float[np.ndarray, "n k"]]
"""By kind, in mm, of the hypothesis that counts."""
ByPerson = dict[str, Float[np.ndarray, " n"]]
"""By column."""


def errors_about_root(
    joints_m: Float[np.ndarray, "n h k 3"], truth_m: Float[np.ndarray, "n k 3"], root: Sequence[int] | None
) -> Float[np.ndarray, "n h k"]:
    """Return joint errors in mm after the root was laid upon its target; none is moved where it is None."""
    return _in_lots(lambda found, true: joint_errors_mm(found, true, root=root), joints_m, truth_m)


def errors_after_similarity(
    joints_m: Float[np.ndarray, "n h k 3"], truth_m: Float[np.ndarray, "n k 3"]
) -> Float[np.ndarray, "n h k"]:
    """Return joint errors in mm that the best similarity of each pose leaves."""
    return _in_lots(lambda found, true: joint_errors_mm(align(found, true), true, root=None), joints_m, truth_m)


def each_by_itself(errors: Mapping[str, Float[np.ndarray, "n h k"]], predictions: Predictions) -> dict[Choice, Errors]:
    """Return the errors that count by choice, where each kind is chosen for by itself."""
    best: dict[Choice, dict[str, Float[np.ndarray, "n k"]]] = {}
    for kind, array in errors.items():
        for pick in picks(predictions, array):
            best.setdefault(pick.choice, {})[kind] = pick.joints(array)
    return {choice: by_kind for choice, by_kind in best.items()}


def measured(
    protocol: Protocol,
    people: EvaluationSet,
    predictions: Predictions,
    errors: Mapping[Choice, Errors],
    joints: Sequence[str],
    summary: Callable[[Errors], ByPerson],
    *,
    summed: Callable[[ByPerson], dict[str, float]] | None = None,
    order: Mapping[str, Sequence[str]] | None = None,
    facts: Mapping[str, object] | None = None,
) -> Result:
    """Return the result of a 3D protocol.

    Args:
        errors: of every joint, by the way in which hypotheses are chosen. The first kind is shown joint by joint.
        joints: their names, one for each of the first kind's.
        summary: every person's numbers.
        summed: from these to the table's; their means where left out.
        order: in which order the labels of a group are shown; sorted where left out.
        facts: what else is to be told.
    """
    summed = summed or means
    rows, shown = [], None
    for choice, best in errors.items():
        by_person = summary(best)
        shown = shown or (best, by_person)
        rows.append(
            Row(
                method=predictions.model,
                numbers={key: None if np.isnan(value) else value for key, value in summed(by_person).items()},
                hypotheses=predictions.hypotheses,
                choice=choice,
                ours=True,
                source=predictions.terms,
            )
        )
    assert shown is not None
    best, by_person = shown
    shown_errors = next(iter(best.values()))
    return Result(
        protocol=protocol,
        rows=tuple(rows),
        count=len(people.names),
        left_out=people.left_out,
        names=people.names,
        errors=by_person,
        joint_errors={name: shown_errors[:, place] for place, name in enumerate(joints)},
        groups=people.groups,
        breakdown={
            group: broken_down(by_person, labels, (order or {}).get(group)) for group, labels in people.groups.items()
        },
        facts=facts or {},
    )


def means(by_person: ByPerson) -> dict[str, float]:
    """Return each column's mean over all people, with one rounding; a person's NaN is not passed over."""
    count = len(next(iter(by_person.values()), ()))
    tally = Tally(count)
    tally.add(np.arange(count), **by_person)
    everybody = tally.total().whole()
    return {name: float(everybody.mean(name)) for name in by_person}


def broken_down(
    by_person: ByPerson, labels: Sequence[str], order: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """Return the means within each group, pooled over its people, and their count."""
    known = np.asarray(labels)
    there = set(labels)
    names = sorted(there) if order is None else [*(n for n in order if n in there), *sorted(there - set(order))]
    return {
        name: {
            column: value
            for column, value in means({c: values[known == name] for c, values in by_person.items()}).items()
            if not np.isnan(value)
        }
        | {"count": int((known == name).sum())}
        for name in names
    }


def percentiles(by_person: ByPerson, at: Sequence[int] = (10, 30, 50, 70, 90)) -> dict[str, dict[str, float]]:
    """Return the percentiles of each column over people."""
    return {
        name: {str(p): float(value) for p, value in zip(at, np.percentile(values, at), strict=True)}
        for name, values in by_person.items()
        if len(values)
    }


def _in_lots(
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray], found: np.ndarray, true: np.ndarray
) -> Float[np.ndarray, "n h k"]:
    parts = [
        measure(found[start : start + LOT].astype(np.float64), true[start : start + LOT, None].astype(np.float64))
        for start in range(0, len(found), LOT)
    ]
    return np.concatenate(parts)
