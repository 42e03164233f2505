"""Token files as rows of equal length to learn from, and as passes in which each token is scored once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.token_file import TokenFile
from yunti.data.tokenisers.blocks import running
from yunti.errors import OptionError


@final
class Windows:
    """Rows of `context + 1` tokens over the documents of a token file, one after the other, without a copy.

    A row's first `context` tokens are read, its last `context` are to be predicted; a row begins where the one before
    ended, so each token is predicted once. The last row is filled up from the beginning of the file, as if its end
    were followed by its beginning. Only numbers of rows are ever permuted: 10 GB of tokens in rows of 1,024 are ten
    million.

    Args:
        file: the tokens.
        context: tokens a model reads at once, at least 1.
        shift: tokens by which all rows are moved on, such as another number each epoch, so that rows are cut elsewhere.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from yunti.data.token_file import write_tokens
        >>> from yunti.data.tokenisers import ByteCoder
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     windows = Windows(write_tokens(Path(folder), "train", ["abc", "de"], ByteCoder()), context=4)
        ...     windows.take(np.arange(2)).tolist(), windows.documents(np.arange(2)).tolist()
        ([[0, 98, 99, 100, 0], [0, 101, 102, 0, 98]], [[0, 0, 0, 0], [1, 1, 1, 0]])

    Source: packing as in Brown et al., 2020 (GPT-3), arXiv 2005.14165, appendix B.
    """

    def __init__(self, file: TokenFile, context: int, shift: int = 0) -> None:
        must_be_context(context)
        self.file, self.context, self.shift = file, context, shift

    def __len__(self) -> int:
        return (self.file.facts.tokens + self.context - 1) // self.context

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tokens of some rows.

        Args:
            rows: shape (rows,), 0-based numbers of windows.

        Returns:
            Shape (rows, context + 1), int64, as embeddings and cross-entropy take them.
        """
        return self._rows_of(self.file.tokens, rows).astype(np.int64)

    def counts(self, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return which of the tokens to predict count, shape (rows, context); None where all do.

        Args:
            rows: shape (rows,), 0-based numbers of windows.
        """
        return None if self.file.counts is None else self._rows_of(self.file.counts, rows)[:, 1:]

    def _rows_of(self, tokens: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
        begins, width = self._begins(rows), self.context + 1
        found = np.empty((len(begins), width), dtype=tokens.dtype)
        inside = begins + width <= len(tokens)
        if inside.any():
            found[inside] = np.lib.stride_tricks.sliding_window_view(tokens, width)[begins[inside]]
        if not inside.all():
            round_again = 1 + (begins[~inside, None] + np.arange(-1, self.context)) % self.file.facts.tokens
            found[~inside] = tokens[round_again]
        return found

    def documents(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which document each of the tokens to predict is of, so that a model can be kept within it.

        The end that is read before a document's first token counts as the document's: it is what the document begins
        from.

        Args:
            rows: shape (rows,), 0-based numbers of windows.

        Returns:
            Shape (rows, context), int64, 0-based numbers of documents; never falling within a row, but at the file's
            end.
        """
        first = np.searchsorted(self.file.offsets, 1 + self._begins(rows), side="right") - 1
        ended = self.take(rows)[:, :-1] == self.file.facts.end
        ended[:, 0] = False
        return (first[:, None] + np.cumsum(ended, axis=1)) % len(self.file)

    def _begins(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return (np.asarray(rows, dtype=np.int64) * self.context + self.shift) % max(1, self.file.facts.tokens)


@final
@dataclass(frozen=True, eq=False)
class Pass:
    """Some windows of one document each.

    Args:
        tokens: shape (windows, longest + 1), int64; ends where a window is shorter.
        scored: shape (windows, longest), bool; whether the token after this one is scored here. Where only some tokens
            count, no other is.
    """

    tokens: NDArray[np.int64]
    scored: NDArray[np.bool_]


@final
class Passes:
    """Windows in which each token of each document, its end included, is scored once.

    A token is predicted from the tokens of its own document that stand before it, at most `context` of them with the
    end from which the document begins: all where the document fits, else at least `context - stride + 1`. A smaller
    stride sees more and costs more: each token is read context / stride times.

    Args:
        file: the tokens.
        context: tokens a model reads at once.
        stride: tokens that a further window of the same document scores, 1 to `context`.

    Attributes:
        documents: shape (windows,), int64; the document of each window.
        lengths: shape (windows,), int64; tokens that are read in each, so that windows of like length go together.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from yunti.data.token_file import write_tokens
        >>> from yunti.data.tokenisers import ByteCoder
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     passes = Passes(write_tokens(Path(folder), "valid", ["abc"], ByteCoder()), context=3, stride=2)
        ...     some = passes.take(np.arange(len(passes)))
        ...     some.tokens.tolist(), some.scored.tolist()
        ([[0, 98, 99, 100], [99, 100, 0, 0]], [[True, True, True], [False, True, False]])

    Source: sliding windows as in Baevski and Auli, 2019, arXiv 1809.10853, section 4.
    """

    def __init__(self, file: TokenFile, context: int, stride: int) -> None:
        must_be_context(context)
        if not 1 <= stride <= context:
            mend = "half the context is usual"
            raise OptionError("stride", f"it must be 1 to the context, {context}", f"it is {stride}", mend)
        self.file = file
        lengths = np.diff(file.offsets)
        windows = 1 + np.maximum(0, -(-(lengths - context) // stride))
        self.documents = np.repeat(np.arange(len(lengths)), windows)
        moved = stride * (np.arange(len(self.documents)) - np.repeat(running(windows)[:-1], windows))
        self._begins = file.offsets[self.documents] - 1 + moved
        self.lengths = np.minimum(context, lengths[self.documents] - moved)
        self._first = np.where(moved > 0, context - stride, 0)

    def __len__(self) -> int:
        return len(self.documents)

    def take(self, rows: NDArray[np.int64]) -> Pass:
        """Return some windows, as wide as the longest of them.

        Args:
            rows: shape (windows,), 0-based numbers.
        """
        lengths = self.lengths[rows]
        place = np.arange(max(lengths, default=0) + 1)
        index = np.minimum(self._begins[rows][:, None] + place, len(self.file.tokens) - 1)
        there = place <= lengths[:, None]
        tokens = np.where(there, self.file.tokens[index], self.file.facts.end).astype(np.int64)
        scored = there[:, 1:] & (place[:-1] >= self._first[rows][:, None])
        return Pass(tokens, scored if self.file.counts is None else scored & self.file.counts[index[:, 1:]])


def must_be_context(context: int) -> None:
    """Check that a model reads at least one token.

    Raises:
        OptionError: it does not.
    """
    if context < 1:
        raise OptionError("context", "it must be at least 1 token", f"it is {context}", "256 is usual")
