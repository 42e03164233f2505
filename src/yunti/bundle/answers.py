"""From a source of rows to answers in its order, and to scores where the answers are known."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.bundle.card import About
from yunti.data.chats.layout import layout_of
from yunti.data.chats.reading import as_chats, find_chats
from yunti.data.parse import require, table_from_raw, target_from_raw
from yunti.data.raw import Raw
from yunti.data.read import read_raw
from yunti.data.strings import as_strings
from yunti.errors import ColumnError, nearest
from yunti.models.contract import Model
from yunti.specs import ColumnSpec, TaskSpec
from yunti.tasks.intervals import interval
from yunti.tasks.metrics import metrics_of
from yunti.tasks.task import decode, scores
from yunti.words import say

PROBLEM = "problem"


def predict_source(model: Model, about: About, source: object) -> Any:
    """Predict every row of a source.

    Args:
        model: the model.
        about: what is told about it.
        source: anything that `yunti.data.read.read_raw` takes.

    Returns:
        One row for each row of the source, in its order: `prediction` (a label, a value, or the bits per byte of a
        text) and for classes `probability_<class>`. A row that could not be read has nulls there, and its reason in a
        column `problem`, which is there only when there is such a row. A pandas frame (with the index of the source)
        for pandas, a polars frame for polars, else a pyarrow.Table.

    Raises:
        SourceError: the source cannot be read.
        ColumnError: an input column is missing or of another kind.
    """
    with tempfile.TemporaryDirectory(prefix="yunti-") as workspace:
        raw = _read(about, source, Path(workspace))
        answers = _as_table(about.task, _predictions(model, about, raw, Path(workspace)))
        return _like(source, _with_broken(raw, answers))


def evaluate_source(model: Model, about: About, source: object) -> dict[str, Any]:
    """Score a model on the rows of a source whose answer is known.

    Returns:
        `rows` (number scored), `metric`, `score`, `low`, `high` (the metric that decides, with its 95 % interval, which
        is None where one row tells none), `scores` and `intervals` (every metric of the task), `findings` (a sentence
        for rows that were not scored).

    Raises:
        SourceError: the source cannot be read.
        ColumnError: the target or an input column is missing or of another kind, or no answer is known.
    """
    task, target = about.task, about.target
    with tempfile.TemporaryDirectory(prefix="yunti-") as workspace:
        raw = _read(about, source, Path(workspace))
        if target.name not in raw.names:
            must = f"it must have the target column {target.name!r}"
            raise ColumnError(raw.source, must, "it has none", nearest(target.name, raw.names))
        truth = _truth(raw, about)
        known = truth >= 0 if task.name == "classification" else np.isfinite(truth)
        findings = list(_not_scored(raw, target, known))
        if not known.any():
            got, mend = findings[-1].rstrip("."), "give rows with the answers that the model has learned"
            raise ColumnError(raw.source, f"the answers in {target.name!r} must be known", got, mend)
        found, truth = _predictions(model, about, raw, Path(workspace))[known], truth[known]
        clusters = None if raw.documents is None else raw.documents[known]
    seed = model.spec.seed
    ends: dict[str, tuple[float | None, float | None]] = {
        each.name: interval(replace(task, metric=each.name), truth, found, seed=seed, clusters=clusters)
        for each in metrics_of(task.name)
    }
    if len(truth) == 1:  # resamples of one row are all alike
        ends = {name: (None, None) if low == high else (low, high) for name, (low, high) in ends.items()}
    every = scores(task, truth, found)
    low, high = ends[task.metric]
    return {
        "rows": len(truth),
        "metric": task.metric,
        "score": every[task.metric],
        "low": low,
        "high": high,
        "scores": every,
        "intervals": {name: list(pair) for name, pair in ends.items()},
        "findings": findings,
    }


def _read(about: About, source: object, workspace: Path) -> Raw:
    """Read a source as the model's was read; running text is the column that the model knows, whatever it is called."""
    raw = read_raw(source, workspace, running=about.task.name == "language")
    if about.target.holds_chats:
        return _conversations(raw, about, workspace)
    return replace(raw, arrow=raw.arrow.rename_columns([about.target.name])) if raw.task == "language" else raw


def _conversations(raw: Raw, about: About, workspace: Path) -> Raw:
    learned = layout_of(about.target.parsing)
    layout = (learned.within(raw.arrow.column_names) if learned else None) or find_chats(raw, None)
    if layout is None:
        must, mend = "it must hold conversations, which the model learned from", "give a column of messages"
        raise ColumnError(raw.source, must, f"its columns are {', '.join(map(repr, raw.names[:5]))}", mend)
    folder = workspace / "chats"
    folder.mkdir()
    chats = as_chats(raw, layout, [], folder)
    return replace(chats, arrow=chats.arrow.rename_columns([about.target.name]))


def _truth(raw: Raw, about: About) -> NDArray[Any]:
    """Read the answers; a text is its own answer, and rows without one are NaN."""
    if about.task.name != "language":
        return target_from_raw(raw, about.target, about.task.classes)
    require(raw, about.target)
    octets = pc.fill_null(pc.binary_length(as_strings(raw.arrow.column(about.target.name))), 0)
    return np.where(octets.to_numpy() > 0, 0.0, np.nan)


def _predictions(model: Model, about: About, raw: Raw, workspace: Path) -> NDArray[Any]:
    """Predict all rows; their typed columns stand in files, and models go through them in chunks."""
    folder = workspace / "rows"
    folder.mkdir()
    table = table_from_raw(raw, about.columns, folder)
    return model.predict(table)


def _as_table(task: TaskSpec, found: NDArray[Any]) -> pa.Table:
    kind = pa.string() if task.name == "classification" else pa.float64()
    columns = {"prediction": pa.array(decode(task, found), kind)}
    for place, name in enumerate(task.classes):
        columns[f"probability_{name}"] = pa.array(found[:, place].astype(np.float32))
    return pa.table(columns)


def _with_broken(raw: Raw, answers: pa.Table) -> pa.Table:
    """Put a row of nulls, with the reason, wherever a row of the source could not be read."""
    if not raw.broken:
        return answers
    rows = len(raw)
    files = np.zeros(rows, dtype=np.int64) if raw.file_of is None else raw.file_of.astype(np.int64)
    numbers = np.arange(1, rows + 1) if raw.row_of is None else raw.row_of
    places = {name: place for place, name in enumerate(raw.files)}
    broken = sorted(raw.broken, key=lambda each: (places.get(each.file, len(places)), each.row))
    keys = files << 40 | numbers  # by file, then by row
    wanted = np.array([places.get(each.file, len(places)) << 40 | each.row for each in broken])
    before = np.searchsorted(keys, wanted)
    order = np.insert(np.arange(rows), before, -1)
    reasons = np.full(len(order), None, dtype=object)
    reasons[order < 0] = [each.reason for each in broken]
    taken = answers.take(pa.array(order, mask=order < 0))
    return taken.append_column(PROBLEM, pa.array(reasons, pa.string()))


def _not_scored(raw: Raw, target: ColumnSpec, known: NDArray[np.bool_]) -> Iterator[str]:
    """Say which rows are not scored, and why."""
    if raw.broken:
        first = raw.broken[0]
        place = {"row": first.row, "file": first.file}
        yield say("evaluate.broken", count=len(raw.broken), **place, reason=first.reason)
    if known.all():
        return
    values = raw.arrow[target.name].combine_chunks()
    given = np.asarray(values.is_valid())
    missing, strange = np.flatnonzero(~known & ~given), np.flatnonzero(~known & given)
    if len(missing):
        yield say("evaluate.no answer", count=len(missing), target=target.name)
    if len(strange):
        shown = ", ".join(dict.fromkeys(repr(str(values[int(row)].as_py())) for row in strange[:3]))
        values = {"count": len(strange), "target": target.name, "labels": shown}
        yield say("evaluate.strange label", **values, row=raw.place(int(strange[0]))[1])


def _like(source: object, table: pa.Table) -> Any:
    """Return the answers as the kind of frame that the source is."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(source, pandas.DataFrame):
        return table.to_pandas().set_axis(source.index, axis=0)
    if polars is not None and isinstance(source, polars.DataFrame):
        return polars.from_arrow(table)
    return table
