from __future__ import annotations

import time
from dataclasses import replace

import pytest

from yunti.climbing.budget import Purse, derive_budget, parse_budget, reserve_seconds, share_of
from yunti.errors import OptionError
from yunti.ladders.prediction.ensemble import RUNG
from yunti.specs import ColumnSpec, Spec, TaskSpec

SPEC = Spec((ColumnSpec("a", "number"),), TaskSpec("regression", "y", "r2", "higher"), rows=100)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("2.5m", 150), ("45", 45), (12.5, 12.5), ("1D", 86400)],
)
def test_budgets_are_read(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "0", "5x", "m", "1m-2s", "nan", "inf"])
def test_what_is_no_time_is_refused_in_one_sentence(text):
    with pytest.raises(OptionError, match="it must be a time such as 90s, 5m or 1h30m"):
        parse_budget(text)


def test_a_derived_budget_grows_with_rows_and_dearer_kinds_and_has_an_end():
    numbers, sounds = [ColumnSpec("a", "number")], [ColumnSpec("a", "audio")]
    assert derive_budget(500, numbers)[0] == 60
    assert derive_budget(60_000, numbers)[0] < derive_budget(60_000, sounds)[0]
    assert derive_budget(10**8, sounds)[0] == 3600
    assert "60,000 rows" in derive_budget(60_000, numbers)[1]


def test_shares_follow_the_weights():
    heavy = replace(RUNG, share=lambda _: 3.0)
    assert share_of(RUNG, [heavy], SPEC, 40.0, lambda _: 1.0) == pytest.approx(12.5)  # 40 / (1 + 3), and a quarter lent
    assert share_of(RUNG, [], SPEC, 0.0, lambda _: 1.0) == 0


def test_the_dearest_rungs_give_up_their_share_where_there_is_not_enough_for_all():
    cheap, middle, dear = (replace(RUNG, name=name, combines=False) for name in ("cheap", "middle", "dear"))
    # 12 s for three rungs and the ensemble that need 5 s each: two of them go, the last one first
    assert share_of(cheap, [middle, dear, RUNG], SPEC, 12.0, lambda _: 5.0) == pytest.approx(6.0)
    assert share_of(cheap, [middle, dear, RUNG], SPEC, 40.0, lambda _: 5.0) == pytest.approx(12.5)


def test_no_later_rung_is_given_less_than_it_needs_and_none_takes_more_than_there_is():
    heavy = replace(RUNG, name="heavy", share=lambda _: 9.0, combines=False)
    light = replace(RUNG, name="light", combines=False)
    # by weight the light one would have 2 s of 20; it needs 8, and the heavy one gets what is left
    assert share_of(heavy, [light], SPEC, 20.0, lambda _: 8.0) == pytest.approx(12.0)
    for seconds in (3.0, 9.0, 17.0, 25.0, 100.0):
        for first, rest in ((heavy, [light, RUNG]), (light, [heavy, RUNG])):
            assert 0 < share_of(first, rest, SPEC, seconds, lambda _: 8.0) <= seconds


def test_time_spent_before_an_interruption_counts():
    purse = Purse(100.0, time.monotonic(), spent_before=20.0)
    assert purse.left == pytest.approx(80.0, abs=0.1)
    assert Purse(10.0, time.monotonic(), spent_before=11.0).left == 0


def test_the_reserve_grows_with_slow_predictions_but_never_takes_half_of_the_budget():
    assert reserve_seconds(600, 10_000, 0.0) < reserve_seconds(600, 10_000, 5.0)
    assert reserve_seconds(20, 10**6, 60.0) == pytest.approx(8.0)


def test_a_rung_that_trains_a_pretrained_model_needs_what_the_frozen_one_tells():
    from types import SimpleNamespace

    from yunti.climbing.state import LOOKS, State
    from yunti.ladders.find import find_rung

    rung = find_rung("classification", "lora")
    spec = Spec((), TaskSpec("classification", "y", "accuracy", "higher"), rows=10_000)
    records = {"pretrained": SimpleNamespace(cost=SimpleNamespace(predict_seconds_per_1000=10.0))}
    state = SimpleNamespace(
        to_start=lambda _rung: 8.0,
        spec=spec,
        dataset=SimpleNamespace(valid=range(1000)),
        record=SimpleNamespace(rung=records.get),
    )
    assert State.needed(state, rung) == pytest.approx(8.0 + (3 * 100 * 32 + LOOKS * 1000) / 100)
    records.clear()
    assert State.needed(state, rung) == 8.0
    assert State.needed(state, find_rung("classification", "mlp")) == 8.0
