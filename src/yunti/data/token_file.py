"""Training texts as one memory-mapped run of tokens on disk, written once and opened by every process that needs it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.store import read_rows, write_header
from yunti.data.tokenisers.blocks import AnyTexts, blocks, bytes_of, offsets_of
from yunti.data.tokenisers.coder import TextCoder
from yunti.errors import SourceError
from yunti.storing import from_json, to_json, write_atomic

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@final
@dataclass(frozen=True)
class TokenFacts:
    """What stands in the JSON beside the tokens; without it they do not count.

    Args:
        fingerprint: of the coder and the texts.
        coder: what the coder says of itself.
        size: number of distinct tokens.
        end: the token that ends a document.
        documents: number of texts.
        tokens: of all documents, each one's end included.
        counted: whether only some of the tokens count.
        format: of these files.
    """

    fingerprint: str
    coder: str
    size: int
    end: int
    documents: int
    tokens: int
    counted: bool = False
    format: int = 1


@final
@dataclass(frozen=True, eq=False)
class TokenFile:
    """The tokens of documents, memory-mapped.

    The run begins with one end, so that before every document stands an end: what a model reads before it writes the
    first token of a text. Document d is `tokens[offsets[d]:offsets[d + 1]]`, its own end being the last.

    Args:
        path: its JSON, by which `open_tokens` opens it again.
        facts: what the JSON says.
        tokens: shape (1 + tokens,), uint16, or uint32 for coders of more than 65,536 tokens.
        offsets: shape (documents + 1,), int64; the first is 1.
        counts: shape (1 + tokens,), bool: which a model is to write, such as those of answers; None where all are.
    """

    path: Path
    facts: TokenFacts
    tokens: NDArray[Any]
    offsets: NDArray[np.int64]
    counts: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return self.facts.documents


def write_tokens(
    folder: Path, name: str, texts: AnyTexts, coder: TextCoder, tell: Callable[[float], None] = lambda _fraction: None
) -> TokenFile:
    """Write the tokens of texts to a folder, or open those that are already there.

    Files are named by the fingerprint of coder and texts: a second process or a resumed run finds them, and other
    texts or another coder make others. They count once their JSON is there, which is written last. Memory stays
    within some hundred MiB, however many texts there are.

    Args:
        folder: where to; made if absent.
        name: what the files' names begin with, such as "train".
        texts: one document each; None is an empty one.
        coder: makes the tokens.
        tell: called with the fraction done, 0 to 1.

    Raises:
        SourceError: the disk is full, or the folder cannot be written; nothing unfinished is left there.

    Example:
        >>> import tempfile
        >>> from yunti.data.tokenisers import ByteCoder
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = write_tokens(Path(folder), "train", ["Hi", "", "!"], ByteCoder())
        ...     file.tokens.tolist(), file.offsets.tolist()
        ([0, 73, 106, 0, 0, 34, 0], [1, 4, 5, 7])
    """
    fingerprint = fingerprint_of(texts, coder)
    path = folder / f"{name}-{fingerprint[:16]}.json"
    if (found := _whole(path, fingerprint)) is not None:
        tell(1.0)
        return found
    with _refused(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            facts = _write(path, fingerprint, texts, coder, tell)
        except FileNotFoundError:  # another process wrote the same and tidied up
            if (found := _whole(path, fingerprint)) is None:
                raise
            return found
        write_atomic(path, to_json(facts))
        for left in folder.glob(f".{path.stem}.*.tmp"):  # of processes that were killed
            left.unlink(missing_ok=True)
    return open_tokens(path)


def open_tokens(path: Path) -> TokenFile:
    """Open a token file by its JSON; its arrays are memory-mapped.

    Raises:
        SourceError: it is not there, or not whole.
    """
    if not path.is_file():
        raise SourceError(str(path), "a token file must be whole", "its JSON is not there", "write it again")
    facts = from_json(TokenFacts, path.read_text(encoding="utf-8"), str(path))
    try:
        tokens, offsets = (read_rows(_part(path, part)) for part in ("tokens", "offsets"))
        counts = read_rows(_part(path, "counts")) if facts.counted else None
    except (OSError, ValueError) as error:
        raise SourceError(str(path), "a token file must be whole", str(error), "remove the JSON") from error
    if (len(tokens), len(offsets)) != (facts.tokens + 1, facts.documents + 1):
        got = f"there are {len(tokens):,} tokens and {len(offsets):,} offsets"
        raise SourceError(str(path), f"it must hold {facts.tokens + 1:,} tokens", got, "remove the JSON")
    if counts is not None and len(counts) != len(tokens):
        got = f"there are marks for {len(counts):,}"
        raise SourceError(
            str(path), f"it must tell of {len(tokens):,} tokens whether they count", got, "remove the JSON"
        )
    return TokenFile(path, facts, tokens, offsets, counts)


def fingerprint_of(texts: AnyTexts, coder: TextCoder) -> str:
    """Return 32 hexadecimal digits that differ where any text, their order or the coder differs.

    The content of all texts is read, at about 0.5 GB a processor second: little beside the tokens.
    """
    letters, lengths, ends = (hashlib.blake2b(digest_size=16) for _ in range(3))
    for block in blocks(texts):
        letters.update(bytes_of(block.texts).data)
        lengths.update(np.diff(offsets_of(block.texts)).tobytes())
        ends.update(block.ends.tobytes())
    whole = hashlib.blake2b(coder.state().hash().encode(), digest_size=16)
    for each in (letters, lengths, ends):
        whole.update(each.digest())
    return whole.hexdigest()


@final
class _Growing:
    """A .npy file of one axis that grows under another name until it is finished."""

    def __init__(self, path: Path, part: str, dtype: Any) -> None:
        self.rows = 0
        self._dtype = np.dtype(dtype)
        self._path = _part(path, part)
        self._temporary = path.with_name(f".{path.stem}.{part}.{os.getpid()}.tmp")
        self._file = self._temporary.open("wb")
        write_header(self._file, self._dtype, (0,))

    def add(self, values: NDArray[Any]) -> None:
        """Add values; unlike `ndarray.tofile`, writing says which error the system gave."""
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)
        self.rows += len(values)

    def finish(self) -> None:
        """Bring it to disk and give it its name."""
        self._file.seek(0)
        write_header(self._file, self._dtype, (self.rows,))
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(OSError):  # closing writes what was buffered, and the disk may be full
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def _write(
    path: Path, fingerprint: str, texts: AnyTexts, coder: TextCoder, tell: Callable[[float], None]
) -> TokenFacts:
    with contextlib.ExitStack() as stack:
        tokens = stack.enter_context(_Growing(path, "tokens", coder.dtype))
        offsets = stack.enter_context(_Growing(path, "offsets", np.int64))
        counts: _Growing | None = None
        tokens.add(np.array([coder.end]))
        offsets.add(np.ones(1))
        for part, counted, block in coder.counted_blocks(texts):
            stops = part.offsets[1:][block.ends]
            offsets.add(tokens.rows + stops + np.arange(1, len(stops) + 1))
            tokens.add(np.insert(part.values, stops, coder.end))
            if counted is not None:
                counts = counts or stack.enter_context(_counting(path))
                counts.add(np.insert(counted, stops, values=False))
            tell(block.done)
        for growing in (tokens, offsets, *([counts] if counts else [])):
            growing.finish()
    totals = (offsets.rows - 1, tokens.rows - 1, counts is not None)
    return TokenFacts(fingerprint, coder.describe(), coder.size, coder.end, *totals)


def _counting(path: Path) -> _Growing:
    counts = _Growing(path, "counts", np.bool_)
    counts.add(np.zeros(1, dtype=np.bool_))  # of the end before the first document
    return counts


def _whole(path: Path, fingerprint: str) -> TokenFile | None:
    """Open a token file if it is there, whole, and of this fingerprint."""
    with contextlib.suppress(SourceError):
        found = open_tokens(path)
        return found if found.facts.fingerprint == fingerprint else None
    return None


def _part(path: Path, part: str) -> Path:
    return path.with_suffix(f".{part}.npy")


@contextlib.contextmanager
def _refused(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses while tokens are written into one sentence."""
    try:
        yield
    except OSError as error:
        must = "there must be room for the tokens of the texts"
        if error.errno in _FULL:
            mend = "free some space, or write to another disk"
            raise SourceError(str(folder), must, "the disk is full", mend) from error
        got = f"the system says {error.strerror or str(error)!r}"
        raise SourceError(str(folder), "tokens must be written there", got, "check the folder and its disk") from error
