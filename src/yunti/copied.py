"""What a language model was found to write that stands in its training text: a record of `climb.json`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CopiedRecord:
    """How much of what the chosen rung writes stands letter by letter in the text that it learned from.

    It was asked to continue the beginnings of validation texts at temperature 1, before it was trained anew. The
    yardstick is what of the rest of the validation texts, which it never saw, stands in the training text: all text
    shares something with other text.

    Args:
        rung: that wrote.
        texts: how many it wrote.
        characters: that they have together.
        words: of a run.
        runs: of so many words that were written.
        copied_runs: of them, those that stand in the training text.
        held_runs: of the validation texts.
        held_copied_runs: of them, those that stand in the training text.
        span: characters of a span.
        spans: of so many characters that were written.
        copied_spans: of them, those that stand in the training text.
        held_spans: of the validation texts.
        held_copied_spans: of them, those that stand in the training text.
        longest: the longest span that was written and stands in the training text.
        searched: share of the training text that was looked through in the time there was.
        seconds: that all took.
    """

    rung: str
    texts: int
    characters: int
    words: int
    runs: int
    copied_runs: int
    held_runs: int
    held_copied_runs: int
    span: int
    spans: int
    copied_spans: int
    held_spans: int
    held_copied_spans: int
    longest: str
    searched: float = 1.0
    seconds: float = 0.0
