"""Documents that repeat one another but for case and blanks: one of them stays, the others are left out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.raw import Raw
from yunti.data.store import text_blocks
from yunti.records import Finding
from yunti.words import say

_SHOWN = 3
_RANKS = {"test": 0, "valid": 1}  # of a ready split: a copy for training gives way


@final
@dataclass(frozen=True, eq=False)
class Repeated:
    """What repeats.

    Args:
        rows: shape (rows,), bool: rows of documents that repeat another one, which stays.
        blank: shape (rows,), bool: rows of documents that hold nothing but blanks.
        count: documents that repeat another one.
        findings: what to tell.
    """

    rows: NDArray[np.bool_]
    blank: NDArray[np.bool_]
    count: int
    findings: tuple[Finding, ...]


def find_repeated(raw: Raw, texts: pa.LargeStringArray) -> Repeated:
    """Find documents that are equal once their case is folded and every run of blanks is one.

    The first of them stays; of a ready split one that tests, else one that validates.

    Args:
        raw: tells the documents, the ready split, and the places of rows.
        texts: of every row, in the order of the documents.
    """
    rows = len(texts)
    documents = np.arange(rows) if raw.documents is None else raw.documents
    heads = np.flatnonzero(np.concatenate([[True], documents[1:] != documents[:-1]])) if rows else np.zeros(0, int)
    keys = _keys(texts, heads)
    ranks = np.full(len(heads), len(_RANKS))
    if raw.parts is not None:
        for name, rank in _RANKS.items():
            ranks[raw.parts[heads] == name] = rank
    order = np.lexsort((heads, ranks))
    _, first, inverse = np.unique(keys[order], return_index=True, return_inverse=True)
    kept = np.empty(len(heads), dtype=np.int64)
    kept[order] = order[first[inverse]]
    blank = keys == 0
    repeats = (kept != np.arange(len(heads))) & ~blank
    lengths = np.diff(np.append(heads, rows))
    count = int(repeats.sum())
    findings = (_told(raw, heads, kept, repeats),) if count else ()
    return Repeated(np.repeat(repeats, lengths), np.repeat(blank, lengths), count, findings)


def _keys(texts: pa.LargeStringArray, heads: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Give every document a key that its copies share; 0 where it is blank."""
    keys = np.zeros(len(heads), dtype=np.uint64)
    starts = np.zeros(len(texts), dtype=np.bool_)
    starts[heads] = True
    hasher, apart, empty, place, row = hashlib.blake2b(digest_size=8), False, True, -1, 0
    for block in text_blocks(texts, None):
        for text in block.to_pylist():
            if starts[row]:
                if not empty:
                    keys[place] = int.from_bytes(hasher.digest(), "little") | 1
                hasher, apart, empty, place = hashlib.blake2b(digest_size=8), False, True, place + 1
            row += 1
            words = text.casefold().split() if text else []
            if words and not empty and (apart or text[0].isspace()):
                hasher.update(b" ")
            hasher.update(" ".join(words).encode())
            apart = text[-1].isspace() or (apart and not words) if text else apart
            empty = empty and not words
    if not empty:
        keys[place] = int.from_bytes(hasher.digest(), "little") | 1
    return keys


def _told(raw: Raw, heads: NDArray[np.int64], kept: NDArray[np.int64], repeats: NDArray[np.bool_]) -> Finding:
    copies = np.flatnonzero(repeats)
    examples = []
    for copy in copies[:_SHOWN]:
        (file, row), (other, earlier) = raw.place(int(heads[copy])), raw.place(int(heads[kept[copy]]))
        if raw.task == "language":
            examples.append(say("doctor.copied file", file=file, other=other))
        elif raw.file_of is None:
            examples.append(say("doctor.copied row", row=row, earlier=earlier))
        else:
            examples.append(say("doctor.copied row of", file=file, row=row, other=other, earlier=earlier))
    file, row = raw.place(int(heads[copies[0]]))
    message = say("doctor.repeated documents", count=len(copies), examples=examples)
    return Finding("duplicates", "left out", message, None, file, row, len(copies))
