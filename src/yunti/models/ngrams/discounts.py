"""Discounts: how much of a count is given to what was not seen."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

FALLBACK: Final = (0.5, 1.0, 1.5)  # where counts of counts do not tell: the usual setting of KenLM


def discounts(counts_of_counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Derive an order's three discounts of modified Kneser–Ney smoothing.

    D_k = k − (k + 1) Y t_{k+1} / t_k with Y = t_1 / (t_1 + 2 t_2), where t_k is the number of n-grams with count k;
    D_3 is for all counts from 3 on. Where a t_k is 0 or a discount is not between 0 and k, as in small data and for
    single characters, all three are 0.5, 1 and 1.5.

    Args:
        counts_of_counts: t_0, t_1, t_2, t_3, t_4 and more that are not looked at.

    Returns:
        D_1, D_2, D_3, each above 0, so that every context leaves something for tokens that never followed it.

    Source:
        Chen and Goodman, An Empirical Study of Smoothing Techniques for Language Modeling, 1998, equation 26; the
        fallback is that of KenLM (Heafield et al. 2013).

    Example:
        >>> discounts(np.array([0, 40, 20, 10, 5])).tolist()
        [0.5, 1.25, 2.0]
    """
    t = counts_of_counts[:5].astype(np.float64)
    if not t[1:].all():
        return np.array(FALLBACK)
    share = t[1] / (t[1] + 2 * t[2])
    k = np.arange(1, 4)
    found = k - (k + 1) * share * t[2:5] / t[1:4]
    return found if np.all((found > 0) & (found <= k)) else np.array(FALLBACK)
