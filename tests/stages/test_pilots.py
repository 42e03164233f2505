"""Pilots: a dear rung is tried on parts of the rows before it is paid for."""

from __future__ import annotations

import json
import shutil

import pytest

import yunti
from yunti.climbing import ascent
from yunti.climbing.ascent import Ascent
from yunti.climbing.forecast import outlook, scaled
from yunti.climbing.state import State
from yunti.errors import OptionError


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """A climb that was interrupted after the pilots of its dear rung, with what it told."""
    for budget in (
        60,
        75,
        60,
        90,
        110,
    ):  # with less the smallest part may have no time for its steps, with more it is cheap
        folder, told = _tried(tmp_path_factory.mktemp("tried") / "run", budget)
        pilots = json.loads((folder / "outcomes" / "convnet" / "pilot.json").read_text())
        if len(pilots["points"]) == 3 and not pilots["cheap"]:
            return folder, told
    pytest.fail(f"this machine is too busy for pilots: {pilots}")


def _tried(folder, budget):
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ascent, "PILOT_SECONDS", 1.0)  # pilots with shares and parts that a test can afford
        patch.setattr(ascent, "LEAST_PILOT_ROWS", 30)
        patch.setattr(ascent, "PILOT_PARTS", (16, 8, 4))
        patch.setattr(Ascent, "climb_put_off", _interrupted)
        given = {"rungs": "constant,convnet", "budget": budget, "refit": False}
        yunti.climb("sample:digits", **given, out=folder, tell=told.append)
    return folder, told


def _interrupted(*_):
    raise KeyboardInterrupt


def copied(folder, tmp_path, seconds=200.0):
    """A copy of a run that goes on with more time: how much the pilots left depends on the machine."""
    run = shutil.copytree(folder, tmp_path / "run")
    record = json.loads((run / "climb.json").read_text())
    record["budget"]["seconds"] = seconds
    (run / "climb.json").write_text(json.dumps(record))
    return run


def test_a_dear_rung_is_forecast_and_the_forecast_is_kept_beside_what_came(tried, tmp_path):
    folder, told = tried
    run = copied(folder, tmp_path)
    assert any(type(event).__name__ == "Foreseen" and "worth it" in event.sentence for event in told)
    assert "Foreseen" in (run / "log.jsonl").read_text()
    climb = yunti.resume(run)
    record = climb.record.rung("convnet")
    assert record.status in ("done", "stopped")
    seen = record.forecast
    assert [point.rows for point in seen.points] == [1079 // 16, 1079 // 8, 1079 // 4]
    assert seen.low < seen.median < seen.high <= 1
    assert seen.against == "constant"
    assert seen.chance > 0.99
    assert seen.worth_it
    assert seen.outcome == record.score.valid
    assert seen.outcome_seconds == record.cost.train_seconds
    assert 0 < seen.start_seconds <= seen.seconds
    assert seen.seconds_low < seen.seconds <= seen.seconds_high
    assert seen.peak_memory_bytes > 2**20
    assert seen.energy_wh > 0
    assert seen.gain > 0.5
    assert seen.price is None
    assert [point.rows for point in record.curve] == [67, 134, 269, 1079]
    assert "stop" in (climb.verdict.next[0].kind, climb.verdict.next[-1].kind)
    kept = json.loads((run / "climb.json").read_text())["rungs"][1]["forecast"]
    assert kept["median"] == seen.median
    pilots = (folder / "outcomes" / "convnet" / "pilot.json").read_text()
    assert (run / "outcomes" / "convnet" / "pilot.json").read_text() == pilots  # they were not made again
    assert climb.record.budget.spent_seconds < 1.05 * 200


def test_a_rung_that_is_not_worth_it_is_left_out_with_the_numbers(tried, tmp_path, monkeypatch):
    run = copied(tried[0], tmp_path)
    monkeypatch.setattr(outlook, "LEAST_CHANCE", 1.1)
    climb = yunti.resume(run)
    record = climb.record.rung("convnet")
    assert record.status == "skipped"
    assert record.reason.startswith("expected accuracy 0.")
    assert record.reason.endswith("→ not worth it")
    assert record.forecast.outcome is None
    assert climb.verdict.chosen == "constant"
    assert yunti.resume(run).record.rung("convnet") == record


def test_cheap_rungs_get_a_guess_and_a_curve_and_no_pilots(tmp_path):
    climb = yunti.climb("sample:penguins", budget=60, rungs="constant,linear,tree", out=tmp_path / "run")
    assert climb.record.rung("constant").forecast is None
    assert climb.record.rung("linear").forecast is None  # what a first real rung makes of the data nobody knows
    guess = climb.record.rung("tree").forecast
    assert guess.basis == "prior"
    assert guess.points == ()
    assert guess.seconds is None
    assert guess.low < guess.median < guess.high <= 1
    assert guess.outcome == climb.record.rung("tree").score.valid
    curve = climb.record.rung(climb.verdict.chosen).curve
    assert [point.rows for point in curve][-1] == 206
    assert len(curve) >= 3
    assert {step.kind for step in climb.verdict.next} >= {"data", "stop"}
    assert climb.verdict.limit.reason.endswith(".")


def test_with_a_rate_the_rung_that_promises_most_comes_first(tmp_path):
    told = []
    out = tmp_path / "run"
    given = {"rungs": "constant,linear,tree,boosting", "worth": "1 point = 1000 h", "budget": 25, "refit": False}
    yunti.climb("sample:penguins", out=out, tell=told.append, **given)
    trained = [event.name for event in told if type(event).__name__ == "RungStarted" and event.name != "refit"]
    foreseen = {event.name: event.forecast for event in told if type(event).__name__ == "Foreseen"}
    assert trained[:2] == ["constant", "linear"]
    assert sorted(trained[2:]) == sorted(foreseen)
    first, *rest = (foreseen[name] for name in trained[2:])
    assert all(first.gain - first.price >= each.gain - each.price for each in rest)


def test_with_a_rate_a_rung_that_cannot_pay_is_left_out_without_a_second_spent(tmp_path):
    rungs = "constant,linear,tree,boosting"
    climb = yunti.climb("sample:penguins", budget=40, rungs=rungs, worth="1 point = 1 s", out=tmp_path / "run")
    left_out = climb.record.rung("boosting")
    assert left_out.status == "skipped"
    assert "(prior)" in left_out.reason
    assert "not worth it: 0." in left_out.reason
    assert left_out.forecast.price > left_out.forecast.gain
    assert json.loads((tmp_path / "run" / "climb.json").read_text())["settings"]["worth"] == "1 point = 1 s"
    with pytest.raises(OptionError, match="--worth: it must be a gain and what it is worth"):
        yunti.climb("sample:penguins", worth="a lot", out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_curve_that_a_kill_broke_off_is_drawn_when_the_climb_goes_on(tmp_path):
    out = tmp_path / "run"
    whole = yunti.climb("sample:penguins", budget=60, rungs="constant,linear", out=out)
    curve = whole.record.rung("linear").curve
    assert len(curve) >= 3
    (out / "outcomes" / "linear" / "curve.json").write_text('{"points": []}')
    record = json.loads((out / "climb.json").read_text())
    record |= {"test": None, "verdict": None}
    record["rungs"][1]["curve"] = []
    (out / "climb.json").write_text(json.dumps(record))
    resumed = yunti.resume(out)
    assert [(point.rows, point.score) for point in resumed.record.rung("linear").curve] == [
        (point.rows, point.score) for point in curve
    ]
    assert [step.gain for step in resumed.verdict.next] == [step.gain for step in whole.verdict.next]


def test_points_are_no_measure_of_an_error_with_a_unit(tmp_path):
    with pytest.raises(OptionError, match="--worth: points are hundredths of a share, but rmse has a unit of its own"):
        yunti.climb("sample:diabetes", metric="rmse", worth="1 point = 1 min", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_report_that_a_kill_prevented_is_written_when_the_climb_is_resumed(tmp_path):
    out = tmp_path / "run"
    yunti.climb("sample:penguins", budget=30, rungs="constant", out=out)
    (out / "report.html").unlink()
    yunti.resume(out)
    assert (out / "report.html").is_file()


def test_a_network_that_was_cut_short_is_trained_over_fewer_steps_in_the_time_left(tmp_path, monkeypatch):
    monkeypatch.setattr(scaled, "cut_short", lambda rung: rung.name == "mlp")  # whatever the machine's pace
    monkeypatch.setattr(State, "draw_curve", lambda *_: None)  # which would take of the time left
    climb = yunti.climb("sample:digits", budget=240, rungs="constant,mlp", out=tmp_path / "run", refit=False)
    record = climb.record.rung("mlp")
    less, more = record.shorter
    taken = record.plan["steps_taken"]
    assert (less.steps, more.steps) in ((taken // 4, taken // 2), (taken // 8, taken // 4))  # as the time allows
    assert 0.5 < less.score <= more.score + 0.02
    assert less.seconds < record.cost.train_seconds
    step = next(step for step in climb.verdict.next if step.kind == "longer")
    assert step.basis == "curve"
    again = yunti.resume(tmp_path / "run")
    assert again.record.rung("mlp").shorter == record.shorter


def test_a_network_that_was_trained_in_full_is_tried_narrower_in_the_time_left(tmp_path, monkeypatch):
    monkeypatch.setattr(scaled, "cut_short", lambda _: False)
    monkeypatch.setattr(State, "draw_curve", lambda *_: None)
    out = tmp_path / "run"
    climb = yunti.climb("sample:penguins", budget=120, rungs="constant,mlp", out=out, refit=False)
    record = climb.record.rung("mlp")
    quarter, half = record.smaller
    assert (quarter.dial, half.dial, record.plan["dial"]) == (0.25, 0.5, 1.0)
    assert min(quarter.score, half.score) > 0.8
    assert climb.record.test is not None
    step = next(step for step in climb.verdict.next if step.kind == "larger")
    assert step.rung == "mlp"
    assert step.low <= step.gain <= step.high
    assert step.action == "make mlp larger (yunti train --set model.dial=2)"
    kept = json.loads((out / "climb.json").read_text())["rungs"][1]["smaller"]
    assert [point["dial"] for point in kept] == [0.25, 0.5]
    ended = json.loads((out / "climb.json").read_text())
    (out / "climb.json").write_text(json.dumps(ended | {"test": None, "verdict": None}))
    file = out / "outcomes" / "mlp" / "smaller.json"
    points = json.loads(file.read_text())
    assert yunti.resume(out).record.rung("mlp").smaller == record.smaller  # complete: not trained again
    (out / "climb.json").write_text(json.dumps(ended | {"test": None, "verdict": None}))
    file.write_text(json.dumps(points | {"points": points["points"][:1], "complete": False}))  # as a kill leaves it
    again = yunti.resume(out).record.rung("mlp").smaller
    assert [(point.dial, point.score) for point in again] == [(point.dial, point.score) for point in record.smaller]
