"""Sounds of any format, decoded in parallel to one channel at one rate, as 16-bit whole numbers."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yunti.data.media import File, in_parallel, spread, why
from yunti.data.store import read_rows, write_header
from yunti.data.table import Ragged
from yunti.words import say

HIGHEST_RATE = 16_000  # speech and most sounds are told apart below 8 kHz
_MEASURED = 500
_BLOCK = 1_024  # files decoded before their samples are written


def measure(files: Sequence[File]) -> int:
    """Find the most common rate of these sounds, at most 16 kHz, in samples per second."""
    import soundfile

    known = [file for file in files if file is not None]
    rates: Counter[int] = Counter()
    for place in spread(len(known), _MEASURED):
        try:
            rates[soundfile.info(_readable(known[place])).samplerate] += 1
        except (RuntimeError, OSError):  # the row is told broken when it is read
            continue
    return min(HIGHEST_RATE, rates.most_common(1)[0][0]) if rates else HIGHEST_RATE


def decode(
    files: Sequence[File], rate: int, path: Path | None, tell: Callable[[float], None]
) -> tuple[Ragged, dict[int, str]]:
    """Decode sounds in parallel.

    Args:
        files: one for every row.
        rate: samples per second of the result.
        path: the .npy file where the samples may be written, to be memory-mapped; None keeps them in memory.
        tell: called with the fraction done.

    Returns:
        The sounds, int16 in one channel; and for every row whose sound cannot be read, why.
    """
    lengths, wrong, parts = np.zeros(len(files), dtype=np.int64), {}, []
    target = None if path is None else path.open("wb")
    if target is not None:
        write_header(target, np.dtype(np.int16), (0, 1))
    for start in range(0, len(files), _BLOCK):
        block = files[start : start + _BLOCK]
        decoded = in_parallel(lambda file: _one(file, rate), block, lambda _fraction: None)
        for row, sound in enumerate(decoded, start):
            if isinstance(sound, str):
                wrong[row] = sound
                continue
            lengths[row] = len(sound)
            if target is None:
                parts.append(sound)
            else:
                sound.tofile(target)
        tell((start + len(block)) / len(files))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if path is None or target is None:
        return Ragged(np.concatenate([np.zeros(0, dtype=np.int16), *parts])[:, None], offsets), wrong
    target.seek(0)
    write_header(target, np.dtype(np.int16), (int(offsets[-1]), 1))
    target.close()
    return Ragged(read_rows(path), offsets), wrong


def resampled(sound: NDArray[np.float32], given: int, wanted: int) -> NDArray[np.float32]:
    """Change the rate of a sound of one channel (polyphase filter of SciPy)."""
    if given == wanted:
        return sound
    from scipy.signal import resample_poly

    shared = gcd(given, wanted)
    changed: Any = resample_poly(sound, wanted // shared, given // shared)
    return np.asarray(changed, dtype=np.float32)


def _one(file: File, rate: int) -> NDArray[np.int16] | str:
    import soundfile

    if file is None:
        return np.zeros(0, dtype=np.int16)
    try:
        sound, given = soundfile.read(_readable(file), dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:
        return why(error, file)
    if len(sound) == 0:
        return say("broken.silent file", file=file.name) if isinstance(file, Path) else say("broken.silent")
    mono = resampled(sound.mean(axis=1), given, rate)
    return np.clip(np.round(mono * 32768), -32768, 32767).astype(np.int16)


def _readable(file: File) -> str | io.BytesIO:
    return str(file) if isinstance(file, Path) else io.BytesIO(file or b"")
