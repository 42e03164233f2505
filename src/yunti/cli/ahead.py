"""What could be done next, and what holds the score back, laid out for the screen."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from yunti.cli.layout import aligned, hung
from yunti.climbing.wording import SHARES
from yunti.records import ClimbRecord, NextStep
from yunti.specs import TaskSpec
from yunti.words import spoken, told
from yunti.words.units import decimals_for, money_text, seconds_text


def ahead_lines(record: ClimbRecord, width: int) -> Iterator[Text]:
    """Tell what could be done next, the most promising first, and what holds the score back."""
    verdict = record.verdict
    if verdict is None or not verdict.next:
        return
    if verdict.limit is not None:
        yield from hung(spoken("ahead.limit"), told(verdict.limit.reason), width)
    yield Text()
    heads = tuple(spoken(f"ahead.{head}") for head in ("next", "gain", "cost", "chance", "worth it"))
    rows = [_cells(step, record) for step in verdict.next]
    head, *lines = aligned([heads, *rows], width, right=frozenset({3}))
    head.stylize("bold")
    yield head
    yield from lines
    yield Text()


def _cells(step: NextStep, record: ClimbRecord) -> tuple[str, str, str, str, str]:
    chance = "" if step.chance is None else f"{100 * step.chance:.0f} %"
    return told(step.action), _gain(step, record.task), _cost(step, record), chance, _worth_it(step)


def _gain(step: NextStep, task: TaskSpec) -> str:
    if step.kind == "stop" or step.gain is None or step.low is None or step.high is None:
        return ""
    shares = task.metric in SHARES
    factor, places = (100.0, 2) if shares else (1.0, decimals_for([(step.low, step.high)]))
    gain, low, high = (
        f"{round(factor * value, places) or 0.0:+,.{places}f}" for value in (step.gain, step.low, step.high)
    )
    gain = spoken("points", points=gain) if shares else gain  # the word once
    return spoken("ahead.interval", gain=gain, low=low, high=high)


def _cost(step: NextStep, record: ClimbRecord) -> str:
    if step.kind == "stop":
        return ""
    if step.cost_seconds is None:
        return spoken("ahead.yours" if step.kind in ("data", "pretrained") else "ahead.unknown")
    money = money_text(step.cost_seconds, record.price_per_hour)
    return seconds_text(step.cost_seconds) + (f" ({money})" if money else "")


def _worth_it(step: NextStep) -> str:
    if step.kind == "stop":
        return spoken("ahead.best") if step.worth_it else ""
    said = {True: "ahead.yes", False: "ahead.no", None: "ahead.perhaps"}[step.worth_it]
    return spoken("ahead.by prior", said=spoken(said)) if step.basis == "prior" else spoken(said)
