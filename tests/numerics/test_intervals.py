"""Intervals cover what they promise, and paired comparisons err as rarely as they promise."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from yunti.errors import RungError
from yunti.specs import TaskSpec
from yunti.tasks.intervals import interval, paired
from yunti.tasks.metrics import METRICS, Metric, metric_named
from yunti.tasks.task import score

SAMPLES = 200
COVERAGE_SAMPLES = 500


def spec_of(metric: Metric, classes: int = 3) -> TaskSpec:
    labels = tuple(f"class {each}" for each in range(classes)) if metric.task == "classification" else ()
    return TaskSpec(metric.task, "answer", metric.name, metric.direction, labels)


def classified(random: np.random.Generator, rows: int, strength: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    target = random.choice(3, p=[0.6, 0.3, 0.1], size=rows)
    heights = random.normal(size=(rows, 3))
    heights[np.arange(rows), target] += strength
    shares = np.exp(heights)
    return target, shares / shares.sum(axis=1, keepdims=True)


def measured(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    prediction = random.normal(size=rows)
    return prediction + 0.5 * random.normal(size=rows), prediction


def read(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    octets = random.integers(400, 4_000, size=rows)
    tokens, words = octets // 3 + 1, octets // 6 + 1
    nats = octets * random.normal(1.2, 0.2, size=rows)
    return np.zeros(rows), np.column_stack([nats, octets, octets - 5, tokens, words]).astype(np.float64)


def example(metric: Metric, seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    if metric.task == "language":
        return read(random, rows)
    return classified(random, rows) if metric.task == "classification" else measured(random, rows)


def coverage(name: str, strength: float | None = None) -> float:
    metric = metric_named(name)
    spec = spec_of(metric)

    def draw(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
        if strength is None:
            return example(metric, seed, rows)
        return classified(np.random.default_rng(seed), rows, strength)

    truth = score(spec, *draw(10**6, 400_000))
    bounds = [interval(spec, *draw(seed, 200), seed=seed) for seed in range(COVERAGE_SAMPLES)]
    return float(np.mean([low <= truth <= high for low, high in bounds]))


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "r2", "roc_auc", "bits_per_byte"])
def test_intervals_hold_the_true_score_as_often_as_they_say(name: str) -> None:
    assert 0.91 <= coverage(name) <= 0.98  # promised: 0.95; three standard errors of 500 samples are 0.03


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
def test_intervals_of_nearly_perfect_models_hold_the_true_score(name: str) -> None:
    assert coverage(name, strength=4.0) >= 0.92


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_large_samples_agree_with_a_plain_bootstrap(metric: Metric) -> None:
    spec = spec_of(metric)
    target, prediction = example(metric, 0, 6000)  # beyond 4,096 rows: drawn in groups
    low, high = interval(spec, target, prediction, seed=0)
    random = np.random.default_rng(1)
    plain = []
    for _ in range(300):
        rows = random.integers(0, 6000, 6000)
        plain.append(metric.score(target[rows], prediction[rows]))
    width = 2 * 1.96 * np.std(plain)
    assert high - low == pytest.approx(width, rel=0.25)


def test_auc_interval_agrees_with_delong() -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 2, 400)
    score_of_row = random.normal(size=400) + 0.7 * target
    prediction = np.column_stack([1 - stats.norm.cdf(score_of_row), stats.norm.cdf(score_of_row)])
    ahead, behind = score_of_row[target == 1], score_of_row[target == 0]
    wins = (ahead[:, None] > behind[None, :]).astype(float)
    error = np.sqrt(wins.mean(axis=1).var(ddof=1) / len(ahead) + wins.mean(axis=0).var(ddof=1) / len(behind))
    low, high = interval(spec_of(metric_named("roc_auc"), 2), target, prediction, seed=0)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert low < wins.mean() < high


def test_a_perfect_model_has_an_interval_with_a_width() -> None:
    target = np.arange(60) % 3
    prediction = np.eye(3)[target] * 0.9 + 0.05 / 1.5
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc"):
        low, high = interval(spec_of(metric_named(name)), target, prediction, seed=0)
        assert high == 1.0
        assert 0.5 < low < 0.98
    low, _ = interval(spec_of(metric_named("accuracy")), target, prediction, seed=0)
    assert low == pytest.approx(stats.binomtest(60, 60).proportion_ci(method="wilson").low)


def test_rows_of_one_class_leave_auc_unknown() -> None:
    prediction = np.tile([0.6, 0.3, 0.1], (9, 1))
    assert interval(spec_of(metric_named("roc_auc")), np.zeros(9, int), prediction, seed=0) == (0.0, 1.0)


def test_clusters_widen_the_interval_when_their_rows_are_alike() -> None:
    random = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), 25)
    right = np.repeat(random.random(40) < 0.7, 25)
    target = np.zeros(1000, dtype=int)
    prediction = np.where(right[:, None], [[0.8, 0.1, 0.1]], [[0.1, 0.8, 0.1]])
    spec = spec_of(metric_named("accuracy"))
    low, high = interval(spec, target, prediction, seed=0)
    wide_low, wide_high = interval(spec, target, prediction, seed=0, clusters=clusters)
    assert wide_high - wide_low == pytest.approx(5 * (high - low), rel=0.25)  # √25: forty rows' worth of evidence


def test_cluster_of_one_row_each_changes_nothing() -> None:
    target, prediction = classified(np.random.default_rng(0), 300)
    spec = spec_of(metric_named("log_loss"))
    plain = interval(spec, target, prediction, seed=0)
    assert interval(spec, target, prediction, seed=0, clusters=np.arange(300)) == plain
    assert interval(spec, target, prediction, seed=0, clusters=np.zeros(300)) == plain  # one cluster tells nothing


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows_give_finite_intervals_that_hold_the_score(metric: Metric, rows: int) -> None:
    target, prediction = example(metric, rows, rows)
    spec = spec_of(metric)
    low, high = interval(spec, target, prediction, seed=0)
    assert np.isfinite([low, high]).all()
    assert low <= score(spec, target, prediction) <= high


def test_same_seed_same_interval() -> None:
    metric = metric_named("macro_f1")
    target, prediction = example(metric, 0, 5000)
    spec = spec_of(metric)
    assert interval(spec, target, prediction, seed=3) == interval(spec, target, prediction, seed=3)
    assert interval(spec, target, prediction, seed=3) != interval(spec, target, prediction, seed=4)


def two_models(name: str, seed: int, gap: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two models that share most of their errors, the second better by `gap`."""
    random = np.random.default_rng(seed)
    if metric_named(name).task == "regression":
        target, shared = random.normal(size=300), 0.4 * random.normal(size=300)
        first, second = random.normal(size=(2, 300))
        return target, target + shared + 0.3 * first, target + shared + (0.3 - gap) * second
    target, shared = random.integers(0, 3, 300), random.normal(size=(300, 3))
    found = []
    for strength in (2, 2 + gap):
        heights = 0.8 * shared + 0.6 * random.normal(size=(300, 3))
        heights[np.arange(300), target] += strength
        found.append(np.exp(heights) / np.exp(heights).sum(axis=1, keepdims=True))
    return target, found[0], found[1]


@pytest.mark.parametrize(("name", "gap"), [("accuracy", 0.5), ("macro_f1", 0.5), ("r2", 0.15)])
def test_equal_models_are_told_apart_as_rarely_as_promised_and_unequal_ones_often(name: str, gap: float) -> None:
    spec = spec_of(metric_named(name))
    errors = found = 0
    for seed in range(SAMPLES):
        same = paired(spec, *two_models(name, seed, 0.0), seed=seed)
        errors += not same.low <= 0 <= same.high
        found += paired(spec, *two_models(name, seed, gap), seed=seed).low > 0
    assert 0.04 <= errors / SAMPLES <= 0.16  # promised: 0.10
    assert found / SAMPLES >= 0.8


def test_the_difference_is_turned_so_that_above_zero_the_second_is_better() -> None:
    target, prediction = measured(np.random.default_rng(0), 400)
    worse = prediction + np.random.default_rng(1).normal(size=400)
    for name in ("rmse", "mae", "r2"):
        spec = spec_of(metric_named(name))
        result = paired(spec, target, worse, prediction, seed=0)
        assert result.difference == pytest.approx(
            abs(score(spec, target, worse) - score(spec, target, prediction)), rel=1e-9
        )
        assert 0 < result.low <= result.difference <= result.high


def test_pairing_is_sharper_than_two_intervals() -> None:
    spec = spec_of(metric_named("log_loss"))
    target, first, second = two_models("log_loss", 0, 0.3)
    result = paired(spec, target, first, second, seed=0, level=0.95)
    low, high = interval(spec, target, first, seed=0)
    assert result.high - result.low < high - low


def test_a_model_compared_with_itself_differs_by_nothing() -> None:
    target, prediction = classified(np.random.default_rng(0), 100)
    result = paired(spec_of(metric_named("accuracy")), target, prediction, prediction, seed=0)
    assert (result.difference, result.low, result.high) == (0, 0, 0)


def test_a_hundred_thousand_rows_take_less_than_two_seconds() -> None:
    metric = metric_named("macro_f1")
    target, prediction = example(metric, 0, 100_000)
    start = time.process_time()
    interval(spec_of(metric), target, prediction, seed=0)
    assert time.process_time() - start < 2


def test_nothing_to_score_and_numbers_that_are_not_finite_are_told() -> None:
    spec = spec_of(metric_named("rmse"))
    with pytest.raises(RungError, match="there must be rows to score"):
        interval(spec, np.zeros(0), np.zeros(0), seed=0)
    with pytest.raises(RungError, match="every number must be finite, but row 2 is not"):
        paired(spec, np.zeros(3), np.zeros(3), np.array([0, np.nan, 0]), seed=0)
