"""What is expected of a rung in full, from pilots on parts of the rows."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from yunti.climbing.forecast.curve import Forecast
from yunti.climbing.forecast.outlook import chance_below, in_errors, memory_at, outlook, seconds_at
from yunti.climbing.forecast.words import told
from yunti.records import ForecastRecord, Point, RungRecord, Score, from_json, to_json
from yunti.specs import TaskSpec
from yunti.tasks.metrics import METRICS, metric_named

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


def test_a_metric_as_an_error_comes_back_as_itself():
    for metric in METRICS:
        assert metric.as_error(metric.as_error(0.3)) == pytest.approx(0.3)
        better, worse = (0.9, 0.8) if metric.direction == "higher" else (0.8, 0.9)
        assert metric.as_error(better) < metric.as_error(worse)


def test_a_rung_that_climbs_steeply_is_worth_it_and_one_that_lags_is_not():
    steep = outlook(metric_named("accuracy"), points([0.70, 0.79, 0.86]), 16000, best(0.90))
    lags = outlook(metric_named("accuracy"), points([0.70, 0.72, 0.74]), 16000, best(0.90))
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
    assert seconds_at(some, 16000) == pytest.approx(2 + 32, rel=1e-6)
    assert memory_at(some, 16000) == pytest.approx(2**28 + 16e6, rel=1e-6)
    assert seconds_at(points([0.7, 0.8, 0.85], seconds=[5.0, 3.0, 2.0]), 16000) > 0
    assert seconds_at([], 16000) is None


def test_without_a_number_it_is_tried_and_the_reason_is_told():
    seen = outlook(metric_named("accuracy"), points([0.7, 0.8]), 16000, best(0.9))
    assert seen.worth_it
    assert seen.median is None
    assert told(seen, ACCURACY) == "no forecast: two sizes are too few: three are needed"


def test_without_any_pilot_it_is_tried():
    seen = outlook(metric_named("accuracy"), [], 16000, best(0.9))
    assert seen.worth_it
    assert told(seen, ACCURACY) == "no forecast: no pilot came to an end"
    assert seen.seconds is seen.peak_memory_bytes is None


def test_a_forecast_is_told_in_a_sentence_and_kept_in_json():
    seen = outlook(metric_named("accuracy"), points([0.70, 0.72, 0.74]), 16000, best(0.90))
    sentence = told(seen, ACCURACY)
    assert sentence.startswith(f"expected accuracy {seen.median:.3g} (")
    assert "for 34 s; chance that it beats boosting by more than 0.51 points: 1 %: not worth it" in sentence
    assert from_json(ForecastRecord, to_json(seen)) == seen
