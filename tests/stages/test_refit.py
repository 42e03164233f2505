"""When the chosen rung is trained anew, and what that is expected to take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import yunti
from yunti.climbing import combine
from yunti.climbing.compare import best_of
from yunti.climbing.refit import not_worth_it, parts_of, refit_seconds
from yunti.climbing.run import RunFolder
from yunti.data.dataset import open_dataset
from yunti.errors import RungError
from yunti.ladders.prediction.descent import Scorer
from yunti.ladders.prediction.ensemble import Ensemble, Member
from yunti.ladders.prediction.linear import _moved
from yunti.models.contract import Watch
from yunti.records import Cost, RungRecord, Score, SplitRecord
from yunti.specs import TaskSpec
from yunti.training import refit

SMALL = SplitRecord(train=600, valid=200, test=200)
LARGE = SplitRecord(train=80_000, valid=10_000, test=10_000)
HUGE = SplitRecord(train=1_000_000, valid=20_000, test=20_000)


def rung(name="linear", seconds=10.0, reason="", score=0.5, **plan):
    cost = Cost(seconds, seconds, 0.1, 1, 1, 1, 1.0, 0.1)
    return RungRecord(name, "traditional", "done", reason, Score("rmse", score, score, score), cost, plan=plan)


def test_what_learns_nothing_is_not_trained_anew():
    made = rung("pretrained")
    assert "learns nothing" in not_worth_it(replace(made, cost=replace(made.cost, parameters=0)), SMALL)


@pytest.mark.parametrize(
    ("record", "split", "why"),
    [
        (rung(), SMALL, ""),
        (rung(), LARGE, ""),
        (rung(), HUGE, "only 2.0%"),
        (rung(reason="shortened to fit the time"), SMALL, ""),
        (rung(reason="shortened to fit the time"), LARGE, "too little time"),
        (rung(rows=300), SMALL, "a part of the training rows"),
        (rung(rows=600), SMALL, ""),
    ],
)
def test_validation_rows_are_worth_a_second_training_where_they_are_many(record, split, why):
    found = not_worth_it(record, split)
    assert why in found
    assert bool(found) == bool(why)


def test_an_ensemble_is_trained_anew_member_by_member():
    members = [rung("linear"), rung("svm"), rung("tree", rows=100)]
    ensemble = rung("ensemble", weights={"linear": 0.5, "tree": 0.5})
    parts = parts_of(ensemble, [*members, ensemble])
    assert [each.name for each in parts] == ["linear", "tree"]
    assert [bool(not_worth_it(each, SMALL)) for each in parts] == [False, True]
    assert parts_of(members[0], members) == (members[0],)


def test_a_second_training_takes_what_the_first_took_for_each_row_and_one_start():
    # 10 s of which 2 started the process, for 600 rows; 800 rows are a third more
    assert refit_seconds(rung(seconds=10.0), SMALL, 2.0) == pytest.approx(2.0 + 8.0 * 800 / 600)
    assert refit_seconds(rung(seconds=1.0), SMALL, 2.0) == pytest.approx(2.0)


def test_the_best_rung_so_far_follows_the_direction_of_the_metric():
    rungs = [rung("linear", score=2.0), rung("tree", score=1.0)]
    assert best_of(rungs, TaskSpec("regression", "y", "rmse", "lower")).name == "tree"
    assert best_of(rungs, TaskSpec("regression", "y", "r2", "higher")).name == "linear"
    assert best_of([rung("linear"), rung("tree")], TaskSpec("regression", "y", "r2", "higher")).name == "linear"


def test_weights_follow_the_names_of_their_features():
    scorer = Scorer(np.array([[1.0], [2.0], [3.0]], dtype=np.float32), np.array([9.0], dtype=np.float32))
    moved = _moved(scorer, ("a", "b", "c"), ("c", "new", "a"))
    assert moved.weights[:, 0].tolist() == [3.0, 0.0, 1.0]
    assert moved.bias.tolist() == [9.0]


def test_members_of_an_ensemble_are_trained_anew_and_one_that_fails_stays_as_it_was(tmp_path, monkeypatch):
    climb = yunti.climb("sample:penguins", rungs="linear,tree", budget="60s", refit=False, out=tmp_path / "run")
    run, rows = RunFolder(climb.folder), open_dataset(climb.folder / "prepared").both()
    models = {name: climb.model(name).model for name in ("linear", "tree")}
    members = [Member(name, model.size, 0.5, model) for name, model in models.items()]
    ensemble = Ensemble(models["linear"].spec, members)
    names = [member.rung for member in ensemble.members]
    before = {member.rung: member.model.predict(rows.table) for member in ensemble.members}

    def failing(model, *_):
        if model is ensemble.members[0].model:
            model._plan = {}  # left unusable
            raise RungError("it", "must", "did not", "again")
        refit(model, *_)

    monkeypatch.setattr(combine, "refit", failing)
    done = combine.refit_members(run, ensemble, names, rows, Watch())
    assert list(done) == names[1:]
    for member in ensemble.members:
        same = np.array_equal(member.model.predict(rows.table), before[member.rung])
        assert same == (member.rung == names[0])
