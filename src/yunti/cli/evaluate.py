"""`yunti evaluate`: score a bundle on rows whose answers are known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yunti.cli.options import AsJson, Lang, print_json, reader_of
from yunti.cli.predict import BundlePath

if TYPE_CHECKING:
    from rich.text import Text

Data = Annotated[str, typer.Argument(metavar="DATA", help="Rows with the target, in any form that climb reads.")]


def evaluate(bundle: BundlePath, data: Data, lang: Lang = None, as_json: AsJson = False) -> None:
    """Score a bundle on rows whose answers are known."""
    from yunti.bundle.bundle import load_bundle
    from yunti.cli.console import console_for, show, width_of

    with reader_of(lang):
        found = load_bundle(bundle).evaluate(data)
        if as_json:
            print_json(found)
            return
        console = console_for(sys.stdout)
        show(console, _lines(found, width_of(console)))


def _lines(found: dict[str, Any], width: int) -> Iterator[Text]:
    from yunti.cli.layout import aligned, hung, metric_name
    from yunti.words import spoken, told

    written = _scored(found["score"], found["low"], found["high"])
    score = spoken("line.scored", metric=metric_name(found["metric"]), score=written)
    yield from hung(spoken("label.score"), spoken("evaluate.score", score=score, rows=found["rows"]), width, "bold")
    rows = [(metric_name(name), _scored(value, *found["intervals"][name])) for name, value in found["scores"].items()]
    yield from aligned(rows, width)
    for sentence in found["findings"]:
        yield from hung(spoken("severity.warning"), told(sentence), width, label_style="yellow")


def _scored(value: float, low: float | None, high: float | None) -> str:
    from yunti.words.units import score_text, scored

    return score_text(value) if low is None or high is None else scored(value, low, high)
