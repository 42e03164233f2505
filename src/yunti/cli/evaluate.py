"""`yunti evaluate`: score a bundle on rows whose answers are known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yunti.cli.options import AsJson, print_json
from yunti.cli.predict import BundlePath

if TYPE_CHECKING:
    from rich.text import Text

Data = Annotated[str, typer.Argument(metavar="DATA", help="Rows with the target, in any form that climb reads.")]


def evaluate(bundle: BundlePath, data: Data, as_json: AsJson = False) -> None:
    """Score a bundle on rows whose answers are known."""
    from yunti.bundle.bundle import load_bundle

    found = load_bundle(bundle).evaluate(data)
    if as_json:
        print_json(found)
        return
    from yunti.cli.console import console_for, show, width_of

    console = console_for(sys.stdout)
    show(console, _lines(found, width_of(console)))


def _lines(found: dict[str, Any], width: int) -> Iterator[Text]:
    from yunti.cli.layout import aligned, hung
    from yunti.words.units import scored

    told = f"{found['metric']} {scored(found['score'], found['low'], found['high'])} on {found['rows']:,} rows"
    yield from hung("score", told, width, "bold")
    rows = [(name, scored(value, *found["intervals"][name])) for name, value in found["scores"].items()]
    yield from aligned(rows, width)
    for sentence in found["findings"]:
        yield from hung("warning", sentence, width, label_style="yellow")
