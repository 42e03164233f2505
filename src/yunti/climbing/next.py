"""What could be done next, and what each would bring: more rows, another rung, more time, more width, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, final

from yunti.climbing.forecast.chances import Likely, chance_below, combined, expected_gain, lead, widened
from yunti.climbing.forecast.curve import WORSENS, Forecast, growth
from yunti.climbing.forecast.outlook import LEAST_CHANCE, as_curve, as_forecast, curve_kind
from yunti.climbing.forecast.prior import least_error, prior
from yunti.climbing.forecast.scaled import (
    TWICE_AS_LARGE,
    TWICE_AS_LONG,
    best_cut_short,
    best_network,
    change_with_size,
    change_with_steps,
    could_pass,
    seconds_of_size,
    with_usual,
)
from yunti.climbing.forecast.worth import Worth
from yunti.ladders.rung import Rung
from yunti.records import NextStep, RungRecord
from yunti.specs import Kind, Spec
from yunti.tasks.metrics import Metric
from yunti.words import say

Way = Literal["rung", "data", "longer", "larger", "pretrained", "stop"]
_MORE: Final = ((2, "next.twice"), (4, "next.four times"))
_NEARLY_ALL: Final = 0.9
_OTHER_CURVE: Final = 1.3  # the interval is so much wider where the curve is that of a member of the chosen ensemble
_MOST_RUNGS: Final = 3
_READ_BY_PRETRAINED: Final[tuple[Kind, ...]] = ("text", "image")


@final
@dataclass(frozen=True)
class Standing:
    """Where a climb stands when it is over.

    Args:
        chosen: the rung that was chosen.
        records: all rungs.
        ladder: the rungs that were asked for.
        spec: the data and the task.
        metric: the one that decides.
        worth: what a better score is worth.
        start: seconds that the process of a network takes before it learns.
    """

    chosen: RungRecord
    records: Sequence[RungRecord]
    ladder: Sequence[Rung]
    spec: Spec
    metric: Metric
    worth: Worth
    start: float = 0.0

    @property
    def error(self) -> float:
        """The chosen rung's error on the validation rows."""
        return self.error_of(self.chosen)

    def error_of(self, rung: RungRecord) -> float:
        """A trained rung's error on the validation rows; one without a mistake has the least error that counts."""
        assert rung.score is not None
        error = self.metric.as_error(rung.score.valid)
        return max(least_error(self.metric, error), error)

    def lead_of(self, rung: RungRecord) -> Forecast:
        """By what factor a trained rung's error lies beside the chosen one's."""
        assert rung.score is not None
        return lead(self.error_of(rung), rung.score.stderr, self.error)

    @property
    def trained(self) -> list[RungRecord]:
        """The rungs that were trained."""
        return [each for each in self.records if each.score is not None]

    @property
    def curved(self) -> RungRecord | None:
        """The rung whose learning curve tells what more rows would bring: the chosen one, or a member of it."""
        weights = self.chosen.plan.get("weights")
        if isinstance(weights, dict):
            members = [each for each in self.records if each.name in weights and _has_curve(each)]
            return max(members, key=lambda each: weights[each.name], default=None)
        return self.chosen if _has_curve(self.chosen) else None


def next_steps(standing: Standing) -> tuple[NextStep, ...]:
    """Return what could be done next, the most promising first; to stop comes first where nothing else is worth it."""
    steps = [*_more_rows(standing), *_rungs(standing), *_longer(standing), *_larger(standing), *_pretrained(standing)]
    steps.sort(key=lambda step: (step.worth_it is not True, -(step.gain or 0.0)))
    useless = all(step.worth_it is False for step in steps)
    stop = NextStep(say("next.stop"), gain=0.0, low=0.0, high=0.0, cost_seconds=0.0, worth_it=useless, kind="stop")
    return (stop, *steps) if useless else (*steps, stop)


def change_with_rows(standing: Standing, rows: int) -> Forecast | None:
    """Forecast by what factor the chosen rung's error changes with more rows; None without a learning curve."""
    rung = standing.curved
    if rung is None:
        return None
    sizes, errors, doubts, _ = as_curve(standing.metric, rung.curve)
    seen = growth(sizes, errors, rows, stderr=doubts, kind=curve_kind(standing.metric))
    if seen.refused:
        return None
    return seen if rung is standing.chosen else widened(seen, _OTHER_CURVE)


def _more_rows(standing: Standing) -> Iterator[NextStep]:
    used = standing.curved.plan.get("rows") if standing.curved else None
    if isinstance(used, int) and used < _NEARLY_ALL * standing.spec.rows:
        return  # it had no time for the rows that there are
    for factor, key in _MORE:
        rows = factor * standing.spec.rows
        change = change_with_rows(standing, rows)
        if change is not None:
            step = _step(say(key, rows=rows), "data", change, standing)
            worth_it = None if _likely(step) else False  # what rows cost only their owner knows
            yield replace(step, worth_it=worth_it, rows=rows, basis="curve")


def _rungs(standing: Standing) -> Iterator[NextStep]:
    """The rungs that would fit and were left out, for want of time or because they did not promise enough."""
    found = []
    for rung in standing.ladder:
        record = next((each for each in standing.records if each.name == rung.name), None)
        if record is None or record.status != "skipped" or rung.combines or rung.unfit_for(standing.spec):
            continue
        basis = record.forecast.basis if record.forecast else "prior"
        seen: Forecast | Likely | None = None
        if record.forecast and basis == "pilots":
            seen = as_forecast(record.forecast, standing.metric)
        if seen is None:
            basis, seen = "prior", prior(rung.name, standing.spec, standing.metric, standing.trained)
        if seen is None:
            continue
        change = _relative(seen, standing)
        step = _step(say("next.rung", rung=rung.name), "rung", change, standing)
        step = replace(
            step, cost_seconds=record.forecast.seconds if record.forecast else None, rung=rung.name, basis=basis
        )
        found.append(replace(step, worth_it=_worth_it(step, change, standing)))
    yield from sorted(found, key=lambda step: -(step.chance or 0.0))[:_MOST_RUNGS]


def _longer(standing: Standing) -> Iterator[NextStep]:
    """The best rung that was cut short, with twice the time."""
    best = best_cut_short(standing.trained, standing.metric)
    if best is not None and best.cost is not None:
        step = NextStep(say("next.longer", rung=best.name), kind="longer", cost_seconds=2 * best.cost.train_seconds)
        yield from _scaled(step, best, change_with_steps(best, standing.metric), standing)


def _larger(standing: Standing) -> Iterator[NextStep]:
    """The best network that was trained in full, at twice its size, if that could pass the chosen rung at all."""
    best = best_network(standing.trained, standing.ladder, standing.spec.rows, standing.metric)
    if best is not None and could_pass(best, standing.chosen, TWICE_AS_LARGE, standing.metric):
        action = say("next.larger", rung=best.name, dial=2 * best.plan["dial"])
        step = NextStep(action, kind="larger", cost_seconds=seconds_of_size(best, standing.start))
        yield from _scaled(step, best, change_with_size(best, standing.metric), standing)


def _scaled(step: NextStep, rung: RungRecord, seen: Forecast | None, standing: Standing) -> Iterator[NextStep]:
    """Complete a step by which a rung itself is given more: by its own curve, weighed with what is usual, or by that.

    Args:
        step: what to do, and what it costs.
        rung: the rung.
        seen: by what factor its error changes, by its own curve; None without one.
        standing: where the climb stands.
    """
    if seen is not None and seen.refused == WORSENS:
        return
    larger = step.kind == "larger"
    factor = with_usual(seen, TWICE_AS_LARGE if larger else TWICE_AS_LONG, overlap=larger)
    change = factor if rung.name == standing.chosen.name else combined(standing.lead_of(rung), factor)
    made = _step(step.action, step.kind, change, standing)
    basis: Literal["curve", "prior"] = "prior" if seen is None or seen.refused else "curve"
    made = replace(made, cost_seconds=step.cost_seconds, rung=rung.name, basis=basis)
    yield replace(made, worth_it=_worth_it(made, change, standing))


def _pretrained(standing: Standing) -> Iterator[NextStep]:
    read = [each for each in standing.spec.of_kind(*_READ_BY_PRETRAINED) if not each.holds_chats]
    if standing.spec.pretrained is not None or not read:
        return
    seen = prior("pretrained", standing.spec, standing.metric, standing.trained)
    if seen is not None:
        step = _step(say("next.pretrained"), "pretrained", _relative(seen, standing), standing)
        yield replace(step, worth_it=None if _likely(step) else False, rung="pretrained", basis="prior")


def _has_curve(rung: RungRecord) -> bool:
    return len(rung.curve) >= 3 and rung.score is not None


def _relative(seen: Forecast | Likely, standing: Standing) -> Forecast | Likely:
    error = standing.error
    if isinstance(seen, Likely):
        return seen.times(1 / error)
    return Forecast(seen.median / error, seen.low / error, seen.high / error)


def _step(action: str, kind: Way, change: Forecast | Likely, standing: Standing) -> NextStep:
    seen = change.forecast if isinstance(change, Likely) else change
    gain, low, high = (standing.error * (1 - factor) for factor in (seen.median, seen.high, seen.low))
    return NextStep(action, gain, low, high, kind=kind, chance=_chance(change, standing))


def _chance(change: Forecast | Likely, standing: Standing) -> float:
    """Return the probability that the error falls by more than the standard error of the score."""
    assert standing.chosen.score is not None
    return chance_below(change, 1 - standing.chosen.score.stderr / standing.error)


def _likely(step: NextStep) -> bool:
    return step.chance is not None and step.chance >= LEAST_CHANCE


def _worth_it(step: NextStep, change: Forecast | Likely, standing: Standing) -> bool | None:
    """Say whether a step is worth its seconds; None where only the ladder's prior speaks and no rate was given."""
    price = standing.worth.needed(step.cost_seconds)
    if price is not None:
        return standing.error * expected_gain(change, 1.0) > price
    if step.basis in ("pilots", "curve"):
        return _likely(step)
    return None if _likely(step) else False
