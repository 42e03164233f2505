"""Bring numbers to a common scale for models that add or compare them."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Column
from yunti.models.contract import Parts
from yunti.models.features.block import Block

Floats = NDArray[np.float32]
REACH = 6.0  # deviations within which values keep their order of magnitude; beyond, they are drawn in


@final
class Scaled(Block):
    """Another block's numbers, centred and scaled, with missing ones filled and flagged.

    z = (x - m) / s with m and s the mean and the deviation of the training values between their 1st and 99th
    percentile; beyond ±6, z becomes ±(6 + ln(1 + |z| - 6)), so that an outlier moves a score a little and not wholly.
    Missing values become m; where training rows lack a value, a feature says so with 1.

    Args:
        inner: gives dense features with NaN where missing.
        total: variance that all features together shall have for each of their number; 1 leaves each at 1.
    """

    def __init__(self, inner: Block, total: float = 1.0) -> None:
        self.inner = inner
        self.total = total
        self.center = np.zeros(0, dtype=np.float32)
        self.scale = np.zeros(0, dtype=np.float32)
        self.flagged: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Learn centres, scales, and which features can be missing."""
        from yunti.seeds import generator

        self.inner.fit(column, target, seed)
        if len(column) > SAMPLE:
            rows = generator(seed, "scale").choice(len(column), SAMPLE, replace=False)
            column = column.take(np.sort(rows))
        values = self.inner.transform(column)
        lost = np.isnan(values)
        self.flagged = _distinct_columns(lost)
        self.center, spread = _robust(values)
        self.scale = (np.sqrt(self.total) / spread).astype(np.float32)

    def transform(self, column: Column) -> Floats:
        """Return the scaled features, then the flags."""
        values = self.inner.transform(column)
        lost = np.isnan(values)
        values -= self.center
        values *= self.scale
        limit = np.float32(REACH * np.sqrt(self.total))
        far = np.abs(values) > limit
        if far.any():
            values[far] = np.sign(values[far]) * (limit + np.log1p(np.abs(values[far]) - limit))
        values[lost] = 0
        if not len(self.flagged):
            return values
        return np.concatenate([values, lost[:, self.flagged].astype(np.float32)], axis=1)

    @property
    def names(self) -> tuple[str, ...]:
        """The inner names, then those of the flags."""
        inner = self.inner.names
        return (*inner, *(f"{inner[index]} is missing" for index in self.flagged.tolist()))

    def parts(self) -> Parts:
        """Return centres, scales, flags and the inner block's parts."""
        parts = Parts({"center": self.center, "scale": self.scale, "flagged": self.flagged})
        parts.put("inner", self.inner.parts())
        return parts

    def restore(self, parts: Parts) -> None:
        """Take them back."""
        self.center, self.scale = parts.arrays["center"], parts.arrays["scale"]
        self.flagged = parts.arrays["flagged"]
        self.inner.restore(parts.get("inner"))


SAMPLE = 200_000


def _distinct_columns(lost: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the columns that are missing in some rows but not in all, each pattern once."""
    seen: dict[bytes, int] = {}
    for index in range(lost.shape[1]):
        pattern = lost[:, index]
        if pattern.any() and not pattern.all():
            seen.setdefault(np.packbits(pattern).tobytes(), index)
    return np.array(sorted(seen.values()), dtype=np.int64)


def _robust(values: Floats) -> tuple[Floats, NDArray[np.float64]]:
    """Return mean and deviation of every column between its 1st and 99th percentile; 0 and 1 where there is none."""
    center = np.zeros(values.shape[1], dtype=np.float32)
    spread = np.ones(values.shape[1])
    for index in range(values.shape[1]):
        column = values[:, index]
        column = column[np.isfinite(column)].astype(np.float64)
        if not len(column):
            continue
        low, high = np.quantile(column, [0.01, 0.99])
        inner = np.clip(column, low, high)
        if inner.std() <= 1e-7 * max(1.0, abs(inner.mean())):
            inner = column  # nearly all values are equal: the few others are the news
        center[index] = inner.mean()
        spread[index] = inner.std() if inner.std() > 1e-12 * max(1.0, abs(inner.mean())) else 1.0
    return center, spread
