"""Sounds as statistics of mel-frequency cepstral coefficients (MFCC) and of the shape of their spectrum."""

from __future__ import annotations

import functools
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.spectrogram import mel_filters
from yunti.data.table import Column, Ragged
from yunti.models.contract import Parts
from yunti.models.features.block import Block
from yunti.models.features.sequences import STATISTICS, chunks, segments, statistics

Floats = NDArray[np.float32]
Offsets = NDArray[np.int64]
FILTERS = 26
COEFFICIENTS = 13
STRETCHES = 8
SILENCE_DB = 30.0  # a frame this far below the loudest is silence
CHUNK_SAMPLES = 2_000_000
FRAMES_AT_ONCE = 8192
WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.010
SHAPE = ("centroid", "spread", "flatness", "roll-off")
KEPT = (
    "least", "10 %", "median", "90 %", "most", "slope", "mean change", "deviation of changes",
    "crossings of the mean", "autocorrelation",
)  # fmt: skip
_KEPT = [STATISTICS.index(name) for name in KEPT]
_UPPER = np.triu_indices(COEFFICIENTS, 1)


@functools.cache
def cosines(inputs: int, outputs: int) -> Floats:
    """Return the orthonormal discrete cosine transform of type 2, shape (inputs, outputs)."""
    angles = np.pi * (np.arange(inputs)[:, None] + 0.5) * np.arange(outputs)[None, :] / inputs
    matrix = np.cos(angles) * np.sqrt(2 / inputs)
    matrix[:, 0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def log_mel(values: Floats, offsets: Offsets, rate: int) -> tuple[Floats, Offsets]:
    """Return the log energy of mel bands in frames of 25 ms every 10 ms, not normalised.

    Samples are pre-emphasised (x_t - 0.97·x_(t-1)) and windowed (Hamming). A sound shorter than a frame is padded.
    `yunti.data.spectrogram.log_mel` normalises every band by its recording, which takes away the level that tells
    silence from sound and the mean that tells one vowel from another, so only its filters serve here.

    Args:
        values: shape (samples of all sounds,), -1 to 1.
        offsets: shape (sounds + 1,), the first is 0; every sound has a sample.
        rate: samples per second.

    Returns:
        Shape (frames of all sounds, FILTERS), and the offsets of the frames, shape (sounds + 1,).
    """
    window, hop = max(2, round(rate * WINDOW_SECONDS)), max(1, round(rate * HOP_SECONDS))
    counts = np.maximum(0, np.diff(offsets) - window) // hop + 1
    frames = np.concatenate([[0], np.cumsum(counts)])
    number = np.arange(frames[-1]) - np.repeat(frames[:-1], counts)
    starts = np.repeat(offsets[:-1], counts) + number * hop
    ends = np.repeat(offsets[1:], counts)
    sharp = values.copy()
    sharp[1:] -= np.float32(0.97) * values[:-1]
    sharp[offsets[:-1]] = values[offsets[:-1]] * np.float32(0.03)  # as if the first sample had lasted
    energies = np.empty((len(starts), FILTERS), dtype=np.float32)
    for first in range(0, len(starts), FRAMES_AT_ONCE):
        some = slice(first, first + FRAMES_AT_ONCE)
        place = starts[some, None] + np.arange(window)
        cut = np.where(place < ends[some, None], sharp[np.minimum(place, len(sharp) - 1)], 0)
        energies[some] = _energies(cut, rate)
    return energies, frames


def trim(energies: Floats, frames: Offsets) -> tuple[Floats, Offsets]:
    """Leave out the silence before and after every sound: frames 30 dB below its loudest.

    Args:
        energies: log energies, shape (frames of all sounds, bands).
        frames: offsets, shape (sounds + 1,).

    Returns:
        The same for the frames that are left, at least one of each sound.
    """
    row_of = _row_of(frames)
    loud = loudness(energies, frames)[:, 0] >= -SILENCE_DB
    place = np.arange(len(loud))
    first = np.minimum.reduceat(np.where(loud, place, len(place)), frames[:-1])
    last = np.maximum.reduceat(np.where(loud, place, -1), frames[:-1])
    kept = (place >= first[row_of]) & (place <= last[row_of])
    return energies[kept], np.concatenate([[0], np.cumsum(last - first + 1)])


def loudness(energies: Floats, frames: Offsets) -> Floats:
    """Return the energy of every frame in decibels under the loudest frame of its sound, shape (frames, 1)."""
    decibels = np.log(np.exp(energies).sum(axis=1)) * np.float32(10 / np.log(10))
    return (decibels - np.maximum.reduceat(decibels, frames[:-1])[_row_of(frames)])[:, None]


def spectral_shape(energies: Floats) -> Floats:
    """Return where the energy of every frame lies: the numbers named in `SHAPE`.

    With p the shares of the mel bands k = 0, 1, ...: the centroid is Σ p·k, the spread its standard deviation, the
    flatness the geometric over the arithmetic mean of the energies (1 for noise), the roll-off the band below which
    85 % of the energy lie (Peeters, 2004, A large set of audio features for sound description).

    Args:
        energies: log energies, shape (frames, bands).

    Returns:
        Shape (frames, 4).
    """
    bands = np.arange(energies.shape[1], dtype=np.float32)
    power = np.exp(energies - energies.max(axis=1, keepdims=True))
    total = power.sum(axis=1, keepdims=True)
    share = power / total
    centroid = share @ bands
    spread = np.sqrt(np.maximum(share @ bands**2 - centroid**2, 0))
    flatness = np.exp(np.log(np.maximum(share, 1e-12)).mean(axis=1)) * len(bands)
    roll_off = (np.cumsum(share, axis=1) < 0.85).sum(axis=1)
    return np.stack([centroid, spread, flatness, roll_off], axis=1).astype(np.float32)


@final
class Sound(Block):
    """A sound as MFCC: their course over eight stretches, their statistics and how they move together.

    Silence around the sound is left out. Means and the course keep what the recording is like as a whole; statistics
    and correlations are taken after every coefficient is brought to mean 0 and deviation 1 within the recording, so
    that microphone and voice weigh less there (Viikki and Laurila, 1998). Both together serve unseen speakers better
    than either.

    Args:
        name: the column's name.
        rate: samples per second.
    """

    def __init__(self, name: str, rate: int) -> None:
        self.name, self.rate = name, rate

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Learn nothing: a recording is described by itself."""

    def transform(self, column: Column) -> Floats:
        """Return the features; NaN where a sound is missing."""
        pieces = [self._piece(part) for part in chunks(cast(Ragged, column), CHUNK_SAMPLES)]
        return np.concatenate([np.zeros((0, len(self.names)), dtype=np.float32), *pieces])

    def _piece(self, ragged: Ragged) -> Floats:
        features = np.full((len(ragged), len(self.names)), np.nan, dtype=np.float32)
        present = np.flatnonzero(ragged.lengths > 0)
        if not len(present):
            return features
        values = ragged.values[ragged.offsets[0] : ragged.offsets[-1], 0].astype(np.float32)
        if ragged.values.dtype == np.int16:
            values /= np.float32(32768)
        offsets = np.concatenate([[0], np.cumsum(ragged.lengths[present])])
        energies, frames = trim(*log_mel(np.nan_to_num(values), offsets, self.rate))
        groups = _describe(energies, frames)
        features[present] = np.concatenate([each.reshape(len(present), -1) for each in groups], axis=1)
        return features

    @property
    def names(self) -> tuple[str, ...]:
        """Column, coefficient and statistic, in the order of `_describe`."""
        each = [f"coefficient {number}" for number in range(COEFFICIENTS)]
        stretches = [f"stretch {place + 1} of {STRETCHES}" for place in range(STRETCHES)]
        pairs = zip(*(indices.tolist() for indices in _UPPER), strict=True)
        found = (
            "seconds",
            *(f"{coefficient}: mean" for coefficient in each[1:]),
            *(f"{coefficient}: deviation" for coefficient in each),
            *(f"{coefficient}: {what}" for what in KEPT for coefficient in each),
            *(f"coefficients {first} and {second}: correlation" for first, second in pairs),
            *(f"{what}: {stretch}" for stretch in stretches for what in (*each[1:], "loudness", *SHAPE)),
        )
        return tuple(f"{self.name}: {what}" for what in found)

    def parts(self) -> Parts:
        """Return nothing."""
        return Parts()

    def restore(self, parts: Parts) -> None:
        """Take nothing."""


def _describe(energies: Floats, frames: Offsets) -> tuple[NDArray[Any], ...]:
    """Return the groups of features of every sound, each of shape (sounds, ...)."""
    row_of, lengths = _row_of(frames), np.diff(frames)[:, None]
    cepstra = energies @ cosines(FILTERS, COEFFICIENTS)
    # The first coefficient is the level, which the distance to the microphone sets: in the course loudness replaces it
    along = np.concatenate([cepstra[:, 1:], loudness(energies, frames), spectral_shape(energies)], axis=1)
    mean = np.add.reduceat(cepstra, frames[:-1]) / lengths
    cepstra = cepstra - mean[row_of].astype(np.float32)
    deviation = np.sqrt(np.add.reduceat(cepstra**2, frames[:-1]) / lengths)
    cepstra = (cepstra / np.maximum(deviation, 1e-3)[row_of]).astype(np.float32)
    products = cepstra[:, _UPPER[0]] * cepstra[:, _UPPER[1]]
    return (
        lengths * np.float32(HOP_SECONDS),
        mean[:, 1:],
        deviation,
        statistics(cepstra, frames)[:, _KEPT],
        np.add.reduceat(products, frames[:-1]) / lengths,
        segments(along, frames, STRETCHES),
    )


def _energies(cut: Floats, rate: int) -> Floats:
    """Return the log energy of mel bands of frames, shape (frames, FILTERS)."""
    import scipy.fft

    window = cut.shape[1]
    size = 1 << (window - 1).bit_length()
    power = np.square(np.abs(scipy.fft.rfft(cut * np.hamming(window).astype(np.float32), size, axis=1)))
    return np.log(power @ mel_filters(rate, size, FILTERS) + np.float32(1e-10)).astype(np.float32)


def _row_of(offsets: Offsets) -> Offsets:
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
