"""Sequences: lists of numbers, lists written as strings, and padded arrays, as `Ragged`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.table import Ragged
from yunti.words import say

_LIST = r"^\s*\[[-+0-9.eE,;\s]*\]\s*$"
_ROWS = 65_536


def is_list(kind: pa.DataType) -> bool:
    """Say whether values of this Arrow type are lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def innermost(kind: pa.DataType) -> pa.DataType:
    """Give the type of the values inside lists of lists."""
    while is_list(kind):
        kind = kind.value_type
    return kind


def are_lists(texts: pa.LargeStringArray) -> bool:
    """Say whether strings are lists of numbers in brackets, such as "[0.5, 1, 2]"."""
    some = texts.slice(0, 1_000)
    return bool(len(some)) and float(pc.mean(pc.match_substring_regex(some, _LIST).cast(pa.float64())).as_py()) >= 0.95


def from_array(values: NDArray[Any]) -> Ragged:
    """Read sequences that are padded with NaN at the end.

    Args:
        values: shape (rows, steps) or (rows, steps, channels).
    """
    shaped = values[:, :, None] if values.ndim == 2 else values.reshape(len(values), values.shape[1], -1)
    lengths = np.zeros(len(shaped), dtype=np.int64)
    parts = []
    for start in range(0, len(shaped), _ROWS):
        block = np.asarray(shaped[start : start + _ROWS], dtype=np.float32)
        present = np.asarray((~np.isnan(block)).any(axis=2))
        steps = (present * np.arange(1, block.shape[1] + 1)).max(axis=1, initial=0)
        lengths[start : start + len(block)] = steps
        parts.append(block[np.arange(block.shape[1]) < steps[:, None]])
    flat = np.concatenate(parts) if parts else np.zeros((0, shaped.shape[2]), dtype=np.float32)
    return _filled(Ragged(flat, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)))


def from_arrow(column: pa.ChunkedArray) -> tuple[Ragged, dict[int, str]]:
    """Read lists of numbers, lists of lists (steps of channels), or such lists written as strings.

    Returns:
        The sequences, and for every row that cannot be read what is wrong with it; such rows are empty.
    """
    if pa.types.is_large_string(column.type):
        return _from_strings(column)
    if is_list(column.type.value_type):
        return _from_nested(column)
    parts, lengths = [np.zeros(0, dtype=np.float32)], [np.zeros(0, dtype=np.int64)]
    for chunk in column.chunks:
        counts = pc.fill_null(pc.list_value_length(chunk), 0)
        lengths.append(counts.to_numpy(zero_copy_only=False).astype(np.int64))
        flat = pc.list_flatten(chunk).cast(pa.float32(), safe=False)
        parts.append(flat.to_numpy(zero_copy_only=False).astype(np.float32))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return _filled(Ragged(np.concatenate(parts)[:, None], offsets)), {}


def _from_strings(column: pa.ChunkedArray) -> tuple[Ragged, dict[int, str]]:
    parts, lengths, wrong, start = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)], {}, 0
    for chunk in column.chunks:
        good = pc.fill_null(pc.match_substring_regex(chunk, _LIST), False)
        bad = np.flatnonzero(~good.to_numpy(zero_copy_only=False) & pc.is_valid(chunk).to_numpy(zero_copy_only=False))
        wrong.update({start + int(row): say("broken.not a list", value=chunk[int(row)].as_py()) for row in bad})
        inside = pc.replace_substring_regex(chunk, r"[\[\]\s]+", " ")
        inside = pc.replace_substring_regex(pc.utf8_trim_whitespace(inside), r"\s*[,;]\s*|\s+", ",")
        lists = pc.split_pattern(pc.if_else(good, inside, pa.scalar("", pa.large_string())), ",")
        words = pc.list_flatten(lists)
        empty = pc.equal(words, "").to_numpy(zero_copy_only=False)
        owner = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
        parts.append(words.filter(pa.array(~empty)).cast(pa.float32()).to_numpy(zero_copy_only=False))
        lengths.append(np.bincount(owner[~empty], minlength=len(chunk)).astype(np.int64))
        start += len(chunk)
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return Ragged(np.concatenate(parts)[:, None], offsets), wrong


def _from_nested(column: pa.ChunkedArray) -> tuple[Ragged, dict[int, str]]:
    """Read rows of steps of channels; the most common number of channels holds, other rows are told."""
    inner = pc.list_value_length(pc.list_flatten(column)).to_numpy()
    channels = int(np.bincount(inner[inner > 0].astype(np.int64)).argmax()) if (inner > 0).any() else 1
    rows, wrong = [], {}
    for index, row in enumerate(column.to_pylist()):
        fits = all(step is not None and len(step) == channels for step in row or ())
        if not fits:
            wrong[index] = say("broken.steps", channels=channels)
        usable = row if row and fits else []
        rows.append(np.array(usable, dtype=np.float32).reshape(-1, channels))
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return _filled(Ragged(np.concatenate([np.zeros((0, channels), np.float32), *rows]), offsets)), wrong


def _filled(ragged: Ragged) -> Ragged:
    """Repeat the last known value over gaps inside a sequence; a gap at its start is 0."""
    values = ragged.values
    gaps = ~np.isfinite(values)
    if not gaps.any():
        return ragged
    start_of_row = np.repeat(ragged.offsets[:-1], ragged.lengths)
    last = np.where(gaps, -1, np.arange(len(values))[:, None])
    last = np.maximum.accumulate(last, axis=0)
    inside = last >= start_of_row[:, None]
    filled = np.where(inside, np.take_along_axis(values, np.maximum(last, 0), axis=0), np.float32(0))
    return Ragged(filled.astype(np.float32), ragged.offsets)
