"""What a better score is worth, and what a forecast says about what one would gain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from yunti.climbing.forecast.chances import Likely, chance_below, corrected, expected_gain, shifted, widened
from yunti.climbing.forecast.curve import Forecast, extrapolate, growth
from yunti.climbing.forecast.worth import parse_price, parse_worth
from yunti.errors import OptionError


@pytest.mark.parametrize(
    ("worth", "price", "per_second"),
    [
        ("1 point = 30 min", None, 0.01 / 1800),
        ("0.5 points=2h", None, 0.005 / 7200),
        ("2 points = 90 s", None, 0.02 / 90),
        ("100 = 20 min", None, 100 / 1200),
        ("1 point = 1.5 days", None, 0.01 / (1.5 * 86400)),
        ("1 Point = 5", "2.5/h", 0.01 / 7200),
        ("1 个百分点 = 30 min", None, 0.01 / 1800),
        (".2 = 10 minutes", 3, 0.2 / 600),
    ],
)
def test_a_rate_is_a_gain_for_every_second(worth, price, per_second):
    assert parse_worth(worth, price).gain_per_second == pytest.approx(per_second)


@pytest.mark.parametrize(
    "worth", ["", "1 point", "30 min = 1 point", "1 point = soon", "0 points = 1h", "1 point = 0 s", "= 1h"]
)
def test_what_is_no_rate_is_refused_with_an_example(worth):
    with pytest.raises(OptionError, match=r"--worth: .*write"):
        parse_worth(worth)


def test_money_needs_the_price_of_an_hour():
    with pytest.raises(OptionError, match="money needs the price of an hour, but there is no --price; add --price"):
        parse_worth("1 point = 20")
    assert parse_worth(None, "2.5/h").price_per_hour == 2.5
    assert parse_worth(None).price_per_hour is None
    assert parse_worth(None).needed(7200) is None


@pytest.mark.parametrize("price", ["free", "0", "-1", "2/min", "1e3"])
def test_what_is_no_price_is_refused(price):
    with pytest.raises(OptionError, match="--price: it must be what an hour costs"):
        parse_price(price)


@given(st.floats(0.01, 0.9), st.floats(0.05, 2.0), st.floats(0.05, 2.0), st.floats(0.01, 1.5))
def test_the_expected_gain_is_the_mean_of_draws(median, down, up, present):
    seen = Forecast(median, median * math.exp(-down), median * math.exp(up))
    normal = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    errors = median * np.exp(normal * np.where(normal < 0, down, up) / stats.norm.ppf(0.95))
    gains = np.maximum(0, present - errors)
    assert expected_gain(seen, present) == pytest.approx(gains.mean(), rel=0.03, abs=2e-3)
    assert chance_below(seen, present) == pytest.approx((errors < present).mean(), abs=2e-3)


def test_an_error_of_five_quantiles_has_these_quantiles_and_their_mean_gain():
    seen = Likely((0.05, 0.09, 0.1, 0.11, 0.4))
    errors = np.sort(seen.errors())
    assert len(errors) == 400
    for share, value in zip((0.05, 0.25, 0.5, 0.75, 0.95), seen.quantiles, strict=True):
        assert chance_below(seen, value) == pytest.approx(share, abs=0.003)
    assert expected_gain(seen, 0.1) == pytest.approx(np.maximum(0, 0.1 - errors).mean())
    assert expected_gain(seen, 0.1) < expected_gain(Forecast(0.1, 0.05, 0.4), 0.1)  # its quartiles are nearer
    assert expected_gain(seen.times(2.0), 0.2) == pytest.approx(2 * expected_gain(seen, 0.1))
    assert seen.forecast == Forecast(0.1, 0.05, 0.4)


def test_a_forecast_is_moved_and_widened_in_logarithms():
    seen = Forecast(0.2, 0.1, 0.3)
    assert shifted(seen, math.log(2)).median == pytest.approx(0.4)
    assert widened(seen, 2.0).low == pytest.approx(0.05)
    assert widened(seen, 2.0).high == pytest.approx(0.45)


def test_misses_that_all_share_are_added_and_the_width_follows_the_rest():
    seen = Forecast(0.2, 0.18, 0.22)
    same = [(Forecast(0.1, 0.09, 0.11), 0.2)] * 8
    moved = corrected(seen, same)
    assert moved.median == pytest.approx(0.2 * 2**0.8, rel=1e-6)  # eight of ten parts
    right = corrected(seen, [(Forecast(0.1, 0.05, 0.2), 0.1)] * 12)
    assert right.median == pytest.approx(0.2)
    assert right.high - right.low < 0.6 * (seen.high - seen.low)
    wrong = corrected(seen, [(Forecast(0.1, 0.095, 0.105), 0.2), (Forecast(0.1, 0.095, 0.105), 0.05)])
    assert wrong.high - wrong.low > 3 * (seen.high - seen.low)
    assert corrected(seen, []) == seen


def test_corrected_intervals_cover_where_the_first_ones_do_not():
    random, hits, raw = np.random.default_rng(0), 0, 0
    for _ in range(300):
        truth = 0.1 * np.exp(random.normal(0.2, 0.3, 6))  # all are missed upwards, and by three times what is said
        said = [Forecast(0.1, 0.1 * math.exp(-0.1645), 0.1 * math.exp(0.1645)) for _ in truth]
        last = corrected(said[-1], list(zip(said[:-1], truth[:-1], strict=True)))
        hits += last.low <= truth[-1] <= last.high
        raw += said[-1].low <= truth[-1] <= said[-1].high
    assert raw / 300 < 0.45
    assert hits / 300 > 0.6


def test_growth_is_surer_than_two_scores_divided():
    sizes, stderr = [250, 500, 1000, 2000, 4000], [0.02] * 5
    random, misses, wide = np.random.default_rng(1), [], []
    for _ in range(40):
        true = 0.05 + 3.0 * np.array([*sizes, 8000.0]) ** -0.5
        noisy = true[:-1] + random.normal(0, 0.02, 5)
        grown = growth(sizes, noisy, 8000, stderr=stderr)
        whole = extrapolate(sizes, noisy, 8000, stderr=stderr)
        misses.append(
            (
                abs(math.log(grown.median / (true[-1] / true[-2]))),
                abs(math.log(whole.median / noisy[-1] / (true[-1] / true[-2]))),
            )
        )
        wide.append(grown.low <= true[-1] / true[-2] <= grown.high)
    assert np.mean([one for one, _ in misses]) < 0.9 * np.mean([two for _, two in misses])
    assert np.mean(wide) >= 0.85


def test_growth_refuses_what_extrapolation_refuses():
    assert growth([10, 20], [0.3, 0.2], 40).refused == "two sizes are too few: three are needed"
    assert growth([10, 20, 40], [0.1, 0.2, 0.4], 80).refused
