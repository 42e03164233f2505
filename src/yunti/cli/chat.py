"""`yunti chat`: a conversation with the bundle of a model that learned from conversations."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from yunti.cli.options import Lang, reader_of
from yunti.cli.predict import BundlePath
from yunti.cli.sampling import MaxTokens, MinP, Penalty, Seed, Temperature, TopK, TopP
from yunti.errors import OptionError

if TYPE_CHECKING:
    from yunti.models.chatting import Conversation

System = Annotated[str, typer.Option(metavar="TEXT", help="What holds for the whole conversation.")]
Question = Annotated[str | None, typer.Option("--prompt", metavar="TEXT", help="Ask this, print the answer, and end.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print each answer as a JSON object on a line, once it is whole.")]

EXIT, RESET = ("/exit", "/quit"), "/reset"


def chat(  # noqa: PLR0917  (each is an option of the command)
    bundle: BundlePath,
    prompt: Question = None,
    system: System = "",
    temperature: Temperature = 0.8,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    max_tokens: MaxTokens = 256,
    seed: Seed = 0,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    """Talk with a model that learned from conversations; /reset begins anew, /exit ends, Ctrl-C stops an answer."""
    with reader_of(lang):
        from yunti.bundle.bundle import load_bundle
        from yunti.models.chatting import Conversation
        from yunti.models.sampling import Sampling

        sampling = Sampling(
            temperature, top_k, top_p, min_p, repetition_penalty=repetition_penalty, max_tokens=max_tokens, seed=seed
        )
        talk = Conversation(load_bundle(bundle).model.writer, sampling, system)
        if prompt is not None:
            if not prompt.strip():
                raise OptionError("--prompt", "a question must say something", "it is empty", "write one")
            _say(talk, prompt, as_json)
            if talk.cut:
                _tell("chat.cut")
            return
        told = False
        for question in _questions():
            if question == RESET:
                talk.reset()
                continue
            try:
                _say(talk, question, as_json)
            except KeyboardInterrupt:
                sys.stdout.write("\n")
            if talk.cut:
                _tell("chat.cut")
            if talk.dropped and not told:
                told = _tell("chat.forgotten")


def _questions() -> Iterator[str]:
    """Give what the user types, line by line, until /exit or the end of the input."""
    terminal = sys.stdin.isatty()
    if terminal:
        _tell("chat.begins")
    while True:
        if terminal:
            sys.stderr.write("> ")
            sys.stderr.flush()
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:  # it was meant for an answer that has just ended
            sys.stderr.write("\n")
            continue
        except UnicodeDecodeError as error:
            raise OptionError("standard input", "it must be text in UTF-8", str(error), "convert it") from error
        if not line or line.strip() in EXIT:
            if terminal and not line:
                sys.stderr.write("\n")
            return
        if line.strip():
            yield line.strip()


def _say(talk: Conversation, question: str, as_json: bool) -> None:
    pieces = talk.ask(question)
    if as_json:
        answer = {"role": "assistant", "content": "".join(pieces)}
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    try:
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
    finally:
        pieces.close()  # what was said so far is remembered, and the next question may come
    sys.stdout.write("\n")
    sys.stdout.flush()


def _tell(key: str) -> bool:
    from yunti.words import spoken

    sys.stderr.write(spoken(key) + "\n")
    return True
