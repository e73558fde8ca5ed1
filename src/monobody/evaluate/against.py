"""Two models by one protocol, and both on the same people beside each other."""

from pathlib import Path

from monobody.evaluate.answers import FILE
from monobody.evaluate.portrait import Portraits
from monobody.evaluate.predictions import Predictions, read_predictions
from monobody.evaluate.protocols import find_protocol
from monobody.evaluate.run import chosen_people, evaluate
from monobody.evaluate.side_by_side import Comparison, compare, write_side_by_side


def evaluate_against(
    name: str,
    first: str | Path,
    second: str | Path,
    *,
    out: str | Path,
    root: str | Path | None = None,
    variant: str | None = None,
    body: str | Path | None = None,
    device: str = "auto",
    limit: int | None = None,
    partial: bool = False,
) -> Comparison:
    """Measure two models, each with its own report in a folder below `out`, and write them side by side.

    What was asked already is not asked again (`answers.py`).

    Args:
        name: of the protocol.
        first: name of a model, a weights file, or a file of predictions (.npz).
        second: what it is compared with.
        out: gets side_by_side.html and side_by_side.png, and the folders `first` and `second`.
        root: the data set's folder; None where the people are shipped.
        variant: one of several protocols of that name.
        body: the body that both were made with; the shipped one where left out.
        device: where models run.
        limit: only so many people, the first ones.
        partial: measure an incomplete data set as far as it goes.

    Raises:
        UserError: as `run.evaluate`; or the protocol has no numbers of single people.
    """
    from monobody.body.model import Body

    out = Path(out)
    results, given = [], []
    for model, folder in ((first, out / "first"), (second, out / "second")):
        answered = Path(model).suffix == ".npz"
        results.append(
            evaluate(
                name,
                root=root,
                variant=variant,
                model=None if answered else model,
                predictions=model if answered else None,
                body=body,
                out=folder,
                device=device,
                limit=limit,
                partial=partial,
            )
        )
        given.append(read_predictions(model if answered else folder / FILE))
    comparison = compare(*results)
    protocol = find_protocol(name, variant=variant, body=body)
    people, _ = chosen_people(protocol, None if root is None else Path(root), limit=limit, partial=partial)
    posed = None if body is None else Body.load(body)

    def portraits(number: int) -> Portraits:
        predictions: Predictions = given[number]
        return Portraits.of(results[number], people.samples, predictions, posed)

    write_side_by_side(out, comparison, (portraits(0), portraits(1)))
    print(comparison.summary)
    print(f"Side by side: {out / 'side_by_side.html'}")
    return comparison
