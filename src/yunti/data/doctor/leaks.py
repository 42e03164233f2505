"""Columns that give the target away: known only once the target is, or computed from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yunti.data.doctor.copies import one_to_one
from yunti.data.doctor.sheet import Sheet
from yunti.data.target import Answers
from yunti.records import Finding
from yunti.seeds import generator
from yunti.words import say

_AUC, _ACCURACY, _R2 = 0.99, 0.985, 0.999
_SUSPECT_R2 = 0.995
_LEAST = 20  # rows below which a one-to-one match may be chance
_LEAST_OF_CLASS = 10  # held-out rows of a class, for its AUC to say anything
_LEAST_DRAWN = 100  # rows below which a perfect threshold may be chance, or all there is to learn
_FEW_VALUES = 64
_MOST_SUMMED = 200  # columns that are tried as terms of a sum of two
_MOST_BY_THREE = 60  # and of three
_MOST_TOTALS = 20  # columns named as outcomes that are tried as such a sum
_TOLERANCE = 1e-6
_OUTCOME = re.compile(
    r"(^|[_\W])(re)?(paid|payed|balance|remaining|outstanding|received|recover(y|ed|ies)|collected|refunded|settled|"
    r"payments?|pymnt)([_\W]|$)|已还|已付|未还|余额|回收|实收",
    re.IGNORECASE,
)


def check_leaks(sheet: Sheet, passed_over: frozenset[str]) -> Iterator[Finding]:
    """Find columns that give the target away.

    Three signs count: one column predicts held-out answers all but perfectly; amounts add up to the target; amounts
    that are named as paid, outstanding or the like add up among themselves, so they are the books of what came after.

    Args:
        sheet: the data, with answers.
        passed_over: columns that are left out already.
    """
    assert sheet.answers is not None
    found: set[str] = set()
    for finding in _single_columns(sheet, sheet.answers, passed_over):
        if finding.severity == "left out" and finding.column:
            found.add(finding.column)
        yield finding
    yield from _sums(sheet, sheet.answers, passed_over | found)


def _single_columns(sheet: Sheet, answers: Answers, passed_over: frozenset[str]) -> Iterator[Finding]:
    rows = sheet.drawn("leaks")
    if len(rows) < _LEAST:
        return
    target = answers.values[rows].astype(np.float64)
    first = generator(sheet.seed, "doctor", "halves").permutation(len(rows)) < len(rows) // 2
    for column in sheet.of_kind("number", "flag", "time", "category"):
        if column.name in passed_over:
            continue
        values = sheet.values(column.name, rows)
        message, sure = (_class_leak if answers.task == "classification" else _value_leak)(values, target, first)
        if message and sure:
            message = say("doctor.leak", column=column.name, target=answers.spec.name, how=message)
            yield Finding("leak", "left out", message, column.name)
        elif message:
            yield Finding("suspect", "warning", say("doctor.suspect", column=column.name, how=message), column.name)


def _class_leak(values: NDArray[np.float64], target: NDArray[np.float64], first: NDArray[np.bool_]) -> tuple[str, bool]:
    if one_to_one(values, target) and np.bincount(target.astype(np.int64)).max() <= len(target) - 5:
        return say("leak.class"), True
    if len(values) < _LEAST_DRAWN:
        return "", False
    codes = target.astype(np.int64)
    held = codes[~first]
    counts = np.bincount(held, minlength=int(codes.max()) + 1)
    classes = np.flatnonzero(counts >= _LEAST_OF_CLASS)
    if len(classes) < 2:
        return "", False
    chances = _chances(values, codes, first, len(counts))
    auc = float(np.mean([area_under_curve(chances[:, each], held == each) for each in classes]))
    guess = chances.argmax(axis=1)
    accuracy = float(np.mean([(guess[held == each] == each).mean() for each in classes]))
    if auc <= _AUC:
        return "", False
    return say("leak.auc", auc=auc), accuracy >= _ACCURACY


def _chances(
    values: NDArray[np.float64], codes: NDArray[np.int64], first: NDArray[np.bool_], classes: int
) -> NDArray[np.float64]:
    """Predict the classes of the held-out half from one column, as the first half has them.

    Few distinct values: how often each class goes with the value. Many: half the class of the nearest value, half the
    classes of the nine around it, so that a sharp threshold is seen as sharply as the rows allow.

    Returns:
        Shape (held-out rows, classes).
    """
    known = np.unique(values[~np.isnan(values)])
    if len(known) <= _FEW_VALUES:
        place = np.where(np.isnan(values), len(known), np.searchsorted(known, values))
        seen = np.zeros((len(known) + 1, classes))
        np.add.at(seen, (place[first], codes[first]), 1)
        prior = (seen.sum(axis=0) + 1) / (seen.sum() + classes)
        return np.asarray(((seen + prior) / (seen.sum(axis=1, keepdims=True) + 1))[place[~first]])
    order = np.flatnonzero(first)[np.argsort(values[first], kind="stable")]  # missing values stand last
    line = np.where(np.isnan(values[order]), np.inf, values[order])
    asked = np.where(np.isnan(values[~first]), np.inf, values[~first])
    one = np.eye(classes)[codes[order]]
    right = np.clip(np.searchsorted(line, asked), 0, len(line) - 1)
    left = np.clip(right - 1, 0, None)
    with np.errstate(invalid="ignore"):  # inf − inf where values are missing: those match on the right
        nearest = np.where(np.abs(asked - line[left]) < np.abs(line[right] - asked), left, right)
    total = np.concatenate([np.zeros((1, classes)), np.cumsum(one, axis=0)])
    low, high = np.clip(right - 4, 0, None), np.clip(right + 5, None, len(line))
    around = (total[high] - total[low]) / (high - low)[:, None]
    return np.asarray(0.5 * one[nearest] + 0.5 * around)


def _value_leak(values: NDArray[np.float64], target: NDArray[np.float64], first: NDArray[np.bool_]) -> tuple[str, bool]:
    known = ~np.isnan(values)
    if known.mean() < 0.5 or (known & first).sum() < _LEAST or (known & ~first).sum() < _LEAST:
        return "", False
    held = known & ~first
    ranks = np.searchsorted(np.sort(target), target) / len(target)
    r2 = max(
        _explained(np.interp(values[held], *_curve(values[known & first], target[known & first])), target[held]),
        _explained(np.interp(values[held], *_curve(values[known & first], ranks[known & first])), ranks[held]),
        _explained(_line(values[known & first], target[known & first], values[held]), target[held]),
    )
    return (say("leak.r2", r2=r2), r2 > _R2) if r2 > _SUSPECT_R2 else ("", False)


def _curve(values: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of the target at every value, in their order."""
    places, inverse = np.unique(values, return_inverse=True)
    return places, np.bincount(inverse, weights=target) / np.bincount(inverse)


def _line(values: NDArray[np.float64], target: NDArray[np.float64], asked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares line through some rows, at other values."""
    centred = values - values.mean()
    spread = float((centred**2).sum())
    slope = float((centred * target).sum()) / spread if spread > 0 else 0.0
    return np.asarray(target.mean() + slope * (asked - values.mean()))


def _explained(guess: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    spread = float(((target - target.mean()) ** 2).sum())
    return 1 - float(((target - guess) ** 2).sum()) / spread if spread > 0 else 0.0


def area_under_curve(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve; ties count half.

    Example:
        >>> area_under_curve(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, True, False, True]))
        0.875
    """
    _, place = np.unique(scores, return_inverse=True)
    right = np.bincount(place, weights=positive)
    wrong = np.bincount(place, weights=~positive)
    pairs = right.sum() * wrong.sum()
    return float((right * (np.cumsum(wrong) - wrong / 2)).sum() / pairs) if pairs else 0.5


def _sums(sheet: Sheet, answers: Answers, passed_over: frozenset[str]) -> Iterator[Finding]:
    names = [column.name for column in sheet.of_kind("number") if column.name not in passed_over]
    rows = sheet.drawn("sums", 4_000)
    if len(rows) < 50 or len(names) < 2:
        return
    told: set[str] = set()
    table = np.stack([sheet.values(name, rows) for name in names], axis=1)
    if answers.task == "regression":
        terms = find_sum(answers.values[rows], table)
        for term in _blamed(terms, names):
            told.add(names[term])
            name, target = names[term], answers.spec.name
            how = say("leak.sum", target=target, formula=_formula(terms, names))
            message = say("doctor.leak", column=name, target=target, how=how)
            yield Finding("leak", "left out", message, names[term])
    outcomes = [place for place, name in enumerate(names) if _OUTCOME.search(name)]
    for place in outcomes[:_MOST_TOTALS]:
        name = names[place]
        others = [each for each in range(len(names)) if each != place]
        terms = [(others[term], sign) for term, sign in find_sum(table[:, place], table[:, others])]
        members = [place, *(term for term, _ in terms)] if terms else []
        for member in members:
            if names[member] not in told and _OUTCOME.search(names[member]):
                told.add(names[member])
                formula = _formula(terms, names)
                message = say("doctor.account", column=names[member], total=name, formula=formula)
                yield Finding("leak", "left out", message, names[member])


def _blamed(terms: Sequence[tuple[int, int]], names: Sequence[str]) -> list[int]:
    """Choose the terms of the target's sum to leave out: those named as outcomes, else all."""
    outcomes = [term for term, _ in terms if _OUTCOME.search(names[term])]
    return outcomes or [term for term, _ in terms]


def _formula(terms: Sequence[tuple[int, int]], names: Sequence[str]) -> str:
    text = " ".join(
        f"{'+' if sign > 0 else '−'} {names[term]}" for term, sign in sorted(terms, key=lambda term: -term[1])
    )
    return text.removeprefix("+ ")


def find_sum(total: NDArray[np.float64], table: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Find columns that add up to (or whose difference is) a total in at least 99 % of the rows, to 1e-6 of its size.

    Args:
        total: shape (rows,).
        table: shape (rows, columns).

    Returns:
        Places of two or three columns with their signs, and of others that make up the rest in the remaining rows;
        empty if there are none.

    Example:
        >>> rows = np.arange(1.0, 91.0)
        >>> find_sum(3 * rows, np.stack([rows, rows % 7, 2 * rows], axis=1))
        [(0, 1), (2, 1)]
    """
    rows = np.isfinite(total) & (total != 0)
    if rows.sum() < 50:
        return []
    total, table = total[rows], table[rows]
    tolerance = _TOLERANCE * float(np.abs(total).max())
    useful = np.flatnonzero(
        (np.isfinite(table).mean(axis=0) >= 0.95) & ((np.nan_to_num(table) != 0).mean(axis=0) >= 0.2)
    )
    useful = useful[:_MOST_SUMMED]
    probes = np.linspace(0, len(total) - 1, 8).astype(int)
    few, some = total[probes], table[np.ix_(probes, useful)]
    for size in (2, 3) if len(useful) <= _MOST_BY_THREE else (2,):
        sets = np.array(list(combinations(range(len(useful)), size)))
        for signs in _signs(size):
            for block in np.array_split(sets, max(1, len(sets) // 50_000)) if len(sets) else []:
                sums = (some[:, block] * signs).sum(axis=2)
                hits = (np.abs(sums - few[:, None]) <= tolerance).sum(axis=0) >= 7
                for chosen in block[hits]:
                    places = useful[chosen]
                    rest = total - (table[:, places] * signs).sum(axis=1)
                    if np.mean(np.abs(rest) <= tolerance) >= 0.99:
                        terms = list(zip(places.tolist(), signs.tolist(), strict=True))
                        return terms + _rest(rest, table, set(places.tolist()), tolerance)
    return []


def _signs(size: int) -> NDArray[Any]:
    every = np.array(np.meshgrid(*[[1, -1]] * size, indexing="ij")).reshape(size, -1).T
    return every[(every > 0).any(axis=1)]


def _rest(
    rest: NDArray[np.float64], table: NDArray[np.float64], used: set[int], tolerance: float
) -> list[tuple[int, int]]:
    """Find a column that makes up what is left in the few rows where the sum does not hold."""
    open_rows = np.abs(rest) > tolerance
    if not open_rows.any():
        return []
    for place in range(table.shape[1]):
        if place not in used and np.mean(np.abs(rest - np.nan_to_num(table[:, place])) <= tolerance) > np.mean(
            ~open_rows
        ):
            return [(place, 1)]
    return []
