"""The consoles that commands write to: a terminal of some width, or a pipe with plain unbroken lines."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.text import Text

PIPE_WIDTH = 10_000  # lines in a pipe are for programs and grep: they are not broken
WIDEST = 120  # longer sentences are hard to read


def console_for(stream: TextIO | None = None) -> Console:
    """Open the console of a stream; NO_COLOR and TERM=dumb are respected, a pipe gets plain lines."""
    return Console(file=stream or sys.stdout, highlight=False, markup=False, emoji=False)


def width_of(console: Console) -> int:
    """Give the cells a line may take."""
    return min(console.width, WIDEST) if console.is_terminal else PIPE_WIDTH


def show(console: Console, lines: Iterable[Text]) -> None:
    """Print laid-out lines as they are."""
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)
