from __future__ import annotations

import numpy as np
import pytest

from yunti.climbing.compare import choose
from yunti.climbing.verdict import verdict
from yunti.records import Cost, RungRecord, Score
from yunti.specs import TaskSpec

TASK = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b"))
PRICES = TaskSpec("regression", "price", "rmse", "lower")
ROWS = 1000
TARGET = np.zeros(ROWS, dtype=np.int32)


def record(name, value, seconds, metric="accuracy"):
    cost = Cost(seconds, seconds, 0.01, 10**8, 10, 1000, 1e6, 0.1)
    return RungRecord(name, "traditional", "done", score=Score(metric, value, value - 0.02, value + 0.02), cost=cost)


def right(share, shift=0):
    """Probabilities that are right on this share of the rows; `shift` moves which rows are wrong."""
    wrong = (np.arange(ROWS) + shift) % ROWS >= round(share * ROWS)
    return np.where(wrong[:, None], [0.1, 0.9], [0.9, 0.1]).astype(np.float32)


def pick(named, task=TASK, target=TARGET):
    """Choose among name -> (predictions, value, seconds)."""
    metric = task.metric
    records = [record(name, value, seconds, metric) for name, (_p, value, seconds) in named.items()]
    return choose(records, task, target, lambda name: named[name][0], seed=0)


def test_a_clear_lead_wins_whatever_it_costs():
    choice = pick({"linear": (right(0.80), 0.80, 1), "boosting": (right(0.90), 0.90, 100)})
    assert choice.chosen.name == "boosting"
    assert choice.differences["linear"].difference == pytest.approx(0.10)
    assert "10.00 points better than linear" in verdict(choice, TASK).reason


def test_a_lead_within_one_standard_error_does_not_pay_for_a_dearer_rung():
    # each is right where the other is wrong: a lead of 0.2 points with a standard error of about 2
    choice = pick({"linear": (right(0.90), 0.90, 1), "boosting": (right(0.902, shift=500), 0.902, 100)})
    assert choice.best.name == "boosting"
    assert choice.chosen.name == "linear"
    sentence = verdict(choice, TASK).reason
    assert "100 times faster" in sentence
    assert "within one standard error" in sentence


def test_among_equals_of_similar_cost_the_lower_on_the_ladder_is_chosen():
    same = right(0.9)
    assert pick({"linear": (same, 0.9, 1.9), "tree": (same, 0.9, 1.0)}).chosen.name == "linear"
    assert pick({"linear": (same, 0.9, 2.1), "tree": (same, 0.9, 1.0)}).chosen.name == "tree"


def test_a_lower_metric_is_better_where_the_task_says_so():
    target = np.linspace(0, 10, ROWS)
    random = np.random.default_rng(0)
    far, near = target + random.normal(0, 3, ROWS), target + random.normal(0, 1, ROWS)
    choice = pick({"linear": (far, 3.0, 1), "boosting": (near, 1.0, 50)}, PRICES, target)
    assert choice.chosen.name == "boosting"
    assert choice.differences["linear"].low > 0


def test_a_single_rung_is_chosen_and_called_the_only_one():
    choice = pick({"constant": (right(0.5), 0.5, 1)})
    assert "only rung" in verdict(choice, TASK).reason
