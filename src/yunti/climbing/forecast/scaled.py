"""What twice the steps or twice the size would bring a network: from shorter trainings, and from narrower networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from yunti.climbing.forecast.chances import pooled, widened
from yunti.climbing.forecast.curve import Forecast, growth
from yunti.climbing.forecast.outlook import as_curve, curve_kind
from yunti.ladders.rung import Rung
from yunti.records import Point, RungRecord
from yunti.tasks.metrics import Metric

TWICE_AS_LONG: Final = Forecast(0.9, 0.7, 1.03)  # by what factor the error of a rung cut short changes (the prior)
TWICE_AS_LARGE: Final = Forecast(0.985, 0.87, 1.07)  # the same of a network that was trained in full
_OVERLAP: Final = math.sqrt(2)  # by which two forecasts of equal width, weighed, stay as wide as each of them


def change_with_steps(rung: RungRecord, metric: Metric) -> Forecast | None:
    """Forecast by what factor a network's error changes with twice its steps; None without shorter trainings."""
    if rung.score is None or not rung.shorter:
        return None
    taken = int(rung.plan["steps_taken"])
    whole = Point(rung.shorter[-1].rows, rung.score.valid, rung.score.stderr, 0.0, 0, steps=taken)
    return _growth([*rung.shorter, whole], 2 * taken, metric)


def change_with_size(rung: RungRecord, metric: Metric) -> Forecast | None:
    """Forecast by what factor a network's error changes at twice its dial; None without narrower ones.

    Over the dial, not the parameters, many of which do not grow with it: those that look up words, for example.
    """
    if rung.score is None or not rung.smaller:
        return None
    dial = float(rung.plan["dial"])
    whole = replace(rung.smaller[-1], score=rung.score.valid, stderr=rung.score.stderr, dial=dial)
    return _growth([*rung.smaller, whole], 2 * dial, metric)


def with_usual(seen: Forecast | None, usual: Forecast, *, overlap: bool) -> Forecast:
    """Weigh a forecast by a network's own curve with what is usual; the latter alone where there is none.

    Args:
        seen: by the curve.
        usual: on other data.
        overlap: whether the curve says so little of its own that the two together are no surer than each.
    """
    if seen is None or seen.refused:
        return usual
    both = pooled(seen, usual)
    return widened(both, _OVERLAP) if overlap else both


def seconds_of_size(rung: RungRecord, start: float) -> float | None:
    """Return the seconds that a network takes at twice its dial, as they grew before; None without narrower ones.

    Args:
        rung: the network.
        start: seconds that a process takes before it learns, which stay the same.
    """
    before = rung.smaller[-1] if rung.smaller else None
    if rung.cost is None or before is None or before.dial is None or before.seconds <= 0:
        return None
    learned = max(0.0, rung.cost.train_seconds - start)
    doublings = math.log2(float(rung.plan["dial"]) / before.dial)
    return start + learned * max(1.0, (learned / before.seconds) ** (1 / doublings))


def _growth(points: Sequence[Point], at: float, metric: Metric) -> Forecast:
    sizes, errors, doubts, _ = as_curve(metric, points)
    return growth(sizes, errors, at, stderr=doubts, kind=curve_kind(metric))


def best_cut_short(trained: Sequence[RungRecord], metric: Metric) -> RungRecord | None:
    """Return the best single rung that was cut short."""
    return _best([each for each in trained if each.cost and cut_short(each)], metric)


def best_network(trained: Sequence[RungRecord], ladder: Sequence[Rung], rows: int, metric: Metric) -> RungRecord | None:
    """Return the best network that was trained in full and could be larger: none that stands on a pretrained model.

    In full is at the dial that was asked for, over all of the recipe, from all rows and texts.

    Args:
        trained: rungs with a score.
        ladder: the rungs that were asked for.
        rows: to train on.
        metric: the one that decides.
    """
    own = {each.name for each in ladder if each.needs_torch and each.pilots}
    whole = [
        each
        for each in trained
        if each.name in own
        and isinstance(each.plan.get("dial"), int | float)  # one that was narrowed has a reason beside it
        and "texts" not in each.plan
        and each.plan.get("rows", rows) >= rows
        and not cut_short(each)
    ]
    return _best([each for each in whole if each.cost], metric)


def _best(found: Sequence[RungRecord], metric: Metric) -> RungRecord | None:
    single = [each for each in found if "weights" not in each.plan]
    return min(single, key=lambda each: metric.as_error(each.score.valid) if each.score else math.inf, default=None)


def could_pass(rung: RungRecord, chosen: RungRecord, change: Forecast, metric: Metric) -> bool:
    """Say whether a rung could pass the chosen one, if a change brought all that it may."""
    if rung.score is None or chosen.score is None:
        return False
    return metric.as_error(rung.score.valid) * change.low <= metric.as_error(chosen.score.valid)


def cut_short(rung: RungRecord) -> bool:
    """Say whether a rung was planned smaller for want of time, or ended before it was through.

    Not one that ended because nothing better came: more time would bring it nothing.
    """
    return "ended" not in rung.plan and bool(rung.plan.get("shortened") or rung.plan.get("stopped"))
