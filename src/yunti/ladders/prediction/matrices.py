"""Features of a table in chunks: predicting needs no more memory for more rows, training no more than it was given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from yunti.data.table import Examples, Table

if TYPE_CHECKING:
    from yunti.models.features import Features

CHUNK_CELLS = 1 << 24
CHUNK_ROWS = 1 << 14  # of sparse features, whose cells are mostly zeros
PROBE_ROWS = 1000


def matrices(features: Features, table: Table) -> Iterator[Any]:
    """Give the features of a table chunk by chunk, shape (rows of the chunk, features), float32: arrays or CSR."""
    step = CHUNK_ROWS if features.sparse else max(1, CHUNK_CELLS // max(1, features.width))
    for start in range(0, len(table), step):
        yield features.transform(table.take(slice(start, start + step)))


def some_rows(features: Features, train: Examples, cells: float, random: np.random.Generator) -> Examples:
    """Return the training rows, or so many at random that their features hold at most so many stored values."""
    stored = float(features.width)
    if features.sparse:
        probe = features.transform(train.table.take(slice(0, PROBE_ROWS)))
        stored = probe.nnz / max(1, probe.shape[0])
    rows = int(cells / max(1.0, stored))
    if rows >= len(train):
        return train
    return train.take(np.sort(random.choice(len(train), rows, replace=False)))


def stored_cells(matrix: Any) -> int:
    """Number of stored values of an array or a CSR matrix."""
    return int(matrix.size if isinstance(matrix, np.ndarray) else matrix.nnz)
