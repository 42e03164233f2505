"""n-gram models of tokens: counted, smoothed and searched with NumPy alone.

Read in the order of the work: `stream` (documents that do not run into each other), `grams` and `runs` (sorted n-grams,
in memory and in files), `counting`, `discounts` and `estimate` (from counts to a model), `search` and `kneser_ney` (the
model), `fit` (all of it within limits), `order`; and `unigram`.
"""

from yunti.models.ngrams.fit import fit_kneser_ney
from yunti.models.ngrams.kneser_ney import KneserNey
from yunti.models.ngrams.model import Limits, NgramModel
from yunti.models.ngrams.order import usual_order
from yunti.models.ngrams.unigram import Unigram, fit_unigram

__all__ = ["KneserNey", "Limits", "NgramModel", "Unigram", "fit_kneser_ney", "fit_unigram", "usual_order"]
