"""What every n-gram model can do, and what it may use while it is fitted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from yunti.models.contract import Watch
from yunti.words import say


@final
@dataclass(frozen=True)
class Limits:
    """What a fit may use.

    Args:
        memory_bytes: a fifth for what is sorted at once, a fifth for counts before they go to files, two fifths for
            the model, a fifth for what lies between the arrays. About 60 MB come on top for Python and NumPy, and the
            pages of mapped tokens, which the system takes back at need.
        most_bytes: of the model; rare n-grams are dropped to keep it, also where two fifths of the memory hold less.
        folder: where files of counted n-grams go, for a while; the system's temporary folder if None. They take about
            20 bytes for each different n-gram, twice while they are merged.
        watch: the time it may take, and whom it tells how far it is.
    """

    memory_bytes: int = 1 << 30
    most_bytes: int | None = None
    folder: Path | None = None
    watch: Watch = field(default_factory=Watch)


NO_LIMITS: Final = Limits()  # those of a fit that is told none


class NgramModel(ABC):
    """A distribution over the next token, given the tokens of the document before it.

    Tokens are integers from 0 to V - 1; 0 ends a document and stands, as begin symbol, before its first token.
    """

    @property
    @abstractmethod
    def vocabulary(self) -> int:
        """Number of different tokens, V."""

    @property
    @abstractmethod
    def plan(self) -> dict[str, Any]:
        """What was derived and why: plain JSON values for people to read."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Number of learned numbers."""

    @abstractmethod
    def surprise(self, tokens: NDArray[Any], offsets: NDArray[Any]) -> NDArray[np.float64]:
        """Return how surprising each token is, -ln p(token | tokens of its document before it).

        Args:
            tokens: (length,) integers from 0 to V - 1, mapped into memory or not; end tokens are scored where they
                stand, and nowhere else.
            offsets: (documents + 1,) the places where documents begin, and the end of the last.

        Returns:
            (offsets[-1] - offsets[0],) nats.

        Raises:
            OptionError: a token is not of the vocabulary, or the offsets do not fit.
        """

    @abstractmethod
    def next_probabilities(self, context: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probability of each token to be the next.

        Args:
            context: (length,) the tokens of the document so far; none at its beginning. What stands before an end
                token does not count.

        Returns:
            (V,) all above 0, with sum 1.

        Raises:
            OptionError: a token is not of the vocabulary.
        """

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the whole state, from which `from_arrays` makes the same model; it may be mapped into memory."""


def shortening(tokens: int, wanted: int) -> dict[str, Any]:
    """Return the value of a plan that says from how many tokens the time let a model learn, if not from all."""
    return {"shortened": say("shortened.ngrams", tokens=tokens, wanted=wanted)} if tokens < wanted else {}
