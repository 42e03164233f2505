"""Files as bytes: whether they can be read, what their first bytes tell, and how they are unpacked."""

from __future__ import annotations

import bz2
import codecs
import errno
import gzip
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yunti.errors import SourceError

# https://en.wikipedia.org/wiki/List_of_file_signatures
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"FEA1", "a Feather file of version 1"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"SQLite format 3", "an SQLite database"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF file (WAV or WebP)"),
    (b"\x7fELF", "a program"),
    (b"\x80\x04\x95", "a Python pickle"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
)
_PACKERS = {".gz": (b"\x1f\x8b", "gzip"), ".bz2": (b"BZh", "bzip2"), ".xz": (b"\xfd7zXZ\x00", "xz")}
_CHUNK = 1 << 22


def bare_name(path: Path) -> str:
    """Return the file's name in lower case without an ending that only says how it is packed."""
    name = path.name.lower()
    return name.removesuffix(path.suffix.lower()) if path.suffix.lower() in _PACKERS else name


def what_it_is(head: bytes) -> str | None:
    """Say what a file's first bytes show it to be, if they are known."""
    return next((what for start, what in _SIGNATURES if head.startswith(start)), None)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what the operating system refuses while `name` is read into one sentence."""
    try:
        yield
    except PermissionError as error:
        raise SourceError(
            name, "it must be readable", "the right to read it is missing", "change its permissions or copy it"
        ) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise SourceError(
                name, "there must be room to unpack it", "the disk is full", "free some space or set TMPDIR"
            ) from error
        got = error.strerror or str(error) or type(error).__name__
        raise SourceError(
            name, "it must be readable", f"the system says {got!r}", "check the path and the disk"
        ) from error


def first_bytes(path: Path, name: str, count: int = 16) -> bytes:
    """Return the first bytes of a file.

    Raises:
        SourceError: the file is empty or cannot be read.
    """
    with reading(name), path.open("rb") as file:
        head = file.read(count)
    if not head:
        raise SourceError(name, "it must hold data", "it is empty", "give a file with rows")
    return head


def first_text(path: Path, name: str, count: int) -> str:
    """Return the first whole lines of a file that holds text, perhaps packed; what cannot be decoded stands as U+FFFD.

    Args:
        path: the file.
        name: the file as the user named it.
        count: bytes to look at.

    Raises:
        SourceError: the file is empty or cannot be read.
    """
    head = first_bytes(path, name)
    kind = next((kind for signature, kind in _PACKERS.values() if head.startswith(signature)), None)
    with reading(name):
        try:
            with _opened(path, kind) if kind else path.open("rb") as file:
                start = file.read(count)
        except (EOFError, zlib.error, lzma.LZMAError):
            return ""  # it is damaged, as its reader will say
    encoding = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    text = start.decode(encoding, errors="replace")
    return text if len(start) < count else text[: text.rfind("\n") + 1]


def unpack(path: Path, name: str, workspace: Path) -> Path:
    """Return a file that is not compressed: the file itself, or a copy unpacked into the workspace.

    Compression is known by the first bytes, whatever the ending is.

    Args:
        path: the file.
        name: the file as the user named it.
        workspace: where the copy goes.

    Raises:
        SourceError: it is empty, cannot be read, is not packed as its ending says, or is damaged.
    """
    head = first_bytes(path, name)
    claimed = _PACKERS.get(path.suffix.lower())
    if claimed and not head.startswith(claimed[0]):
        got = f"this is {what_it_is(head)}" if what_it_is(head) else "its first bytes are not"
        mend = "give it the ending of what it is, or pack it again"
        raise SourceError(name, f"a file that ends in {path.suffix} must be {claimed[1]}", got, mend)
    for signature, kind in _PACKERS.values():
        if head.startswith(signature):
            return _unpacked(path, name, workspace, kind)
    return path


def _opened(path: Path, kind: str) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    if kind == "gzip":
        return gzip.GzipFile(path)
    return bz2.BZ2File(path) if kind == "bzip2" else lzma.LZMAFile(path)


def _unpacked(path: Path, name: str, workspace: Path, kind: str) -> Path:
    target = new_file(workspace, "unpacked")
    with reading(name):
        try:
            with _opened(path, kind) as packed, target.open("wb") as plain:
                shutil.copyfileobj(packed, plain, _CHUNK)
        except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise SourceError(
                name,
                f"it must be a whole {kind} file",
                f"it is cut off or damaged ({str(error).rstrip('.')})",
                "fetch or pack it again",
            ) from error
    if not target.stat().st_size:
        raise SourceError(name, "it must hold data", "it is empty once unpacked", "give a file with rows")
    return target


def new_file(workspace: Path, purpose: str, ending: str = "") -> Path:
    """Name a file that does not yet exist in the workspace."""
    with tempfile.NamedTemporaryFile(prefix=f"{purpose}-", suffix=ending, dir=workspace, delete=False) as file:
        return Path(file.name)
