"""Features of a table as matrices of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Table

if TYPE_CHECKING:
    from yunti.models.features import Features

CHUNK_CELLS = 1 << 24


def matrices(features: Features, table: Table) -> Iterator[NDArray[np.float32]]:
    """Give the features of a table chunk by chunk, shape (rows of the chunk, features), float32."""
    step = max(1, CHUNK_CELLS // max(1, len(features.names)))
    for start in range(0, len(table), step):
        yield features.transform(table.take(slice(start, start + step)))


def matrix_of(features: Features, table: Table) -> NDArray[np.float32]:
    """Return the features of a table, shape (rows, features), float32; no more than a chunk is held twice."""
    matrix = np.empty((len(table), len(features.names)), dtype=np.float32)
    start = 0
    for chunk in matrices(features, table):
        matrix[start : start + len(chunk)] = chunk
        start += len(chunk)
    return matrix
