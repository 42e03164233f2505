"""What is expected of a rung in full, from pilots on parts of the rows."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from scipy import stats

from yunti.climbing.forecast.chances import chance_below
from yunti.climbing.forecast.cost import energy_at, memory_at, seconds_at
from yunti.climbing.forecast.curve import Forecast
from yunti.climbing.forecast.outlook import Known, in_errors, outlook
from yunti.climbing.forecast.worth import parse_worth
from yunti.climbing.wording import foreseen
from yunti.records import Cost, ForecastRecord, Point, RungRecord, Score
from yunti.specs import TaskSpec
from yunti.storing import from_json, to_json
from yunti.tasks.metrics import METRICS, metric_named
from yunti.words import speaking, told

ACCURACY = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b"))


def points(scores, stderr=0.005, first=500, seconds=None):
    sizes = [first * 2**place for place in range(len(scores))]
    times = seconds or [2 + size / 500 for size in sizes]
    return [
        Point(size, score, stderr, time, 2**28 + 1000 * size)
        for size, score, time in zip(sizes, scores, times, strict=True)
    ]


def best(valid, half=0.01):
    return RungRecord("boosting", "traditional", "done", score=Score("accuracy", valid, valid - half, valid + half))


def known(valid=0.90, *others, **changes):
    here = best(valid)
    return Known(metric_named("accuracy"), 16000, (*others, here), here, **changes)


def test_a_metric_as_an_error_comes_back_as_itself():
    for metric in METRICS:
        assert metric.as_error(metric.as_error(0.3)) == pytest.approx(0.3)
        better, worse = (0.9, 0.8) if metric.direction == "higher" else (0.8, 0.9)
        assert metric.as_error(better) < metric.as_error(worse)


def test_a_rung_that_climbs_steeply_is_worth_it_and_one_that_lags_is_not():
    steep = outlook(points([0.70, 0.79, 0.86]), known())
    lags = outlook(points([0.70, 0.72, 0.74]), known())
    assert steep.worth_it
    assert steep.chance > 0.5
    assert not lags.worth_it
    assert lags.chance < 0.05
    for seen in (steep, lags):
        assert seen.low < seen.median < seen.high < 1
        assert seen.against == "boosting"
        assert seen.least == pytest.approx(0.01 / 1.96)


def test_chances_are_those_of_half_a_log_normal_on_each_side():
    seen = Forecast(0.2, 0.1, 0.25)
    for wanted in (0.05, 0.12, 0.2, 0.22, 0.4):
        end = seen.low if wanted < seen.median else seen.high
        deviation = abs(math.log(end / seen.median)) / stats.norm.ppf(0.95)
        assert chance_below(seen, wanted) == pytest.approx(
            stats.lognorm(deviation, scale=seen.median).cdf(wanted), abs=1e-4
        )
    assert chance_below(seen, 0.0) == 0
    assert chance_below(seen, -0.1) == 0


def test_an_error_with_a_unit_is_foreseen_in_that_unit():
    small = in_errors(metric_named("rmse"), points([0.5, 0.4, 0.33]), 16000)
    large = in_errors(metric_named("rmse"), points([5000.0, 4000.0, 3300.0], stderr=50), 16000)
    assert large.median == pytest.approx(1e4 * small.median, rel=1e-6)
    assert large.high == pytest.approx(1e4 * small.high, rel=1e-6)


def test_a_negative_r2_and_a_rung_without_a_mistake_can_be_foreseen():
    assert not in_errors(metric_named("r2"), points([-0.3, 0.1, 0.35]), 16000).refused
    perfect = in_errors(metric_named("accuracy"), points([1.0, 1.0, 1.0]), 16000)
    assert perfect.median < 0.001


def test_seconds_and_memory_are_a_part_that_stays_and_one_that_grows():
    some = points([0.7, 0.8, 0.85])
    time = seconds_at(some, 16000)
    assert time.median == pytest.approx(2 + 32, rel=1e-6)
    assert 0.7 * time.median < time.low < time.median < time.high < 1.4 * time.median
    assert memory_at(some, 16000, 0.0) == 2**28 + 2_000_000
    assert memory_at(some, 16000, 1500.0) == 2**28 + 2_000_000 + 14000 * 1500
    assert seconds_at(points([0.7, 0.8, 0.85], seconds=[5.0, 3.0, 2.0]), 16000).median > 0
    assert seconds_at([], 16000) is None
    assert memory_at([], 16000, 1.0) is None


def test_a_share_a_process_and_a_recipe_bound_the_seconds():
    some = [replace(point, start_seconds=1.5) for point in points([0.7, 0.8, 0.85])]
    assert seconds_at(some, 16000, start=4.0).median == pytest.approx(38, rel=1e-6)
    assert seconds_at(some, 16000, start=4.0).start == pytest.approx(5.5)
    assert seconds_at(some, 16000, start=4.0, share=20.0).median == 15  # what is cut mostly ends before its time
    assert seconds_at(some, 16000, start=4.0, share=20.0).high == 20
    assert seconds_at(some, 16000, start=4.0, recipe_seconds=10.0).median == pytest.approx(15.5)


def test_energy_is_that_of_the_longest_rung_a_second():
    rungs = [
        replace(best(0.9), cost=Cost(seconds, seconds, 0.1, 1, 1, 1, 1.0, energy))
        for seconds, energy in ((1.0, 9.0), (100.0, 2.0))
    ]
    assert energy_at(50.0, rungs) == pytest.approx(1.0)
    assert energy_at(50.0, []) is None


def test_without_a_number_it_is_tried_and_the_reason_is_told():
    seen = outlook(points([0.7, 0.8]), known())
    assert seen.worth_it
    assert seen.median is None
    assert foreseen(seen, ACCURACY) == "no forecast: two sizes are too few: three are needed"


def test_without_any_pilot_it_is_tried():
    seen = outlook([], known())
    assert seen.worth_it
    assert foreseen(seen, ACCURACY) == "no forecast: no pilot came to an end"
    assert seen.seconds is seen.peak_memory_bytes is None


def test_a_forecast_is_told_in_a_sentence_and_kept_in_json():
    seen = outlook(points([0.70, 0.72, 0.74]), known())
    sentence = foreseen(seen, ACCURACY)
    assert sentence.startswith(f"expected accuracy {seen.median:.3g} (")
    assert "for 34 s, 258 MiB; chance that it beats boosting by more than 0.51 points: 1 % → not worth it" in sentence
    assert from_json(ForecastRecord, to_json(seen)) == seen


def test_a_rate_of_exchange_decides_by_the_expected_gain():
    some = points([0.70, 0.79, 0.86])
    cheap = outlook(some, known(worth=parse_worth("1 point = 10 min")))
    dear = outlook(some, known(worth=parse_worth("1 point = 1 s")))
    assert cheap.worth_it
    assert not dear.worth_it
    assert cheap.gain == dear.gain
    assert dear.price == pytest.approx(0.34, rel=1e-6)
    assert foreseen(dear, ACCURACY).endswith("points are to be expected, and its time costs as much as 34.00 points")
    priced = parse_worth("1 point = 10 min", "2.5/h")
    assert "for 34 s, 258 MiB, at a price of 0.024;" in foreseen(outlook(some, known(worth=priced)), ACCURACY, priced)


def test_a_rung_with_a_whole_curve_pulls_the_forecast_by_three_tenths():
    some = points([0.70, 0.75, 0.80])
    alone = outlook(some, known())
    curve = (Point(2000, 0.80, 0.005, 1.0, 1), Point(16000, 0.95, 0.005, 8.0, 1))
    cheap = replace(best(0.95), name="linear", curve=curve)
    beside = outlook(some, known(0.90, cheap))
    carried = 0.20 * 0.05 / 0.20  # its error at 2,000 rows, times what became of the cheap one's
    wanted = 0.7 * math.log(1 - alone.median) + 0.3 * math.log(carried)
    assert math.log(1 - beside.median) == pytest.approx(wanted, abs=1e-9)


def test_what_came_of_earlier_forecasts_corrects_the_next():
    some = points([0.70, 0.75, 0.80])
    earlier = outlook(points([0.6, 0.7, 0.75]), known())
    came = replace(earlier, outcome=1 - (1 - earlier.median) / 2)
    done = replace(best(0.9), name="mlp", forecast=came)
    plain, corrected = outlook(some, known()), outlook(some, known(0.90, done))
    assert math.log((1 - corrected.median) / (1 - plain.median)) == pytest.approx(-math.log(2) / 3)
    assert outlook(some, known(0.90, replace(done, forecast=replace(came, basis="prior")))) == plain


def test_forecasts_are_told_in_chinese_with_the_same_numbers():
    some = points([0.70, 0.72, 0.74])
    priced = parse_worth("1 point = 1 s", "2.5/h")
    sentences = [
        foreseen(outlook(some, known()), ACCURACY),
        foreseen(outlook(some, known(worth=priced)), ACCURACY, priced),
        foreseen(outlook(some[:2], known()), ACCURACY),
    ]
    with speaking("zh"):
        spoken = [told(sentence) for sentence in sentences]
    assert spoken[0].startswith("准确率预期为 0.")
    assert "优于 boosting（差距超过 0.51 个百分点）的概率" in spoken[0]
    assert spoken[0].endswith("→ 不值得")
    assert "代价 34 s, 258 MiB，费用 0.024；" in spoken[1]
    assert spoken[1].endswith("而所需时间相当于 34.00 个百分点")
    assert spoken[2] == "无法预测：只有两个规模，至少需要三个"
    for english, chinese in zip(sentences, spoken, strict=True):
        assert re.findall(r"\d+\.\d+", english) == re.findall(r"\d+\.\d+", chinese)


def test_the_unit_of_an_error_changes_nothing_about_a_decision():
    def record(unit):
        half = 0.05 * unit
        here = replace(best(0.9), score=Score("rmse", 2 * unit, 2 * unit - half, 2 * unit + half))
        some = points([3 * unit, 2.4 * unit, 2.0 * unit], stderr=0.02 * unit)
        return outlook(some, Known(metric_named("rmse"), 16000, (here,), here))

    plain = record(1.0)
    for unit in (1e-6, 1e6):
        other = record(unit)
        assert other.chance == pytest.approx(plain.chance, abs=1e-6)
        assert other.median / unit == pytest.approx(plain.median, rel=1e-6)
        assert other.low / unit == pytest.approx(plain.low, rel=1e-6)


def test_pilots_that_get_worse_are_not_worth_it():
    worse = outlook(points([0.86, 0.79, 0.70]), known())
    assert not worse.worth_it
    assert worse.refused == "the score gets worse with more"
