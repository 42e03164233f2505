"""Features of a table in chunks: predicting needs no more memory for more rows."""

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
