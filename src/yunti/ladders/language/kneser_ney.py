"""What followed the last few tokens before, smoothed: the best of what can be counted."""

from __future__ import annotations

from typing import Any, final

from numpy.typing import NDArray

from yunti.data.token_file import TokenFile
from yunti.ladders.language.counted import Counted, too_few_texts
from yunti.ladders.rung import Rung
from yunti.models.contract import Model, Size
from yunti.models.ngrams import KneserNey, Limits, NgramModel, fit_kneser_ney
from yunti.specs import Spec
from yunti.words import say


@final
class Grams(Counted):
    """Interpolated modified Kneser-Ney n-grams, whose order the validation texts choose."""

    def count(self, train: TokenFile, valid: TokenFile | None, limits: Limits) -> NgramModel:
        """Count the training tokens; without other texts the order that was chosen before is kept."""
        order = self._plan.get("order") if valid is None else None
        judged = None if valid is None else (valid.tokens, valid.offsets)
        return fit_kneser_ney(train.tokens, train.offsets, self.coder.size, order, judged, limits)

    def made_of(self, arrays: dict[str, NDArray[Any]]) -> NgramModel:
        """Return the model that gave these arrays."""
        return KneserNey.from_arrays(arrays)


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained model."""
    return Grams(spec, size)


RUNG = Rung(
    name="kneser_ney",
    era="traditional",
    idea=say("rung.kneser_ney"),
    source="Kneser and Ney, 1995; Chen and Goodman, 1998; Heafield et al., 2013, Scalable modified Kneser-Ney",
    unfit_for=too_few_texts,
    build=build,
)
