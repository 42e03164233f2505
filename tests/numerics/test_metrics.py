"""Every metric against scikit-learn, or against a plain loop where scikit-learn has none."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from yunti.tasks.classification import accuracy, calibration_error, macro_f1, roc_auc
from yunti.tasks.metrics import METRICS, metric_named, metrics_of
from yunti.tasks.regression import r2, rmse


def answers(seed: int, rows: int, classes: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    target = random.integers(0, classes, rows).astype(np.int32)
    heights = random.normal(size=(rows, classes))
    heights[np.arange(rows), target] += 1
    heights = np.round(heights) if ties else heights
    shares = np.exp(heights)
    return target, shares / shares.sum(axis=1, keepdims=True)


def by_scikit_learn(name: str, target: np.ndarray, prediction: np.ndarray) -> float:
    if name in ("rmse", "mae", "r2"):
        function = {
            "rmse": reference.root_mean_squared_error,
            "mae": reference.mean_absolute_error,
            "r2": reference.r2_score,
        }[name]
        return float(function(target, prediction))
    best = prediction.argmax(axis=1)
    labels = list(range(prediction.shape[1]))
    if name == "accuracy":
        return float(reference.accuracy_score(target, best))
    if name == "balanced_accuracy":
        return float(reference.balanced_accuracy_score(target, best))
    if name == "macro_f1":
        return float(reference.f1_score(target, best, average="macro", zero_division=0))
    if name == "log_loss":
        return float(reference.log_loss(target, prediction, labels=labels))
    if len(labels) == 2:
        return float(reference.roc_auc_score(target, prediction[:, 1]))
    return float(reference.roc_auc_score(target, prediction, multi_class="ovr", average="macro", labels=labels))


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc"])
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("ties", [False, True])
def test_classification_equals_scikit_learn(name: str, classes: int, ties: bool) -> None:
    for seed, rows in ((0, 40), (1, 500)):
        target, prediction = answers(seed, rows, classes, ties=ties)
        expected = by_scikit_learn(name, target, prediction)
        assert metric_named(name).score(target, prediction) == pytest.approx(expected, abs=1e-12, rel=1e-12)


@pytest.mark.parametrize("name", [metric.name for metric in metrics_of("regression")])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_regression_equals_scikit_learn(name: str, shift: float) -> None:
    random = np.random.default_rng(0)
    target = random.normal(size=300) * 40 + shift
    prediction = target + random.normal(size=300) * 9
    expected = by_scikit_learn(name, target, prediction)
    assert metric_named(name).score(target, prediction) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("seed", range(3))
def test_pieces_give_the_same_score(metric, seed: int) -> None:
    target, prediction = answers(seed, 200, 4, ties=seed == 2)
    if metric.task == "regression":
        target = prediction[:, 0] + 1e5
        prediction = prediction[:, 1] + 1e5
    if metric.task == "language":
        prediction = answers(seed, 200, 5)[1] * 100
    assert metric.pieces(target, prediction).score() == pytest.approx(metric.score(target, prediction), rel=1e-9)


def test_pieces_of_repeated_rows_are_the_score_of_the_repeated_table() -> None:
    target, prediction = answers(0, 60, 3)
    times = np.random.default_rng(1).integers(0, 4, 60)
    repeated = np.repeat(np.arange(60), times)
    for metric in metrics_of("classification"):
        if metric.name == "roc_auc":  # linear in the weights by design
            continue
        pieces = metric.pieces(target, prediction)
        drawn = float(pieces.combine(times @ pieces.sums(np.arange(60), 60)))
        assert drawn == pytest.approx(metric.score(target[repeated], prediction[repeated]), rel=1e-12)


def test_auc_pieces_are_the_derivative_of_auc() -> None:
    target, prediction = answers(3, 400, 3)
    pieces = metric_named("roc_auc").pieces(target, prediction)
    sums = pieces.sums(np.arange(400), 400)
    for row in (0, 17, 399):
        more = np.append(np.arange(400), row)
        moved = roc_auc(target[more], prediction[more]) - roc_auc(target, prediction)
        assert float(pieces.combine(sums[more].sum(axis=0))) - pieces.score() == pytest.approx(moved, rel=0.05)


def test_calibration_error_equals_a_plain_loop() -> None:
    target, prediction = answers(0, 700, 3)
    total = 0.0
    for left in range(15):
        rows = [
            row for row in range(700) if left / 15 < prediction[row].max() <= (left + 1) / 15
        ]  # equation 3 of Guo et al.
        if rows:
            hits = np.mean([prediction[row].argmax() == target[row] for row in rows])
            total += len(rows) / 700 * abs(hits - np.mean([prediction[row].max() for row in rows]))
    assert calibration_error(target, prediction) == pytest.approx(total, abs=1e-12)


def test_log_loss_of_float32_is_bounded_where_scikit_learn_bounds_it() -> None:
    target = np.array([0, 1, 1], dtype=np.int32)
    prediction = np.array([[1, 0], [1, 0], [0.25, 0.75]], dtype=np.float32)
    value = metric_named("log_loss").score(target, prediction)
    assert value == pytest.approx(float(reference.log_loss(target, prediction)), rel=1e-6)
    assert math.isfinite(value)


def test_auc_leaves_out_classes_without_rows() -> None:
    target, prediction = answers(0, 90, 4)
    kept = target != 2
    target, prediction = target[kept], prediction[kept]
    areas = [reference.roc_auc_score(target == each, prediction[:, each]) for each in (0, 1, 3)]
    assert roc_auc(target, prediction) == pytest.approx(np.mean(areas), rel=1e-12)


def test_one_class_in_the_rows_has_the_documented_scores() -> None:
    target = np.zeros(5, dtype=np.int32)
    prediction = np.tile(np.array([0.7, 0.3], dtype=np.float32), (5, 1))
    values = {metric.name: metric.score(target, prediction) for metric in metrics_of("classification")}
    assert values["roc_auc"] == 0.5
    assert values["accuracy"] == values["balanced_accuracy"] == values["macro_f1"] == 1.0
    assert values["calibration_error"] == pytest.approx(0.3, abs=1e-7)


def test_constant_target_has_the_documented_r2() -> None:
    assert r2(np.full(4, 2.0), np.full(4, 2.0)) == 1.0
    assert r2(np.full(4, 2.0), np.array([2.0, 2.0, 2.0, 3.0])) == 0.0
    assert r2(np.array([5.0]), np.array([4.0])) == 0.0


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_give_finite_numbers(metric, rows: int) -> None:
    target, prediction = answers(rows, rows, 3)
    if metric.task == "regression":
        target, prediction = prediction[:, 0], prediction[:, 1]
    if metric.task == "language":
        prediction = answers(rows, rows, 5)[1]
    assert math.isfinite(metric.score(target, prediction))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 5), st.booleans())
def test_any_answers_equal_scikit_learn(seed: int, rows: int, classes: int, ties: bool) -> None:
    target, prediction = answers(seed, rows, classes, ties=ties)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns where a class is absent; ours has a documented value
        for name in ("accuracy", "balanced_accuracy", "macro_f1"):
            expected = by_scikit_learn(name, target, prediction)
            assert metric_named(name).score(target, prediction) == pytest.approx(expected, abs=1e-12)
    assert accuracy(target, prediction) <= 1 and 0 <= macro_f1(target, prediction) <= 1


def test_rmse_of_the_docstring() -> None:
    assert rmse(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == pytest.approx(2**0.5)
