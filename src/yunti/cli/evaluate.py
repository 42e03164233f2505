"""`yunti evaluate`: score a bundle on rows whose answers are known."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from yunti.cli.options import AsJson, print_json
from yunti.cli.predict import BundlePath

Data = Annotated[str, typer.Argument(metavar="DATA", help="Rows with the target, in any form that climb reads.")]


def evaluate(bundle: BundlePath, data: Data, as_json: AsJson = False) -> None:
    """Score a bundle on rows whose answers are known."""
    from yunti.bundle.bundle import load_bundle

    scores = load_bundle(bundle).evaluate(data)
    if as_json:
        print_json(scores)
        return
    from yunti.cli.console import console_for, show, width_of
    from yunti.cli.layout import aligned
    from yunti.cli.units import number_text

    console = console_for(sys.stdout)
    show(console, aligned([(name, number_text(value)) for name, value in scores.items()], width_of(console)))
