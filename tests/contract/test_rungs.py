"""What must hold for every rung on every kind of column: a new rung adds no line here."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest

from contract.rows import KINDS, make_rows, make_spec
from yunti.bundle.bundle import load_bundle
from yunti.bundle.format import About, save_bundle
from yunti.ladders.find import ladder_for
from yunti.models.contract import Size, Watch
from yunti.specs import ColumnSpec
from yunti.training import refit, train

ROWS, VALID = 90, 40
SECONDS = 60.0
LADDER = {rung.name: rung for rung in ladder_for("classification") if not rung.combines}


def cases():
    """Give every rung every kind and task; what dear rungs learn from media is mostly left to the slow tests."""
    for name, rung in LADDER.items():
        dear = rung.needs_torch or name == "boosting"
        for kind in KINDS:
            marks = [pytest.mark.slow] if dear and kind == "audio" and name != "convnet" else []
            yield pytest.param(name, kind, "classification", marks=marks)
            marks = [pytest.mark.slow] if dear and kind not in ("number", "text") else []
            yield pytest.param(name, kind, "regression", marks=marks)


def fitted(name, kind, task, seconds=SECONDS):
    """A rung trained on tiny rows, with the rows it was judged on; skipped where it says that it is unfit."""
    spec = make_spec(kind, task, ROWS)
    if LADDER[name].unfit_for(spec):
        pytest.skip(f"{name} is unfit: {LADDER[name].unfit_for(spec)}")
    model = LADDER[name].build(spec, Size())
    examples, valid = make_rows(kind, task, ROWS), make_rows(kind, task, VALID, seed=1)
    reports = []
    watch = Watch(time.monotonic() + seconds, lambda fraction, numbers: reports.append((fraction, numbers)))
    train(model, examples, valid, watch)
    return model, valid, reports, spec


@pytest.mark.parametrize(("name", "kind", "task"), list(cases()))
def test_a_trained_rung_keeps_the_contract(name, kind, task, tmp_path):
    model, valid, reports, spec = fitted(name, kind, task)
    predictions = model.predict(valid.table)

    assert predictions.shape == ((VALID, 3) if task == "classification" else (VALID,))
    assert np.isfinite(predictions).all()
    if task == "classification":
        np.testing.assert_allclose(predictions.sum(axis=1), 1, atol=1e-5)
        assert predictions.min() >= 0
        hits = (predictions.argmax(axis=1) == valid.target).mean()
        assert name == "constant" or hits >= 0.55, f"{name} on {kind} guessed {hits:.0%} of three classes"

    # the order of rows and the size of the request make no difference
    backwards = model.predict(valid.table.take(np.arange(VALID)[::-1].copy()))[::-1]
    np.testing.assert_allclose(backwards, predictions, atol=2e-4, rtol=2e-4)
    one = model.predict(valid.table.take(slice(3, 4)))
    np.testing.assert_allclose(one[0], predictions[3], atol=2e-4, rtol=2e-4)

    # the state leaves by way of files, and comes back whole
    about = About(spec.columns, ColumnSpec("y", "number", role="target"), spec.task, {}, {}, {})
    save_bundle(tmp_path / "bundle", model, name, Size(), about, valid.table.take(slice(0, 4)))
    np.testing.assert_allclose(load_bundle(tmp_path / "bundle").predict_table(valid.table), predictions, atol=1e-5)

    assert model.parameters >= 1
    assert math.isfinite(model.train_flops)
    assert model.train_flops >= 0
    json.dumps(model.plan)
    assert all(0 <= fraction <= 1 for fraction, _numbers in reports)


def refits():
    """Give every rung both tasks: networks one kind of column, estimators those that they learn soonest."""
    for name, rung in LADDER.items():
        kinds = ("text",) if rung.needs_torch else ("number", "category", "text")
        for kind in kinds:
            for task in ("classification", "regression"):
                slow = rung.needs_torch and task == "regression" and name != "resnet"
                yield pytest.param(name, kind, task, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("name", "kind", "task"), list(refits()))
def test_a_rung_trained_anew_keeps_what_it_chose_and_answers_no_worse(name, kind, task):
    model, valid, _reports, spec = fitted(name, kind, task)
    again = LADDER[name].build(spec, model.size)
    again.restore(model.parts())
    kept = ("C", "gamma", "max_depth", "learning_rate", "temperature", "dial", "link", "kernel")
    chosen = {key: model.plan[key] for key in kept if key in model.plan}
    refit(again, make_rows(kind, task, ROWS + VALID, seed=2), Watch(time.monotonic() + SECONDS))
    assert {key: again.plan[key] for key in chosen} == chosen
    answers, before = again.predict(valid.table), model.predict(valid.table)
    assert np.isfinite(answers).all()
    if task == "classification":
        assert name == "constant" or (answers.argmax(axis=1) == valid.target).mean() >= 0.55
    else:
        assert np.abs(answers - valid.target).mean() <= 1.3 * np.abs(before - valid.target).mean() + 0.5


@pytest.mark.parametrize("name", LADDER)
def test_the_same_seed_gives_the_same_model(name):
    kind = next((kind for kind in KINDS if not LADDER[name].unfit_for(make_spec(kind, "classification", ROWS))), None)
    if kind is None:
        pytest.skip(f"{name} needs a pretrained model")
    # with time to spare: what the clock cuts short may differ from one time to the next
    first, valid, _reports, _spec = fitted(name, kind, "classification", seconds=120.0)
    second, *_rest = fitted(name, kind, "classification", seconds=120.0)
    np.testing.assert_array_equal(first.predict(valid.table), second.predict(valid.table))


def test_every_rung_says_what_it_is():
    for rung in ladder_for("classification"):
        assert rung.idea.endswith(".")
        assert len(rung.source) > 5
        for kind in KINDS:
            assert rung.share(make_spec(kind, "classification", ROWS)) > 0
