"""Options of how tokens are drawn, which every command that writes shares."""

from __future__ import annotations

from typing import Annotated

import typer

Temperature = Annotated[float, typer.Option(help="How bold it is: 0 takes the most probable token each time.")]
TopK = Annotated[int, typer.Option("--top-k", help="Draw from so many of the most probable tokens only; 0: from all.")]
TopP = Annotated[float, typer.Option("--top-p", help="Draw from the most probable tokens that reach this probability.")]
MinP = Annotated[float, typer.Option("--min-p", help="Least probability, times that of the most probable token.")]
Penalty = Annotated[float, typer.Option(help="Makes tokens that were used less probable; 1 changes nothing.")]
MaxTokens = Annotated[int, typer.Option(help="Most tokens to write.")]
Stop = Annotated[
    list[str] | None, typer.Option(metavar="TEXT", help="Ends the text, and is left out; may be repeated.")
]
Seed = Annotated[int, typer.Option(help="The same seed writes the same text.")]
