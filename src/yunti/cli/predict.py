"""`yunti predict`: new rows through a bundle."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from yunti.cli.options import Lang, reader_of

BundlePath = Annotated[str, typer.Argument(metavar="BUNDLE", help="A bundle: a folder models/RUNG, or a .yunti file.")]
Input = Annotated[str, typer.Argument(metavar="INPUT", help="New rows, in any form that climb reads.")]
Output = Annotated[
    str | None,
    typer.Option(
        "-o", "--out", metavar="FILE", help="Where to write: .csv, .jsonl or .parquet; CSV to the screen if not given."
    ),
]


def predict(bundle: BundlePath, input: Input, out: Output = None, lang: Lang = None) -> None:
    """Predict new rows and write them in the same order."""
    with reader_of(lang):
        _predict(bundle, input, out)


def _predict(bundle: str, source: str, out: str | None) -> None:
    from yunti.cli.tables import check_output, write_table
    from yunti.words import spoken

    check_output(out)
    from yunti.bundle.bundle import load_bundle

    table = load_bundle(bundle).predict(source)
    write_table(table, out)
    if out is not None:
        sys.stderr.write(spoken("predict.written", rows=table.num_rows, path=out) + "\n")
    if "problem" in table.column_names:
        problems = table.num_rows - table["problem"].null_count
        sys.stderr.write(spoken("predict.problems", rows=problems) + "\n")
