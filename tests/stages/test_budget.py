from __future__ import annotations

import time
from dataclasses import replace

import pytest

from yunti.climbing.budget import Purse, derive_budget, parse_budget, reserve_seconds
from yunti.errors import OptionError
from yunti.ladders.prediction.ensemble import RUNG
from yunti.specs import ColumnSpec


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


def test_shares_follow_the_weights_and_leave_the_reserve():
    purse = Purse(100.0, time.monotonic(), spent_before=20.0)
    heavy = replace(RUNG, share=3.0)
    share = purse.share(RUNG, [heavy], reserve=40.0)
    assert share == pytest.approx(10.0, abs=0.1)  # (100 − 20 − 40) · 1 / (1 + 3)
    assert Purse(10.0, time.monotonic(), spent_before=11.0).share(RUNG, [], 0.0) == 0


def test_the_reserve_grows_with_slow_predictions_but_never_takes_half_of_the_budget():
    assert reserve_seconds(600, 10_000, 0.0) < reserve_seconds(600, 10_000, 5.0)
    assert reserve_seconds(20, 10**6, 60.0) == pytest.approx(8.0)
