"""What texts cost a language model: the five numbers that every score of language is made of."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.lengths import lengths_of
from yunti.data.table import Table, Texts
from yunti.specs import Spec


def texts_of(spec: Spec, table: Table) -> pa.LargeStringArray:
    """Return the texts of the column that a spec speaks of."""
    (column,) = spec.of_kind("text")
    return cast(Texts, table[column.name]).values


def costs(nats: NDArray[Any], tokens: NDArray[Any], texts: pa.LargeStringArray) -> NDArray[np.float64]:
    """Put together what predictions of language are made of, see `yunti.tasks.language`."""
    octets, characters, words = lengths_of(texts).T
    return np.column_stack([nats, octets, characters, tokens, words]).astype(np.float64)
