"""How the next token is drawn from what a language model expects."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.errors import OptionError


@final
@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    What is cut away is cut in the order of the arguments, each time from what the ones before left.

    Args:
        temperature: logits are divided by it; 0 always takes the most probable token.
        top_k: only so many of the most probable tokens stay; 0 keeps all (Fan et al., 2018).
        top_p: the most probable tokens stay whose probabilities together reach this (Holtzman et al., 2020).
        min_p: tokens stay that are at least so probable, times the most probable one (Nguyen et al., 2024).
        repetition_penalty: logits of tokens that stand in the text so far are divided by it where they are positive,
            and multiplied where they are negative (Keskar et al., 2019); 1 changes nothing.
        max_tokens: most tokens that are drawn.
        stop: texts that end it; they are not part of the answer.
        seed: of the draws.

    Raises:
        OptionError: a value is out of its range.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "temperature": (0 <= self.temperature < math.inf, "0 or more"),
            "top_k": (self.top_k >= 0, "0 or more"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "min_p": (0 <= self.min_p < 1, "at least 0 and below 1"),
            "repetition_penalty": (0.01 <= self.repetition_penalty <= 100, "from 0.01 to 100"),
            "max_tokens": (self.max_tokens >= 1, "1 or more"),
            "stop": (all(self.stop), "texts that are not empty"),
        }
        for name, (holds, must) in ranges.items():
            if not holds:
                option = f"--{name.replace('_', '-')}"
                raise OptionError(option, f"it must be {must}", f"{getattr(self, name)!r} was given", "change it")


def draw(
    logits: NDArray[np.floating[Any]], seen: Collection[int], sampling: Sampling, random: np.random.Generator
) -> int:
    """Draw the next token.

    Args:
        logits: shape (tokens,); logarithms of probabilities serve as well.
        seen: tokens of the text so far.
        sampling: how.
        random: where chance comes from.

    Example:
        >>> draw(np.log([0.1, 0.7, 0.2]), [], Sampling(temperature=0), np.random.default_rng(0))
        1
    """
    scores = np.array(logits, dtype=np.float64)
    if sampling.repetition_penalty != 1 and seen:
        places = np.fromiter(set(seen), dtype=np.int64)
        some = scores[places]
        scores[places] = np.where(some > 0, some / sampling.repetition_penalty, some * sampling.repetition_penalty)
    if sampling.temperature == 0:
        return int(scores.argmax())
    with np.errstate(over="ignore"):  # a chance below all numbers is none
        scores = (scores - scores.max()) / sampling.temperature
    order = np.argsort(-scores, kind="stable")
    if sampling.top_k:
        order = order[: sampling.top_k]
    chances = _normal(scores[order])
    if sampling.top_p < 1:
        order = order[: int(np.searchsorted(chances.cumsum(), sampling.top_p)) + 1]
        chances = _normal(scores[order])
    if sampling.min_p:
        order = order[: int((chances >= sampling.min_p * chances[0]).sum())]
        chances = _normal(scores[order])
    place = np.searchsorted(chances.cumsum(), random.random(), side="right")
    return int(order[min(int(place), len(order) - 1)])


def _normal(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores[0])  # the first is the largest
    found: NDArray[np.float64] = powers / powers.sum()
    return found
