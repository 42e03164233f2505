"""How good forecasts are on curves that are known to their end.

    python benchmarks/forecast.py $YUNTI_DATA/scaling

The folder holds `sample_curves.csv.gz` (error against training rows: LCDB 1.1) and `language_models.csv` (loss against
parameters and tokens: OpenLM). Of each learning curve five points with noise are seen, each twice the size of the one
before, and the score at 2, 4 and 8 times the last is asked for. Data sets are divided in two halves.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yunti.climbing.forecast import alike
from yunti.climbing.forecast.curve import Forecast, Kind, extrapolate, growth
from yunti.climbing.forecast.surface import extrapolate_surface

Floats = NDArray[np.float64]
_NOISE = math.sqrt(5)  # the curves are means over many splits: a user has few
_SAME = 0.06  # of a size's logarithm


@dataclass(frozen=True)
class Case:
    """A forecast beside what came to pass."""

    group: str
    factor: int
    seen: Forecast
    last: float
    before: float  # at the last size, without noise
    truth: float


def sample_curves(path: Path) -> dict[tuple[int, str], Floats]:
    """Return (rows, error, its standard error) of every data set and learner."""
    found: dict[tuple[int, str], list[tuple[float, float, float]]] = defaultdict(list)
    with gzip.open(path, "rt") as lines:
        for row in csv.DictReader(lines):
            point = float(row["n_train"]), float(row["val_error_mean"]), float(row["val_error_stderr"] or "nan")
            if np.isfinite(point).all():
                found[int(row["openml_dataset"]), row["learner"]].append(point)
    return {key: np.array(sorted(points)) for key, points in found.items()}


def halves(curves: dict[tuple[int, str], Floats]) -> tuple[set[int], set[int]]:
    """Divide the data sets in two."""
    sets = sorted({number for number, _ in curves})
    np.random.default_rng(1).shuffle(sets)
    return set(sets[: len(sets) // 2]), set(sets[len(sets) // 2 :])


def cases(
    curves: dict[tuple[int, str], Floats], points: int, factors: tuple[int, ...], blind: bool, noise: float = _NOISE
) -> list[Case]:
    """Forecast the end of every curve, and its end a third of the way."""
    random, found = np.random.default_rng(0), []
    for (_, learner), curve in curves.items():
        n = curve[:, 0]
        for top in (1, 3):
            end = int(np.argmin(np.abs(np.log(n / (n[-1] / top)))))
            for factor in factors:
                wanted = n[end] / factor / 2.0 ** np.arange(points)[::-1]
                places = [int(np.argmin(np.abs(np.log(n / each)))) for each in wanted]
                if np.abs(np.log(n[places] / wanted)).max() > _SAME or curve[end, 1] <= 0:
                    continue
                errors = curve[places, 2] * noise
                scores = np.clip(curve[places, 1] + random.normal(0, 1, points) * errors, 1e-4, 1)
                seen = extrapolate(n[places], scores, n[end], stderr=None if blind else errors)
                found.append(Case(learner, factor, seen, scores[-1], curve[places[-1], 1], curve[end, 1]))
    return found


def language_cases(path: Path) -> list[Case]:
    """Forecast losses of language models by tokens: four and five points, 2, 4 and 8 times the last."""
    found: list[Case] = []
    for name, curve in _language_curves(path):
        tokens = np.array(sorted(curve))
        losses = np.array([curve[each] for each in tokens])
        for points in (4, 5):
            for start in range(len(tokens) - points):
                for factor in (2, 4, 8):
                    last = start + points - 1
                    ends = np.flatnonzero(np.abs(np.log(tokens / tokens[last] / factor)) < _SAME)
                    if len(ends):
                        some = slice(start, last + 1)
                        seen = extrapolate(tokens[some], losses[some], tokens[ends[0]], kind="loss")
                        found.append(Case(name, factor, seen, losses[last], losses[last], losses[ends[0]]))
    return found


def _language_curves(path: Path) -> Iterator[tuple[str, dict[float, float]]]:
    found: dict[tuple[str, str, str], dict[float, float]] = defaultdict(dict)
    with path.open() as lines:
        for row in csv.DictReader(lines):
            found[row["train_set"], row["val_set"], row["params"]][float(row["tokens"])] = float(row["loss"])
    for key, curve in found.items():
        if len(curve) >= 7:
            yield key[0], curve


def surface_cases(path: Path, share: int) -> list[Case]:
    """Forecast losses from the models that took at most 1/share of the largest computing."""
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    with path.open() as lines:
        for row in csv.DictReader(lines):
            point = float(row["params"]), float(row["tokens"]), float(row["loss"])
            found[row["train_set"], row["val_set"]].append(point)
    made: list[Case] = []
    for (name, _), points in found.items():
        runs = np.array(points)
        computing = runs[:, 0] * runs[:, 1]
        small = computing <= computing.max() / share * 1.0001
        best = float(runs[small, 2].min())
        for n, d, truth in runs[~small]:
            seen = extrapolate_surface(*runs[small].T, n, d)
            made.append(Case(name, share, seen, best, best, truth))
    return made


def show(title: str, some: list[Case], *, groups: bool = False) -> None:
    """Print one line of figures for each factor."""
    given = [case for case in some if not case.seen.refused]
    print(f"{title}: {len(some)} forecasts, {1 - len(given) / max(1, len(some)):.1%} refused")
    for factor in sorted({case.factor for case in given}):
        these = [case for case in given if case.factor == factor]
        truth = np.array([case.truth for case in these])
        miss = np.abs(np.array([case.seen.median for case in these]) / truth - 1)
        naive = np.abs(np.array([case.last for case in these]) / truth - 1)
        inside = np.array([case.seen.low <= case.truth <= case.seen.high for case in these])
        width = np.median([math.log(case.seen.high / case.seen.low) for case in these])
        large = truth > 0.05
        print(
            f"  x{factor}: median error {np.median(miss):.2%} (last value {np.median(naive):.2%}), above 5 % of error "
            f"{np.median(miss[large]):.2%}, 90th percentile {np.quantile(miss, 0.9):.1%}, covered {inside.mean():.1%}, "
            f"log-width {width:.2f}"
        )
        if groups:
            names = sorted({case.group for case in these})
            pairs = [(case.group, hit) for case, hit in zip(these, inside, strict=True)]
            by = {name: np.mean([hit for group, hit in pairs if group == name]) for name in names}
            print("      covered by learner: " + ", ".join(f"{name} {value:.0%}" for name, value in by.items()))


def decisions(curves: dict[tuple[int, str], Floats]) -> None:
    """Print how often two questions are answered rightly from an eighth of the rows."""
    known: dict[int, dict[str, Case]] = defaultdict(dict)
    for (number, learner), curve in curves.items():
        for case in cases({(number, learner): curve}, 5, (8,), blind=False)[:1]:
            if not case.seen.refused:
                known[number][learner] = case
    every = [case for some in known.values() for case in some.values()]
    right = [(case.seen.median <= 0.9 * case.before) == (case.truth <= 0.9 * case.before) for case in every]
    print(f"does 8 times the data cut the error by a tenth: {np.mean(right):.1%} right of {len(right)}")
    beats, clear = [], []
    for some in known.values():
        for cheap in some.values():
            for dear in some.values():
                if dear is cheap:
                    continue
                own, ratio = math.log(dear.seen.median), math.log(cheap.truth * dear.last / cheap.last)
                beats.append((0.7 * own + 0.3 * ratio < math.log(cheap.truth)) == (dear.truth < cheap.truth))
                clear.append(abs(math.log(dear.truth / cheap.truth)) > 0.1)
    told = np.array(beats)
    print(f"does the dear one beat the cheap one: {told.mean():.1%} right of {len(told)} pairs; where they differ by a "
          f"tenth {told[np.array(clear)].mean():.1%}")  # fmt: skip


def changes(curves: dict[tuple[int, str], Floats], noise: float) -> None:
    """Print how well it is told by what factor the error changes from its last size.

    Args:
        curves: to their ends.
        noise: of what is seen, in standard errors of the curves.
    """
    random = np.random.default_rng(0)
    for factor in (2, 4, 8):
        misses, inside, right = [], [], []
        for curve in curves.values():
            n = curve[:, 0]
            wanted = n[-1] / factor / 2.0 ** np.arange(5)[::-1]
            places = [int(np.argmin(np.abs(np.log(n / each)))) for each in wanted]
            if np.abs(np.log(n[places] / wanted)).max() > _SAME or curve[-1, 1] <= 0:
                continue
            errors = curve[places, 2] * noise
            scores = np.clip(curve[places, 1] + random.normal(0, 1, 5) * errors, 1e-4, 1)
            seen, truth = growth(n[places], scores, n[-1], stderr=errors), curve[-1, 1] / curve[places[-1], 1]
            if not seen.refused:
                misses.append(abs(seen.median / truth - 1))
                inside.append(seen.low <= truth <= seen.high)
                right.append((seen.median <= 0.9) == (truth <= 0.9))
        print(
            f"the change at x{factor}, noise {noise:.1f}: median miss {np.median(misses):.1%}, covered "
            f"{np.mean(inside):.1%}, whether the error falls by a tenth right in {np.mean(right):.1%} of {len(right)}"
        )


LEARNERS = {
    "linear": "LogisticRegression", "tree": "Decision Tree", "svm": "SVM_RBF", "boosting": "CatBoost", "mlp": "RealMLP",
}  # fmt: skip


def ends(curves: dict[tuple[int, str], Floats]) -> dict[int, list[float]]:
    """Return the errors of the rungs at the largest size of every data set that has them all."""
    sets = sorted({number for number, _ in curves})
    whole = [number for number in sets if all((number, name) in curves for name in LEARNERS.values())]
    return {number: [float(curves[number, name][-1, 1]) for name in LEARNERS.values()] for number in whole}


def write_tables(curves: dict[tuple[int, str], Floats], path: Path) -> None:
    """Write the table that the prior of tables is read from."""
    lines = [",".join(["openml", *LEARNERS])]
    lines += [
        ",".join([str(number), *(f"{max(error, 1e-3):.4g}" for error in errors)])
        for number, errors in ends(curves).items()
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def without_itself() -> None:
    """Say how often the prior of tables holds on each of them when it is left out, after growing numbers of rungs."""
    names, tables = alike._tables()
    for known in (("linear",), ("linear", "tree"), ("linear", "tree", "svm"), ("linear", "boosting")):
        for rung in (name for name in names if name not in known):
            inside = []
            for place, row in enumerate(tables):
                rest = np.delete(tables, place, axis=0)
                alike._tables = lambda rest=rest: (names, rest)  # type: ignore[assignment]
                errors = {name: float(np.exp(row[names.index(name)])) for name in known}
                seen = alike.factors_on_tables(rung, errors)
                assert seen is not None
                came = math.exp(row[names.index(rung)]) / min(errors.values())
                inside.append(seen[0] * 0.999 <= came <= seen[-1] * 1.001)
            print(f"prior of {rung} after {', '.join(known)}: {np.mean(inside):.0%} of {len(inside)} inside")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write-tables", type=Path, help="only write the table that the prior is read from")
    given = parser.parse_args()
    folder = given.folder
    curves = sample_curves(folder / "sample_curves.csv.gz")
    if given.write_tables:
        write_tables(curves, given.write_tables)
        return
    without_itself()
    first, second = halves(curves)
    for title, sets in (("first half", first), ("second half", second)):
        some = {key: curve for key, curve in curves.items() if key[0] in sets}
        show(f"learning curves, {title}", cases(some, 5, (2, 4, 8), blind=False), groups=sets is second)
    show("learning curves, all, noise of a mean over 25 splits", cases(curves, 5, (2, 4, 8), blind=False, noise=1.0))
    some = {key: curve for key, curve in curves.items() if key[0] in second}
    show("three points", cases(some, 3, (2, 4, 8), blind=False))
    show("without standard errors", cases(some, 5, (2, 4, 8), blind=True))
    decisions(some)
    for noise in (0.0, 1.0, _NOISE):
        changes(curves, noise)
    show("language models by tokens", language_cases(folder / "language_models.csv"))
    for share in (10, 30):
        show(f"surface, from 1/{share} of the computing", surface_cases(folder / "language_models.csv", share))
    kind: Kind = "error"
    began = time.perf_counter()
    for _ in range(100):
        extrapolate([250, 500, 1000, 2000, 4000], [0.4, 0.3, 0.23, 0.18, 0.145], 16000, kind=kind)
    print(f"a forecast takes {(time.perf_counter() - began) * 10:.1f} ms")


if __name__ == "__main__":
    main()
