"""Sounds as statistics of mel-frequency cepstral coefficients (MFCC)."""

from __future__ import annotations

import functools
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Column, Ragged
from yunti.models.contract import Parts
from yunti.models.features.block import Block
from yunti.models.features.sequences import chunks, segments, statistics

Floats = NDArray[np.float32]
FILTERS = 26
COEFFICIENTS = 13
STRETCHES = 8
SILENCE_DB = 30.0  # a frame this far below the loudest is silence
CHUNK_SAMPLES = 2_000_000
WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.010


def mel(hertz: Any) -> Any:
    """Return the pitch in mel: 2595 · log10(1 + f / 700) (O'Shaughnessy, 1987)."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


@functools.cache
def mel_filters(rate: int, size: int) -> Floats:
    """Return triangular filters, equally spaced in mel from 20 Hz to half the rate, each of height 1.

    Args:
        rate: samples per second.
        size: samples of the Fourier transform.

    Returns:
        Shape (size // 2 + 1, FILTERS).
    """
    points = 700 * (10 ** (np.linspace(mel(20), mel(rate / 2), FILTERS + 2) / 2595) - 1)
    hertz = np.arange(size // 2 + 1)[:, None] * (rate / size)
    rising = (hertz - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - hertz) / (points[2:] - points[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


@functools.cache
def cosines(inputs: int, outputs: int) -> Floats:
    """Return the orthonormal discrete cosine transform of type 2, shape (inputs, outputs)."""
    angles = np.pi * (np.arange(inputs)[:, None] + 0.5) * np.arange(outputs)[None, :] / inputs
    matrix = np.cos(angles) * np.sqrt(2 / inputs)
    matrix[:, 0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def log_mel(values: Floats, offsets: NDArray[np.int64], rate: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return the log energy of mel bands in frames of 25 ms every 10 ms.

    Samples are pre-emphasised (x_t - 0.97·x_(t-1)) and windowed (Hamming). A sound shorter than a frame is padded.

    Args:
        values: shape (samples of all sounds,), -1 to 1.
        offsets: shape (sounds + 1,), the first is 0; every sound has a sample.
        rate: samples per second.

    Returns:
        Shape (frames of all sounds, FILTERS), and the offsets of the frames, shape (sounds + 1,).
    """
    import scipy.fft

    window, hop = max(2, round(rate * WINDOW_SECONDS)), max(1, round(rate * HOP_SECONDS))
    size = 1 << (window - 1).bit_length()
    counts = np.maximum(0, np.diff(offsets) - window) // hop + 1
    frames = np.concatenate([[0], np.cumsum(counts)])
    number = np.arange(frames[-1]) - np.repeat(frames[:-1], counts)
    starts = np.repeat(offsets[:-1], counts) + number * hop
    ends = np.repeat(offsets[1:], counts)
    place = starts[:, None] + np.arange(window)
    inside = place < ends[:, None]
    sharp = values.copy()
    sharp[1:] -= np.float32(0.97) * values[:-1]
    sharp[offsets[:-1]] = values[offsets[:-1]] * np.float32(0.03)  # as if the first sample had lasted
    cut = np.where(inside, sharp[np.minimum(place, len(sharp) - 1)], 0) * np.hamming(window).astype(np.float32)
    power = np.square(np.abs(scipy.fft.rfft(cut, size, axis=1)))
    return np.log(power @ mel_filters(rate, size) + np.float32(1e-10)), frames


@final
class Sound(Block):
    """A sound as MFCC: their course over eight stretches and their statistics, free of level and silence around.

    The mean over the recording is taken off every coefficient, and its deviation divided out, so that microphone and
    voice weigh less than what is said (cepstral mean and variance normalisation; Viikki and Laurila, 1998).

    Args:
        name: the column's name.
        rate: samples per second.
    """

    def __init__(self, name: str, rate: int) -> None:
        self.name, self.rate = name, rate

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Learn nothing: a recording is normalised by itself."""

    def transform(self, column: Column) -> Floats:
        """Return the features; NaN where a sound is missing or silent."""
        pieces = [self._piece(part) for part in chunks(cast(Ragged, column), CHUNK_SAMPLES)]
        return np.concatenate([np.zeros((0, len(self.names)), dtype=np.float32), *pieces])

    def _piece(self, ragged: Ragged) -> Floats:
        features = np.full((len(ragged), len(self.names)), np.nan, dtype=np.float32)
        values = ragged.values[ragged.offsets[0] : ragged.offsets[-1], 0].astype(np.float32)
        if ragged.values.dtype == np.int16:
            values /= np.float32(32768)
        present = np.flatnonzero(ragged.lengths > 0)
        if not len(present):
            return features
        offsets = np.concatenate([[0], np.cumsum(ragged.lengths[present])])
        energies, frames = trim(*log_mel(values, offsets, self.rate))
        cepstra = energies @ cosines(FILTERS, COEFFICIENTS)
        row_of = np.repeat(np.arange(len(present)), np.diff(frames))
        mean = np.add.reduceat(cepstra, frames[:-1]) / np.diff(frames)[:, None]
        cepstra -= mean[row_of]
        deviation = np.sqrt(np.add.reduceat(cepstra**2, frames[:-1]) / np.diff(frames)[:, None])
        cepstra /= np.maximum(deviation, 1e-3)[row_of]
        course = segments(cepstra, frames, STRETCHES)
        spread = statistics(cepstra, frames)[:, KEPT]
        seconds = np.diff(frames)[:, None] * np.float32(HOP_SECONDS)
        groups = (seconds, mean[:, 1:], deviation, spread, course)
        features[present] = np.concatenate([np.reshape(each, (len(present), -1)) for each in groups], axis=1)
        return features

    @property
    def names(self) -> tuple[str, ...]:
        """Column, coefficient and statistic."""
        numbers = range(COEFFICIENTS)
        means = [f"coefficient {number}: mean" for number in numbers[1:]]
        deviations = [f"coefficient {number}: deviation" for number in numbers]
        from yunti.models.features.sequences import STATISTICS

        spread = [f"coefficient {number}: {STATISTICS[which]}" for which in KEPT for number in numbers]
        course = [
            f"coefficient {number}: stretch {place + 1} of {STRETCHES}"
            for place in range(STRETCHES)
            for number in numbers
        ]
        return tuple(f"{self.name}: {what}" for what in ("seconds", *means, *deviations, *spread, *course))

    def parts(self) -> Parts:
        """Return nothing."""
        return Parts()

    def restore(self, parts: Parts) -> None:
        """Take nothing."""


KEPT = (2, 3, 5, 7, 8, 11, 12, 13, 14, 15)


def trim(energies: Floats, frames: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Leave out the silence before and after every sound: frames 30 dB below its loudest.

    Args:
        energies: log energies, shape (frames of all sounds, bands).
        frames: offsets, shape (sounds + 1,).

    Returns:
        The same for the frames that are left, at least one of each sound.
    """
    loudness = np.log(np.exp(energies).sum(axis=1)) * (10 / np.log(10))
    row_of = np.repeat(np.arange(len(frames) - 1), np.diff(frames))
    loud = loudness >= np.maximum.reduceat(loudness, frames[:-1])[row_of] - SILENCE_DB
    place = np.arange(len(loudness))
    first = np.minimum.reduceat(np.where(loud, place, len(place)), frames[:-1])
    last = np.maximum.reduceat(np.where(loud, place, -1), frames[:-1])
    kept = (place >= first[row_of]) & (place <= last[row_of])
    return energies[kept], np.concatenate([[0], np.cumsum(last - first + 1)])
