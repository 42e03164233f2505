"""A language model writes: token by token, each drawn from what it expects, turned into text as it comes."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, final

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


class Together(ABC):
    """Texts in the making that grow side by side, a token each at a time."""

    @property
    @abstractmethod
    def ready(self) -> NDArray[np.bool_]:
        """Whether each prompt was read to its end, (texts,); what the others expect next stands in their prompt."""

    @abstractmethod
    def logits(self) -> NDArray[np.floating[Any]]:
        """Return the logits of each text's next token, (texts, tokens)."""

    @abstractmethod
    def push(self, tokens: Sequence[int]) -> None:
        """Take the token that comes next in each text that is ready; the others read on in their prompts."""


@final
class Apart(Together):
    """Texts that have nothing in common, one after the other."""

    def __init__(self, writings: Sequence[Writing]) -> None:
        self._writings = writings

    @property
    def ready(self) -> NDArray[np.bool_]:
        """Always."""
        return np.ones(len(self._writings), dtype=np.bool_)

    def logits(self) -> NDArray[np.floating[Any]]:
        """Return the logits of each text's next token."""
        return np.stack([each.logits() for each in self._writings])

    def push(self, tokens: Sequence[int]) -> None:
        """Take the token that comes next in each text."""
        for each, token in zip(self._writings, tokens, strict=True):
            each.push(token)


class Writer(Protocol):
    """A model that can write; `together` texts at once go fastest."""

    @property
    def coder(self) -> TextCoder: ...  # noqa: D102
    @property
    def together(self) -> int: ...  # noqa: D102
    @property
    def context(self) -> int | None:
        """How many tokens it reads at once; None: any number."""

    def begin(self, tokens: NDArray[Any]) -> Writing:  # noqa: D102
        ...

    def begin_all(self, prompts: Sequence[NDArray[Any]]) -> Together:  # noqa: D102
        ...


@final
@dataclass(frozen=True)
class Written:
    """A prompt and how a model went on.

    Args:
        prompt: what the text begins with.
        text: what was written after it.
        tokens: that were drawn.
        seconds: from the beginning of its batch to the end of this text.
        prefill_per_second: tokens of prompts that were read a second, all texts of its batch together.
        decode_per_second: tokens that were written, or read beside writing, a second, all texts of its batch together.
    """

    prompt: str
    text: str
    tokens: int
    seconds: float
    prefill_per_second: float
    decode_per_second: float


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
    return continued(writer, writer.coder.prompted(prompt), sampling, stream)


def continued(writer: Writer, tokens: NDArray[Any], sampling: Sampling, stream: int = 0) -> Iterator[str]:
    """Write on after tokens, as `write` does after a text.

    Args:
        writer: the model.
        tokens: what it begins from.
        sampling: how tokens are drawn.
        stream: tells several texts with one seed apart.
    """
    text, writing = _Growing(writer.coder, tokens, sampling, stream), writer.begin(tokens)
    while not text.over:
        token, piece = text.grow(writing.logits())
        if piece:
            yield piece
        if not text.over:
            writing.push(token)


def write_all(
    writer: Writer,
    prompts: Sequence[str],
    sampling: Sampling,
    tell: Callable[[float], None] = lambda _done: None,
    until: float = math.inf,
) -> list[Written]:
    """Continue prompts, several at once; each text is the one that `write` gives with its place as stream.

    Products of several rows are rounded otherwise than those of one: where two tokens are equally likely to the last
    bits of float32, a text may go another way.

    Args:
        writer: the model.
        prompts: what the texts begin with.
        sampling: how tokens are drawn.
        tell: called with the share done, 0 to 1.
        until: `time.monotonic()` at which all texts end where they are.
    """
    tokens = [writer.coder.prompted(prompt) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda place: len(tokens[place]))  # the shorter the wait for the longest
    found: dict[int, Written] = {}
    for start in range(0, len(order), writer.together):
        places = order[start : start + writer.together]
        texts = [_Growing(writer.coder, tokens[place], sampling, place) for place in places]
        shares = (start / len(order), len(places) / len(order))
        pace = _grow_all(writer, texts, [tokens[place] for place in places], partial(_told, tell, *shares), until)
        for place, text in zip(places, texts, strict=True):
            found[place] = Written(prompts[place], text.told, text.count, text.seconds, *pace)
    return [found[place] for place in range(len(prompts))]


def _told(tell: Callable[[float], None], start: float, share: float, done: float) -> None:
    tell(start + share * done)


def _grow_all(
    writer: Writer,
    texts: Sequence[_Growing],
    prompts: Sequence[NDArray[Any]],
    tell: Callable[[float], None],
    until: float,
) -> tuple[float, float]:
    """Write some texts to their ends; return the tokens a second of reading the prompts and of writing."""
    began = time.perf_counter()
    writing = writer.begin_all(prompts)
    first = time.perf_counter()
    while time.monotonic() < until:
        logits, ready, next_ = writing.logits(), writing.ready, [writer.coder.end] * len(texts)
        for place, text in enumerate(texts):
            if ready[place] and not text.over:
                next_[place], _ = text.grow(logits[place])
                text.seconds = time.perf_counter() - began
        tell(sum(text.done for text in texts) / len(texts))
        if all(text.over for text in texts):
            break
        writing.push(next_)
    lengths = [len(each) for each in prompts]
    read = len(prompts) * min(lengths)  # before the first token is drawn; what is longer is read beside writing
    beside = sum(text.count for text in texts) + sum(lengths) - read
    return read / max(1e-9, first - began), beside / max(1e-9, time.perf_counter() - first)


@final
class _Growing:
    """A text while it is written.

    Args:
        coder: between tokens and characters.
        tokens: of its prompt.
        sampling: how tokens are drawn.
        stream: tells several texts with one seed apart.
    """

    def __init__(self, coder: TextCoder, tokens: NDArray[Any], sampling: Sampling, stream: int) -> None:
        self._ends, self._sampling = frozenset(coder.ends), sampling
        self._never = [token for token in coder.special.values() if token not in self._ends]
        self._random = generator(sampling.seed, "write", str(stream))
        self._seen = {int(token) for token in tokens}
        self._stream, self._waiting = coder.stream(), _Waiting(sampling.stop)
        self.told, self.count, self.over, self.seconds = "", 0, False, 0.0

    @property
    def done(self) -> float:
        """Share of the most tokens, or 1 where it is over."""
        return 1.0 if self.over else self.count / self._sampling.max_tokens

    def grow(self, logits: NDArray[np.floating[Any]]) -> tuple[int, str]:
        """Draw the next token; return it and the characters that are whole now."""
        scores = np.array(logits, dtype=np.float64)
        scores[self._never] = -np.inf
        token = draw(scores, self._seen, self._sampling, self._random)
        piece = ""
        if token in self._ends:
            self.over = True
        else:
            self.count += 1
            self._seen.add(token)
            piece, stopped = self._waiting.push(self._stream.push(token))
            if stopped:
                self.over = True
                self.told += piece
                return token, piece
            self.over = self.count == self._sampling.max_tokens
        if self.over:
            last, stopped = self._waiting.push(self._stream.finish())
            piece += last if stopped else last + self._waiting.rest()
        self.told += piece
        return token, piece


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
