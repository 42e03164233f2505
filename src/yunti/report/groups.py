"""How good a rung is on parts of the validation rows: on groups, or on the rows with one value of a column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Categories, Column, Examples, Numbers
from yunti.report.details import wilson
from yunti.seeds import generator
from yunti.specs import ColumnSpec, TaskSpec
from yunti.tasks.metrics import Metric, metric_named

LEAST_ROWS = 30
MOST_LEVELS = 10
MOST_COLUMNS = 60  # each takes a pass over all rows,
MOST_NUMBERS = 30_000_000  # and all together read so many predicted numbers at most: under half a second
FOLDS = 100  # of the jackknife
MOST_SUMS = 64  # with more sums a row (classes), fewer folds keep time and memory bounded


@final
@dataclass(frozen=True)
class Part:
    """Some validation rows and their score.

    Args:
        column: by which they belong together; "" for groups, whose names are not kept.
        value: of the column, as text; of a group, the number of its first row in the source, from 1.
        rows: how many there are.
        score: the metric on them.
        low: lower end of its 95 % interval.
        high: its upper end.
    """

    column: str
    value: str
    rows: int
    score: float
    low: float
    high: float


def metric_for_parts(task: TaskSpec) -> Metric:
    """Return the metric that compares parts: R² gives way to RMSE.

    R² compares with the mean of the very rows that it scores, so that a part with little spread looks bad however
    small its errors are.
    """
    return metric_named("rmse" if task.metric == "r2" else task.metric)


def part_scores(
    task: TaskSpec,
    examples: Examples,
    prediction: NDArray[Any],
    columns: tuple[ColumnSpec, ...],
    seed: int = 0,
    most: int = 12,
) -> list[Part]:
    """Score the parts of the rows that differ most from the rest, in units of their own doubt; the worst first.

    The parts are the groups where there are some, and otherwise the values of categories and flags with at most 10
    of them; a part has at least 30 rows.

    Args:
        task: the task.
        examples: the rows.
        prediction: shape (rows, classes) or (rows,).
        columns: the inputs.
        seed: deals rows into the folds of the jackknife.
        most: parts that are returned.
    """
    metric = metric_for_parts(task)
    whole = metric.score(examples.target, prediction)
    order = generator(seed, "report parts").permutation(len(examples))  # by which rows are dealt into folds
    found: list[tuple[float, Part]] = []
    many = max(1, min(MOST_COLUMNS, MOST_NUMBERS // max(1, prediction.size)))
    for column, codes, names in _divisions(examples, columns, many):
        rows = np.bincount(codes[codes >= 0], minlength=len(names))
        kept = np.flatnonzero(rows >= LEAST_ROWS)
        if not column or len(kept) > 1:  # one value alone would be compared with nearly itself
            for code in kept:
                inside = np.flatnonzero(codes == code)
                score, low, high = _scored(metric, examples, prediction, inside, order)
                doubt = max(high - low, 1e-12)
                found.append((abs(score - whole) / doubt, Part(column, names[code], len(inside), score, low, high)))
    found.sort(key=lambda each: -each[0])
    return sorted((part for _, part in found[:most]), key=lambda part: -metric.as_error(part.score))


def _divisions(
    examples: Examples, columns: tuple[ColumnSpec, ...], many: int
) -> Iterator[tuple[str, NDArray[np.int64], list[str]]]:
    """Give each way to divide the rows: the column, a code for every row (-1 where it has none), and their names."""
    if examples.groups is not None:
        _, first, codes = np.unique(examples.groups, return_index=True, return_inverse=True)
        rows = np.bincount(codes)
        if len(rows) == 1:
            return  # the whole is no part of itself
        largest = np.argsort(-rows, kind="stable")[:MOST_SUMS]
        place = np.full(len(rows), -1)
        place[largest] = np.arange(len(largest))
        yield "", place[codes], [str(int(examples.rows[first[each]]) + 1) for each in largest]
        return
    few = [each for each in columns if each.kind in ("category", "flag") and (each.levels or 0) <= MOST_LEVELS]
    for spec in few[:many]:
        codes, names = levels_of(spec, examples.table[spec.name])
        if len(names) <= MOST_LEVELS:
            yield spec.name, codes, names


def levels_of(spec: ColumnSpec, column: Column) -> tuple[NDArray[np.int64], list[str]]:
    """Return the value of every row as a code, -1 where it is missing, and the values as text."""
    match column:
        case Categories(codes, names):
            used = np.unique(codes[codes >= 0])
            place = np.full(len(names) + 1, -1, dtype=np.int64)
            place[used] = np.arange(len(used))
            return place[np.asarray(codes, dtype=np.int64)], [names[each] for each in used]
        case Numbers(values):
            known = np.asarray(values)
            present = ~np.isnan(known)
            distinct, inverse = np.unique(known[present], return_inverse=True)
            found = np.full(len(known), -1, dtype=np.int64)
            found[present] = inverse
            return found, [flag_text(spec, float(value)) for value in distinct]
        case _:
            return np.full(len(column), -1, dtype=np.int64), []


def flag_text(spec: ColumnSpec, value: float) -> str:
    """Write the value of a flag in the words of the data."""
    word = spec.parsing.get("yes" if value else "no")
    return str(word) if word is not None else f"{value:g}"


def _scored(
    metric: Metric, examples: Examples, prediction: NDArray[Any], rows: NDArray[np.int64], order: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Score some rows, with a 95 % interval: Wilson's for accuracy, else of the jackknife over folds of rows."""
    target, answers = examples.target[rows], prediction[rows]
    score = metric.score(target, answers)
    if metric.name == "accuracy":
        return score, *wilson(score, len(rows))
    pieces = metric.pieces(target, answers)
    count = min(FOLDS if pieces.width <= MOST_SUMS else FOLDS // 5, len(rows))
    dealt = np.argsort(np.argsort(order[rows]))  # folds of these rows are as large as one another
    sums = pieces.sums(dealt % count, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        without = pieces.combine(sums.sum(axis=0) - sums)
    without = without[np.isfinite(without)]
    if len(without) < 2:
        return score, score, score
    error = float(np.sqrt((len(without) - 1) / len(without) * ((without - without.mean()) ** 2).sum()))
    low, high = score - 1.96 * error, score + 1.96 * error
    if metric.task == "classification" and metric.name != "log_loss":
        return score, max(0.0, low), min(1.0, high)
    return score, (max(0.0, low) if metric.direction == "lower" else low), high
