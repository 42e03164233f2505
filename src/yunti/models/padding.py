"""Rows of different length side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Ragged

_PAD_TO = 16  # few distinct lengths: oneDNN prepares its kernels anew for every shape


def pad(values: Ragged, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Lay rows of different length side by side.

    Args:
        values: rows of shape (length,) or (length, width).
        rows: which rows.

    Returns:
        Shape (rows, longest) or (rows, longest, width), zeros after each row's end, the longest rounded up to a
        multiple of 16; and a mask of shape (rows, longest), true on real steps.
    """
    starts, lengths = values.offsets[rows], values.offsets[rows + 1] - values.offsets[rows]
    longest = -(-max(1, int(lengths.max(initial=0))) // _PAD_TO) * _PAD_TO
    mask = np.arange(longest) < lengths[:, None]
    kind = np.float32 if values.values.dtype == np.float16 else values.values.dtype
    padded = np.zeros((*mask.shape, *values.values.shape[1:]), dtype=kind)
    padded[mask] = values.values[(starts[:, None] + np.arange(longest))[mask]]
    return padded, mask
