"""The encoding of a text file, found from its bytes, and the file as UTF-8."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from yunti.data.files import new_file, reading, what_it_is
from yunti.errors import SourceError

MARK = "\ufdd0"  # a code point that Unicode forbids in text: it stands for a byte that could not be decoded
MARKED_BYTE = re.compile(f"{MARK}([0-9A-F]{{2}})")

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_READ_AS = {"utf-8": "utf-8-sig"}  # passes over a byte order mark, which the wider encodings do by themselves
_CHUNK = 1 << 22
_HEAD = 1 << 16
_WITNESSES = 20_000  # lines that are enough to tell an encoding from
_SIGNS = frozenset("\xa0£€¥°§«»‘’“”„–—…•·¿¡®©™²³¹½¼¾±×÷µ´¨ºª")


@final
@dataclass(frozen=True)
class Utf8File:
    """A text file in UTF-8.

    Args:
        path: the file itself or a copy in the workspace.
        start: bytes of a byte order mark to pass over.
        encoding: how the source is encoded.
        marked: whether bytes that could not be decoded stand in it as `MARK` and two hexadecimal digits.
    """

    path: Path
    start: int
    encoding: str
    marked: bool


def shown(text: str) -> str:
    """Put the replacement character where a byte could not be decoded."""
    return MARKED_BYTE.sub("\ufffd", text)


def as_utf8(path: Path, name: str, workspace: Path) -> Utf8File:
    """Find a text file's encoding and give it as UTF-8: the file itself, or a copy in the workspace.

    UTF-8 is taken when the whole file is valid; with some invalid lines, when more of the lines with other than ASCII
    characters are valid. Else it is GB18030 when its lines decode to common Chinese characters, and Windows-1252 or
    Latin-1 when they decode to Western words.

    Args:
        path: a file that is not compressed.
        name: the file as the user named it.
        workspace: where a copy goes.

    Raises:
        SourceError: it cannot be read, or it is not text.
    """
    with reading(name), path.open("rb") as file:
        head = file.read(_HEAD)
    bom, encoding = next(((bom, encoding) for bom, encoding in _BOMS if head.startswith(bom)), (b"", ""))
    if not encoding:
        encoding = _wide(head)
    with reading(name):
        if encoding in ("", "utf-8"):
            if _is_utf8(path):
                _must_be_text(head.decode("utf-8", errors="replace"), head, name)
                return Utf8File(path, len(bom), "utf-8", marked=False)
            encoding = encoding or _legacy(path)
        _must_be_text(head.decode(encoding, errors="replace"), head, name)
        return _rewritten(path, encoding, new_file(workspace, "utf8"))


def _wide(head: bytes) -> str:
    """Tell UTF-16 without a mark by the zero bytes that stand on one side of its ASCII characters."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    for encoding, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros > 20 * others and zeros * 50 > len(head):
            text = head[: len(head) // 2 * 2].decode(encoding, errors="replace")
            if "\n" in text and _oddness(text) < 0.01:
                return encoding
    return ""


def _oddness(text: str) -> float:
    """Share of characters that text does not hold: control characters and what could not be decoded."""
    odd = sum(1 for each in text if (each < " " and each not in "\t\n\r\f\x1a\x1b") or each == "\x7f")
    return odd / max(1, len(text))


def _must_be_text(text: str, head: bytes, name: str) -> None:
    known = what_it_is(head)
    if known or _oddness(text) > 0.01:
        got = f"it looks like {known}" if known else "it holds bytes that no text has"
        raise SourceError(name, "it must be text", got, "give the file its right ending, or export it as CSV")


def _chunks(path: Path) -> Iterator[bytes]:
    """Give the file's bytes in pieces that end where a character of UTF-8 ends."""
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            chunk = rest + chunk
            cut = len(chunk)
            while cut > max(0, len(chunk) - 4) and chunk[cut - 1] & 0xC0 == 0x80:
                cut -= 1
            if cut and chunk[cut - 1] >= 0xC0:
                cut -= 1
            rest = chunk[cut:]
            yield chunk[:cut]
    if rest:
        yield rest


def _is_utf8(path: Path) -> bool:
    try:
        for chunk in _chunks(path):
            if not chunk.isascii():
                chunk.decode()
    except UnicodeDecodeError:
        return False
    return True


def _legacy(path: Path) -> str:
    """Name the encoding of a file that is not wholly UTF-8, from its lines with other than ASCII characters."""
    valid, invalid = 0, []
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(_CHUNK), b""):  # a text may be one line, of any length
            if line.isascii():
                continue
            try:
                line.decode()
                valid += 1
            except UnicodeDecodeError:
                invalid.append(line)
            if valid + len(invalid) >= _WITNESSES:
                break
    if valid > len(invalid):
        return "utf-8"
    if _chinese(invalid):
        return "gb18030"
    if _western("".join(line.decode("cp1252", errors="replace") for line in invalid)):
        return "cp1252"
    if _western(latin := "".join(line.decode("latin-1") for line in invalid)) and not re.search("[\x80-\x9f]", latin):
        return "latin-1"
    return "utf-8"


def _chinese(lines: list[bytes]) -> bool:
    """Say whether nearly all lines decode as GB18030, mostly to characters of the common list GB 2312."""
    decoded, common, others = 0, 0, 0
    for line in lines:
        try:
            text = line.decode("gb18030")
        except UnicodeDecodeError:
            continue
        decoded += 1
        wide = [each for each in text if each > "\x7f"]
        hits = sum(1 for each in wide if len(each.encode("gb2312", errors="ignore")) == 2)
        common, others = common + hits, others + len(wide) - hits
    return decoded >= 0.9 * len(lines) and common > 3 * others


def _western(text: str) -> bool:
    """Say whether the accented letters stand beside letters, in words, and the rest are common signs."""
    likely, unlikely = 0, 0
    for match in re.finditer("[^\x00-\x7f]+", text):
        run, before, after = match[0], text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        in_word = len(run) <= 2 and (before.isalpha() or after.isalpha())
        for each in run:
            letter = unicodedata.category(each).startswith("L") and each != "ÿ"  # 0xFF, far likelier a stray byte
            if (letter and in_word) or each in _SIGNS:
                likely += 1
            else:
                unlikely += 1
    return likely > 3 * unlikely


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"{MARK}{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("yunti-mark", _mark)


def _rewritten(path: Path, encoding: str, target: Path) -> Utf8File:
    marked = False
    with (
        path.open(encoding=_READ_AS.get(encoding, encoding), errors="yunti-mark", newline="") as source,
        target.open("w", encoding="utf-8", newline="") as copy,
    ):
        while text := source.read(_CHUNK):
            marked = marked or MARK in text
            copy.write(text)
    return Utf8File(target, 0, encoding, marked)
