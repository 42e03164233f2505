"""Forecasts of curves and surfaces: what is known exactly must come out, and what nobody knows must be refused."""

from __future__ import annotations

import csv
import gzip
import itertools
import math
import time
from collections import defaultdict

import numpy as np
import pytest
from scipy import stats

from yunti.climbing.forecast import curve
from yunti.climbing.forecast.curve import Forecast, extrapolate
from yunti.climbing.forecast.shapes import CELLS, believe, mixture_quantiles, shapes
from yunti.climbing.forecast.surface import extrapolate_surface
from yunti.errors import OptionError

SIZES = np.array([250, 500, 1000, 2000, 4000])


def power(n, floor=0.05, exponent=0.5):
    return floor + (1 - floor) * np.asarray(n, dtype=float) ** -exponent


@pytest.mark.parametrize("floor", [0.0, 0.02, 0.08])
@pytest.mark.parametrize("exponent", [0.2, 0.4, 0.7])
@pytest.mark.parametrize("factor", [2, 4, 8, 16])
def test_power_laws_are_foreseen_and_lie_in_the_interval(floor, exponent, factor):
    at = SIZES[-1] * factor
    seen, truth = extrapolate(SIZES, power(SIZES, floor, exponent), at), power(at, floor, exponent)
    assert seen.low < truth < seen.high
    assert abs(math.log(seen.median / truth)) < 0.02 + 0.36 * exponent * math.log(factor)  # real curves bend


def test_the_interval_grows_with_the_distance_and_with_the_noise():
    scores = power(SIZES)

    def width(at, error):
        seen = extrapolate(SIZES, scores, at, stderr=[error] * 5)
        return math.log(seen.high / seen.low)

    assert width(8000, 0.001) < width(16000, 0.001) < width(64000, 0.001)
    assert width(16000, 0.001) < width(16000, 0.01) < width(16000, 0.03)


def test_a_flat_curve_stays_flat():
    seen = extrapolate(SIZES, [0.2] * 5, 32000)
    assert seen.median == pytest.approx(0.2, rel=0.05)
    assert seen.low < 0.19
    assert seen.high > 0.2


def test_an_error_is_never_more_than_one_and_a_loss_may_be():
    assert extrapolate(SIZES, [0.99, 0.985, 0.99, 0.98, 0.985], 64000).high <= 1
    seen = extrapolate(SIZES, [9.0, 8.0, 7.4, 7.0, 6.8], 16000, kind="loss")
    assert 5.5 < seen.low < seen.median < seen.high < 6.8


def test_the_unit_of_sizes_and_of_losses_changes_nothing():
    losses = np.array([4.0, 3.4, 3.1, 2.9, 2.8])
    one = extrapolate(SIZES, losses, 16000, kind="loss")
    other = extrapolate(SIZES * 1e6, 100 * losses, 16000e6, kind="loss")
    assert other.median == pytest.approx(100 * one.median, rel=1e-6)
    assert (other.low / other.high) == pytest.approx(one.low / one.high, rel=1e-6)


def test_repetitions_at_one_size_count_as_points_of_it():
    sizes = [250, 250, 500, 500, 1000, 2000]
    scores = [0.42, 0.38, 0.31, 0.29, 0.23, 0.18]
    once = extrapolate([250, 500, 1000, 2000], [0.40, 0.30, 0.23, 0.18], 8000)
    assert extrapolate(sizes, scores, 8000).median == pytest.approx(once.median, rel=0.03)


@pytest.mark.parametrize(
    ("sizes", "scores", "at", "words"),
    [
        ([1000], [0.3], 2000, "one size is too few"),
        ([1000, 2000], [0.3, 0.2], 4000, "two sizes are too few"),
        ([1000, 1000, 4000, 4000], [0.3, 0.3, 0.2, 0.2], 8000, "two sizes are too few"),
        ([1000, 1500, 3000], [0.3, 0.25, 0.2], 6000, "the sizes span a factor of 3: 4 is needed"),
        ([1000, 2000, 4000], [0.3, 0.25, 0.2], 80000, "it is 20 times the last size"),
        ([1000, 2000, 4000, 8000], [0.2, 0.25, 0.32, 0.42], 16000, "gets worse"),
        ([1000, 2000, 4000, 8000], [0.3, 0.31, 0.33, 0.36], 16000, "gets worse"),
    ],
)
def test_what_nobody_knows_is_refused(sizes, scores, at, words):
    seen = extrapolate(sizes, scores, at)
    assert words in seen.refused
    assert math.isnan(seen.median) and math.isnan(seen.low) and math.isnan(seen.high)


def test_a_curve_that_rose_once_and_falls_again_is_forecast_and_one_standard_error_serves_all_points():
    sizes, scores = [1000, 2000, 4000, 8000], [0.25, 0.32, 0.30, 0.27]
    one, each = (extrapolate(sizes, scores, 16000, stderr=some) for some in (0.01, [0.01] * 4))
    assert not one.refused
    assert one == each


def test_halves_of_odd_numbers_of_rows_span_enough():
    assert not extrapolate([212, 425, 849], [0.3, 0.25, 0.2], 849 * 16).refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sizes": [250, 500, 1000, 2000]}, "equally many"),
        ({"sizes": [250, 500, 400, 2000, 4000]}, "not fall"),
        ({"sizes": [0, 500, 1000, 2000, 4000]}, "positive"),
        ({"scores": [0.4, 0.3, 0.2, 0.1, 0.0]}, "positive"),
        ({"scores": [0.4, 0.3, math.nan, 0.2, 0.1]}, "positive"),
        ({"scores": [1.4, 0.3, 0.2, 0.2, 0.1]}, 'say kind="loss"'),
        ({"at": 4000}, "beyond the last size, 4000"),
        ({"at": math.inf}, "beyond the last size"),
        ({"stderr": [0.1, 0.1, 0.1, 0.1, -0.1]}, "from 0 on"),
        ({"stderr": [0.1]}, "equally many"),
        ({"kind": "accuracy"}, '"error" or "loss"'),
    ],
)
def test_what_cannot_be_is_an_error_with_a_sentence(change, words):
    given = {"sizes": list(SIZES), "scores": [0.4, 0.3, 0.23, 0.18, 0.145], "at": 16000, **change}
    with pytest.raises(OptionError, match=words):
        extrapolate(given.pop("sizes"), given.pop("scores"), given.pop("at"), **given)


def test_every_shape_passes_through_the_last_point_and_is_finite():
    assert np.abs(shapes(np.array([0.0]))).max() < 1e-12
    assert np.isfinite(shapes(np.linspace(-8, 3, 30))).all()
    assert len(np.unique(CELLS, axis=0)) == len(CELLS)


def test_the_posterior_is_that_of_its_definition():
    """Integrate level and noise numerically for two shapes and compare their ratio."""
    x, u, variances = np.log(SIZES), np.log(power(SIZES) * [1.05, 0.96, 1.0, 1.03, 0.99]), np.full(5, 0.05**2)
    belief = believe(x, u, variances)
    drawn = np.random.default_rng(0)
    # σ² has a scaled inverse χ² prior of 4 degrees of freedom around 1
    noises = 4 / drawn.chisquare(4, 4000)
    levels = np.linspace(-5, 1, 1201)
    evidence = []
    for place in (40, 200):
        g = shapes(x - x[-1])[place]
        misses = (u[None, :] - g - levels[:, None]) / np.sqrt(variances)
        squares = (misses**2).sum(axis=1)
        likelihood = np.exp(-0.5 * squares[None, :] / noises[:, None]) * noises[:, None] ** -2.5
        evidence.append(likelihood.mean(axis=0).sum())
    assert evidence[0] / evidence[1] == pytest.approx(belief.weights[40] / belief.weights[200], rel=0.15)


def test_quantiles_of_a_mixture_are_those_of_its_distribution():
    weights, centres, spreads = np.array([0.3, 0.7]), np.array([-1.0, 2.0]), np.array([0.5, 1.5])
    found = mixture_quantiles(weights, centres, spreads, 7.0, (0.1, 0.5, 0.9))
    for value, probability in zip(found, (0.1, 0.5, 0.9), strict=True):
        reached = (weights * stats.t(7).cdf((value - centres) / spreads)).sum()
        assert reached == pytest.approx(probability, abs=0.03)


def chinchilla(n, d):
    return 1.7 + 400 / n**0.34 + 410 / d**0.28


def runs(noise=0.0, seed=0):
    pairs = np.array(list(itertools.product(np.geomspace(1e7, 2e8, 5), np.geomspace(2e8, 2e10, 6))))
    random = np.random.default_rng(seed)
    losses = chinchilla(*pairs.T) * np.exp(random.normal(0, noise, len(pairs)))
    return pairs[:, 0], pairs[:, 1], losses


def test_a_surface_of_that_law_is_foreseen_at_ten_times_the_computing():
    n, d, losses = runs()
    seen, truth = extrapolate_surface(n, d, losses, 6e8, 6e10), chinchilla(6e8, 6e10)
    assert seen.median == pytest.approx(truth, rel=0.01)
    assert seen.low < truth < seen.high


def test_intervals_of_noisy_surfaces_cover():
    inside = 0
    for seed in range(60):
        n, d, losses = runs(noise=0.01, seed=seed)
        seen, truth = extrapolate_surface(n, d, losses, 6e8, 6e10), chinchilla(6e8, 6e10)
        inside += seen.low < truth < seen.high
    assert inside >= 52


@pytest.mark.parametrize(
    ("keep", "at", "words"),
    [
        (slice(0, 6), (1e9, 1e11), "6 runs are too few"),
        (slice(0, 12), (1e9, 1e11), "the parameters span a factor of 2.1"),
        (slice(0, 30), (1e10, 1e12), "times the largest computing"),
    ],
)
def test_surfaces_that_nobody_knows_are_refused(keep, at, words):
    n, d, losses = runs()
    seen = extrapolate_surface(n[keep], d[keep], losses[keep], *at)
    assert words in seen.refused
    assert math.isnan(seen.median)


def test_surfaces_need_positive_numbers():
    n, d, losses = runs()
    with pytest.raises(OptionError, match="losses"):
        extrapolate_surface(n, d, -losses, 1e9, 1e11)
    with pytest.raises(OptionError, match="equally many"):
        extrapolate_surface(n[:-1], d, losses, 1e9, 1e11)
    with pytest.raises(OptionError, match="at_parameters"):
        extrapolate_surface(n, d, losses, 0, 1e11)


def test_a_forecast_takes_no_longer_than_twenty_milliseconds_and_loads_no_torch():
    began = time.perf_counter()
    for _ in range(10):
        extrapolate(SIZES, power(SIZES), 16000)
    assert (time.perf_counter() - began) / 10 < 0.1  # 2 ms on an idle machine


@pytest.fixture
def sample_curves(shared_data):
    found = defaultdict(list)
    with gzip.open(shared_data / "scaling/sample_curves.csv.gz", "rt") as lines:
        for row in csv.DictReader(lines):
            found[row["openml_dataset"], row["learner"]].append(
                (int(row["n_train"]), float(row["val_error_mean"]), float(row["val_error_stderr"]))
            )
    return {key: np.array(sorted(points)) for key, points in found.items() if int(key[0]) % 3 == 0}


@pytest.mark.parametrize(("factor", "most"), [(2, 0.07), (4, 0.09), (8, 0.115)])
def test_real_curves_are_foreseen_and_covered(sample_curves, factor, most):
    random = np.random.default_rng(factor)
    misses, naive, inside = [], [], []
    for points in sample_curves.values():
        n = points[:, 0]
        wanted = n[-1] / factor / 2.0 ** np.arange(5)[::-1]
        places = [int(np.argmin(np.abs(np.log(n / each)))) for each in wanted]
        if np.abs(np.log(n[places] / wanted)).max() > 0.06 or not np.isfinite(points).all():
            continue
        errors = points[places, 2] * math.sqrt(5)
        scores = np.clip(points[places, 1] + random.normal(0, 1, 5) * errors, 1e-4, 1)
        truth = points[-1, 1]
        seen = extrapolate(n[places], scores, n[-1], stderr=errors)
        if seen.refused or truth <= 0:
            continue
        misses.append(abs(seen.median / truth - 1))
        naive.append(abs(scores[-1] / truth - 1))
        inside.append(seen.low <= truth <= seen.high)
    assert len(misses) > 150
    assert np.median(misses) < most
    assert np.median(misses) < 0.75 * np.median(naive)
    assert 0.85 <= np.mean(inside) <= 0.95


def test_the_forecast_is_a_plain_value():
    assert Forecast(1.0, 0.5, 1.5).refused == ""
    assert sum(curve._SHARES) == pytest.approx(1)
