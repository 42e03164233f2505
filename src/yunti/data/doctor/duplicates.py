"""Rows that repeat other rows, exactly or nearly: they must stay on one side of the split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.chats.turns import plain
from yunti.data.doctor import minhash
from yunti.data.doctor.sheet import Sheet
from yunti.data.store import text_blocks
from yunti.data.table import Categories, Column, Images, Numbers, Ragged, Texts
from yunti.records import Finding, RepeatsRecord
from yunti.specs import ColumnSpec, TaskName
from yunti.words import say

_LONG_TEXT = 60  # characters from which a text identifies its row by itself
MOST_BYTES = 200_000_000  # beyond, only texts that are equal but for case and blanks are found
_SMALL_SIDE = 32  # smaller pictures of different things look alike too often
_MOST_PICTURES = 200_000  # beyond, only equal pictures are found
_ALIKE_PIXELS = 3.0  # mean difference of grey levels (of 255) in a 32×32 thumbnail that still counts as the same
_CROWD = 0.2  # share of rows that are equal by chance, above which they are not kept together


@final
@dataclass(frozen=True, eq=False)
class Clusters:
    """Which rows belong together because they repeat each other.

    Args:
        codes: shape (rows,), int64: rows of one cluster share a code; most rows stand alone.
        findings: what to tell.
    """

    codes: NDArray[np.int64]
    findings: tuple[Finding, ...]


def find_duplicates(sheet: Sheet, inputs: Sequence[ColumnSpec], *, kept: bool) -> Clusters:
    """Find rows whose inputs are the same or nearly the same.

    Pictures, sounds, sequences and long texts identify a row by themselves; in other tables all inputs must be equal.

    Args:
        sheet: the data.
        inputs: the columns that are used.
        kept: whether the split will keep such rows together.
    """
    content = [column for column in inputs if _identifies(sheet, column, len(inputs))]
    used = content or [column for column in inputs if column.name in sheet.table.columns]
    if not used:
        return Clusters(np.arange(len(sheet.raw), dtype=np.int64), ())
    keys = np.zeros(len(sheet.raw), dtype=np.uint64)
    near = np.zeros(len(sheet.raw), dtype=np.uint64)
    chance = 1.0
    for column in used:
        values = sheet.table[column.name]
        exact, loose = _chat_keys(values) if column.holds_chats else _keys(values)
        keys, near = _mixed(keys ^ exact), _mixed(near ^ loose)
        chance *= _chance(values)
    exact_codes = _codes(keys, sheet.usable)
    near_codes = exact_codes if np.array_equal(keys, near) else _codes(near, sheet.usable)
    findings = [*_tell_exact(sheet, exact_codes, kept), *_tell_conflicts(sheet, exact_codes)]
    if near_codes is not exact_codes:
        findings += _tell_near(sheet, exact_codes, near_codes, kept)
    sizes = np.bincount(near_codes)
    if not content and sizes[sizes > 1].sum() > _CROWD * len(near_codes) and _by_chance(sizes, chance):
        count = int((sizes[sizes > 1] - 1).sum())
        message = say("doctor.chance copies", count=count)
        alone = np.arange(len(near_codes), dtype=np.int64)
        return Clusters(alone, (Finding("duplicates", "note", message, count=count),))
    return Clusters(near_codes, tuple(findings))


def repeats(codes: NDArray[np.int64], values: NDArray[Any], known: NDArray[np.bool_], task: TaskName) -> RepeatsRecord:
    """Measure how much rows that repeat one another differ in the target, each paired with the one before it.

    Args:
        codes: which rows belong together, as of `Clusters`.
        values: the target, shape (rows,).
        known: the rows that count, shape (rows,): not those of the test.
        task: what is asked.
    """
    rows = np.flatnonzero(known)
    order = rows[np.argsort(codes[rows], kind="stable")]
    same = codes[order][1:] == codes[order][:-1]
    first, second = values[order[:-1][same]], values[order[1:][same]]
    if len(first) == 0:
        return RepeatsRecord(0, 0.0)
    unlike = (first != second).mean() if task == "classification" else ((first - second) ** 2).mean() / 2
    return RepeatsRecord(len(first), float(unlike))


def crossing(codes: NDArray[np.int64], part: NDArray[np.int8]) -> int:
    """Count rows outside the training rows (part above 0) that repeat a training row (part 0)."""
    trained = np.zeros(int(codes.max()) + 1 if len(codes) else 0, dtype=np.bool_)
    trained[codes[part == 0]] = True
    return int((trained[codes] & (part > 0)).sum())


def _identifies(sheet: Sheet, column: ColumnSpec, inputs: int) -> bool:
    if column.name not in sheet.table.columns:
        return False
    if column.kind != "text":
        return column.kind in ("image", "audio", "sequence")
    values = sheet.table[column.name]
    assert isinstance(values, Texts)
    letters = pc.mean(pc.utf8_length(values.values.slice(0, 50_000))).as_py() or 0.0
    return inputs == 1 or letters >= _LONG_TEXT


def _keys(column: Column) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Give keys that equal rows share, and keys that nearly equal rows share."""
    match column:
        case Numbers(values):
            wide = values.astype(np.float64) + 0.0  # −0 becomes 0
            wide[np.isnan(wide)] = np.nan
            key = _mixed(wide.view(np.uint64))
            return key, key
        case Categories(codes, _):
            key = _mixed(codes.astype(np.uint64))
            return key, key
        case Texts(values):
            return _text_keys(values)
        case Images(pixels, _):
            key = np.array([_digest(picture.tobytes()) for picture in pixels], dtype=np.uint64)
            return key, _picture_keys(pixels, key)
        case Ragged(values, offsets):
            key = np.array(
                [_digest(values[start:stop].tobytes()) for start, stop in pairwise(offsets)], dtype=np.uint64
            )
            return key, key


def _text_keys(values: pa.LargeStringArray) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    return np.concatenate([_text_digests(block) for block in text_blocks(values, None)]), _near_text_keys(values)


def _chat_keys(values: Column) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Give keys of conversations; they are alike by what people and models say, whatever the system said to all."""
    assert isinstance(values, Texts)
    exact = np.concatenate([_text_digests(block) for block in text_blocks(values.values, None)])
    return exact, _near_text_keys(plain(values.values, leave="system"))


def _near_text_keys(values: pa.LargeStringArray) -> NDArray[np.uint64]:
    if values.nbytes > MOST_BYTES:
        return np.concatenate([_text_digests(minhash.normalised(block)) for block in text_blocks(values, None)])
    encoded = pc.dictionary_encode(minhash.normalised(values))
    texts, codes = encoded.dictionary, encoded.indices.to_numpy()
    codes = _linked(len(texts), *minhash.near_pairs(texts))[codes]
    return _mixed(codes.astype(np.uint64))


def _text_digests(texts: pa.LargeStringArray) -> NDArray[np.uint64]:
    return np.array([_digest((text or "").encode()) for text in texts.to_pylist()], dtype=np.uint64)


def _picture_keys(pixels: NDArray[np.uint8], exact: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Give pictures that look the same one key: equal difference hashes in a band, verified on a thumbnail."""
    rows, height, width, _ = pixels.shape
    if min(height, width) < _SMALL_SIDE or rows > _MOST_PICTURES:
        return exact
    thumbs = np.stack([_thumbnail(picture) for picture in pixels])  # (rows, 32, 32)
    coarse = thumbs.reshape(rows, 8, 4, 8, 4).mean(axis=(2, 4))
    bits = (coarse > np.median(coarse.reshape(rows, 64), axis=1)[:, None, None]).reshape(rows, 64)
    bands = np.packbits(bits, axis=1)  # eight bands of eight bits: alike pictures share most of them
    first, second = [], []
    for band in (bands[:, :4], bands[:, 4:], bands[:, ::2], bands[:, 1::2]):
        key = np.ascontiguousarray(band).view(np.uint32).ravel()
        order = np.argsort(key, kind="stable")
        pairs = np.flatnonzero(key[order][1:] == key[order][:-1])
        first.append(order[pairs])
        second.append(order[pairs + 1])
    left, right = np.concatenate(first), np.concatenate(second)
    away = np.array([np.abs(thumbs[a].astype(np.int16) - thumbs[b]).mean() for a, b in zip(left, right, strict=True)])
    same = away <= _ALIKE_PIXELS if len(away) else np.zeros(0, dtype=np.bool_)
    return _mixed(_linked(rows, left[same], right[same]).astype(np.uint64))


def _thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    grey = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("L")
    return np.asarray(grey.resize((32, 32), Image.Resampling.BOX), dtype=np.uint8)


def _linked(count: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give everything that is linked, directly or over others, one code."""
    if len(first) == 0:
        return np.arange(count, dtype=np.int64)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(first), dtype=np.bool_), (first, second)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def _codes(keys: NDArray[np.uint64], usable: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number keys from 0; rows that are not used stand alone."""
    codes = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    alone = np.flatnonzero(~usable)
    codes[alone] = codes.max(initial=0) + 1 + np.arange(len(alone))
    return codes


def _tell_exact(sheet: Sheet, codes: NDArray[np.int64], kept: bool) -> Iterator[Finding]:
    count, first, earlier = _repeats(codes)
    if count:
        file, row = sheet.raw.place(first)
        other, before = sheet.raw.place(earlier)
        key = "doctor.duplicates" if other == file else "doctor.duplicates across"
        message = say(key, count=count, file=file, row=row, other=other, earlier=before)
        yield Finding("duplicates", "note", _together(message, kept), None, file, row, count)


def _tell_conflicts(sheet: Sheet, codes: NDArray[np.int64]) -> Iterator[Finding]:
    answers = sheet.answers
    if answers is None or answers.task != "classification":
        return
    rows = np.flatnonzero(sheet.usable)
    order = rows[np.lexsort((answers.values[rows], codes[rows]))]
    same = codes[order][1:] == codes[order][:-1]
    other = answers.values[order][1:] != answers.values[order][:-1]
    clashing = np.flatnonzero(same & other)
    if len(clashing):
        one, two = order[clashing[0]], order[clashing[0] + 1]
        file, row = sheet.raw.place(int(two))
        groups = len(np.unique(codes[order[clashing]]))
        name, other = (answers.classes[answers.values[each]] for each in (two, one))
        values = {"count": groups, "file": file, "row": row, "name": name, "other": other}
        message = say("doctor.conflicts", **values, earlier=sheet.raw.place(int(one))[1])
        yield Finding("conflicts", "warning", message, answers.spec.name, file, row, groups)


def _tell_near(sheet: Sheet, exact: NDArray[np.int64], near: NDArray[np.int64], kept: bool) -> Iterator[Finding]:
    heads = np.unique(exact, return_index=True)[1]
    count, first, earlier = _repeats(near[np.sort(heads)])
    if count:
        places = np.sort(heads)
        file, row = sheet.raw.place(int(places[first]))
        other, before = sheet.raw.place(int(places[earlier]))
        key = "doctor.near duplicates" if other == file else "doctor.near duplicates across"
        message = say(key, count=count, file=file, row=row, other=other, earlier=before)
        yield Finding("near_duplicates", "note", _together(message, kept), None, file, row, count)


def _together(message: str, kept: bool) -> str:
    return say("doctor.together", finding=message) if kept else message


def _repeats(codes: NDArray[np.int64]) -> tuple[int, int, int]:
    """Count rows that repeat an earlier one, and give the first of them with the row it repeats."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    later = np.flatnonzero(first[inverse] != np.arange(len(codes)))
    return (len(later), int(later[0]), int(first[inverse[later[0]]])) if len(later) else (0, 0, 0)


def _chance(column: Column) -> float:
    """Chance that two rows drawn at random agree in a column."""
    match column:
        case Numbers(values):
            some = values[:: max(1, len(values) // 50_000)]
            counts = np.unique(some, return_counts=True)[1]
        case Categories(codes, _):
            counts = np.bincount(codes + 1)
        case _:
            return 0.0
    shares = counts / counts.sum()
    return float((shares**2).sum())


def _by_chance(sizes: NDArray[np.int64], chance: float) -> bool:
    """Say whether at least a third of the pairs of equal rows is what independent columns would give."""
    rows = float(sizes.sum())
    pairs = float((sizes.astype(np.float64) * (sizes - 1)).sum()) / 2
    return chance * rows * (rows - 1) / 2 >= pairs / 3


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread keys over 64 bits (the finaliser of splitmix64)."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
