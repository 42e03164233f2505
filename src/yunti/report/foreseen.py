"""Forecasts beside what came of them: the figure and the table."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from yunti.records import ForecastRecord, RungRecord
from yunti.report.cells import DASH, Grid, basis_cell, score_cell, share_text, time_cell
from yunti.report.drawing import ACCENT, INK, MUTED, PAPER, SMALL, USUAL, axes_at, new_figure
from yunti.report.figures import least_error
from yunti.report.material import Material, decimals_of, metric_label
from yunti.report.scales import error_ticks, text_width, tick_text
from yunti.tasks.metrics import Metric
from yunti.words import spoken
from yunti.words.units import score_text

_ACROSS = 440.0  # points: narrow, so that a telephone shows the whole
_LINE = 27.0
_COVER = {"pilots": 0.5, "prior": 0.25}  # of a bar: what comes from other data is pale
_Known = tuple[RungRecord, ForecastRecord, float, float, float]  # with low, median and high


def forecasts(material: Material) -> Figure | None:
    """Draw the interval of each forecast, one a line, and what was reached; better is further right."""
    found = [each for each in map(_known, material.record.rungs) if each is not None]
    if not found:
        return None
    metric = material.metric
    floor = least_error(material, [each for each in material.record.rungs if each.score])

    def depth(score: float) -> float:
        return max(floor, metric.as_error(score))

    left = max(text_width(rung.name, USUAL) for rung, *_ in found) + 16
    right = max(text_width(spoken(f"report.basis.{each.basis}"), SMALL) for _, each, *_ in found) + 16
    figure = new_figure(len(found) * _LINE + 62, _ACROSS)
    room = _ACROSS - left - right
    axes = axes_at(figure, left, 46, room, len(found) * _LINE)
    axes.set_xscale("log")
    ends = []
    for place, (rung, forecast, *values) in enumerate(found):
        low, median, high = map(depth, values)
        reached = None if forecast.outcome is None else depth(forecast.outcome)
        _line(axes, place, forecast.basis, (low, median, high), reached)
        ends += [low, high] if reached is None else [low, high, reached]
        _beside(axes, place, rung.name, 0)
        _beside(axes, place, spoken(f"report.basis.{forecast.basis}"), 1)
    _scale(axes, metric, (min(ends) / 1.15, max(ends) * 1.15), room)
    axes.set_ylim(len(found) - 0.5, -0.5)
    return figure


def _known(rung: RungRecord) -> _Known | None:
    seen = rung.forecast
    if seen is None or seen.low is None or seen.median is None or seen.high is None:
        return None
    return rung, seen, seen.low, seen.median, seen.high


def _line(axes: Axes, place: int, basis: str, values: tuple[float, float, float], reached: float | None) -> None:
    low, median, high = values
    cover = _COVER[basis]
    axes.plot([low, high], [place] * 2, color=ACCENT, alpha=cover, linewidth=9, solid_capstyle="butt", zorder=2)
    axes.plot([median] * 2, [place - 0.2, place + 0.2], color=ACCENT, alpha=min(1.0, 2 * cover), linewidth=2, zorder=3)
    if reached is not None:
        axes.plot([reached], [place], "o", color=INK, markeredgecolor=PAPER, markersize=7.5, zorder=4)


def _beside(axes: Axes, place: int, text: str, side: int) -> None:
    """Write at the left end of a line, 0, or at its right end, 1."""
    axes.annotate(
        text, (side, place), (20 * side - 10, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
        fontsize=SMALL if side else USUAL, color=MUTED if side else INK, ha="left" if side else "right", va="center",
        annotation_clip=False,
    )  # fmt: skip


def _scale(axes: Axes, metric: Metric, ends: tuple[float, float], room: float) -> None:
    """Lay out the axis of errors, the least at the right, with no more ticks than have room for their names."""
    low, high = ends
    axes.set_xlim(high, low)
    ticks: list[float] = []
    taken = -math.inf
    for each in error_ticks(low, high):
        place = room * math.log(each / low) / math.log(high / low)
        half = text_width(tick_text(metric.as_error(each)), SMALL) / 2 + 3
        if place - half >= taken:
            ticks, taken = [*ticks, each], place + half
    axes.set_xticks(ticks, [tick_text(metric.as_error(each)) for each in ticks])
    axes.minorticks_off()
    axes.set_yticks([])
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(spoken("report.axis.better right", metric=metric_label(metric.name)))


def expected(material: Material) -> Grid | None:
    """Lay each forecast beside what came of it."""
    rungs = [each for each in material.record.rungs if each.forecast is not None]
    if not rungs:
        return None
    names = ("rung", "basis", "expected", "reached", "inside", "expected seconds", "taken", "chance", "decision")
    rows = [_row(material, each, each.forecast) for each in rungs if each.forecast is not None]
    return Grid(tuple(spoken(f"report.column.{name}") for name in names), rows, frozenset({2, 3, 5, 6, 7}))


def _row(material: Material, rung: RungRecord, forecast: ForecastRecord) -> tuple[Any, ...]:
    places, price = decimals_of(material.record), material.record.price_per_hour
    known = _known(rung)
    score: Any = Markup('<span class="why">{}</span>').format(spoken("forecast.none", reason=forecast.refused))
    inside = spoken("report.inside.unknown")
    if known is not None:
        _, _, low, median, high = known
        score = score_cell(median, low, high, places)
    if forecast.outcome is not None:
        inside = DASH
        if known is not None:
            inside = spoken("report.yes" if low <= forecast.outcome <= high else "report.no")
    return (
        Markup("<b>{}</b>").format(rung.name),
        basis_cell(forecast.basis),
        score,
        DASH if forecast.outcome is None else score_text(forecast.outcome, places),
        inside,
        time_cell(forecast.seconds, price, (forecast.seconds_low, forecast.seconds_high)),
        time_cell(forecast.outcome_seconds, price),
        share_text(forecast.chance),
        spoken("report.decision.train" if forecast.worth_it else "report.decision.leave"),
    )


def has_prior(material: Material) -> bool:
    """Say whether a number comes from other data."""
    record = material.record
    steps = () if record.verdict is None else record.verdict.next
    bases = [each.forecast.basis for each in record.rungs if each.forecast]
    return "prior" in [*bases, *(each.basis for each in steps)]
