"""Sequences of any length as a fixed number of statistics."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Column, Ragged
from yunti.models.contract import Parts
from yunti.models.features.block import Block

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
CHUNK_STEPS = 1_000_000
MOST_FEATURES = 2000
STATISTICS = (
    "mean", "deviation", "least", "10 %", "25 %", "median", "75 %", "90 %", "most", "first", "last", "slope",
    "mean change", "deviation of changes", "crossings of the mean", "autocorrelation", "curvature",
    "autocorrelation 2", "autocorrelation 4", "autocorrelation 8", "autocorrelation 16",
)  # fmt: skip
LAGS = (
    2,
    4,
    8,
    16,
)  # steps; with the neighbours of lag 1, octaves of frequency that `bands` of a long row averages away
BANDS = 5
CORRELATED = 12  # channels up to which every pair is compared


def segments(values: NDArray[Any], offsets: NDArray[np.int64], count: int) -> Floats:
    """Average every row over equal stretches of its length (piecewise aggregate approximation, Keogh et al., 2001).

    A stretch that ends within a step takes its share of that step, so that rows shorter than `count` work as well.

    Args:
        values: shape (steps of all rows, channels), without NaN.
        offsets: shape (rows + 1,), the first is 0; every row has at least one step.
        count: stretches of each row.

    Returns:
        Shape (rows, count, channels).
    """
    lengths = np.diff(offsets)
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, dtype=np.float64, out=sums[1:])
    times = offsets[:-1, None] + lengths[:, None] * (np.arange(count + 1) / count)  # (rows, count + 1)
    whole = np.minimum(times.astype(np.int64), len(values) - 1)
    integral = sums[whole] + (times - whole)[..., None] * values[whole]
    means: Floats = (np.diff(integral, axis=1) * (count / lengths)[:, None, None]).astype(np.float32)
    return means


def statistics(values: Floats, offsets: NDArray[np.int64]) -> Floats:
    """Return the statistics named in `STATISTICS` for every row and channel.

    The slope is that of the least-squares line over the row's length (change from its start to its end); the
    autocorrelation is that of neighbouring steps, or of steps so many apart (0 where a row is no longer than that). The
    curvature is the factor of the second Legendre polynomial over the row's length, orthogonal to mean and slope.

    Args:
        values: shape (steps of all rows, channels), without NaN.
        offsets: shape (rows + 1,), the first is 0; every row has at least one step.

    Returns:
        Shape (rows, statistics, channels).
    """
    starts, lengths = offsets[:-1], np.diff(offsets)[:, None].astype(np.float64)
    row_of = np.repeat(np.arange(len(starts)), np.diff(offsets))
    doubles = values.astype(np.float64)
    mean = np.add.reduceat(doubles, starts) / lengths
    centred = doubles - mean[row_of]
    variance = np.add.reduceat(centred**2, starts) / lengths
    place = (np.arange(len(values)) - starts[row_of] + 0.5) / lengths[row_of, 0] - 0.5
    spread = np.maximum(np.add.reduceat(place**2, starts)[:, None], 1e-12)
    slope = np.add.reduceat(centred * place[:, None], starts) / spread
    bow = (6 * place**2 - 0.5)[:, None]
    curvature = np.add.reduceat(centred * bow, starts) / np.maximum(np.add.reduceat(bow**2, starts), 1e-12)
    change = np.diff(doubles, axis=0, append=doubles[-1:])
    change[offsets[1:] - 1] = 0  # no change from one row to the next
    pairs = np.maximum(lengths - 1, 1)
    roughness = np.sqrt(np.add.reduceat(change**2, starts) / pairs)
    following = np.concatenate([centred[1:], centred[-1:]])
    following[offsets[1:] - 1] = 0
    crossings = np.add.reduceat((centred * following < 0).astype(np.float64), starts) / pairs
    energy = np.where(variance > _rounding(mean), variance * lengths, np.inf)
    autocorrelation = np.add.reduceat(centred * following, starts) / energy
    further = [_products(centred, offsets, row_of, lag) / energy for lag in LAGS]
    steepness = np.add.reduceat(np.abs(change), starts) / pairs
    low, q10, q25, q50, q75, q90, high = _quantiles(values, offsets, row_of)
    first, last = values[starts], values[offsets[1:] - 1]
    rows = (
        mean, np.sqrt(variance), low, q10, q25, q50, q75, q90, high, first, last, slope,
        steepness, roughness, crossings, autocorrelation, curvature, *further,
    )  # fmt: skip
    return np.stack(rows, axis=1).astype(np.float32)


def bands(sampled: Floats) -> Floats:
    """Return the logarithm of the share of the energy in octaves of the frequency, the highest last.

    Args:
        sampled: shape (rows, steps, channels), steps a power of two.

    Returns:
        Shape (rows, octaves, channels) with octaves = log2(steps); the lowest is one cycle over the row.
    """
    import scipy.fft

    power = np.square(np.abs(scipy.fft.rfft(sampled, axis=1)))[:, 1:] / sampled.shape[1]
    edges = [0, *(2**octave for octave in range(int(np.log2(sampled.shape[1]))))]
    sums = [power[:, start:stop].sum(axis=1) for start, stop in itertools.pairwise(edges)]
    energies = np.stack(sums, axis=1)
    total = energies.sum(axis=1, keepdims=True)
    return np.log(energies / np.where(total > 0, total, 1) + 1e-6).astype(np.float32)


def correlations(values: Floats, offsets: NDArray[np.int64]) -> Floats:
    """Return Pearson's correlation of every two channels within a row; 0 where one of them is constant.

    Args:
        values: shape (steps of all rows, channels), without NaN.
        offsets: shape (rows + 1,), the first is 0; every row has at least one step.

    Returns:
        Shape (rows, pairs), pairs in the order (1, 2), (1, 3), ..., (2, 3), ...
    """
    starts, lengths = offsets[:-1], np.diff(offsets)
    row_of = np.repeat(np.arange(len(starts)), lengths)
    doubles = values.astype(np.float64)
    mean = np.add.reduceat(doubles, starts) / lengths[:, None]
    doubles -= mean[row_of]
    energy = np.add.reduceat(doubles**2, starts)
    doubles /= np.sqrt(np.where(energy > lengths[:, None] * _rounding(mean), energy, np.inf))[row_of]
    first, second = np.triu_indices(values.shape[1], 1)
    pairs = [np.add.reduceat(doubles[:, i] * doubles[:, j], starts) for i, j in zip(first, second, strict=True)]
    return np.stack(pairs, axis=1).astype(np.float32) if pairs else np.zeros((len(starts), 0), dtype=np.float32)


@final
class Sequence(Block):
    """A sequence as its length, statistics of every channel, its course, its spectrum, and how channels go together.

    Args:
        name: the column's name.
        channels: values per step.
    """

    SPECTRUM = 2**BANDS

    def __init__(self, name: str, channels: int) -> None:
        self.name, self.channels = name, channels
        self.count = int(np.clip(MOST_FEATURES // max(1, channels) - len(STATISTICS) - BANDS, 4, 24))

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Learn nothing: statistics of a row need no other row."""

    def transform(self, column: Column) -> Floats:
        """Return the statistics; NaN where a row, or a channel of it, is missing."""
        ragged = cast(Ragged, column)
        pieces = [self._piece(part) for part in chunks(ragged, CHUNK_STEPS // max(1, self.channels))]
        return np.concatenate([np.zeros((0, len(self.names)), dtype=np.float32), *pieces])

    def _piece(self, ragged: Ragged) -> Floats:
        features = np.full((len(ragged), len(self.names)), np.nan, dtype=np.float32)
        present, values, offsets, known = filled(ragged)
        if len(present):
            spectrum = bands(segments(values, offsets, self.SPECTRUM))
            found = (statistics(values, offsets), segments(values, offsets, self.count), spectrum)
            seen = [np.where(known[:, None], each, np.nan).reshape(len(present), -1) for each in found]
            lengths = np.diff(offsets)[:, None].astype(np.float32)
            features[present] = np.concatenate([lengths, *seen, *self._pairs(values, offsets, known)], axis=1)
        return features

    def _pairs(self, values: Floats, offsets: NDArray[np.int64], known: NDArray[np.bool_]) -> list[Floats]:
        if self.channels > CORRELATED:
            return []
        first, second = np.triu_indices(self.channels, 1)
        return [np.where(known[:, first] & known[:, second], correlations(values, offsets), np.float32(np.nan))]

    @property
    def names(self) -> tuple[str, ...]:
        """Column, channel and statistic."""
        course = (f"stretch {place + 1} of {self.count}" for place in range(self.count))
        octaves = (f"energy of octave {place + 1}" for place in range(BANDS))
        each = [*STATISTICS, *course, *octaves]
        channels = [f" channel {channel + 1}" for channel in range(self.channels)] if self.channels > 1 else [""]
        single = (f"{self.name}{channel}: {what}" for what in each for channel in channels)
        pairs = zip(*(each.tolist() for each in np.triu_indices(self.channels, 1)), strict=True)
        double = (f"{self.name} channels {first + 1} and {second + 1}: correlation" for first, second in pairs)
        return (f"{self.name}: length", *single, *(double if self.channels <= CORRELATED else ()))

    def parts(self) -> Parts:
        """Return nothing."""
        return Parts()

    def restore(self, parts: Parts) -> None:
        """Take nothing."""


def chunks(ragged: Ragged, steps: int) -> Iterator[Ragged]:
    """Cut rows into stretches of about so many steps."""
    group = (ragged.offsets[1:] - ragged.offsets[0]) // max(1, steps)
    for start, stop in itertools.pairwise([0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(ragged)]):
        yield ragged.take(slice(start, stop))


def filled(ragged: Ragged) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64], NDArray[np.bool_]]:
    """Fill gaps with the mean of their row and channel.

    Returns:
        The rows that have a step; their steps as float32, without NaN; their offsets; and which channels have any
        value there, shape (rows, channels).
    """
    lengths = ragged.lengths
    present = np.flatnonzero(lengths > 0)
    values = ragged.values[ragged.offsets[0] : ragged.offsets[-1]].astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths[present])])
    known = np.ones((len(present), values.shape[1]), dtype=np.bool_)
    lost = ~np.isfinite(values)
    if lost.any():
        row_of = np.repeat(np.arange(len(present)), lengths[present])
        zeros = np.where(lost, 0, values).astype(np.float64)
        counts = np.add.reduceat((~lost).astype(np.float64), offsets[:-1])
        means = np.add.reduceat(zeros, offsets[:-1]) / np.maximum(counts, 1)
        values = np.where(lost, means[row_of], values).astype(np.float32)
        known = counts > 0
    return present, values, offsets, known


def _rounding(mean: Doubles) -> Doubles:
    """Return the variance up to which float32 values around a mean are equal but for rounding."""
    return 1e-14 * mean**2


def _products(centred: Doubles, offsets: NDArray[np.int64], row_of: NDArray[np.int64], lag: int) -> Doubles:
    """Sum the products of steps that lie `lag` apart within their row, shape (rows, channels)."""
    products = np.zeros_like(centred)
    within = np.flatnonzero(row_of[:-lag] == row_of[lag:]) if lag < len(row_of) else np.zeros(0, dtype=np.int64)
    products[within] = centred[within] * centred[within + lag]
    return np.add.reduceat(products, offsets[:-1])


def _quantiles(values: Floats, offsets: NDArray[np.int64], row_of: NDArray[np.int64]) -> list[Floats]:
    """Return least, 10, 25, 50, 75, 90 % and most of every row and channel (the nearest rank)."""
    last = np.diff(offsets) - 1
    ordered = np.stack([column[np.lexsort((column, row_of))] for column in values.T], axis=1)
    return [
        ordered[offsets[:-1] + np.rint(share * last).astype(np.int64)] for share in (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)
    ]
