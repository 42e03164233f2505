"""Whether climbing by forecasts pays: decisions against the truth, with every rung trained in full.

    python benchmarks/decisions.py climb RUNS SOURCE[:TARGET] … --budget 5m     # one climb a source; finished ones stay
    python benchmarks/decisions.py judge RUNS

In these climbs every rung that is not cheap is tried on parts of the rows and then trained whatever was forecast, so
that the truth is known. Judged are four ways to go on after `linear`, with the same price of time: always (train all
rungs), never (stop there), by pilots (pay for all pilots, then train the rung that promises most while it is expected
to pay), and by the prior alone (rung after rung, without pilots).
The regret of a way is what it misses, in points of the score, of the best that could have been done in hindsight.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import yunti
from yunti.climbing import ascent
from yunti.climbing.ascent import value
from yunti.climbing.forecast import outlook as outlooks
from yunti.climbing.forecast.chances import chance_below
from yunti.climbing.forecast.outlook import Known, as_forecast, judged, outlook
from yunti.climbing.forecast.prior import prior, usual_seconds
from yunti.climbing.forecast.worth import Worth
from yunti.climbing.run import RunFolder
from yunti.records import ClimbRecord, ForecastRecord, RungRecord
from yunti.specs import Spec
from yunti.tasks.metrics import metric_named

PILOT_SECONDS, LEAST_PILOT_ROWS = 8.0, 60  # here also of rungs that a climb would train at once
CHEAP = ("constant", "linear")
WAYS = ("never", "always", "prior", "pilots")
RATES = (30.0, 60.0, 120.0, 600.0)  # seconds that a point is worth


def climb(source: str, folder: Path, budget: str) -> None:
    """Climb with pilots of every rung that is not cheap, and train them all."""
    name, _, target = source.partition(":")
    out = folder / Path(name).name.split(".")[0]
    if (out / "climb.json").is_file():
        yunti.resume(out)
        return
    ascent.PILOT_SECONDS, ascent.LEAST_PILOT_ROWS, outlooks.LEAST_CHANCE = PILOT_SECONDS, LEAST_PILOT_ROWS, -1.0
    done = yunti.climb(name, target=target or None, budget=budget, refit=False, out=out)
    print(f"{out.name}: {done.verdict.reason}", flush=True)


@dataclass(frozen=True)
class Case:
    """A climb whose end is known: the rungs that everyone trains, and those that had to be decided."""

    name: str
    record: ClimbRecord
    cheap: tuple[RungRecord, ...]
    dear: tuple[RungRecord, ...]
    shares: Mapping[str, float]  # seconds that the rungs could take

    def error(self, rung: RungRecord) -> float:
        assert rung.score is not None
        return metric_named(self.record.task.metric).as_error(rung.score.valid)

    def best(self, rungs: Sequence[RungRecord]) -> RungRecord:
        return min(rungs, key=self.error)

    @property
    def spec(self) -> Spec:
        inputs = tuple(column for column in self.record.data.columns if column.role == "input")
        return Spec(inputs, self.record.task, self.record.data.split.train)

    def known(self, trained: Sequence[RungRecord], worth: Worth) -> Known:
        metric = metric_named(self.record.task.metric)
        return Known(metric, self.record.data.split.train, trained, self.best(trained), worth)


def load(folder: Path) -> list[Case]:
    found = []
    for path in sorted(folder.iterdir()):
        record = RunFolder.open(path).record if (path / "request.json").is_file() else None
        if record is None or record.verdict is None:
            continue
        trained = [rung for rung in record.rungs if rung.score and rung.cost and "weights" not in rung.plan]
        cheap = tuple(replace(rung, forecast=None) for rung in trained if rung.name in CHEAP)
        dear = tuple(rung for rung in trained if rung.name not in CHEAP)
        found.append(Case(path.name, record, cheap, dear, _shares(path)))
    return found


def _shares(folder: Path) -> dict[str, float]:
    """Return the last share that each rung was given: that of its training."""
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    return {each["name"]: each["share_seconds"] for each in events if each["event"] == "RungStarted"}


def piloted(rung: RungRecord) -> bool:
    return rung.forecast is not None and len(rung.forecast.points) >= 3


def pilot_seconds(rung: RungRecord) -> float:
    """What the pilots took, with the start of their process."""
    assert rung.forecast is not None
    return (rung.forecast.start_seconds or 0.0) + sum(point.seconds for point in rung.forecast.points)


def seconds(rung: RungRecord) -> float:
    return rung.cost.train_seconds if rung.cost else 0.0


def by_prior(case: Case, worth: Worth, rungs: Sequence[RungRecord], trained: list[RungRecord]) -> float:
    """Train the rung that the prior promises most of, while one is worth it; return the seconds spent."""
    spent, left = 0.0, list(rungs)
    while left:
        known = case.known(trained, worth)
        seen = {rung.name: _guessed(rung, case, known) for rung in left}
        most = max(left, key=lambda each: value(seen[each.name]))
        left.remove(most)
        if seen[most.name].worth_it:
            trained.append(replace(most, forecast=None))
            spent += seconds(most)
    return spent


def _guessed(rung: RungRecord, case: Case, known: Known) -> ForecastRecord:
    priced = usual_seconds(rung.name, case.shares[rung.name])  # as a climb, which cannot know what it will take
    made = ForecastRecord(rows=known.rows, basis="prior", seconds=priced)
    seen = prior(rung.name, case.spec, known.metric, known.trained)
    return made if seen is None else judged(made, seen, known)


def by_pilots(case: Case, worth: Worth) -> tuple[float, float]:
    """Return the error reached and the seconds spent after the cheap rungs."""
    trained, left = list(case.cheap), [rung for rung in case.dear if piloted(rung)]
    spent = by_prior(case, worth, [rung for rung in case.dear if not piloted(rung)], trained)
    spent += sum(pilot_seconds(rung) for rung in left)
    while left:
        known = case.known(trained, worth)
        seen = {rung.name: _foreseen(rung, known) for rung in left}
        most = max(left, key=lambda each: value(seen[each.name]))
        left.remove(most)
        if seen[most.name].worth_it:
            assert most.score is not None
            trained.append(replace(most, forecast=replace(seen[most.name], outcome=most.score.valid)))
            spent += seconds(most)
    return case.error(case.best(trained)), spent


def _foreseen(rung: RungRecord, known: Known) -> ForecastRecord:
    assert rung.forecast is not None
    made = outlook(rung.forecast.points, known)
    priced = known.worth.needed(rung.forecast.seconds)
    worth_it = made.worth_it if priced is None or made.gain is None else made.gain > priced
    return replace(made, price=priced, worth_it=worth_it)


def regrets(case: Case, rate: float, told: bool) -> dict[str, float]:
    """Return what each way misses, in points, when a point is worth so many seconds."""
    worth = Worth(0.01 / rate if told else None)
    before = case.error(case.best(case.cheap))
    trained = list(case.cheap)
    guessed = by_prior(case, worth, case.dear, trained)
    ways = {
        "never": (before, 0.0),
        "always": (case.error(case.best([*case.cheap, *case.dear])), sum(seconds(each) for each in case.dear)),
        "prior": (case.error(case.best(trained)), guessed),
        "pilots": by_pilots(case, worth),
    }
    hindsight = [(before, 0.0), *((case.error(each), seconds(each)) for each in case.dear)]
    losses = {name: 100 * error + spent / rate for name, (error, spent) in ways.items()}
    best = min(100 * error + spent / rate for error, spent in hindsight)
    return {name: loss - best for name, loss in losses.items()}


def judge(folder: Path) -> None:
    outlooks.LEAST_CHANCE = 0.2
    cases = load(folder)
    print(f"{len(cases)} climbs, {sum(len(case.dear) for case in cases)} rungs to decide on")
    _forecasts(cases)
    for rate in RATES:
        for told in (True, False):
            each = {case.name: regrets(case, rate, told) for case in cases}
            mean = {way: np.mean([one[way] for one in each.values()]) for way in WAYS}
            how = "the rate is told" if told else "the rate is not told"
            print(f"a point is worth {rate:.0f} s, {how}: mean regret in points: "
                  + ", ".join(f"{way} {value:.2f}" for way, value in mean.items()))  # fmt: skip
            if told:
                for name, one in each.items():
                    print(f"    {name:<20}" + "  ".join(f"{way} {value:6.2f}" for way, value in one.items()))


def _forecasts(cases: Sequence[Case]) -> None:
    inside, times, memory, right = [], [], [], []
    for case in cases:
        metric = metric_named(case.record.task.metric)
        for each in filter(piloted, case.dear):
            made, cost = each.forecast, each.cost
            seen = as_forecast(made, metric) if made else None
            if made is None or seen is None or cost is None:
                continue
            error = max(1e-4, case.error(each))
            inside.append(seen.low <= error <= seen.high)
            times.append(made.seconds / cost.train_seconds - 1)
            memory.append(made.peak_memory_bytes / cost.peak_memory_bytes - 1)
            before = case.error(case.best(case.cheap))
            right.append((chance_below(seen, before) >= 0.5) == (error < before))
            print(f"  {case.name:<20} {each.name:<12} forecast {seen.median:.4f} "
                  f"({seen.low:.4f} to {seen.high:.4f}), reached {error:.4f} {'' if inside[-1] else '!'}; seconds "
                  f"{made.seconds:.0f}, took {cost.train_seconds:.0f}; MiB {made.peak_memory_bytes / 2**20:.0f}, "
                  f"needed {cost.peak_memory_bytes / 2**20:.0f}")  # fmt: skip
    print(
        f"scores inside of their intervals: {np.mean(inside):.0%} of {len(inside)}; better or worse than the cheap "
        f"ones told rightly: {np.mean(right):.0%}; seconds within 30 %: {np.mean(np.abs(times) <= 0.3):.0%} (median "
        f"{np.median(times):+.0%}); memory within 25 %: {np.mean(np.abs(memory) <= 0.25):.0%} "
        f"(median {np.median(memory):+.0%})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("verb", choices=["climb", "judge"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--budget", default="5m")
    given = parser.parse_args()
    if given.verb == "judge":
        judge(given.folder)
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    for source in given.sources:
        climb(source, given.folder, given.budget)


if __name__ == "__main__":
    main()
