"""`yunti generate`: text from the bundle of a language model."""

from __future__ import annotations

from typing import Annotated

import typer

from yunti.cli.options import Lang, reader_of
from yunti.cli.predict import BundlePath
from yunti.cli.sampling import MaxTokens, MinP, Penalty, Seed, Stop, Temperature, TopK, TopP

Prompt = Annotated[str, typer.Option(metavar="TEXT", help="What the text begins with; - reads standard input.")]


Prompts = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help='A file of prompts: .txt one a line, .jsonl with "prompt", or .csv with a column prompt.'
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o", "--out", metavar="FILE",
        help="Where to write: .jsonl, .csv or .txt with a text a line; the screen if not given.",
    ),
]  # fmt: skip
Stream = Annotated[
    bool | None,
    typer.Option("--stream/--no-stream", help="Show the text while it is written; on a terminal it is the default."),
]
WithNumbers = Annotated[
    bool, typer.Option("--json", help="Print JSON: prompt, text, tokens, seconds, tokens a second of both phases.")
]


def generate(  # noqa: PLR0917  (each is an option of the command)
    bundle: BundlePath,
    prompt: Prompt = "",
    prompts: Prompts = None,
    out: Output = None,
    temperature: Temperature = 0.8,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    max_tokens: MaxTokens = 256,
    stop: Stop = None,
    seed: Seed = 0,
    stream: Stream = None,
    lang: Lang = None,
    as_json: WithNumbers = False,
) -> None:
    """Continue a text, token by token, or all texts of a file."""
    with reader_of(lang):
        from yunti.cli.writing import Asked, write_texts

        sampling = {
            "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p,
            "repetition_penalty": repetition_penalty, "max_tokens": max_tokens, "stop": tuple(stop or ()), "seed": seed,
        }  # fmt: skip
        write_texts(Asked(bundle, prompt, prompts, out, stream, as_json), sampling)
