"""What the report computes about validation rows, against scikit-learn and closed forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support, root_mean_squared_error

from reports import laid_out, predicted
from yunti.data.table import Categories, Examples, Numbers, Table
from yunti.report.details import calibration, confused_pairs, confusion, per_class, wilson, worst_rows
from yunti.report.groups import LEAST_ROWS, part_scores
from yunti.specs import ColumnSpec, TaskSpec
from yunti.tasks.classification import calibration_error
from yunti.tasks.intervals import interval
from yunti.tasks.task import infer_task

DRAW = np.random.default_rng(3)
CLASSES, ROWS = 4, 900
TARGET = DRAW.integers(0, CLASSES, ROWS)
LOGITS = DRAW.normal(size=(ROWS, CLASSES)) + 1.5 * np.eye(CLASSES)[TARGET]
ODDS = np.exp(LOGITS)
PROBABILITIES = ODDS / ODDS.sum(axis=1, keepdims=True)


def test_the_confusion_matrix_is_that_of_scikit_learn() -> None:
    expected = confusion_matrix(TARGET, PROBABILITIES.argmax(1), labels=range(CLASSES))
    assert (confusion(TARGET, PROBABILITIES) == expected).all()


def test_scores_of_classes_are_those_of_scikit_learn() -> None:
    found = per_class(confusion(TARGET, PROBABILITIES))
    expected = precision_recall_fscore_support(TARGET, PROBABILITIES.argmax(1), labels=range(CLASSES))
    for ours, theirs in zip((found.precision, found.recall, found.f1, found.rows), expected, strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_a_class_that_is_nowhere_has_no_scores() -> None:
    found = per_class(np.array([[3, 0], [0, 0]]))
    assert found.rows.tolist() == [3, 0]
    assert np.isnan([found.precision[1], found.recall[1], found.f1[1]]).all()


def test_the_most_confused_pairs_come_first_and_only_those_that_are_confused() -> None:
    matrix = np.array([[5, 2, 0], [7, 1, 0], [0, 1, 4]])
    assert confused_pairs(matrix, 10) == [(1, 0, 7), (0, 1, 2), (2, 1, 1)]
    assert confused_pairs(matrix, 1) == [(1, 0, 7)]


def test_calibration_is_that_of_scikit_learn_and_adds_up_to_the_calibration_error() -> None:
    bins = calibration(TARGET, PROBABILITIES)
    right = PROBABILITIES.argmax(1) == TARGET
    shares, stated = calibration_curve(right, PROBABILITIES.max(1), n_bins=15)
    np.testing.assert_allclose([each.right for each in bins], shares)
    np.testing.assert_allclose([each.stated for each in bins], stated)
    assert sum(each.rows for each in bins) == ROWS
    error = sum(each.rows * abs(each.stated - each.right) for each in bins) / ROWS
    assert error == pytest.approx(calibration_error(TARGET, PROBABILITIES))


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)  # Brown, Cai and DasGupta (2001)
    assert wilson(1.0, 20)[1] == 1.0


def test_the_worst_rows_of_classes_are_wrong_and_surest() -> None:
    found = worst_rows(TARGET, PROBABILITIES, 12)
    assert (PROBABILITIES.argmax(1)[found] != TARGET[found]).all()
    lead = PROBABILITIES.max(1) - PROBABILITIES[np.arange(ROWS), TARGET]
    assert set(found.tolist()) == set(np.argsort(-lead)[:12].tolist())


def test_the_worst_rows_of_values_have_the_largest_errors() -> None:
    target, answers = DRAW.normal(size=50), DRAW.normal(size=50)
    assert worst_rows(target, answers, 5).tolist() == np.argsort(-abs(target - answers))[:5].tolist()


def examples(groups: bool = False) -> tuple[Examples, tuple[ColumnSpec, ...]]:
    codes = DRAW.integers(-1, 3, ROWS).astype(np.int32)
    flags = DRAW.integers(0, 2, ROWS).astype(np.float64)
    table = Table({"where": Categories(codes, ("unused", "east", "west")), "wet": Numbers(flags)})
    columns = (
        ColumnSpec("where", "category", levels=3),
        ColumnSpec("wet", "flag", levels=2, parsing={"no": "dry", "yes": "wet"}),
    )
    ids = DRAW.integers(0, 12, ROWS).astype(np.int64) if groups else None
    return Examples(table, TARGET, np.arange(ROWS), ids), columns


def test_scores_of_parts_are_those_of_their_rows() -> None:
    rows, columns = examples()
    task = infer_task("classification", "y", [str(each) for each in range(CLASSES)])
    found = {(part.column, part.value): part for part in part_scores(task, rows, PROBABILITIES, columns)}
    assert set(found) == {("where", "unused"), ("where", "east"), ("where", "west"), ("wet", "dry"), ("wet", "wet")}
    wet = rows.table["wet"].values == 1  # type: ignore[union-attr]
    assert found["wet", "wet"].score == pytest.approx(accuracy_score(TARGET[wet], PROBABILITIES.argmax(1)[wet]))
    assert found["wet", "wet"].rows == wet.sum()


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc"])
def test_intervals_of_parts_are_close_to_the_bootstraps(metric: str) -> None:
    rows, columns = examples()
    task = infer_task("classification", "y", [str(each) for each in range(CLASSES)], metric)
    wet = rows.table["wet"].values == 1  # type: ignore[union-attr]
    parts = part_scores(task, rows, PROBABILITIES, columns)
    part = next(each for each in parts if each.value == "wet")
    low, high = interval(task, TARGET[wet], PROBABILITIES[wet], seed=0)
    assert (part.high - part.low) == pytest.approx(high - low, rel=0.25)
    assert part.low == pytest.approx(low, abs=0.2 * (high - low))
    errors = [each.score if task.direction == "lower" else -each.score for each in parts]
    assert errors == sorted(errors, reverse=True)


def test_parts_of_a_regression_are_compared_by_rmse_where_r2_decides() -> None:
    rows, columns = examples()
    target, answers = DRAW.normal(size=ROWS), DRAW.normal(size=ROWS)
    valid = Examples(rows.table, target, rows.rows)
    part = part_scores(TaskSpec("regression", "y", "r2", "higher"), valid, answers, columns)[0]
    codes, names = rows.table["where"].codes, rows.table["where"].names  # type: ignore[union-attr]
    flags = rows.table["wet"].values  # type: ignore[union-attr]
    inside = codes == names.index(part.value) if part.column == "where" else flags == (part.value == "wet")
    assert part.score == pytest.approx(root_mean_squared_error(target[inside], answers[inside]))


def test_groups_come_before_columns_and_are_named_by_their_first_row() -> None:
    rows, columns = examples(groups=True)
    task = infer_task("classification", "y", [str(each) for each in range(CLASSES)])
    found = part_scores(task, rows, PROBABILITIES, columns)
    assert rows.groups is not None
    assert found
    for part in found:
        group = rows.groups[int(part.value) - 1]
        assert part.column == ""
        assert part.rows == (rows.groups == group).sum() >= LEAST_ROWS
        assert part.low < part.score < part.high
    alone = replace(rows, groups=np.zeros(ROWS, dtype=np.int64))
    assert list(part_scores(task, alone, PROBABILITIES, columns)) == []


def test_at_most_so_many_parts_are_told(tmp_path: Path) -> None:
    dataset = laid_out(tmp_path)
    task = infer_task("classification", "answer", dataset.classes)
    found = part_scores(task, dataset.valid, predicted(dataset), dataset.columns, most=2)
    assert len(found) == 2
