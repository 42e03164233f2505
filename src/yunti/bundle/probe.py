"""A few rows with the expected answer: whoever loads a bundle sees that the model still answers as it was tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.bundle.guard import PROBE_COLUMNS, PROBE_ROWS
from yunti.bundle.state import read_arrays, read_json, write_arrays, write_json
from yunti.data.table import Categories, Column, Images, Numbers, Ragged, Table, Texts
from yunti.errors import BundleError

EXPECTED = "expected"
Arrays = dict[str, NDArray[Any]]


def write_probe(where: str, table: Table, expected: NDArray[Any], folder: Path) -> None:
    """Write rows and the predictions that belong to them.

    Args:
        where: the bundle, for messages.
        table: a few rows; copied, so that nothing of a larger table comes along.
        expected: shape (rows,) or (rows, classes).
        folder: the bundle's folder.
    """
    arrays: Arrays = {EXPECTED: expected}
    columns = []
    for place, name in enumerate(table.columns):
        stored, facts = _take_apart(table[name].take(np.arange(len(table))))
        arrays |= {f"{place}.{key}": value for key, value in stored.items()}
        columns.append({"name": name, "storage": type(table[name]).__name__, **facts})
    (folder / "probe").mkdir(exist_ok=True)
    write_arrays(where, arrays, folder / PROBE_ROWS)
    write_json(where, columns, folder / PROBE_COLUMNS)


def read_probe(where: str, folder: Path) -> tuple[Table, NDArray[Any]]:
    """Read the rows and the predictions that belong to them.

    Raises:
        BundleError: the two files do not fit each other.
    """
    arrays = read_arrays(where, folder, PROBE_ROWS)
    try:
        expected = arrays.pop(EXPECTED)
        table = {}
        for place, facts in enumerate(read_json(where, folder, PROBE_COLUMNS)):
            stored = {
                key.removeprefix(f"{place}."): value for key, value in arrays.items() if key.startswith(f"{place}.")
            }
            table[facts["name"]] = _put_together(stored, facts)
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise BundleError(
            where, "the rows of the probe must fit each other", str(error), "fetch the bundle again, or make it anew"
        ) from error
    return Table(table), expected


def check_probe(where: str, expected: NDArray[Any], got: NDArray[Any], tolerance: float) -> None:
    """Hold that the model answers as it was tested.

    Args:
        where: the bundle, for messages.
        expected: stored predictions, shape (rows,) or (rows, classes).
        got: predictions made now.
        tolerance: largest difference allowed, as a share of the largest expected magnitude; 0 asks for equality.

    Raises:
        BundleError: the predictions differ by more.
    """
    mend = "use the versions of yunti and of its packages that made it, or make it anew"
    must = "its model must answer the probe as it was tested"
    if got.shape != expected.shape:
        raise BundleError(where, must, f"the shape is {got.shape} instead of {expected.shape}", mend)
    difference = float(np.max(np.abs(np.subtract(got, expected, dtype=np.float64)), initial=0.0))
    scale = float(np.max(np.abs(expected), initial=0.0))
    if not difference <= tolerance * scale:
        got_words = f"it differs by {difference:.3g} where {tolerance * scale:.3g} is allowed"
        raise BundleError(where, must, got_words, mend)


def _take_apart(column: Column) -> tuple[Arrays, dict[str, Any]]:
    match column:
        case Numbers():
            return {"values": np.asarray(column.values)}, {}
        case Categories():
            return {"codes": np.asarray(column.codes)}, {"names": list(column.names)}
        case Texts():
            return {}, {"texts": column.values.to_pylist()}
        case Images():
            return {"pixels": np.asarray(column.pixels), "present": np.asarray(column.present)}, {}
        case Ragged():
            return {"values": np.asarray(column.values), "offsets": np.asarray(column.offsets)}, {}


def _put_together(stored: Arrays, facts: dict[str, Any]) -> Column:
    match facts["storage"]:
        case "Numbers":
            return Numbers(stored["values"])
        case "Categories":
            return Categories(stored["codes"], tuple(facts["names"]))
        case "Texts":
            return Texts(pa.array(facts["texts"], pa.large_string()))
        case "Images":
            return Images(stored["pixels"], stored["present"])
        case "Ragged":
            return Ragged(stored["values"], stored["offsets"])
        case other:
            raise ValueError(f"{other!r} is no storage of a column")
