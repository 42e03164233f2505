"""Raw columns as trimmed strings, and as codes into a list of distinct strings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# pandas' own list without "None", which is a real level in many tables ("Alley: None"), plus "?" of the UCI tables
MISSING_WORDS = frozenset(
    ("", "NA", "N/A", "n/a", "na", "#N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "Null", "null", "NaT")
) | {"?"}
# what also means "no value" where numbers or times are expected
MISSING_AMONG_NUMBERS = (
    MISSING_WORDS
    | frozenset(
        (
            "None",
            "none",
            "NONE",
            "nil",
            "-",
            "--",
            "---",
            ".",
            "..",
            "*",
            "missing",
            "Missing",
            "unknown",
            "Unknown",
            "N.A.",
        )
    )
    | frozenset(("n.a.", "#DIV/0!", "#VALUE!", "#REF!", "缺失", "未知", "无", "空"))
)


@final
@dataclass(frozen=True, eq=False)
class Levels:
    """A column as codes into its distinct strings.

    Args:
        codes: shape (rows,), int32; -1 where missing.
        names: large_string array of the distinct strings, in the order of their first rows.
    """

    codes: NDArray[np.int32]
    names: pa.LargeStringArray

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many rows hold each name, shape (names,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.names)).astype(np.int64)


def is_string(kind: pa.DataType) -> bool:
    """Say whether values of this Arrow type are strings."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a column of plain values: dictionaries looked up, every string type as large_string."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if is_string(column.type) and not pa.types.is_large_string(column.type):
        column = column.cast(pa.large_string())
    return column


def as_strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a scalar column as large_string: whole numbers without ".0", true and false, times in ISO form.

    Lists of strings are joined by blanks.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_large_string(kind):
        return column
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        joined = [
            pc.binary_join(chunk.cast(pa.large_list(pa.large_string())), pa.scalar(" ", pa.large_string()))
            for chunk in column.chunks
        ]
        return pa.chunked_array(joined, type=pa.large_string())
    if pa.types.is_floating(kind):
        column = column.cast(pa.float64())
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
    if pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(len(column), pa.large_string())], type=pa.large_string())
    return column.cast(pa.large_string())


def levels_of(column: pa.ChunkedArray, missing: frozenset[str] = MISSING_WORDS) -> Levels:
    """Code a scalar column by its distinct strings, trimmed; `missing` words count as missing."""
    # one array first: every chunk of an encoded column would carry, and unify, a dictionary of its own
    encoded = pc.dictionary_encode(as_strings(column).combine_chunks())
    written = trimmed(encoded.dictionary)
    absent = pc.is_in(written, pa.array(sorted(missing), pa.large_string()))
    distinct = pc.dictionary_encode(pc.if_else(absent, pa.scalar(None, pa.large_string()), written))
    lookup = np.append(distinct.indices.fill_null(-1).to_numpy(zero_copy_only=False), -1).astype(np.int32)
    return Levels(lookup[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)], distinct.dictionary)


def trimmed(texts: Any) -> Any:
    """Strip blanks of every alphabet from both ends."""
    return pc.utf8_trim_whitespace(texts)


def shortened(text: str, length: int = 40) -> str:
    """Cut a value that is shown in a message."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
