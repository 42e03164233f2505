"""Features for traditional models: any mixture of columns as one matrix of numbers, fitted on training rows only.

Two flavours. `scaled` is for models that add or compare features (linear, support vectors): everything is filled,
centred and scaled, categories are one-hot, texts are sparse bags of n-grams. `raw` is for trees: missing stays NaN,
categories are codes, texts are dense.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Table
from yunti.models.contract import Parts
from yunti.models.features.audio import Sound
from yunti.models.features.block import Block
from yunti.models.features.images import Picture
from yunti.models.features.scaling import Scaled
from yunti.models.features.sequences import Sequence
from yunti.models.features.tabular import Codes, Number, NumberAndLogarithm, OneHot, Time
from yunti.models.features.text import DenseText, SparseText
from yunti.seeds import seed_for
from yunti.specs import ColumnSpec, Spec

Flavour = Literal["scaled", "raw"]
CHUNK_ROWS = {"text": 4_000, "image": 5_000, "audio": 2_000, "sequence": 10_000}
CHUNK_VALUES = 8_000_000
DENSE_WIDTH = 200  # features of sparse blocks up to which a dense matrix is faster

__all__ = ["Block", "Features", "Flavour"]


@final
class Features:
    """All columns of a spec as one matrix.

    Args:
        spec: the columns; each becomes one block of features.
        flavour: "scaled" or "raw".
        sparse: whether to give CSR matrices; None decides it by how many features are sparse.
        dense_width: so many sparse features still make a dense matrix.

    Example:
        >>> from yunti.data.table import Numbers
        >>> from yunti.specs import TaskSpec
        >>> task = TaskSpec("regression", "y", "r2", "higher")
        >>> table = Table({"age": Numbers(np.array([30.0, 40.0, np.nan], dtype=np.float32))})
        >>> features = Features(Spec((ColumnSpec("age", "number"),), task, rows=3), "scaled")
        >>> features.fit(table, np.zeros(3))
        >>> features.names, features.transform(table).shape
        (('age', 'age is missing'), (3, 2))
    """

    def __init__(
        self, spec: Spec, flavour: Flavour, sparse: bool | None = None, dense_width: int = DENSE_WIDTH
    ) -> None:
        self.spec = spec
        self._dense_width = dense_width
        self._sparse_or_not = sparse
        make = _scaled_block if flavour == "scaled" else _raw_block
        self.blocks: dict[str, Block] = {column.name: make(column, spec) for column in spec.columns}

    def fit(self, table: Table, target: NDArray[Any]) -> None:
        """Learn all blocks from training rows.

        Args:
            table: the training rows.
            target: shape (rows,); int32 class codes, or float64 values.
        """
        for name, block in self.blocks.items():
            block.fit(table[name], target, seed_for(self.spec.seed, "features", name))

    def transform(self, table: Table) -> Any:
        """Return the features of every row.

        Returns:
            Shape (rows, features), float32: a CSR matrix if `sparse`, else an array.
        """
        rows, widths = len(table), self.widths
        edges = np.concatenate([[0], np.cumsum(list(widths.values()))]).astype(int)
        step = self._chunk_rows(int(edges[-1]))
        if self.sparse:
            starts = range(0, max(1, rows), step)
            return _stacked(self._sparse(table.take(slice(start, start + step))) for start in starts)
        matrix = np.empty((rows, edges[-1]), dtype=np.float32)
        for start in range(0, rows, step):
            part = table.take(slice(start, start + step))
            for (name, block), first, last in zip(self.blocks.items(), edges[:-1], edges[1:], strict=True):
                values = block.transform(part[name])
                matrix[start : start + step, first:last] = values.toarray() if block.sparse else values
        return matrix

    def _sparse(self, part: Table) -> Any:
        from scipy import sparse

        blocks = [block.transform(part[name]) for name, block in self.blocks.items()]
        return sparse.hstack([sparse.csr_matrix(block) for block in blocks], format="csr", dtype=np.float32)

    def _chunk_rows(self, width: int) -> int:
        kinds = {column.kind for column in self.spec.columns}
        by_kind = min((rows for kind, rows in CHUNK_ROWS.items() if kind in kinds), default=65_536)
        return max(256, min(by_kind, CHUNK_VALUES // max(1, width))) if not self.sparse else by_kind

    @property
    def sparse(self) -> bool:
        """Whether `transform` gives a CSR matrix."""
        if self._sparse_or_not is not None:
            return self._sparse_or_not
        return sum(width for name, width in self.widths.items() if self.blocks[name].sparse) > self._dense_width

    @property
    def widths(self) -> dict[str, int]:
        """Number of features of every column."""
        return {name: block.width for name, block in self.blocks.items()}

    @property
    def width(self) -> int:
        """Number of features."""
        return sum(self.widths.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every feature."""
        return tuple(name for block in self.blocks.values() for name in block.names)

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of distinct codes of every feature that is an unordered code, else 0."""
        return tuple(count for block in self.blocks.values() for count in block.levels)

    def parts(self) -> Parts:
        """Return what was learned."""
        parts = Parts()
        for place, block in enumerate(self.blocks.values()):
            parts.put(str(place), block.parts())
        parts.facts["sparse"] = self.sparse
        return parts

    def restore(self, parts: Parts) -> None:
        """Take back what was learned."""
        for place, block in enumerate(self.blocks.values()):
            block.restore(parts.get(str(place)))
        self._sparse_or_not = parts.facts.get("sparse")


def _scaled_block(column: ColumnSpec, spec: Spec) -> Block:
    del spec
    match column.kind:
        case "number":
            return Scaled(NumberAndLogarithm(column.name))
        case "flag":
            return Scaled(Number(column.name))
        case "time":
            return Scaled(Time(column.name, circular=True))
        case "category" | "id":
            return OneHot(column.name)
        case "text":
            return SparseText(column.name)
        case "image":
            return Picture(column.name, column.shape or (1, 1, 1), missing=0.0, overlap=True)
        case "audio":
            return Scaled(Sound(column.name, column.rate or 16_000))
        case "sequence":
            return Scaled(Sequence(column.name, column.channels or 1))


def _raw_block(column: ColumnSpec, spec: Spec) -> Block:
    match column.kind:
        case "number" | "flag":
            return Number(column.name)
        case "time":
            return Time(column.name, circular=False)
        case "category" | "id":
            return Codes(column.name, unordered=True)
        case "text":
            return DenseText(column.name, spec.task.name)
        case "image":
            return Picture(column.name, column.shape or (1, 1, 1), missing=float("nan"), overlap=False)
        case "audio":
            return Sound(column.name, column.rate or 16_000)
        case "sequence":
            return Sequence(column.name, column.channels or 1)


def _stacked(pieces: Iterator[Any]) -> Any:
    """Stack CSR matrices as they come; what is there grows in place, so that no value is held twice."""
    from scipy import sparse

    values, columns, ends = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int32), [np.zeros(1, dtype=np.int64)]
    width = 0
    for piece in pieces:
        start, width = len(values), piece.shape[1]
        for whole, part in ((values, piece.data), (columns, piece.indices)):
            whole.resize(start + piece.nnz, refcheck=False)  # nobody else holds them
            whole[start:] = part
        ends.append(start + piece.indptr[1:].astype(np.int64))
    offsets = np.concatenate(ends)
    return sparse.csr_matrix((values, columns, offsets), shape=(len(offsets) - 1, width))
