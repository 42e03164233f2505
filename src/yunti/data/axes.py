"""What an array with several numbers a row is: numbers, a picture, or a sequence and along which axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.files import new_file
from yunti.errors import SourceError
from yunti.words import say

_SAMPLE_ROWS = 1_000
_MOST_NUMBERS = 2_000  # columns of numbers that one array may become; wider ones are kept as sequences
_FEWEST_STEPS = 8
_SMOOTH = 0.5
_BLOCK_BYTES = 1 << 26


@final
@dataclass(frozen=True, eq=False)
class ArrayColumn:
    """One named array as columns: scalars in Arrow, or a picture or sequence as an array."""

    scalars: dict[str, pa.Array] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def understand(name: str, pieces: Sequence[NDArray[Any]], *, target: bool, source: str, workspace: Path) -> ArrayColumn:
    """Decide what an array is, from its shape, its type and its values, and bring it to the form of `Raw`.

    Args:
        name: the array's name.
        pieces: the array's parts (train, valid, test), shape (rows, ...); the axes after the first may differ in size.
        target: whether it is what is to be predicted.
        source: the source as the user named it.
        workspace: a folder for memory-mapped arrays.

    Raises:
        SourceError: it cannot be a column.
    """
    where = f"{source}, array {name!r}"
    axes = {piece.ndim for piece in pieces}
    kinds = {piece.dtype.kind for piece in pieces}
    if len(axes) > 1:
        raise SourceError(
            where, "its parts must have equally many axes", f"they have {sorted(axes)}", "save them alike"
        )
    if not kinds <= set("biufUSM") or (max(axes) > 1 and not kinds <= set("biuf")):
        got = f"its type is {next(piece.dtype for piece in pieces)}"
        raise SourceError(where, "it must be numbers or strings", got, "convert it before saving")
    pieces = [_squeezed(piece) for piece in pieces]
    if pieces[0].ndim == 1:
        return ArrayColumn({name: _scalars(pieces)})
    if pieces[0].ndim == 2:
        return _flat(name, pieces, target, workspace)
    if pieces[0].ndim == 3:
        return _deep(name, pieces, where, workspace)
    if pieces[0].ndim == 4:
        return ArrayColumn(arrays={name: _pictures(pieces, where, workspace)})
    got = f"it has {pieces[0].ndim}"
    raise SourceError(where, "it must have at most four axes", got, "save rows, height, width and channels")


def _squeezed(piece: NDArray[Any]) -> NDArray[Any]:
    return piece[:, 0] if piece.ndim == 2 and piece.shape[1] == 1 else piece


def _scalars(pieces: Sequence[NDArray[Any]]) -> pa.Array:
    return scalars(np.concatenate(pieces))


def scalars(values: NDArray[Any]) -> pa.Array:
    """Put one value a row into an Arrow array; NaN becomes null.

    Args:
        values: shape (rows,): numbers, truth values, strings or dates.
    """
    if values.dtype.kind in "US":
        texts = np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values
        return pa.array(texts.tolist(), pa.large_string())
    if values.dtype.kind == "f":
        return pa.array(values.astype(np.float32 if values.dtype.itemsize <= 4 else np.float64), from_pandas=True)
    if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] not in ("D", "s", "ms", "us", "ns"):
        return pa.array(values.astype("datetime64[s]"))  # Arrow knows no years, months, weeks, hours or minutes
    return pa.array(values.astype(values.dtype.newbyteorder("=")))


def _flat(name: str, pieces: Sequence[NDArray[Any]], target: bool, workspace: Path) -> ArrayColumn:
    """Decide on shape (rows, numbers): classes in one-hot form, a flattened picture, a sequence, or numbers."""
    widths = {piece.shape[1] for piece in pieces}
    width = max(widths)
    if target and len(widths) == 1 and all(_is_one_hot(piece) for piece in pieces):
        note = say("reading.one-hot", name=name)
        return ArrayColumn({name: _scalars([np.argmax(piece, axis=1) for piece in pieces])}, notes=(note,))
    some = _sample(pieces)
    side = round(width**0.5)
    if len(widths) == 1 and side * side == width >= 64 and pieces[0].dtype == np.uint8 and _is_smooth(some, side):
        note = say("reading.flat pictures", name=name, side=side, width=width)
        shaped = [piece.reshape(len(piece), side, side) for piece in pieces]
        return ArrayColumn(arrays={name: _stored(shaped, np.dtype(np.uint8), workspace)}, notes=(note,))
    padded = len(widths) > 1 or _ends_in_gaps(some)
    if padded or width > _MOST_NUMBERS or (width >= _FEWEST_STEPS and _is_smooth(some, 1)):
        return ArrayColumn(arrays={name: _sequences([piece[:, :, None] for piece in pieces], workspace)})
    names = [f"{name}_{place}" for place in range(1, width + 1)]
    columns = {each: _scalars([piece[:, place] for piece in pieces]) for place, each in enumerate(names)}
    return ArrayColumn(columns, notes=(say("reading.columns", name=name, first=names[0], last=names[-1]),))


def _is_one_hot(piece: NDArray[Any]) -> bool:
    some = np.asarray(piece[:_SAMPLE_ROWS])
    return bool(np.isin(some, (0, 1)).all() and (some.sum(axis=1) == 1).all())


def _sample(pieces: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    first = pieces[0]
    rows = np.linspace(0, len(first) - 1, min(len(first), _SAMPLE_ROWS)).astype(np.int64)
    return np.asarray(first[rows], dtype=np.float64)


def _ends_in_gaps(some: NDArray[np.float64]) -> bool:
    """Say whether rows are padded: NaN at the end of some rows, and nowhere else."""
    gaps = np.isnan(some)
    return bool(gaps[:, -1].any() and not (gaps[:, :-1] & ~gaps[:, 1:]).any())


def _is_smooth(some: NDArray[np.float64], step: int) -> bool:
    """Say whether numbers `step` apart are much more alike than any two numbers of a row, as in a signal.

    The mean squared difference is compared with its expectation under a random order, twice the row's variance.
    """
    near = np.nanmean(np.square(some[:, step:] - some[:, :-step])) if some.size else 0.0
    far = 2 * np.nanmean(np.nanvar(some, axis=1)) if some.size else 0.0
    return bool(near < _SMOOTH * far)


def _deep(name: str, pieces: Sequence[NDArray[Any]], where: str, workspace: Path) -> ArrayColumn:
    """Decide on shape (rows, a, b): grey pictures, or a sequence with its steps along one of the two axes."""
    _must_have_values(pieces, where)
    if _are_grey_pictures(pieces):
        return ArrayColumn(arrays={name: _pictures(pieces, where, workspace)})
    axis, reason = time_axis(pieces)
    shaped = [piece if axis == 1 else piece.swapaxes(1, 2) for piece in pieces]
    channels = {piece.shape[2] for piece in shaped}
    if len(channels) > 1:
        got = f"they have {sorted(channels)}"
        raise SourceError(where, "its parts must have equally many channels", got, "save them alike")
    width = channels.pop()
    note = say("reading.sequences", name=name, channels=width, reason=reason)
    return ArrayColumn(arrays={name: _sequences(shaped, workspace)}, notes=(note,))


def _must_have_values(pieces: Sequence[NDArray[Any]], where: str) -> None:
    if any(0 in piece.shape for piece in pieces):
        raise SourceError(where, "its rows must hold values", f"its shape is {pieces[0].shape}", "leave it out")


def _are_grey_pictures(pieces: Sequence[NDArray[Any]]) -> bool:
    """Take bytes for pictures; of other numbers only squares of at least 8 × 8 with values of pictures."""
    if all(piece.dtype == np.uint8 for piece in pieces):
        return True
    height, width = pieces[0].shape[1:]
    if any(piece.shape[1:] != (height, height) for piece in pieces) or height < 8 or width != height:
        return False
    some = _sample(pieces)
    low, high = some.min(), some.max()
    whole = bool((some == np.round(some)).all())
    return bool(low >= 0 and high > 0 and ((whole and high <= 255) or high <= 1))


def time_axis(pieces: Sequence[NDArray[Any]]) -> tuple[int, str]:
    """Find the axis (1 or 2) that steps run along, and say why.

    It is the one at whose end NaN pads the rows, else the one whose size differs between the parts, else the longer
    one; of two equal ones the last, as in the UEA and UCR archives.

    Args:
        pieces: shape (rows, a, b) each.
    """
    padded = [axis for axis in (1, 2) if any(_pads(piece, axis) for piece in pieces)]
    if len(padded) == 1:
        return padded[0], say("axis.padded", axis=padded[0] + 1)
    differing = [axis for axis in (1, 2) if len({piece.shape[axis] for piece in pieces}) > 1]
    if len(differing) == 1:
        return differing[0], say("axis.differs", axis=differing[0] + 1)
    _, first, second = pieces[0].shape
    if first == second:
        return 2, say("axis.last")
    longer = 1 if first > second else 2
    return longer, say("axis.longer", axis=longer + 1)


def _pads(piece: NDArray[Any], axis: int) -> bool:
    some = np.asarray(piece[:_SAMPLE_ROWS])
    if some.dtype.kind != "f":
        return False
    gaps = np.isnan(some).all(axis=3 - axis)
    return bool((gaps[:, -1] & ~gaps[:, 0]).any())


def _pictures(pieces: Sequence[NDArray[Any]], where: str, workspace: Path) -> NDArray[Any]:
    _must_have_values(pieces, where)
    if pieces[0].ndim == 4:
        pieces = [_channels_last(piece, where) for piece in pieces]
    if len({piece.shape[1:] for piece in pieces}) > 1:
        got = f"they are {' and '.join(str(piece.shape[1:]) for piece in pieces)}"
        raise SourceError(where, "pictures of all parts must have one shape", got, "resize them before saving")
    return _stored(pieces, np.dtype(np.uint8), workspace, _as_bytes(pieces, where))


def _channels_last(piece: NDArray[Any], where: str) -> NDArray[Any]:
    if piece.shape[3] in (1, 3, 4):
        return piece
    if piece.shape[1] in (1, 3, 4):
        return np.moveaxis(piece, 1, 3)
    got = f"its shape is {piece.shape}"
    raise SourceError(where, "pictures must have 1, 3 or 4 channels", got, "save rows, height, width and channels")


def _as_bytes(pieces: Sequence[NDArray[Any]], where: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Say how pixels become bytes: as they are from 0 to 255, times 255 from 0 to 1."""
    if all(piece.dtype == np.uint8 for piece in pieces):
        return np.asarray
    ranges = [(block.min(), block.max()) for piece in pieces for block in _blocks(piece)]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    if not (low >= 0 and high <= 255):
        got = f"they lie from {low:g} to {high:g}"
        raise SourceError(where, "pixels must lie from 0 to 255, or from 0 to 1", got, "scale them before saving")
    scale = 255 if high <= 1 and pieces[0].dtype.kind == "f" else 1
    return lambda block: np.round(np.asarray(block, dtype=np.float64) * scale)


def _sequences(pieces: Sequence[NDArray[Any]], workspace: Path) -> NDArray[np.float32]:
    """Store sequences (rows, steps, channels) of all parts, padded with NaN to the longest."""
    return _stored(pieces, np.dtype(np.float32), workspace)


def _stored(
    pieces: Sequence[NDArray[Any]],
    kind: np.dtype[Any],
    workspace: Path,
    change: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray,
) -> NDArray[Any]:
    """Put the parts below each other into one memory-mapped array; where one has fewer steps, NaN follows."""
    if len(pieces) == 1 and pieces[0].dtype == kind and pieces[0].flags.c_contiguous:
        return pieces[0]
    path = new_file(workspace, "array", ".npy")
    shape = (sum(map(len, pieces)), max(piece.shape[1] for piece in pieces), *pieces[0].shape[2:])
    target = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
    start = 0
    for piece in pieces:
        for block in _blocks(piece):
            place = target[start : start + len(block)]
            place[:, : block.shape[1]] = change(block)
            if block.shape[1] < shape[1]:
                place[:, block.shape[1] :] = np.nan
            start += len(block)
    target.flush()
    mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def _blocks(piece: NDArray[Any]) -> Iterator[NDArray[Any]]:
    rows = max(1, _BLOCK_BYTES // max(1, piece[:1].nbytes))
    for start in range(0, len(piece), rows):
        yield piece[start : start + rows]
