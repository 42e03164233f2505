"""`yunti generate`: text from the bundle of a language model."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from yunti.cli.options import Lang, reader_of
from yunti.cli.predict import BundlePath
from yunti.cli.sampling import MaxTokens, MinP, Penalty, Seed, Stop, Temperature, TopK, TopP

Prompt = Annotated[str, typer.Option(metavar="TEXT", help="What the text begins with.")]


def generate(  # noqa: PLR0917  (each is an option of the command)
    bundle: BundlePath,
    prompt: Prompt = "",
    temperature: Temperature = 0.8,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    max_tokens: MaxTokens = 256,
    stop: Stop = None,
    seed: Seed = 0,
    lang: Lang = None,
) -> None:
    """Continue a text, token by token, as it is written."""
    with reader_of(lang):
        from yunti.bundle.bundle import load_bundle

        model = load_bundle(bundle)
        pieces = model.generate(
            prompt, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
            repetition_penalty=repetition_penalty, max_tokens=max_tokens, stop=tuple(stop or ()), seed=seed,
        )  # fmt: skip
        sys.stdout.write("" if model.chats else prompt)  # an answer is no continuation
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
        sys.stdout.write("\n")
