"""The linear and support vector rungs: all tasks and shapes of data, the time, and what they leave in a bundle."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from contract.rows import make_rows, make_spec
from yunti.data.table import Categories, Examples, Numbers, Table, Texts
from yunti.ladders.prediction import linear, machines, regress, svm
from yunti.ladders.prediction.paths import SPAN, walk
from yunti.models.contract import Size, Watch
from yunti.models.features import Features
from yunti.specs import ColumnSpec, Spec, TaskSpec

RUNGS = [linear.RUNG, svm.RUNG]
VALUES = TaskSpec("regression", "y", "r2", "higher")
COLUMNS = (ColumnSpec("a", "number"), ColumnSpec("b", "number"), ColumnSpec("c", "category"))


def classes(count, metric="accuracy"):
    return TaskSpec("classification", "y", metric, "higher", tuple("abcdef"[:count]))


def rows(task, count, seed=0, cuts=None):
    """Two numbers, one with gaps, and a category that add up to the answer."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, count)).astype(np.float32)
    codes = random.integers(0, 3, count).astype(np.int32)
    signal = 2 * a - b + codes + random.normal(0, 0.3, count)
    levels = len(task.classes)
    target = np.digitize(signal, cuts or np.linspace(-1, 3, levels + 1)[1:-1]).astype(np.int32) if levels else signal
    a[::19] = np.nan
    table = Table({"a": Numbers(a), "b": Numbers(b), "c": Categories(codes, ("x", "y", "z"))})
    return Examples(table, target, np.arange(count))


def fitted(rung, task, train, valid, columns=COLUMNS, seconds=60.0):
    model = rung.build(Spec(columns, task, len(train)), Size())
    model.fit(train, valid, Watch(time.monotonic() + seconds))
    return model


def noisy_texts(count, groups, seed=0):
    random = np.random.default_rng(seed)
    target = random.integers(0, groups, count).astype(np.int32)
    words = [f"topic{code} {' '.join(random.choice(list('klmnop'), 6))} {random.integers(9)}" for code in target]
    return Examples(Table({"note": Texts(pa.array(words, pa.large_string()))}), target, np.arange(count))


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
@pytest.mark.parametrize("task", [classes(2), classes(3), VALUES], ids=["two", "three", "values"])
def test_a_sum_is_learned_and_comes_back(rung, task):
    train, valid, fresh = rows(task, 400), rows(task, 150, 1), rows(task, 150, 2)
    model = fitted(rung, task, train, valid)
    predictions = model.predict(fresh.table)
    if task.classes:
        assert predictions.dtype == np.float32
        assert (predictions.argmax(axis=1) == fresh.target).mean() > 0.82
        np.testing.assert_allclose(predictions.sum(axis=1), 1, atol=1e-5)
    else:
        assert 1 - np.mean((predictions - fresh.target) ** 2) / np.var(fresh.target) > 0.85
    parts = model.parts()
    parts.facts = json.loads(json.dumps(parts.facts))
    assert not parts.objects
    copy = rung.build(model.spec, Size())
    copy.restore(parts)
    np.testing.assert_array_equal(copy.predict(fresh.table), predictions)
    assert copy.plan == model.plan
    assert copy.train_flops == model.train_flops > 0


def test_linear_is_level_with_scikit_learn_on_the_same_features():
    task = classes(3)
    train, valid, fresh = rows(task, 600), rows(task, 300, 1), rows(task, 600, 2)
    model = fitted(linear.RUNG, task, train, valid)
    features = Features(model.spec, "scaled")
    features.fit(train.table, train.target)
    matrix, held, unseen = (features.transform(part.table) for part in (train, valid, fresh))

    def loss(chances, target):
        return -np.log(chances[np.arange(len(target)), target]).mean()

    weights = 10.0 ** np.arange(-3, 4)
    candidates = [LogisticRegression(C=weight, max_iter=2000).fit(matrix, train.target) for weight in weights]
    best = min(candidates, key=lambda each: loss(each.predict_proba(held), valid.target))
    ours = loss(model.predict(fresh.table), fresh.target)
    assert ours == pytest.approx(loss(best.predict_proba(unseen), fresh.target), abs=0.02)


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_texts_of_many_classes_are_told_apart(rung):
    task, columns = classes(5), (ColumnSpec("note", "text"),)
    train, valid, fresh = (noisy_texts(count, 5, seed) for seed, count in enumerate((300, 100, 100)))
    model = fitted(rung, task, train, valid, columns)
    assert (model.predict(fresh.table).argmax(axis=1) == fresh.target).mean() > 0.97


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_rare_classes_count_as_much_where_the_metric_says_so(rung):
    train, valid, fresh = (rows(classes(2), count, seed, [4.2]) for seed, count in enumerate((600, 400, 800)))
    recalls = []
    for metric in ("log_loss", "balanced_accuracy"):
        chances = fitted(rung, classes(2, metric), train, valid).predict(fresh.table)
        recalls.append((chances[fresh.target == 1].argmax(axis=1) == 1).mean())
        if metric == "log_loss":
            assert chances[:, 1].mean() == pytest.approx(fresh.target.mean(), abs=0.03)
    assert recalls[1] > recalls[0]


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
@pytest.mark.parametrize("case", ["constant", "wide", "few", "absent class"])
def test_odd_data_give_finite_predictions(rung, case):
    random = np.random.default_rng(0)
    count, width, groups = {"constant": (40, 1, 2), "wide": (30, 300, 2), "few": (12, 3, 6)}.get(case, (60, 3, 4))
    matrix = random.normal(size=(count, width)).astype(np.float32) if case != "constant" else np.ones((count, 1))
    target = (np.arange(count) % (3 if case == "absent class" else groups)).astype(np.int32)
    columns = tuple(ColumnSpec(f"x{place}", "number") for place in range(width))
    table = Table({column.name: Numbers(matrix[:, place].astype(np.float32)) for place, column in enumerate(columns)})
    examples = Examples(table, target, np.arange(count))
    model = fitted(rung, classes(groups), examples, examples, columns)
    chances = model.predict(table)
    assert chances.shape == (count, groups)
    assert np.isfinite(chances).all()
    np.testing.assert_allclose(model.predict(table.take(slice(5, 6)))[0], chances[5], atol=1e-5)
    assert model.predict(table.take(slice(0, 0))).shape == (0, groups)


def test_a_long_tail_is_fitted_by_its_logarithm():
    train, valid, fresh = (rows(VALUES, count, seed) for seed, count in enumerate((400, 200, 200)))
    bent = [replace(part, target=np.exp(part.target)) for part in (train, valid, fresh)]
    model = fitted(linear.RUNG, VALUES, bent[0], bent[1])
    assert model.plan["target"] == "its logarithm"
    assert fitted(linear.RUNG, VALUES, train, valid).plan["target"] == "as it is"
    far = Table({**bent[2].table.columns, "a": Numbers(np.full(200, 1e30, dtype=np.float32))})
    assert np.isfinite(model.predict(far)).all()


def test_large_sparse_data_choose_the_penalty_on_a_part(monkeypatch):
    monkeypatch.setattr(regress, "SEARCH_FLOPS", {True: 1.0, False: 1.0})
    monkeypatch.setattr(regress, "SEARCH_ROWS", 50)
    monkeypatch.setattr(regress, "MOST_SEARCH_ROWS", 50)
    columns = (ColumnSpec("note", "text"),)
    train, valid = noisy_texts(700, 5), noisy_texts(100, 5, 1)
    model = fitted(linear.RUNG, classes(5), train, valid, columns)
    assert model.plan["rows_of_the_search"] == 500
    assert (model.predict(valid.table).argmax(axis=1) == valid.target).mean() > 0.97


def test_memory_bounds_the_rows(monkeypatch):
    monkeypatch.setattr(linear, "MOST_CELLS", 1000)
    model = fitted(linear.RUNG, classes(2), rows(classes(2), 500), rows(classes(2), 100, 1))
    assert model.plan["rows"] < 200


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_a_deadline_that_has_passed_still_leaves_a_model(rung):
    task = classes(3)
    train, valid = rows(task, 2000), rows(task, 200, 1)
    began = time.monotonic()
    model = fitted(rung, task, train, valid, seconds=0.0)
    assert time.monotonic() - began < 10
    assert np.isfinite(model.predict(valid.table)).all()
    assert {"stopped", "shortened"} & set(model.plan)


def test_many_rows_get_landmarks(monkeypatch):
    monkeypatch.setattr(machines, "EXACT_ROWS", 100)
    monkeypatch.setattr(machines, "SEARCH_ROWS", 90)
    train, valid = rows(classes(2), 500), rows(classes(2), 200, 1)
    small = svm.RUNG.build(Spec(COLUMNS, classes(2), 500), Size(0.1))
    small.fit(train, valid, Watch())
    assert small.plan["landmarks"] == 150
    assert (small.predict(valid.table).argmax(axis=1) == valid.target).mean() > 0.8


def test_the_walk_ends_where_the_loss_is_lowest():
    for lowest in (-SPAN, -3, 0, 1, 5, SPAN):
        found = walk(lambda place, _near, lowest=lowest: (None, float(abs(place - lowest))), lambda: True)
        assert found.place == lowest
    assert walk(lambda place, _near: (None, -float(place)), lambda: False).place == 0


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_it_says_when_it_cannot_serve(rung):
    spec = make_spec("number", "classification", 2)
    assert "too few" in rung.unfit_for(spec)
    assert rung.unfit_for(replace(spec, columns=(), rows=100)) == "there is no column it could learn from"
    assert rung.unfit_for(replace(spec, rows=100)) is None


def test_reports_lead_from_nothing_to_done():
    reports = []
    rows_ = make_rows("number", "classification", 80)
    model = linear.RUNG.build(make_spec("number", "classification", 80), Size())
    model.fit(rows_, rows_, Watch(report=lambda fraction, numbers: reports.append((fraction, numbers))))
    assert reports[-1][0] == 1.0
    assert "valid" in reports[-1][1]
