"""Sorted n-grams in memory up to a limit and in files beyond it, and their merging in one pass."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.errors import RungError
from yunti.models.ngrams.grams import Grams, joined, linked

_TYPES: tuple[np.dtype[Any], ...] = tuple(map(np.dtype, (np.uint64, np.uint32, np.uint32, np.uint32)))
_LEAST = 4096  # n-grams that are read of a run at once: fewer would be slow


@final
class Piece:
    """Sorted n-grams as they were kept: in memory, or in a file that is read in parts.

    Args:
        content: the n-grams, or the file with one array after the other.
        length: how many.
    """

    def __init__(self, content: Grams | Path, length: int) -> None:
        self.length = length
        self._content = content

    def read(self, start: int, stop: int) -> Grams:
        """Return those from one place to another."""
        if isinstance(self._content, Grams):
            return self._content.at(slice(start, stop))
        columns: list[NDArray[Any]] = []
        begin = 0
        for kind in _TYPES:
            place = begin + start * kind.itemsize
            columns.append(np.fromfile(self._content, kind, min(stop, self.length) - start, offset=place))
            begin += self.length * kind.itemsize
        context, token, count, left = columns
        return Grams(context, token, count, left)

    def drop(self) -> int:
        """Forget the n-grams; return the bytes of memory that are free now."""
        if isinstance(self._content, Path):
            self._content.unlink()
            return 0
        return self._content.nbytes


Run = list[Piece]  # pieces in ascending order: no context is in two of them


@final
class Store:
    """Keeps n-grams in memory while there is room, else in files.

    Args:
        folder: where the files go; it must exist.
        room: bytes of memory.
    """

    def __init__(self, folder: Path, room: int) -> None:
        self._folder, self._room = folder, room
        self._names = itertools.count()
        self.spilled_bytes = 0

    def keep(self, grams: Grams) -> Piece:
        """Keep sorted n-grams.

        Raises:
            RungError: the disk does not hold them.
        """
        size = grams.nbytes
        if size <= self._room:
            self._room -= size
            return Piece(grams, len(grams))
        path = self._folder / f"{next(self._names)}.grams"
        try:
            with path.open("wb") as file:
                for column, kind in zip(grams.columns, _TYPES, strict=True):
                    column.astype(kind, copy=False).tofile(file)
        except OSError as error:
            mend = "give another folder for temporary files, a lower order or fewer tokens"
            raise RungError(str(self._folder), "it must hold the counted n-grams", str(error), mend) from error
        self.spilled_bytes += size
        return Piece(path, len(grams))

    def drop(self, runs: Iterable[Run]) -> None:
        """Forget runs; their room is free again."""
        for piece in itertools.chain.from_iterable(runs):
            self._room += piece.drop()


def read(run: Run, size: int) -> Iterator[Grams]:
    """Read a run in blocks of about a size, none of which ends within a context."""
    for piece in run:
        rest: list[Grams] = []
        for start in range(0, piece.length, size):
            block = linked([*rest, piece.read(start, start + size)])
            whole = start + size >= piece.length
            cut = len(block) if whole else int(block.context.searchsorted(block.context[-1]))
            if cut:
                yield block.at(slice(cut))
            rest = [block.at(slice(cut, None))]


def merged(runs: Sequence[Run], size: int, vocabulary: int, order: int) -> Iterator[Grams]:
    """Merge runs: blocks of about a size in ascending order, each n-gram once, no context in two blocks."""
    held: list[Grams] = []
    for block in _merge(runs, max(_LEAST, size // max(len(runs), 1)), vocabulary, order):
        held.append(block)
        if sum(len(each) for each in held) >= size:
            yield linked(held)
            held = []
    if held:
        yield linked(held)


def _merge(runs: Sequence[Run], share: int, vocabulary: int, order: int) -> Iterator[Grams]:
    sources = [read(run, share) for run in runs]
    heads = [(head, source) for source in sources if (head := next(source, None)) is not None]
    while heads:
        bound = min(head.context[-1] for head, _ in heads)
        cuts = [int(head.context.searchsorted(bound, "right")) for head, _ in heads]
        yield joined([head.at(slice(cut)) for (head, _), cut in zip(heads, cuts, strict=True)], vocabulary, order)
        heads = [
            (rest, source)
            for (head, source), cut in zip(heads, cuts, strict=True)
            if (rest := head.at(slice(cut, None)) if cut < len(head) else next(source, None)) is not None
        ]


def few(store: Store, runs: list[Run], size: int, vocabulary: int, order: int) -> list[Run]:
    """Merge runs to as few as can be merged at once in blocks of a size."""
    most = max(2, size // _LEAST)
    while len(runs) > most:
        groups = [runs[start : start + most] for start in range(0, len(runs), most)]
        runs = []
        for group in groups:
            runs.append([store.keep(block) for block in merged(group, size, vocabulary, order)])
            store.drop(group)
    return runs
