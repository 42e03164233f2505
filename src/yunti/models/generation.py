"""A language model writes: token by token, each drawn from what it expects, turned into text as it comes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from yunti.data.tokenisers import TextCoder
from yunti.models.sampling import Sampling, draw
from yunti.seeds import generator


class Writing(ABC):
    """A text in the making: what was read so far, and what is expected next."""

    @abstractmethod
    def logits(self) -> NDArray[np.floating[Any]]:
        """Return the logits of the next token, (tokens,); logarithms of probabilities serve as well."""

    @abstractmethod
    def push(self, token: int) -> None:
        """Take the token that comes next."""


class Writer(Protocol):
    """A model that can write."""

    @property
    def coder(self) -> TextCoder: ...  # noqa: D102
    @property
    def context(self) -> int | None:
        """How many tokens it reads at once; None: any number."""

    def begin(self, tokens: NDArray[Any]) -> Writing:  # noqa: D102
        ...


def write(writer: Writer, prompt: str, sampling: Sampling, stream: int = 0) -> Iterator[str]:
    """Continue a prompt; give the text piece by piece, as soon as whole characters are there.

    It ends with the model's end of the document, with a text of `sampling.stop`, which is left out, or after
    `sampling.max_tokens`.

    Args:
        writer: the model.
        prompt: what the text begins with; it may be empty.
        sampling: how tokens are drawn.
        stream: tells several texts with one seed apart.
    """
    return continued(writer, writer.coder.encode(prompt), sampling, stream)


def continued(
    writer: Writer, tokens: NDArray[Any], sampling: Sampling, stream: int = 0, ends: tuple[int, ...] = ()
) -> Iterator[str]:
    """Write on after tokens, as `write` does.

    Args:
        writer: the model.
        tokens: what it begins from.
        sampling: how tokens are drawn.
        stream: tells several texts with one seed apart.
        ends: further tokens that end it, such as the end of an answer.
    """
    coder, random = writer.coder, generator(sampling.seed, "write", str(stream))
    over = {coder.end, *ends}
    writing, seen = writer.begin(tokens), {int(token) for token in tokens}
    text, waiting = coder.stream(), _Waiting(sampling.stop)
    never = [token for token in coder.special.values() if token not in over]
    for _ in range(sampling.max_tokens):
        logits = np.array(writing.logits(), dtype=np.float64)
        logits[never] = -np.inf
        token = draw(logits, seen, sampling, random)
        if token in over:
            break
        piece, stopped = waiting.push(text.push(token))
        if piece:
            yield piece
        if stopped:
            return
        writing.push(token)
        seen.add(token)
    piece, stopped = waiting.push(text.finish())
    piece += "" if stopped else waiting.rest()
    if piece:
        yield piece


class _Waiting:
    """Holds back what may be the beginning of a text that ends all."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop, self._held = stop, ""

    def push(self, piece: str) -> tuple[str, bool]:
        """Return what may be told, and whether the end was reached."""
        self._held += piece
        places = [place for place in (self._held.find(each) for each in self._stop) if place >= 0]
        if places:
            return self._held[: min(places)], True
        keep = max((self._overlap(each) for each in self._stop), default=0)
        told, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return told, False

    def rest(self) -> str:
        """Return what was held back."""
        return self._held

    def _overlap(self, stop: str) -> int:
        lengths = range(min(len(stop) - 1, len(self._held)), 0, -1)
        return next((length for length in lengths if self._held.endswith(stop[:length])), 0)
