"""How frequent each token is: what knowing nothing of what stands before it scores."""

from __future__ import annotations

from typing import Any, final

from numpy.typing import NDArray

from yunti.data.token_file import TokenFile
from yunti.ladders.language.counted import Counted, too_few_texts
from yunti.ladders.rung import Rung
from yunti.models.contract import Model, Size
from yunti.models.ngrams import Limits, NgramModel, Unigram, fit_unigram
from yunti.specs import Spec
from yunti.words import say


@final
class Frequencies(Counted):
    """Relative frequencies of tokens."""

    def count(self, train: TokenFile, valid: TokenFile | None, limits: Limits) -> NgramModel:
        """Count the training tokens."""
        return fit_unigram(train.tokens, train.offsets, self.coder.size, limits)

    def made_of(self, arrays: dict[str, NDArray[Any]]) -> NgramModel:
        """Return the model that gave these arrays."""
        return Unigram.from_arrays(arrays)


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained model."""
    return Frequencies(spec, size)


RUNG = Rung(
    name="unigram",
    era="traditional",
    idea=say("rung.unigram"),
    source="Shannon, 1951, Prediction and entropy of printed English; Krichevsky and Trofimov, 1981",
    unfit_for=too_few_texts,
    build=build,
    share=lambda _spec: 0.3,
)
