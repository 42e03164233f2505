"""The rungs that know nothing, ask questions, and boost trees."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from contract.rows import make_rows, make_spec
from yunti.data.table import Categories, Examples, Numbers, Table
from yunti.ladders.prediction import boosting, constant, rounds, tree
from yunti.ladders.prediction.growth import BAGS, class_weights, fitting, folds, growth_for, shortened
from yunti.ladders.prediction.judge import (
    Judge,
    chances_of,
    inverse_temperature,
    log_softmax,
    logits_of,
    scale_of,
    wants_logarithm,
)
from yunti.ladders.prediction.pace import rounds_expected, seconds_of
from yunti.ladders.prediction.rounds import Fitter, Rows
from yunti.models.contract import Fitted, Size, Watch
from yunti.specs import ColumnSpec, Spec, TaskSpec

VALUES = TaskSpec("regression", "y", "r2", "higher")
TWO = TaskSpec("classification", "y", "accuracy", "higher", ("no", "yes"))
COLUMNS = (ColumnSpec("a", "number"), ColumnSpec("b", "number"), ColumnSpec("c", "category", levels=3))


def rows(task: TaskSpec, count: int, seed: int = 0, rare: float = 0.5) -> Examples:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, count)).astype(np.float32)
    codes = random.integers(0, 3, count).astype(np.int32)
    signal = a * b + 0.5 * codes + random.normal(0, 0.3, count)
    target = (signal > np.quantile(signal, 1 - rare)).astype(np.int32) if task.classes else np.float64(signal)
    a[::17] = np.nan
    table = Table({"a": Numbers(a), "b": Numbers(b), "c": Categories(codes, ("x", "y", "z"))})
    return Examples(table, target, np.arange(count))


def fitted(rung, task, train, valid, seconds=60.0, seed=0):
    model = rung.build(Spec(COLUMNS, task, len(train), seed), Size())
    model.fit(train, valid, Watch(time.monotonic() + seconds))
    return model


# constant


def test_the_constant_is_the_share_the_mean_or_the_median():
    train, valid = rows(TWO, 100, rare=0.2), rows(TWO, 7)
    np.testing.assert_allclose(
        fitted(constant.RUNG, TWO, train, valid).predict(valid.table), np.tile([0.8, 0.2], (7, 1)), rtol=1e-6
    )
    train, valid = rows(VALUES, 101), rows(VALUES, 7)
    np.testing.assert_allclose(
        fitted(constant.RUNG, VALUES, train, valid).predict(valid.table), np.full(7, train.target.mean())
    )
    median = fitted(constant.RUNG, replace(VALUES, metric="mae"), train, valid)
    np.testing.assert_allclose(median.predict(valid.table), np.full(7, np.median(train.target)))
    assert median.plan["why"] == "median"


# tree


@pytest.mark.parametrize("task", [TWO, VALUES])
def test_cutting_a_full_tree_tells_what_a_smaller_one_answers(task):
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    random = np.random.default_rng(0)
    matrix = random.normal(size=(300, 4)).astype(np.float32)
    target = (matrix[:, 0] * matrix[:, 1] > 0).astype(int) if task.classes else matrix[:, 0] * matrix[:, 1]
    kind = DecisionTreeClassifier if task.classes else DecisionTreeRegressor
    full = kind(random_state=0).fit(matrix, target)
    small = kind(random_state=0, max_depth=5, min_samples_split=32).fit(matrix, target)
    paths, depth, size_above = tree.paths_of(full, matrix)
    reached = (depth[paths.indices] <= 5) & (size_above[paths.indices] >= 32)
    nodes = np.maximum.reduceat(np.where(reached, paths.indices, 0), paths.indptr[:-1])
    read_off = full.tree_.value[nodes, 0]
    np.testing.assert_allclose(read_off, small.tree_.value[small.apply(matrix), 0])


def test_a_tree_is_cut_where_the_validation_rows_say():
    train, valid = rows(VALUES, 600), rows(VALUES, 300, seed=1)
    model = fitted(tree.RUNG, VALUES, train, valid)
    left = ((model.predict(valid.table) - valid.target) ** 2).mean() / valid.target.var()
    assert left < 0.6
    assert 2 < model.plan["leaves"] < 500
    random = np.random.default_rng(0)
    noise = [Examples(each.table, random.normal(size=len(each)), each.rows) for each in (train, valid)]
    assert fitted(tree.RUNG, VALUES, *noise).plan["leaves"] < model.plan["leaves"] / 2


def test_a_tree_gives_every_class_a_chance_and_knows_classes_it_has_not_seen():
    task = replace(TWO, classes=("no", "yes", "never"))
    train, valid = rows(TWO, 200), rows(TWO, 50, seed=1)
    chances = fitted(tree.RUNG, task, train, valid).predict(valid.table)
    assert chances.shape == (50, 3)
    assert chances.min() > 0
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)
    assert chances[:, 2].max() < 0.4


def test_a_tree_of_many_rows_in_little_time_is_grown_from_a_part_and_says_so():
    train, valid = rows(VALUES, 4000), rows(VALUES, 100, seed=1)
    model = fitted(tree.RUNG, VALUES, train, valid, seconds=0.05)
    assert model.plan["rows"] < 4000
    assert "grown from" in model.plan["shortened"]


# boosting: its plan


def test_the_plan_follows_from_the_sizes_alone():
    small, large = growth_for(TWO, 800, 20, 1.0), growth_for(TWO, 40_000, 20, 1.0)
    assert (small.bags, large.bags) == (BAGS, 1)
    assert small.least_rows < large.least_rows == 40
    assert large.learning_rate == 0.04
    assert growth_for(TWO, 40_000, 20, 0.5).leaves == 25
    ten = replace(TWO, classes=tuple("0123456789"))
    wide = growth_for(ten, 54_000, 600, 1.0)
    assert wide.feature_share < 0.5
    assert wide.bins == 63
    assert wide.learning_rate > 0.04
    assert wide.work(600, 10) <= 1.6e11
    assert growth_for(ten, 800, 600, 1.0).feature_share == 1.0
    assert growth_for(VALUES, 10_000_000, 50, 1.0).rounds == 250


def test_a_fit_is_shortened_by_powers_of_two_so_that_nearly_the_same_time_gives_the_same_plan():
    wanted = growth_for(VALUES, 500_000, 50, 1.0)
    assert fitting(wanted, 50, 1, 1e6, 2) == wanted
    seconds = [fitting(wanted, 50, 1, seconds, 2) for seconds in np.linspace(20, 21, 11)]
    assert len(set(seconds)) <= 2
    assert seconds[0].rounds < wanted.rounds
    assert seconds[0].learning_rate >= wanted.learning_rate
    assert fitting(growth_for(TWO, 900, 20, 1.0), 20, 1, 0.5, 2).bags < BAGS
    assert fitting(wanted, 50, 1, 1.0, 2).rows < wanted.rows


def test_folds_of_groups_keep_every_group_together_and_are_of_like_size():
    random = np.random.default_rng(0)
    groups = random.integers(0, 30, 900)
    dealt = folds(np.zeros(900), 8, random, groups)
    assert sorted(np.concatenate(dealt).tolist()) == list(range(900))
    for fold in dealt:
        assert 80 <= len(fold) <= 150
        assert not set(groups[fold]) & set(groups[np.setdiff1d(np.arange(900), fold)])


def test_fewer_groups_than_folds_give_one_model():
    task = make_spec("number", "classification", 100).task
    assert growth_for(task, 100, 5, 1.0, groups=BAGS).bags == BAGS
    assert growth_for(task, 100, 5, 1.0, groups=BAGS - 1).bags == 1


def test_folds_hold_every_row_once_and_every_class_alike():
    target = np.repeat([0, 1, 2], [40, 20, 3])
    dealt = folds(target, 4, np.random.default_rng(0))
    assert sorted(np.concatenate(dealt).tolist()) == list(range(63))
    assert {int((target[fold] == 0).sum()) for fold in dealt} == {10}
    assert {int((target[fold] == 1).sum()) for fold in dealt} == {5}


def test_classes_are_weighed_only_where_the_metric_counts_them_alike():
    from sklearn.utils.class_weight import compute_sample_weight

    target = np.repeat([0, 1], [90, 10])
    assert class_weights(TWO, target) is None
    np.testing.assert_allclose(
        class_weights(replace(TWO, metric="macro_f1"), target), compute_sample_weight("balanced", target)
    )


# boosting: its judge


def test_the_temperature_is_the_best_there_is():
    from scipy.optimize import minimize_scalar

    random = np.random.default_rng(0)
    right = random.normal(size=(500, 3))
    target = (right + random.gumbel(size=(500, 3))).argmax(axis=1)
    logits = log_softmax(right * 1.7)

    def loss(factor: float) -> float:
        return float(-log_softmax(logits * factor)[np.arange(500), target].mean())

    best = minimize_scalar(loss, bounds=(0.2, 2.0), method="bounded")
    assert inverse_temperature(logits, target, None) == pytest.approx(best.x, abs=2e-3)


def test_the_judge_forgives_answers_that_are_only_too_sure():
    random = np.random.default_rng(0)
    right = random.normal(size=400) * 1.5
    target = (random.random(400) < 1 / (1 + np.exp(-right))).astype(int)
    losses = [Judge(TWO, target, None, None).loss(1 / (1 + np.exp(-right * times))) for times in (1.0, 2.5)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert logits_of(np.array([0.0, 1.0])).min() > -30


def test_the_scale_goes_there_and_back_and_only_long_tails_lose_it():
    random = np.random.default_rng(0)
    long, even = np.exp(random.normal(3, 1, 500)), random.normal(50, 3, 500)
    assert wants_logarithm(long)
    assert not wants_logarithm(even)
    assert not wants_logarithm(-long)
    with_zeros = np.where(random.random(500) < 0.1, 0, long)
    for target, logarithm in ((long, True), (even, False), (with_zeros, True)):
        scale = scale_of(target, logarithm)
        np.testing.assert_allclose(scale.from_trees(scale.to_trees(target)), target, atol=1e-9)
    assert scale_of(np.full(5, 3.0), False).spread == 1.0


def test_an_exponential_is_corrected_for_its_bias():
    target = np.exp(np.random.default_rng(0).normal(0, 0.5, 5000))
    scale = scale_of(target, True)
    judge = Judge(VALUES, target, None, scale)
    judge.loss(np.zeros(5000))
    assert scale.from_trees(np.zeros(1), judge.correction)[0] == pytest.approx(target.mean(), rel=0.02)
    absolute = Judge(replace(VALUES, metric="mae"), target, None, scale)
    absolute.loss(np.zeros(5000))
    assert absolute.correction == 1.0


# boosting: its fit


@pytest.mark.parametrize("task", [TWO, VALUES, replace(VALUES, metric="mae"), replace(TWO, metric="macro_f1")])
def test_boosting_is_better_than_one_tree(task):
    train, valid, test = rows(task, 300), rows(task, 200, seed=1), rows(task, 400, seed=2)

    def loss(rung) -> float:
        answers = fitted(rung, task, train, valid).predict(test.table)
        if task.classes:
            return float(-np.log(answers[np.arange(400), test.target]).mean())
        return float(((answers - test.target) ** 2).mean())

    assert loss(boosting.RUNG) < 0.9 * loss(tree.RUNG)


def test_boosting_counts_its_leaves_and_keeps_its_state_through_json():
    train, valid = rows(TWO, 300), rows(TWO, 100, seed=1)
    model = fitted(boosting.RUNG, TWO, train, valid)
    parts = model.parts()
    trees = "\n".join(parts.texts.values())
    leaves = sum(len(line.split("=")[1].split()) for line in trees.splitlines() if line.startswith("leaf_value="))
    splits = sum(len(line.split("=")[1].split()) for line in trees.splitlines() if line.startswith("threshold="))
    assert model.parameters == leaves + splits > 0
    parts.facts = json.loads(json.dumps(parts.facts))
    copy = boosting.RUNG.build(model.spec, Size())
    copy.restore(parts)
    np.testing.assert_array_equal(copy.predict(valid.table), model.predict(valid.table))
    assert (copy.parameters, copy.train_flops, copy.plan) == (model.parameters, model.train_flops, model.plan)


def test_boosting_grows_the_same_trees_on_any_number_of_threads(monkeypatch):
    growth = replace(growth_for(VALUES, 500, 4, 1.0), rounds=3, leaves=8)
    learn, held = (
        Rows(np.random.default_rng(seed).normal(size=(500, 4)).astype(np.float32), target, None)
        for seed, target in enumerate(np.random.default_rng(9).normal(size=(2, 500)))
    )
    losses = []
    for threads in (1, 2):
        monkeypatch.setattr(rounds, "threads_for", lambda _cells, threads=threads: threads)
        fitter = Fitter(Spec(COLUMNS, VALUES, 500), (0, 0, 0, 0), growth)
        member = fitter.fit(learn, held, scale_of(learn.target, False), "whole", Watch())
        losses.append((member.loss, member.rounds, member.text.split("parameters:")[0]))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("objective", ["regression", "binary", "multiclass"])
def test_trees_say_the_same_some_after_others(objective, monkeypatch):
    lightgbm, random = rounds.import_lightgbm(), np.random.default_rng(0)
    matrix = random.normal(size=(300, 5)).astype(np.float32)
    label = random.normal(size=300) if objective == "regression" else random.integers(0, 2, 300)
    label[::3] = {"multiclass": 2}.get(objective, 0)
    parameters = {"objective": objective, "verbosity": -1} | ({"num_class": 3} if objective == "multiclass" else {})
    booster = lightgbm.train(parameters, lightgbm.Dataset(matrix, label), num_boost_round=20)
    monkeypatch.setattr(rounds, "TREES_AT_ONCE", 7)
    raw = rounds.raw_answers(booster, matrix)
    answers = raw if objective == "regression" else chances_of(raw)
    np.testing.assert_allclose(answers, booster.predict(matrix), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(rounds.raw_answers(booster, matrix[:3].copy()), raw[:3], rtol=1e-9, atol=1e-12)


def test_few_rounds_that_count_for_more_do_not_explode_with_many_classes():
    random, classes = np.random.default_rng(0), 40
    task = replace(TWO, classes=tuple(f"{place:02}" for place in range(classes)))
    centres = random.normal(size=(classes, 6))
    shares = 1 / np.arange(1, classes + 1) / (1 / np.arange(1, classes + 1)).sum()

    def some(count):
        codes = random.choice(classes, count, p=shares).astype(np.int32)
        return Rows((centres[codes] + random.normal(0, 0.3, (count, 6))).astype(np.float32), codes, None)

    growth = replace(shortened(growth_for(task, 3000, 6, 1.0), 60.0), row_share=1.0)
    assert growth.learning_rate > 0.2
    learn, held = some(3000), some(800)
    losses = {}
    for penalty in (0.0, growth.leaf_penalty):
        spec = Spec(COLUMNS, task, 3000)
        fitter = Fitter(spec, (0,) * 6, replace(growth, leaf_penalty=penalty, rounds=12))
        losses[penalty] = fitter.fit(learn, held, None, "whole", Watch()).loss
    assert losses[growth.leaf_penalty] < 0.4 * losses[0.0]


def test_boosting_ends_in_time_with_a_model_and_says_that_it_was_cut():
    train, valid = rows(VALUES, 3000), rows(VALUES, 500, seed=1)
    began = time.monotonic()
    model = fitted(boosting.RUNG, VALUES, train, valid, seconds=0.3)
    assert time.monotonic() - began < 3
    assert "time" in (model.plan.get("stopped") or model.plan["shortened"])
    assert np.isfinite(model.predict(valid.table)).all()


def test_a_large_target_far_from_zero_loses_nothing():
    train, valid = rows(VALUES, 150), rows(VALUES, 100, seed=1)
    growth = replace(growth_for(VALUES, 150, 2, 1.0), rounds=40)
    losses = []
    for move in (0.0, 1e9):
        learn, held = (
            Rows(np.stack([part.table["a"].values, part.table["b"].values], axis=1), part.target + move, None)
            for part in (train, valid)
        )
        fitter = Fitter(Spec(COLUMNS, VALUES, 150), (0, 0), growth)
        losses.append(fitter.fit(learn, held, scale_of(learn.target, False), "whole", Watch()).loss)
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize("rung", [tree.RUNG, boosting.RUNG])
def test_too_few_rows_are_refused_in_a_clause(rung):
    spec = make_spec("number", "classification", 5)
    assert "5 training rows are too few" in rung.unfit_for(spec)
    assert rung.unfit_for(replace(spec, rows=500)) is None
    assert "no column" in rung.unfit_for(replace(spec, rows=500, columns=()))


def test_unknown_categories_and_no_rows_are_answered():
    examples = make_rows("category", "regression", 90)
    for rung in (tree.RUNG, boosting.RUNG):
        model = rung.build(make_spec("category", "regression", 90), Size())
        model.fit(examples, examples, Watch(time.monotonic() + 30))
        strange = Table({**examples.table.columns, "colour": Categories(np.zeros(90, np.int32), ("violet",))})
        assert np.isfinite(model.predict(strange)).all()
        assert model.predict(examples.table.take(slice(0, 0))).shape == (0,)


# boosting: how long it will grow


def fit_of(rows: int, tried: int, seconds: float, **changes) -> Fitted:
    return Fitted(rows, seconds, {"rounds_tried": [tried], "rounds": 4000, "learning_rate": 0.05} | changes)


def test_rounds_are_expected_later_with_more_rows_and_never_beyond_the_plan():
    whole = replace(growth_for(VALUES, 80_000, 10, 1.0), rounds=4000, learning_rate=0.05)
    twice = [fit_of(5_000, 500, 1.0), fit_of(20_000, 1_000, 4.0)]
    assert rounds_expected(twice, whole) == pytest.approx(2_000)
    assert rounds_expected(twice[1:], whole) == pytest.approx(2_000)
    assert rounds_expected(twice, replace(whole, learning_rate=0.1)) == pytest.approx(1_000)
    assert rounds_expected(twice, replace(whole, rounds=1_500)) == 1_500
    assert rounds_expected([*twice[:1], fit_of(20_000, 900, 4.0, stopped="cut")], whole) == 4_000
    assert rounds_expected([*twice[:1], fit_of(20_000, 4_000, 9.0)], whole) == 4_000
    assert rounds_expected([fit_of(5_000, 500, 1.0), fit_of(20_000, 400, 1.0)], whole) == pytest.approx(400)


def test_seconds_are_those_of_a_round_on_all_rows_shared_by_the_threads_that_work_then(monkeypatch):
    monkeypatch.setattr(rounds, "cores", lambda: 2)
    fits = [fit_of(rows, 100, 100 * (0.004 + 1e-7 * rows), stopped="cut") for rows in (10_000, 20_000, 40_000)]
    whole = replace(growth_for(VALUES, 160_000, 10, 1.0), rounds=1000)
    assert seconds_of(fits, whole, 10) == pytest.approx(20.0)
    assert seconds_of(fits, whole, 20) == pytest.approx(20.0 / 2**0.7)


def test_a_fit_of_parts_tells_the_seconds_of_all_rows():
    fits, valid = [], rows(VALUES, 300, seed=1)
    for count in (5_000, 10_000):
        model = fitted(boosting.RUNG, VALUES, rows(VALUES, count), valid)
        fits.append(Fitted(count, 2.0 * sum(model.plan["rounds_tried"]), model.plan))
    rounds_of_all = rounds_expected(fits, growth_for(VALUES, 40_000, 3, 1.0))
    assert rounds_of_all >= model.plan["rounds_tried"][0]
    assert model.seconds_for(fits, 40_000, 1e9) == pytest.approx(2.0 * rounds_of_all)
