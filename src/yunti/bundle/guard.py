"""What a bundle may hold: every refusal stands here, before a byte is interpreted.

Hashes show damage and later changes; they do not show who made a bundle. No part is ever unpickled, so that loading
runs no code from a bundle, but parts are still read by parsers in C (LightGBM's, libsvm's): load bundles of people you
trust.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from yunti.errors import BundleError

HEADER = "bundle.json"
WEIGHTS, FACTS, CARD = "weights.safetensors", "facts.json", "card.md"
PROBE_ROWS, PROBE_COLUMNS = "probe/rows.safetensors", "probe/columns.json"
FIXED_PARTS = (WEIGHTS, FACTS, CARD, PROBE_ROWS, PROBE_COLUMNS)

HEADER_BYTES = 64 << 20  # a header of 100,000 columns has about 20 MB
MOST_PARTS = 10_000
CHUNK_BYTES = 1 << 20
_NUMBERED = re.compile(r"texts/\d{1,5}\.txt|objects/\d{1,5}\.skops")
_MAKE_ANEW = "fetch the bundle again, or make it anew"


@final
@dataclass(frozen=True)
class Part:
    """One file of a bundle as its header describes it.

    Args:
        bytes: its size.
        sha256: its SHA-256, in hexadecimal digits.
        holds: the name that the model gave to the text or object in it; empty for the fixed parts.
    """

    bytes: int
    sha256: str
    holds: str = ""


def check_names(where: str, names: Iterable[str]) -> None:
    """Hold that every part has a name that bundles have, so that none can point outside of the bundle.

    Raises:
        BundleError: a name that no bundle has, or too many parts.
    """
    listed = list(names)
    if len(listed) > MOST_PARTS:
        got = f"it has {len(listed):,}"
        raise BundleError(where, f"a bundle has at most {MOST_PARTS:,} parts", got, "do not use it")
    for name in listed:
        if name not in FIXED_PARTS and not _NUMBERED.fullmatch(name):
            raise BundleError(where, "it must hold only parts of a bundle", f"there is {name[:80]!r}", "do not use it")
    for name in FIXED_PARTS:
        if name not in listed:
            raise BundleError(where, "every bundle has the same fixed parts", f"{name!r} is not listed", _MAKE_ANEW)


def check_files(where: str, folder: Path, parts: Mapping[str, Part]) -> None:
    """Hold that a folder has exactly the parts that are listed, each of the listed size and hash.

    Raises:
        BundleError: a part is missing, unexpected, cut off or altered, or is not a plain file.
    """
    check_names(where, parts)
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not _is_folder(path)}
    for name in sorted({*found} - {*parts, HEADER}):
        raise BundleError(
            where, "it must hold nothing but its parts", f"{name!r} was put there", "take it out, then load again"
        )
    for name, part in parts.items():
        if name not in found:
            raise BundleError(where, "every part must be there", f"{name!r} is missing", _MAKE_ANEW)
        _check_size(where, name, found[name], part.bytes)
    for name, part in parts.items():
        if digest(found[name]) != part.sha256:
            raise BundleError(where, "no part may change", f"{name!r} was altered", _MAKE_ANEW)


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


def _check_size(where: str, name: str, path: Path, size: int) -> None:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(where, "every part must be a plain file", f"{name!r} is a link or a device", "do not use it")
    if status.st_size < size:
        got = f"{name!r} is cut off: it has {status.st_size:,} of {size:,} bytes"
        raise BundleError(where, "every part must be whole", got, _MAKE_ANEW)
    if status.st_size > size:
        got = f"{name!r} was altered: it has {status.st_size:,} bytes instead of {size:,}"
        raise BundleError(where, "no part may change", got, _MAKE_ANEW)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits, reading it in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
