"""How a delimited text file is written: its delimiter, its quoting and its header, found from its first rows."""

from __future__ import annotations

import csv as standard_csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import pyarrow as pa
from pyarrow import csv

from yunti.data.encoding import shown
from yunti.data.spill import must_differ
from yunti.errors import SourceError
from yunti.words import say

DELIMITERS = {
    ",": say("delimiter.comma"),
    "\t": say("delimiter.tab"),
    ";": say("delimiter.semicolon"),
    "|": say("delimiter.bar"),
}
_NO_DELIMITER = "\x1f"  # stands for none: text does not hold it
_NAMED_BY_ENDING = {".tsv": "\t", ".tab": "\t", ".psv": "|"}
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}:\d{2}")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


@final
@dataclass(frozen=True)
class Quoting:
    """How fields are quoted: by which sign (None: not at all), and whether a backslash escapes it."""

    sign: str | None = '"'
    backslash: bool = False

    def parsing(self, delimiter: str) -> csv.ParseOptions:
        """Return the options of Arrow's parser; rows of another width are still to be handled."""
        return csv.ParseOptions(
            delimiter=delimiter,
            quote_char=self.sign or False,
            double_quote=self.sign is not None,
            escape_char="\\" if self.backslash else False,
            newlines_in_values=True,
        )


@final
@dataclass(frozen=True)
class Dialect:
    """How to read a delimited file.

    Args:
        delimiter: the sign between two fields.
        quoting: how fields are quoted.
        names: the columns' names.
        skip: lines and records up to the first data row, the header included.
        notes: what was assumed, one clause each.
    """

    delimiter: str
    quoting: Quoting
    names: tuple[str, ...]
    skip: int
    notes: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class _Trial:
    """What a parse of the first rows gave: the header, each column's type, and how many fields the rows have."""

    delimiter: str
    quoting: Quoting
    header: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    widths: Counter[int]

    @property
    def width(self) -> int:
        return len(self.header)

    @property
    def rows(self) -> int:
        return self.widths.total()

    @property
    def fitting(self) -> float:
        """Share of rows as wide as the header, or all one wider: they then have names or a last delimiter."""
        fits = max(self.widths[self.width], self.widths[self.width + 1] if self.width > 1 else 0)
        return fits / self.rows if self.rows else 1.0

    @property
    def misfits(self) -> int:
        return self.rows - round(self.fitting * self.rows)


def detect(sample: bytes, *, whole: bool, name: str, ending: str) -> Dialect:
    """Find out how a delimited file is written.

    The first row that is not blank must name the columns. Of the delimiters the one is taken that most rows agree on
    with the header, then the one that gives more columns, then the one that the ending names.

    Args:
        sample: the first bytes in UTF-8, whole lines.
        whole: whether the sample is the whole file.
        name: the file as the user named it.
        ending: the file's ending in lower case, such as ".tsv".

    Raises:
        SourceError: there is no row, or the first row cannot be a header.
    """
    lines = sample.splitlines()
    blank = next((place for place, line in enumerate(lines) if line.strip()), None)
    if blank is None:
        raise SourceError(name, "its first row must name the columns", "it is blank", "give a file with rows")
    hint = re.fullmatch(rb'"?sep=(.)"?', lines[blank].strip(b"\r"))  # Excel's own line above the header
    skip = blank + (1 if hint else 0)
    body = b"".join(sample.splitlines(keepends=True)[skip:]) + (b"\n" if whole else b"")
    preferred = hint[1].decode() if hint else _NAMED_BY_ENDING.get(ending, ",")
    trial = _best(body, preferred, whole, name)
    _must_have_rows(trial, name)
    _must_not_be_data(trial, name)
    names, notes = _names(trial, body, name)
    if trial.delimiter != preferred and trial.width > 1:
        notes = (say("reading.delimiter", delimiter=DELIMITERS[trial.delimiter]), *notes)
    return Dialect(trial.delimiter, trial.quoting, names, skip + 1, notes)


def _try(body: bytes, delimiter: str, quoting: Quoting, whole: bool) -> _Trial | None:
    """Parse the first rows; None where the header opens a quote that never closes."""
    misfits: list[csv.InvalidRow] = []

    def keep(row: csv.InvalidRow) -> str:
        misfits.append(row)
        return "skip"

    parsing = quoting.parsing(delimiter)
    parsing.invalid_row_handler = keep
    reading = csv.ReadOptions(use_threads=False, block_size=len(body) + 1)
    try:
        table = csv.read_csv(pa.py_buffer(body), reading, parsing)
    except pa.ArrowInvalid:
        return None
    if misfits and not whole and body.rstrip().endswith(misfits[-1].text.encode().rstrip()):
        misfits.pop()  # the sample may end inside this record
    widths = Counter(row.actual_columns for row in misfits)
    widths[table.num_columns] += table.num_rows
    return _Trial(delimiter, quoting, tuple(table.column_names), tuple(table.schema.types), widths)


def _best(body: bytes, preferred: str, whole: bool, name: str) -> _Trial:
    order = sorted({*DELIMITERS, preferred}, key=lambda each: (each != preferred, [*DELIMITERS, each].index(each)))
    trials = [trial for trial in (_quoted(body, delimiter, whole) for delimiter in order) if trial]
    if not trials:
        raise SourceError(name, "it must be delimited text", "its first row cannot be read", "check how it was written")
    wide = [trial for trial in trials if trial.width > 1 and (not trial.rows or trial.widths[1] < 0.9 * trial.rows)]
    if wide:
        return max(wide, key=lambda trial: (round(trial.fitting, 1), trial.width))
    unnamed = [trial for trial in trials if _rows_are_wider(trial)]
    plain = next((trial for trial in trials if not trial.misfits), None)
    return (unnamed or [plain or _quoted(body, _NO_DELIMITER, whole) or trials[0]])[0]


def _rows_are_wider(trial: _Trial) -> bool:
    """Say whether the first line has one field where nearly all rows have the same larger number."""
    width, rows = max(trial.widths.items(), key=lambda item: item[1], default=(1, 0))
    return trial.width == 1 and width > 1 and rows >= max(3, 0.9 * trial.rows)


def _quoted(body: bytes, delimiter: str, whole: bool) -> _Trial | None:
    """Try the usual quoting, and others where the rows hold a reason to."""
    usual = _try(body, delimiter, Quoting(), whole)
    if usual is None:
        return _try(body, delimiter, Quoting(None), whole)
    first = body.split(b"\n", 1)[0].strip()
    if b'"' not in body and first.startswith(b"'") and first.endswith(b"'"):
        single = _try(body, delimiter, Quoting("'"), whole)
        if single and single.misfits <= usual.misfits:
            return single
    if re.search(rb'\\"[^"\r\n' + re.escape(delimiter.encode()) + rb"]", body):  # elsewhere it may end a field
        escaped = _try(body, delimiter, Quoting('"', backslash=True), whole)
        if escaped and escaped.misfits <= usual.misfits and escaped.rows >= usual.rows:
            return escaped
    if b'"' in body and usual.width > 1:
        unquoted = _try(body, delimiter, Quoting(None), whole)
        if unquoted and _fits_better(unquoted, usual) and not _is_well_quoted(body, delimiter, whole):
            return unquoted
    return usual


def _fits_better(unquoted: _Trial, usual: _Trial) -> bool:
    more = not unquoted.misfits and unquoted.rows > usual.rows
    return unquoted.width == usual.width and (unquoted.misfits < usual.misfits or more)


def _is_well_quoted(body: bytes, delimiter: str, whole: bool) -> bool:
    """Say whether every quote that is opened is closed at the end of its field."""
    try:
        for _ in standard_csv.reader(io.StringIO(body.decode(), newline=""), delimiter=delimiter, strict=True):
            pass
    except standard_csv.Error as error:
        return "unexpected end" in str(error) and not whole
    return True


def _must_have_rows(trial: _Trial, name: str) -> None:
    if _rows_are_wider(trial):
        width = trial.widths.most_common(1)[0][0]
        got = f"it has one field ({_short(trial.header[0])}) and the rows have {width}"
        mend = "delete what stands above the line with the columns' names"
        raise SourceError(name, "its first row must name the columns", got, mend)
    if not trial.rows:
        got = f"there is only {_short(', '.join(trial.header))}"
        raise SourceError(name, "rows must follow the header", got, "give a file with rows")


def _names(trial: _Trial, body: bytes, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    header = [shown(each).strip() for each in trial.header]
    notes = []
    if trial.width > 1 and trial.widths[trial.width + 1] >= 0.9 * trial.rows:
        if _last_is_empty(trial, body):
            header.append("")
            notes.append(say("reading.last delimiter"))
        else:
            header.insert(0, "")
            notes.append(say("reading.row names"))
    names = tuple(each or f"unnamed: {place}" for place, each in enumerate(header, 1))
    must_differ(names, name)
    return names, tuple(notes)


def _last_is_empty(trial: _Trial, body: bytes) -> bool:
    names = [str(place) for place in range(trial.width + 1)]
    parsing = trial.quoting.parsing(trial.delimiter)
    parsing.invalid_row_handler = lambda row: "skip"
    reading = csv.ReadOptions(use_threads=False, block_size=len(body) + 1, column_names=names, skip_rows_after_names=1)
    return bool(csv.read_csv(pa.py_buffer(body), reading, parsing).schema.types[-1] == pa.null())


def _must_not_be_data(trial: _Trial, name: str) -> None:
    """Refuse a first row with numbers above numbers, unless they count (1990, 1991, 1992), or dates above dates."""
    fields = [(field.strip(), kind) for field, kind in zip(trial.header, trial.types, strict=True)]
    numeric = [field for field, kind in fields if _NUMBER.match(field) and _is_number(kind)]
    dated = any(_DATE.match(field) and pa.types.is_temporal(kind) for field, kind in fields)
    names = [field for field, _ in fields if field]
    numbered = names == [str(place) for place in range(len(names))]  # as pandas names columns without names
    if not dated and (not numeric or numbered or _counts(numeric)):
        return
    got = f"it looks like data ({_short(', '.join(trial.header))})"
    raise SourceError(name, "its first row must name the columns", got, "put a line with the columns' names on top")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _counts(fields: Sequence[str]) -> bool:
    if not all(re.fullmatch(r"\d+", field) for field in fields):
        return False
    numbers = [int(field) for field in fields]
    if len(numbers) < 3:
        return all(1800 <= number <= 2100 for number in numbers)
    steps = {after - before for before, after in pairwise(numbers)}
    return len(steps) == 1 and steps != {0}


def _short(text: str) -> str:
    text = shown(text)
    return repr(text if len(text) <= 60 else text[:57] + "...")
