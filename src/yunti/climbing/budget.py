"""How long a climb may take, and how the time left is shared among the rungs still to come."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, final

from yunti.errors import OptionError
from yunti.ladders.rung import Rung
from yunti.specs import ColumnSpec, Spec
from yunti.words import say

# parts of the rows, before the whole training or after it; fewer steps; narrower networks
Part = Literal["pilot", "curve", "shorter", "smaller"]

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
START_SECONDS = 1.5  # a process that imports scikit-learn and opens the dataset
TORCH_START_SECONDS = 4.0  # one that also imports torch and builds a network
REPORT_SECONDS = 1.5  # importing the drawing packages and drawing the report
PILOT_START_SECONDS = 2.0  # a training on a small part of the rows: encoding and measuring, whatever the rows
LEAST_PART = 0.06  # of the whole time gets even the smallest part: a network needs some tens of steps to show anything
MORE = 0.25  # of its share is lent to a rung: most use less than theirs, and the last inherit it
AMPLE = 1.5  # times what they need stays with the rungs to come when one borrows
LEARNING = 2.0  # a rung can learn something in this many times what it takes to start
SHORTEST_SECONDS = 60.0
SHORTEST_WITH_NETWORKS = 105.0  # where columns are of kinds that all networks are made for
LONGEST_SECONDS = 3600.0
SHARE_FOR_COPIES, LEAST_FOR_COPIES, MOST_FOR_COPIES = 0.02, 2.0, 15.0  # of the budget, and in seconds
UNBOUNDED_SECONDS = 1e9  # thirty years: what stands where no budget was given to a single rung
SECONDS_PER_1000_ROWS = {"image": 6.0, "audio": 10.0, "sequence": 6.0, "text": 6.0}
SAID = {"image": "many.picture", "audio": "many.sound", "sequence": "many.sequence", "text": "holds.text"}
SECONDS_PER_1000_ROWS_OF_NUMBERS = 1.0


def parse_budget(text: str | float) -> float:
    """Read a budget such as "90s", "5m", "1h30m" or 300 (seconds).

    Raises:
        OptionError: it is not a positive time.

    Example:
        >>> parse_budget("1h30m"), parse_budget(45), parse_budget("2.5m")
        (5400.0, 45.0, 150.0)
    """
    cleaned = str(text).strip().lower().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", cleaned):
        seconds = float(cleaned)
    elif re.fullmatch(r"(\d+(\.\d+)?[smhd])+", cleaned):
        seconds = sum(float(number) * UNITS[unit] for number, _, unit in re.findall(r"(\d+(\.\d+)?)([smhd])", cleaned))
    else:
        seconds = 0.0
    if seconds <= 0:
        raise OptionError(
            "--budget",
            "it must be a time such as 90s, 5m or 1h30m",
            f"{text!r} was given",
            "write a number with s, m, h or d",
        )
    return seconds


def derive_budget(rows: int, columns: Sequence[ColumnSpec]) -> tuple[float, str]:
    """Propose a budget where none was given: a minute or two, more for more rows of dearer kinds, an hour at most.

    Returns:
        Seconds, and the reason as a clause.
    """
    kinds = {column.kind for column in columns}
    rate = max([SECONDS_PER_1000_ROWS.get(kind, SECONDS_PER_1000_ROWS_OF_NUMBERS) for kind in kinds], default=1.0)
    dear = [kind for kind in SECONDS_PER_1000_ROWS if kind in kinds]
    shortest = SHORTEST_WITH_NETWORKS if dear else SHORTEST_SECONDS
    seconds = min(LONGEST_SECONDS, max(shortest, 45.0 + rate * rows / 1000))
    seconds = float(round(seconds / 15) * 15)
    if dear:
        return seconds, say("budget.derived from kinds", rows=rows, kinds=[say(SAID[kind]) for kind in dear])
    return seconds, say("budget.derived from table", rows=rows)


@final
@dataclass(frozen=True)
class Purse:
    """The seconds of a climb: when it began, what an earlier part of it spent, and when all must be over.

    Args:
        seconds: the whole budget.
        began: `time.monotonic()` at which this process began to spend.
        spent_before: seconds spent before it was interrupted and resumed.
    """

    seconds: float
    began: float
    spent_before: float = 0.0

    @property
    def spent(self) -> float:
        """Seconds spent up to now."""
        return self.spent_before + time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.seconds - self.spent)


def share_of(rung: Rung, later: Sequence[Rung], spec: Spec, seconds: float, needed: Callable[[Rung], float]) -> float:
    """Seconds that a rung may take: its weight against those still to come.

    Where there is not enough for all, the dearest of those to come give up their share first: few rungs that can learn
    something are worth more than many that cannot.

    Args:
        rung: the rung whose turn it is.
        later: the rungs still to come that suit the data, simplest first.
        spec: the data and the task.
        seconds: seconds left for all of them.
        needed: the least seconds with which a rung can learn something.
    """
    keep = [rung, *later]
    while sum(needed(each) for each in keep) > seconds:
        droppable = [each for each in keep[1:] if not each.combines]
        if not droppable:
            break
        keep.remove(droppable[-1])
    share = _filled(keep, spec, seconds, needed)
    spare = seconds - share - sum(AMPLE * needed(each) for each in keep[1:])
    return share + max(0.0, min(MORE * share, spare))


def _filled(keep: Sequence[Rung], spec: Spec, seconds: float, needed: Callable[[Rung], float]) -> float:
    """Share the seconds by weight, but give no later rung less than it needs; return the share of the first."""
    poor: list[Rung] = []
    while True:
        left = seconds - sum(needed(each) for each in poor)
        free = [each for each in keep if each not in poor]
        unit = left / sum(each.share(spec) for each in free)
        short = [each for each in free[1:] if unit * each.share(spec) < needed(each)]
        if not short or left <= needed(keep[0]):
            return max(0.0, unit * keep[0].share(spec), min(left, needed(keep[0])))
        poor += short


def part_seconds(whole: float, part: float, kind: Part = "pilot") -> float:
    """Seconds for a training on a part of the rows: its share of the whole time, and what it takes to begin.

    Args:
        whole: seconds that all rows get.
        part: of the rows.
        kind: a pilot gets time for some tens of steps, however small its part.

    Example:
        >>> part_seconds(400.0, 1 / 8), part_seconds(400.0, 1 / 32), part_seconds(400.0, 1 / 32, "curve")
        (52.0, 26.0, 14.5)
    """
    return PILOT_START_SECONDS + whole * max(LEAST_PART if kind == "pilot" else 0.0, part)


def copies_seconds(budget: float, start: float) -> float:
    """Seconds to keep for looking for what the chosen language model copies.

    Args:
        budget: the whole budget in seconds.
        start: seconds that its process takes to start.
    """
    return start + min(MOST_FOR_COPIES, max(LEAST_FOR_COPIES, SHARE_FOR_COPIES * budget))


def reserve_seconds(budget: float, test_rows: int, slowest_per_1000: float) -> float:
    """Seconds to keep for the end: loading the chosen model, predicting the test rows once, intervals, and the report.

    Args:
        budget: the whole budget in seconds.
        test_rows: number of test rows.
        slowest_per_1000: prediction seconds per 1,000 rows of the slowest rung that may be chosen.
    """
    predict = 1.5 * slowest_per_1000 * test_rows / 1000
    return min(0.4 * budget, TORCH_START_SECONDS + REPORT_SECONDS + 0.02 * budget + predict)
