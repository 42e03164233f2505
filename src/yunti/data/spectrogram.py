"""Sound as pictures of its loudness over time and pitch."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Ragged

_WINDOW_SECONDS = 0.025
_FRAMES_AT_ONCE = 8192
_RANGE_DECIBEL = 45.0
_QUIET_DECIBEL = 20.0  # frames this far under the loudest one are quiet; they are cut off at both ends
_SUBTRACTED = 0.7  # of each band's mean


def log_mel(sounds: Ragged, rate: int, bands: int, hop_seconds: float) -> Ragged:
    """Return the log-mel spectrogram of every recording, each normalised by itself.

    Hann windows of 25 ms, power spectrum, triangular mel bands from 20 Hz to half the rate, natural logarithm. What
    lies 45 dB under the loudest band is background and cut off, as is the quiet before and after the sound. Then most
    of the recording's mean of each band is subtracted, and all is divided by the recording's standard deviation: the
    mean of a band is what microphone, room and much of the voice add (cepstral mean subtraction; Atal, 1974), but a
    steady tone is nothing but its mean, so three tenths of it stay.

    Args:
        sounds: one channel; more are averaged.
        rate: samples per second.
        bands: number of mel bands.
        hop_seconds: time from one frame to the next.

    Returns:
        Frames of shape (bands,), float16; a missing recording has no frame.
    """
    window = max(16, round(rate * _WINDOW_SECONDS))
    hop = max(1, round(rate * hop_seconds))
    filters = mel_filters(rate, _size(window), bands)
    frames = [_frames(sounds.row(index).mean(axis=1), window, hop, filters) for index in range(len(sounds))]
    offsets = np.cumsum([0] + [len(each) for each in frames]).astype(np.int64)
    values = np.concatenate(frames) if frames else np.zeros((0, bands), dtype=np.float16)
    return Ragged(values, offsets)


@functools.lru_cache(maxsize=8)
def mel_filters(rate: int, size: int, bands: int) -> NDArray[np.float32]:
    """Return triangular filters, equally wide on the mel scale (O'Shaughnessy: 2595 · log10(1 + f/700)).

    Args:
        rate: samples per second.
        size: samples of the Fourier transform.
        bands: number of filters.

    Returns:
        Shape (size // 2 + 1, bands).
    """
    mels = np.linspace(_mel(20.0), _mel(rate / 2), bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = np.arange(size // 2 + 1)[:, None] * rate / size
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling))
    empty = filters.sum(axis=0) == 0  # a band narrower than a bin takes the bin that is nearest
    nearest = np.abs(bins - edges[1:-1]).argmin(axis=0)
    filters[nearest[empty], np.flatnonzero(empty)] = 1
    return filters.astype(np.float32)


def _mel(frequency: float) -> float:
    return float(2595 * np.log10(1 + frequency / 700))


def _size(window: int) -> int:
    return 1 << (window - 1).bit_length()


def _frames(samples: NDArray[np.float32], window: int, hop: int, filters: NDArray[np.float32]) -> NDArray[np.float16]:
    if not len(samples):
        return np.zeros((0, filters.shape[1]), dtype=np.float16)
    padded = np.pad(samples, (0, max(0, window - len(samples))))
    cut = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    shape = np.hanning(window).astype(np.float32)
    size = 2 * (filters.shape[0] - 1)
    bands = np.concatenate(
        [
            np.abs(np.fft.rfft(cut[start : start + _FRAMES_AT_ONCE] * shape, size)).astype(np.float32) ** 2 @ filters
            for start in range(0, len(cut), _FRAMES_AT_ONCE)
        ]
    )
    logs = np.log(np.maximum(bands, max(1e-12, float(bands.max()) * 10 ** (-_RANGE_DECIBEL / 10))))
    power = bands.sum(axis=1)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-_QUIET_DECIBEL / 10))
    logs = logs[loud[0] : loud[-1] + 1]
    logs -= _SUBTRACTED * logs.mean(axis=0) + (1 - _SUBTRACTED) * logs.mean()
    return (logs / max(1e-3, float(logs.std()))).astype(np.float16)
