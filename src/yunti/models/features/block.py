"""The contract of one column's features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from numpy.typing import NDArray

from yunti.data.table import Column
from yunti.models.contract import Parts


class Block(ABC):
    """Turns one column into numbers; fitted on training rows only.

    `sparse` says whether `transform` gives a SciPy CSR matrix (mostly zeros) or a dense array.
    """

    sparse: bool = False

    @abstractmethod
    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Learn from training rows.

        Args:
            column: the training rows.
            target: shape (rows,); int32 class codes, or float64 values.
            seed: seed of anything drawn at random.
        """

    @abstractmethod
    def transform(self, column: Column) -> Any:
        """Return the features, shape (rows, width), float32: an array, or a CSR matrix where `sparse`."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Name of every feature; as many as `transform` gives columns."""

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.names)

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of distinct codes of every feature that is an unordered code, else 0."""
        return (0,) * self.width

    @abstractmethod
    def parts(self) -> Parts:
        """Return what was learned."""

    @abstractmethod
    def restore(self, parts: Parts) -> None:
        """Take back what was learned."""
