"""What could be done next, what holds the score back, and what rungs did on other data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from yunti.climbing.forecast.alike import SIBLINGS, factors_on_tables
from yunti.climbing.forecast.prior import prior
from yunti.climbing.forecast.scaled import TWICE_AS_LONG, change_with_size, change_with_steps, could_pass
from yunti.climbing.forecast.worth import FREE, parse_worth
from yunti.climbing.limit import limit, noise_floor, strong_rungs
from yunti.climbing.next import Standing, change_with_rows, next_steps
from yunti.data.doctor.duplicates import repeats
from yunti.ladders.prediction import LADDER
from yunti.records import Cost, ForecastRecord, Point, RepeatsRecord, RungRecord, Score
from yunti.specs import ColumnSpec, Spec, TaskSpec
from yunti.tasks.metrics import metric_named
from yunti.words import told

CLASSES = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b"))
VALUES = TaskSpec("regression", "y", "r2", "higher")


def spec(kind="number", task=CLASSES, rows=8000, pretrained=None):
    return Spec((ColumnSpec("x", kind),), task, rows, pretrained=pretrained)


def rung(name, valid, half=0.01, seconds=10.0, curve=(), **changes):
    cost = Cost(seconds, seconds, 0.01, 2**28, 1000, 1000, 1e9, 0.1)
    points = tuple(
        Point(rows, score, half / 1.96, seconds * rows / 8000, 2**28)
        for rows, score in zip((500, 1000, 2000, 4000, 8000), curve, strict=False)
    )
    era = "traditional" if name in ("constant", "linear", "tree", "svm", "boosting") else "deep"
    made = RungRecord(
        name, era, "done", score=Score("accuracy", valid, valid - half, valid + half), cost=cost, curve=points
    )
    return replace(made, scores={"accuracy": valid, "r2": valid}, **changes)


def standing(chosen, *others, spec=spec(), worth=FREE, metric="accuracy"):  # noqa: B008
    return Standing(chosen, (*others, chosen), LADDER, spec, metric_named(metric), worth)


STEEP = (0.50, 0.60, 0.70, 0.78, 0.84)
FLAT = (0.8390, 0.8395, 0.8400, 0.8400, 0.8400)


def test_a_steep_curve_asks_for_more_rows_and_a_flat_one_to_stop():
    steps = next_steps(standing(rung("boosting", 0.84, curve=STEEP)))
    assert [step.rows for step in steps[:2]] == [32000, 16000]
    four, two = steps[:2]
    assert two.low < two.gain < two.high
    assert two.chance > 0.9
    assert 0.02 < two.gain < 0.06
    assert four.gain > two.gain
    assert two.worth_it is None
    assert two.basis == "curve"
    assert steps[-1].kind == "stop"
    assert steps[-1].worth_it is False
    flat = next_steps(standing(rung("boosting", 0.84, half=0.06, curve=FLAT)))
    assert flat[0].kind == "stop"
    assert flat[0].worth_it is True
    assert all(step.worth_it is False for step in flat[1:])


def test_a_rung_without_time_for_its_rows_asks_for_time_and_not_for_more_of_them():
    cut = {"shortened": "fitted to 4,000 of 8,000 rows", "rows": 4000}
    here = standing(rung("svm", 0.84, curve=STEEP, plan=cut))
    steps = next_steps(here)
    assert not any(step.rows for step in steps)
    assert steps[0].kind == "longer"
    target, nobody = np.zeros(100, dtype=int), answers(("svm", np.zeros(100, dtype=int)))
    assert limit(here, steps, target, nobody, None).what == "time"
    whole = next_steps(standing(rung("svm", 0.84, curve=STEEP, plan={"rows": 8000})))
    assert any(step.rows for step in whole)


def test_without_a_curve_nothing_is_said_about_more_rows():
    here = standing(rung("boosting", 0.84))
    assert change_with_rows(here, 16000) is None
    assert [step.kind for step in next_steps(here)] == ["stop"]


def test_an_ensemble_is_judged_by_its_heaviest_member_with_a_wider_interval():
    member = rung("boosting", 0.84, curve=STEEP)
    other = rung("linear", 0.80, curve=FLAT)
    whole = rung("ensemble", 0.86, plan={"weights": {"boosting": 0.7, "linear": 0.3}})
    alone, together = standing(member), standing(whole, other, member)
    assert together.curved is member
    one, two = change_with_rows(alone, 16000), change_with_rows(together, 16000)
    assert one.median == two.median
    assert two.low < one.low < one.high < two.high


def test_a_rung_that_was_left_out_is_offered_with_its_forecast_and_its_price():
    forecast = ForecastRecord(8000, median=0.90, low=0.87, high=0.93, seconds=600.0)
    left_out = RungRecord("resnet", "deep", "skipped", "not worth it", forecast=forecast)
    dear = next_steps(standing(rung("mlp", 0.84), left_out, worth=parse_worth("1 point = 1 min")))
    cheap = next_steps(standing(rung("mlp", 0.84), left_out, worth=parse_worth("1 point = 10 min")))
    said = [next(step for step in steps if step.kind == "rung") for steps in (dear, cheap)]
    assert [step.worth_it for step in said] == [False, True]
    assert said[0].gain == pytest.approx(0.06)
    assert (said[0].low, said[0].high) == (pytest.approx(0.03), pytest.approx(0.09))
    assert said[0].cost_seconds == 600
    assert said[0].basis == "pilots"
    assert said[0].chance > 0.95


def test_a_rung_without_a_pilot_is_offered_by_the_prior_and_one_that_cannot_serve_is_not():
    skipped = [RungRecord(name, "deep", "skipped", "no time") for name in ("mlp", "convnet", "pretrained")]
    steps = next_steps(standing(rung("linear", 0.84), *skipped))
    offered = {step.rung: step for step in steps if step.kind == "rung"}
    assert set(offered) == {"mlp"}  # no pictures, no pretrained model
    assert offered["mlp"].basis == "prior"
    assert offered["mlp"].low < 0 < offered["mlp"].high
    assert offered["mlp"].worth_it is None


def test_a_pretrained_model_is_offered_where_there_is_text_or_a_picture():
    for kind, said in (("text", True), ("image", True), ("number", False), ("audio", False)):
        steps = next_steps(standing(rung("linear", 0.84), spec=spec(kind)))
        assert any(step.kind == "pretrained" for step in steps) == said
    given = next_steps(standing(rung("linear", 0.84), spec=spec("text", pretrained="model")))
    assert not any(step.kind == "pretrained" for step in given)


def test_a_rung_that_was_cut_short_may_be_trained_longer():
    cut = rung("mlp", 0.84, reason="shortened to 50.0%", plan={"shortened": "shortened to 50.0%"})
    step = next(step for step in next_steps(standing(rung("linear", 0.845), cut)) if step.kind == "longer")
    assert step.cost_seconds == 20
    assert step.basis == "prior"
    assert step.rung == "mlp"


def trained(*scores, half=0.01, steps=800, **plan):
    """A network that was cut short, with its scores after an eighth, a quarter and all of its steps."""
    shorter = tuple(
        Point(8000, score, half / 1.96, 1.0, 2**28, steps=steps // part)
        for part, score in zip((8, 4), scores, strict=False)
    )
    return rung(
        "mlp", scores[-1], half, shorter=shorter, plan={"shortened": "half of it", "steps_taken": steps, **plan}
    )


@pytest.mark.parametrize("slope", [0.0, 0.1, 0.3, 0.6])
def test_shorter_trainings_tell_what_twice_the_steps_bring(slope):
    errors = [0.3 * part**slope for part in (8, 4, 1)]
    if max(errors) <= 1:
        seen = change_with_steps(trained(*(1 - error for error in errors)), metric_named("accuracy"))
        assert seen.low < 2**-slope < seen.high
        assert seen.median == pytest.approx(2**-slope, rel=0.1)
    losses = tuple(5 * error for error in errors)
    seen = change_with_steps(trained(*losses), metric_named("bits_per_byte"))
    assert seen.low <= 2**-slope <= seen.high
    assert seen.median == pytest.approx(2**-slope, rel=0.1)


def test_a_compute_curve_takes_the_place_of_the_prior():
    steep, flat = trained(0.6, 0.7, 0.84), trained(0.838, 0.839, 0.84, half=0.06)
    for cut, worth_it in ((steep, True), (flat, False)):
        step = next(step for step in next_steps(standing(cut)) if step.kind == "longer")
        assert step.basis == "curve"
        assert step.low < step.gain < step.high
        assert step.worth_it is worth_it
    few = replace(steep, shorter=steep.shorter[:1])
    assert next(step for step in next_steps(standing(few)) if step.kind == "longer").basis == "prior"


def test_a_lead_that_was_not_enough_to_be_chosen_is_believed_in_part():
    def longer(half):
        cut = rung("mlp", 0.90, half=half, plan={"shortened": "to a quarter of its recipe"})
        return next(step for step in next_steps(standing(rung("svm", 0.89), cut)) if step.kind == "longer")

    sure, doubtful = longer(0.0002), longer(0.04)
    assert sure.gain == pytest.approx(0.11 - 0.10 * TWICE_AS_LONG.median, rel=0.01)
    assert sure.low > 0.005
    assert 0.3 * sure.gain < doubtful.gain < 0.8 * sure.gain
    assert doubtful.low < 0
    behind = rung("mlp", 0.88, half=0.04, plan={"shortened": "to a quarter of its recipe"})
    step = next(step for step in next_steps(standing(rung("svm", 0.89), behind)) if step.kind == "longer")
    assert step.gain == pytest.approx(0.11 - 0.12 * TWICE_AS_LONG.median, rel=0.01)


def test_nobody_is_asked_to_train_longer_what_gets_worse_or_has_ended():
    for cut in (trained(0.9, 0.87, 0.8, half=0.002), trained(0.6, 0.7, 0.84, ended="nothing better came")):
        assert not any(step.kind == "longer" for step in next_steps(standing(cut)))


def test_only_what_could_pass_the_chosen_rung_is_worth_shorter_trainings():
    chosen, metric = rung("linear", 0.84), metric_named("accuracy")
    assert could_pass(trained(0.6, 0.7, 0.8), chosen, TWICE_AS_LONG, metric)
    assert could_pass(rung("mlp", 1.0), rung("mlp", 1.0), TWICE_AS_LONG, metric)
    assert not could_pass(trained(0.4, 0.5, 0.6), chosen, TWICE_AS_LONG, metric)


def grown(*scores, half=0.01, **plan):
    """A network that was trained in full, with its scores at a quarter, half and all of its dial."""
    smaller = tuple(
        Point(8000, score, half / 1.96, seconds, 2**28, dial=dial)
        for score, seconds, dial in zip(scores[:-1], (2.5, 5.0), (0.25, 0.5), strict=True)
    )
    return rung("mlp", scores[-1], half, smaller=smaller, plan={"dial": 1.0, **plan})


@pytest.mark.parametrize("slope", [0.0, 0.2, 0.5])
def test_narrower_networks_tell_what_twice_the_dial_brings(slope):
    errors = [0.2 * (0.25 / dial) ** slope for dial in (0.25, 0.5, 1.0)]
    seen = change_with_size(grown(*(1 - error for error in errors)), metric_named("accuracy"))
    assert seen.low <= 2**-slope <= seen.high
    assert seen.median == pytest.approx(2**-slope, rel=0.1)
    assert change_with_size(rung("mlp", 0.8, plan={"dial": 1.0}), metric_named("accuracy")) is None


def test_a_network_that_gains_by_its_size_is_offered_larger_and_is_the_limit():
    steep, flat = grown(0.5, 0.7, 0.84), grown(0.838, 0.839, 0.84, half=0.06)
    for whole, worth_it in ((steep, True), (flat, False)):
        step = next(step for step in next_steps(standing(whole)) if step.kind == "larger")
        assert step.basis == "curve"
        assert step.low < step.gain < step.high
        assert step.worth_it is worth_it
        assert step.cost_seconds == pytest.approx(20)  # twice what it took, as before it
    slow = next(step for step in next_steps(replace(standing(steep), start=4.0)) if step.kind == "larger")
    assert slow.cost_seconds == pytest.approx(4 + 6 * 6 / 5)
    here, target, nobody = standing(steep), np.zeros(100, dtype=int), answers(("mlp", np.zeros(100, dtype=int)))
    found = limit(here, next_steps(here), target, nobody, None)
    assert (found.what, found.reason.split(":")[0]) == ("model", "The model's size is the limit")
    level = standing(grown(0.8, 0.8, 0.8, half=0.0001))
    assert limit(level, next_steps(level), target, nobody, None).what != "model"
    unknown = next(step for step in next_steps(standing(replace(steep, smaller=()))) if step.kind == "larger")
    assert (unknown.basis, unknown.cost_seconds) == ("prior", None)


def test_nobody_is_asked_to_enlarge_what_had_no_time_or_gets_worse():
    short = grown(0.5, 0.7, 0.84, shortened="half of it")
    worse = grown(0.9, 0.87, 0.8, half=0.002)
    behind = standing(grown(0.5, 0.55, 0.6), rung("boosting", 0.84))
    assert not any(step.kind == "larger" for step in next_steps(replace(behind, chosen=behind.records[0])))
    borrowed = rung("pretrained", 0.84, plan={"dial": 1.0})
    narrowed = grown(0.5, 0.7, 0.84, ended="nothing better came", shortened="narrower", dial={"value": 0.5})
    parts = grown(0.5, 0.7, 0.84, rows=4000), grown(0.5, 0.7, 0.84, texts="one in 2")
    for whole in (short, worse, rung("boosting", 0.84), borrowed, narrowed, *parts):
        assert not any(step.kind == "larger" for step in next_steps(standing(whole)))


def answers(*rows):
    return {name: np.eye(2)[np.array(codes)] for name, codes in rows}.__getitem__


def test_rows_on_which_all_strong_rungs_contradict_the_label_are_told():
    target = np.zeros(1000, dtype=np.int64)
    wrong = (np.arange(1000) < 100).astype(int)
    alike = {name: wrong.copy() for name in ("linear", "svm", "boosting")}
    alike["svm"][:10] = 0
    rungs = [rung(name, 0.9) for name in alike]
    here = standing(rungs[-1], *rungs[:-1])
    told_ = limit(here, next_steps(here), target, answers(*alike.items()), None)
    assert told_.what == "labels"
    assert told_.disagreements == 90
    assert told_.reason.startswith(
        "90 of the 100 validation rows that boosting gets wrong are answered alike by 3 strong"
    )
    alike["linear"] = np.roll(wrong, 500)
    apart = limit(here, next_steps(here), target, answers(*alike.items()), None)
    assert apart.what != "labels"
    assert apart.disagreements == 0


def test_labels_that_differ_for_equal_inputs_are_a_floor():
    assert noise_floor(RepeatsRecord(1000, 0.18), CLASSES, 1.0) == pytest.approx(0.1)
    assert noise_floor(RepeatsRecord(49, 0.18), CLASSES, 1.0) is None
    assert noise_floor(RepeatsRecord(1000, 0.0), CLASSES, 1.0) is None
    assert noise_floor(RepeatsRecord(1000, 2.0), VALUES, 8.0) == pytest.approx(0.25)
    here = standing(rung("linear", 0.89))
    target, predictions = np.zeros(100, dtype=np.int64), answers(("linear", [0] * 100))
    found = limit(here, (), target, predictions, RepeatsRecord(1000, 0.18))
    assert found.what == "labels"
    assert "no model can be right on more than about 90.0% of the rows; linear is right on 89.0%" in found.reason
    assert limit(standing(rung("linear", 0.8)), (), target, predictions, RepeatsRecord(1000, 0.18)).what != "labels"
    few = limit(here, (), target, predictions, RepeatsRecord(60, 0.18))
    assert few.what != "labels"  # too few of 8,000 rows


def test_simulated_label_noise_is_found_again():
    random = np.random.default_rng(0)
    codes = np.repeat(np.arange(3000), 2)
    labels = np.repeat(random.integers(0, 2, 3000), 2)
    flipped = np.where(random.random(6000) < 0.1, 1 - labels, labels)
    found = repeats(codes, flipped, np.ones(6000, dtype=bool), "classification")
    assert found.pairs == 3000
    assert noise_floor(found, CLASSES, 1.0) == pytest.approx(0.1, abs=0.015)
    noisy = np.repeat(random.normal(0, 2, 3000), 2) + random.normal(0, 1, 6000)
    values = repeats(codes, noisy, np.ones(6000, dtype=bool), "regression")
    assert noise_floor(values, VALUES, float(noisy.var())) == pytest.approx(1 / 5, abs=0.02)
    none = repeats(np.arange(5), np.zeros(5), np.ones(5, dtype=bool), "classification")
    assert none == RepeatsRecord(0, 0.0)


@pytest.mark.parametrize(
    ("chosen", "others", "what"),
    [
        (rung("boosting", 0.84, curve=STEEP), (), "data"),
        (rung("mlp", 0.84, curve=FLAT, reason="cut", plan={"shortened": "cut"}), (), "time"),
        (
            rung("mlp", 0.84, curve=FLAT),
            (RungRecord("resnet", "deep", "skipped", forecast=ForecastRecord(8000, median=0.9, low=0.88, high=0.92)),),
            "model",
        ),
        (rung("boosting", 0.84, curve=FLAT), (), "unclear"),
        (rung("boosting", 0.84), (), "unclear"),
    ],
)
def test_the_first_limit_that_holds_is_told(chosen, others, what):
    here = standing(chosen, *others)
    found = limit(here, next_steps(here), np.zeros(10, dtype=np.int64), answers((chosen.name, [0] * 10)), None)
    assert found.what == what
    assert found.reason.endswith(".")


def test_strong_rungs_are_near_the_best_and_single():
    rungs = [
        rung("linear", 0.7),
        rung("svm", 0.88),
        rung("boosting", 0.9),
        rung("ensemble", 0.91, plan={"weights": {}}),
    ]
    assert [each.name for each in strong_rungs(standing(rungs[-1], *rungs[:-1]))] == ["svm", "boosting"]


@pytest.mark.parametrize("kind", ["number", "image", "text", "audio", "sequence"])
def test_the_prior_knows_every_rung_and_keeps_its_bounds(kind):
    best = rung("linear", 0.8)
    for each in LADDER:
        seen = prior(each.name, spec(kind), metric_named("accuracy"), [best])
        if each.combines or each.name == "constant":
            assert seen is None
        elif seen is not None:
            assert sorted(seen.quantiles) == list(seen.quantiles)
            assert 0 < seen.forecast.low < seen.forecast.median < seen.forecast.high <= 1


def test_the_prior_of_an_error_with_a_unit_is_the_root_of_that_of_squares():
    best = replace(rung("linear", 0.8), score=Score("rmse", 100.0, 90.0, 110.0))
    squared = prior("boosting", spec(task=VALUES), metric_named("r2"), [rung("linear", 0.8)])
    plain = prior("boosting", spec(task=VALUES), metric_named("rmse"), [best])
    assert (plain.forecast.median / 100) ** 2 == pytest.approx(squared.forecast.median / 0.2)
    assert plain.forecast.high > 100


def test_the_prior_of_texts_knows_whether_n_grams_were_counted():
    task = TaskSpec("language", "", "bits_per_byte", "lower")

    def seen(name, *trained):
        records = [replace(rung(each, 0.5), score=Score("bits_per_byte", bits, bits, bits)) for each, bits in trained]
        return prior(name, spec("text", task=task), metric_named("bits_per_byte"), records).forecast.median

    counted = seen("gpt", ("unigram", 4.8), ("kneser_ney", 2.4))
    assert counted == pytest.approx(2.4 * 0.93)
    assert seen("gpt", ("unigram", 4.8)) == pytest.approx(counted)
    assert seen("kneser_ney", ("unigram", 4.8)) == pytest.approx(2.4)


def test_limits_and_steps_are_told_in_english_as_they_are():
    here = standing(rung("boosting", 0.84, curve=STEEP))
    for step in next_steps(here):
        assert told(step.action) == step.action


def test_the_prior_of_a_table_is_narrower_where_the_rungs_lie_near_each_other():
    def range_of(*scores):
        rungs = [rung(name, score) for name, score in zip(("constant", "linear", "tree", "svm"), scores, strict=True)]
        seen = prior("boosting", spec(), metric_named("accuracy"), rungs).forecast
        return seen.high / seen.low

    near, far = range_of(0.5, 0.84, 0.845, 0.85), range_of(0.5, 0.6, 0.7, 0.85)
    assert near < 0.7 * far


def test_tables_like_this_one_count_most():
    # where a network halved linear's error, boosting mostly does too; where it did not, it mostly does not
    curved = factors_on_tables("boosting", {"linear": 0.2, "mlp": 0.08})
    straight = factors_on_tables("boosting", {"linear": 0.2, "mlp": 0.2})
    assert curved[2] * 0.08 < 0.7 * straight[2] * 0.2
    assert straight[-1] / straight[0] < curved[-1] / curved[0]
    assert factors_on_tables("boosting", {}) is None
    assert factors_on_tables("a rung of its own", {"linear": 0.2}) is None
    for rung in SIBLINGS:  # wider than the network that they are like
        low, *_, high = factors_on_tables(rung, {"linear": 0.2})
        least, *_, most = factors_on_tables("mlp", {"linear": 0.2})
        assert high / low > most / least


def test_the_majority_class_is_no_proof_against_a_label():
    target = (np.arange(1000) < 100).astype(np.int64)  # one in ten
    guess = np.tile([0.9, 0.1], (1000, 1))
    rungs = [rung(name, 0.9) for name in ("constant", "linear", "svm", "boosting")]
    here = standing(rungs[-1], *rungs[:-1])
    found = limit(here, next_steps(here), target, lambda _name: guess, None)
    assert found.what != "labels"
    assert found.disagreements == 0
    assert [each.name for each in strong_rungs(here)] == ["linear", "svm", "boosting"]


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e5])
def test_the_unit_of_a_target_changes_nothing(unit):
    task = TaskSpec("regression", "y", "rmse", "lower")

    def at(value, r2=0.8):
        made = rung("linear", 0.8)
        return replace(
            made, score=Score("rmse", unit * value, unit * value * 0.95, unit * value * 1.05), scores={"r2": r2}
        )

    seen = prior("boosting", spec(task=task), metric_named("rmse"), [at(2.0)])
    factors = factors_on_tables("boosting", {"linear": 0.2})
    assert seen.quantiles[2] / unit == pytest.approx(2.0 * factors[2] ** 0.5, rel=1e-6)
    here = standing(at(2.0), spec=spec(task=task), metric="rmse")
    left_out = RungRecord(
        "mlp", "deep", "skipped", forecast=ForecastRecord(8000, median=unit, low=0.8 * unit, high=1.2 * unit)
    )
    step = next(each for each in next_steps(replace(here, records=(*here.records, left_out))) if each.kind == "rung")
    assert step.gain == pytest.approx(unit, rel=1e-6)
    assert step.chance > 0.99


def test_a_rung_that_the_clock_stopped_was_cut_short_too():
    stopped = rung("mlp", 0.84, curve=FLAT, reason="the time was over", plan={"stopped": "the time was over"})
    steps = next_steps(standing(stopped))
    assert any(step.kind == "longer" for step in steps)
    found = limit(standing(stopped), steps, np.zeros(10, dtype=np.int64), answers(("mlp", [0] * 10)), None)
    assert found.what == "time"


def test_a_curve_that_worsens_is_not_called_missing():
    here = standing(rung("boosting", 0.70, curve=(0.84, 0.80, 0.76, 0.73, 0.70)))
    found = limit(here, next_steps(here), np.zeros(10, dtype=np.int64), answers(("boosting", [0] * 10)), None)
    assert "no shape that can be carried on" in found.reason
