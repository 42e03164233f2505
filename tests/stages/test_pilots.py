"""Pilots: a dear rung is tried on parts of the rows before it is paid for."""

from __future__ import annotations

import json

import pytest

import yunti
from yunti.climbing import ascent
from yunti.climbing.forecast import outlook


@pytest.fixture
def dear(monkeypatch):
    """Let pilots begin with shares and parts that a test can afford."""
    monkeypatch.setattr(ascent, "PILOT_SECONDS", 5.0)
    monkeypatch.setattr(ascent, "LEAST_PILOT_ROWS", 30)


def test_a_dear_rung_is_forecast_and_the_forecast_is_kept_beside_what_came(dear, tmp_path):
    told = []
    climb = yunti.climb("sample:digits", budget=45, rungs="constant,boosting", out=tmp_path / "run", tell=told.append)
    record = climb.record.rung("boosting")
    assert record.status in ("done", "stopped")
    seen = record.forecast
    assert [point.rows for point in seen.points] == [1079 // 32, 1079 // 16, 1079 // 8]
    assert seen.low < seen.median < seen.high <= 1
    assert seen.against == "constant"
    assert seen.chance > 0.99
    assert seen.worth_it
    assert seen.outcome == record.score.valid
    assert seen.outcome_seconds == record.cost.train_seconds
    assert seen.seconds > 0
    assert seen.peak_memory_bytes > 2**20
    kept = json.loads((tmp_path / "run" / "climb.json").read_text())["rungs"][1]["forecast"]
    assert kept["median"] == seen.median
    assert any(type(event).__name__ == "Foreseen" and "worth it" in event.sentence for event in told)
    assert "Foreseen" in (tmp_path / "run" / "log.jsonl").read_text()
    assert climb.record.budget.spent_seconds < 1.05 * 45


def test_a_rung_that_is_not_worth_it_is_left_out_with_the_numbers(dear, tmp_path, monkeypatch):
    monkeypatch.setattr(outlook, "LEAST_CHANCE", 1.1)
    climb = yunti.climb("sample:digits", budget=45, rungs="constant,boosting", out=tmp_path / "run")
    record = climb.record.rung("boosting")
    assert record.status == "skipped"
    assert record.reason.startswith("expected accuracy 0.")
    assert record.reason.endswith("not worth it")
    assert record.forecast.outcome is None
    assert climb.verdict.chosen == "constant"
    resumed = yunti.resume(tmp_path / "run")
    assert resumed.record.rung("boosting") == record


def test_cheap_rungs_and_small_data_are_trained_at_once(tmp_path):
    climb = yunti.climb("sample:penguins", budget=30, rungs="constant,linear,tree", out=tmp_path / "run")
    assert all(rung.forecast is None for rung in climb.record.rungs)
