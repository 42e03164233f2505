"""`yunti report`: the report of a run folder, made anew."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from yunti.cli.board import RunPath
from yunti.cli.options import Lang

OutFile = Annotated[
    str | None,
    typer.Option("-o", "--out", metavar="FILE", help="The HTML file; report.html in the run folder if not given."),
]


def report(run: RunPath, out: OutFile = None, lang: Lang = None) -> None:
    """Write the report of a run: one HTML file with every figure, finished or not."""
    from yunti.climbing import reporting
    from yunti.words import choose_language, speaking

    with speaking(choose_language(lang, os.environ)):
        path = reporting.report(run, out)
    sys.stdout.write(f"{path}\n")
