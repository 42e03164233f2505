"""The figures of the ladder: quality against cost, learning curves with forecasts, and where the time went."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from yunti.records import ForecastRecord, NextStep, RungRecord
from yunti.report.drawing import ACCENT, INK, LINE, MUTED, PAPER, SMALL, USUAL, WIDTH, axes_at, axis_name, new_figure
from yunti.report.material import Material, metric_label
from yunti.report.scales import Box, error_ticks, place_names, row_ticks, text_width, tick_text, time_ticks
from yunti.tasks.intervals import SHARES
from yunti.tasks.metrics import Metric
from yunti.words import spoken
from yunti.words.units import seconds_text

PANELS = 3  # in a line
UNBOUNDED_SECONDS = 1e8  # a budget beyond three years is none


def quality(material: Material) -> Figure | None:
    """Draw every rung's score against the seconds of its training, both on axes of logarithms; better is higher."""
    rungs = [each for each in material.record.rungs if each.score and each.cost]
    if not rungs:
        return None
    figure = new_figure(380)
    left, bottom, width, height = 64.0, 46.0, WIDTH - 64.0 - 18, 380.0 - 46 - 30
    axes = axes_at(figure, left, bottom, width, height)
    metric = material.metric
    floor = least_error(material, rungs)
    seconds = np.array([max(1e-3, each.cost.train_seconds) for each in rungs if each.cost])
    errors = np.array([_error(metric, each.score.valid, floor) for each in rungs if each.score])
    ends = [
        (_error(metric, each.score.low, floor), _error(metric, each.score.high, floor)) for each in rungs if each.score
    ]
    _scale(axes, metric, seconds, np.array([*errors, *np.ravel(ends)]))
    front = pareto(seconds.tolist(), errors.tolist())
    order = sorted(front, key=lambda place: seconds[place])
    axes.plot(seconds[order], errors[order], color=ACCENT, linewidth=1.2, alpha=0.5, zorder=2, drawstyle="steps-post")
    shown = material.shown
    for place, rung in enumerate(rungs):
        best = place in front
        colour = ACCENT if best else MUTED
        axes.plot([seconds[place]] * 2, ends[place], color=colour, linewidth=1.0, alpha=0.6, zorder=2)
        face = colour if best else PAPER
        axes.plot(
            seconds[place], errors[place], "o", markersize=7, color=face, markeredgecolor=colour, zorder=4
        )  # fmt: skip
        if rung is shown:
            axes.plot(seconds[place], errors[place], "o", markersize=14, color="none", markeredgecolor=colour, zorder=3)
    steps = list(zip(seconds[order], errors[order], strict=True))
    _names(axes, rungs, (seconds, errors, ends), steps, shown)
    return figure


def pareto(costs: Sequence[float], errors: Sequence[float]) -> set[int]:
    """Return the places of those that no other one beats in cost and in error at once.

    Example:
        >>> sorted(pareto([1, 2, 3, 4], [0.4, 0.2, 0.3, 0.2]))
        [0, 1]
    """
    pairs = list(zip(costs, errors, strict=True))

    def beaten(cost: float, error: float) -> bool:
        return any(a <= cost and b <= error and (a, b) != (cost, error) for a, b in pairs)

    return {place for place, pair in enumerate(pairs) if not beaten(*pair)}


def least_error(material: Material, rungs: Sequence[RungRecord]) -> float:
    """Return what is drawn for no error at all: half a row's share, or half the smallest error that there is."""
    metric = material.metric
    if metric.name in SHARES:
        return 0.5 / max(1, material.record.data.split.valid)
    values = [value for each in rungs if each.score for value in (each.score.valid, each.score.low, each.score.high)]
    return 0.5 * min([error for error in map(metric.as_error, values) if error > 0], default=1.0)


def _error(metric: Metric, score: float, floor: float) -> float:
    return max(metric.as_error(score), floor)


def _scale(axes: Axes, metric: Metric, seconds: Any, errors: Any) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = float(seconds.min()) / 1.5, float(seconds.max()) * 1.9
    axes.set_xlim(low, max(high, low * 8))
    low, high = float(errors.min()) / 1.2, float(errors.max()) * 1.25
    axes.set_ylim(high, low)  # upside down: better is higher
    times = time_ticks(*axes.get_xlim())
    axes.set_xticks([place for place, _ in times], [name for _, name in times], minor=False)
    ticks = error_ticks(low, high)
    axes.set_yticks(ticks, [tick_text(metric.as_error(each)) for each in ticks])
    axes.minorticks_off()
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(spoken("report.axis.seconds"))
    axis_name(axes, spoken("report.axis.better", metric=metric_label(metric.name)))


def _names(
    axes: Axes,
    rungs: Sequence[RungRecord],
    drawn: tuple[Any, Any, Any],
    front: Sequence[tuple[float, float]],
    shown: RungRecord | None,
) -> None:
    """Write the names of the rungs beside their points, and draw a line to those that stand far off."""
    figure = axes.figure
    scale = 72 / figure.dpi

    def in_points(x: float, y: float) -> tuple[float, float]:
        at = axes.transData.transform((x, y)) * scale
        return float(at[0]), float(at[1])

    points = [in_points(*each) for each in zip(*drawn[:2], strict=True)]
    obstacles: list[Box] = [(x - 7, y - 6, x + 7, y + 6) for x, y in points]
    for (x, _), second, ends in zip(points, drawn[0], drawn[2], strict=True):
        low, high = sorted(in_points(second, end)[1] for end in ends)
        obstacles.append((x - 2, low, x + 2, high))
    steps = [in_points(*each) for each in front]
    for (x, y), (later, above) in pairwise(steps):
        obstacles += [(x, y - 3, later, y + 3), (later - 2, min(y, above), later + 2, max(y, above))]
    corners = axes.get_window_extent().get_points().ravel() * scale
    room: Box = (float(corners[0]), float(corners[1]), float(corners[2]) + 16, float(corners[3]))
    places = place_names(points, [each.name for each in rungs], USUAL, obstacles, room)
    inches = figure.dpi_scale_trans
    for rung, (x, y), (left, bottom) in zip(rungs, points, places, strict=True):
        half = text_width(rung.name, USUAL) / 2
        middle = (left + half, bottom + USUAL / 2)
        if math.dist(middle, (x, y)) > 30 + half:
            across, up = ([x / 72, middle[0] / 72], [y / 72, middle[1] / 72])
            axes.plot(across, up, color=LINE, linewidth=0.8, transform=inches, zorder=1)
        weight = "bold" if rung is shown else "normal"
        axes.text(
            left / 72, (bottom + 2) / 72, rung.name, fontsize=USUAL, fontweight=weight, transform=inches, zorder=5
        )


def curves(material: Material) -> Figure | None:
    """Draw for every rung that has some: its scores at growing sizes, what was forecast, and what came of it."""
    ahead = _data_steps(material)
    shown = material.shown
    rungs = [
        each
        for each in material.record.rungs
        if each.curve or (each.forecast and each.forecast.points) or (each is shown and ahead)
    ]
    if not rungs:
        return None
    lines = math.ceil(len(rungs) / PANELS)
    across, up = WIDTH / PANELS, 212.0
    figure = new_figure(lines * up)
    for place, rung in enumerate(rungs):
        column, line = place % PANELS, place // PANELS
        axes = axes_at(figure, column * across + 46, (lines - 1 - line) * up + 40, across - 62, up - 84)
        _panel(axes, material, rung, ahead if rung is shown else [])
    return figure


def _data_steps(material: Material) -> list[NextStep]:
    verdict = material.record.verdict
    steps = [] if verdict is None else [each for each in verdict.next if each.kind == "data" and each.rows]
    known = [each for each in steps if each.low is not None and each.high is not None and each.gain is not None]
    return sorted(known, key=lambda each: each.rows or 0)


def _panel(axes: Axes, material: Material, rung: RungRecord, ahead: Sequence[NextStep]) -> None:
    axes.set_xscale("log")
    axes.minorticks_off()
    rows = material.record.data.split.train
    points = sorted(rung.curve or (rung.forecast.points if rung.forecast else ()), key=lambda each: each.rows)
    sizes = [point.rows for point in points]
    if points:
        axes.errorbar(
            sizes, [point.score for point in points], [point.stderr for point in points], color=INK, linewidth=1.1,
            elinewidth=0.9, marker="o", markersize=3.6, markerfacecolor=PAPER, zorder=4,
        )  # fmt: skip
    if rung.forecast is not None:
        _band(axes, rung.forecast)
        sizes.append(rung.forecast.rows)
    if (reached := _reached(rung, rows)) is not None:
        axes.plot(*reached, "o", color=INK, markersize=6.5, zorder=6)
        sizes.append(reached[0])
    if ahead and rung.score:
        _ahead(axes, material.metric, rung.score.valid, rows, ahead)
        sizes += [step.rows or rows for step in ahead]
    low, high = min(sizes) / 1.35, max(sizes) * 1.35
    axes.set_xlim(low, high)
    ticks = row_ticks(low, high)
    axes.set_xticks([place for place, _ in ticks], [name for _, name in ticks])
    axes.locator_params(axis="y", nbins=4)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(spoken("report.axis.rows"))
    axes.set_title(rung.name, loc="left", fontsize=USUAL, fontweight="bold", pad=12, x=-0.02)


def _reached(rung: RungRecord, rows: int) -> tuple[int, float] | None:
    """Return how many rows a rung was trained on in the end and its score, if it was."""
    if rung.forecast is not None and rung.forecast.outcome is not None:
        return rung.forecast.rows, rung.forecast.outcome
    return None if rung.score is None else (rows, rung.score.valid)


def _band(axes: Axes, forecast: ForecastRecord) -> None:
    """Draw the 90 % interval as a band that opens from the last pilot."""
    if forecast.median is None or forecast.low is None or forecast.high is None or not forecast.points:
        return
    last = max(forecast.points, key=lambda point: point.rows)
    across = [last.rows, forecast.rows]
    axes.fill_between(
        across, [last.score, forecast.low], [last.score, forecast.high], color=ACCENT, alpha=0.18, linewidth=0, zorder=1
    )
    axes.plot(across, [last.score, forecast.median], color=ACCENT, linewidth=1.2, linestyle=(0, (4, 2)), zorder=3)
    axes.plot([forecast.rows] * 2, [forecast.low, forecast.high], color=ACCENT, linewidth=2.2, alpha=0.7, zorder=3)
    axes.plot([forecast.rows], [forecast.median], "_", color=ACCENT, markersize=9, markeredgewidth=2, zorder=3)


def _ahead(axes: Axes, metric: Metric, score: float, rows: int, steps: Sequence[NextStep]) -> None:
    """Draw what more rows would bring."""
    sign = 1.0 if metric.direction == "higher" else -1.0
    across = [rows, *[step.rows or rows for step in steps]]
    low = [score, *[score + sign * (step.low or 0.0) for step in steps]]
    high = [score, *[score + sign * (step.high or 0.0) for step in steps]]
    middle = [score, *[score + sign * (step.gain or 0.0) for step in steps]]
    axes.fill_between(across, low, high, color=ACCENT, alpha=0.18, linewidth=0, zorder=1)
    axes.plot(across, middle, color=ACCENT, linewidth=1.2, linestyle=(0, (4, 2)), zorder=3)


@final
class _Part:
    """A stretch of the bar of the budget."""

    def __init__(self, name: str, seconds: float, label: str, rung: bool) -> None:
        self.name, self.seconds, self.label, self.rung = name, seconds, label, rung


def spent(material: Material) -> list[tuple[str, float]]:
    """Return the seconds that each part of the climb took, by name, in their order; the last is what no part took.

    Without the times of events the seconds of the trainings stand for the rungs.
    """
    record = material.record
    spans: Mapping[str, float] = material.spans or _from_costs(record.rungs)
    parts = [(name, seconds) for name, seconds in spans.items() if seconds > 0]
    if not material.spans and record.verdict and record.verdict.refit and record.verdict.refit.seconds:
        parts.append(("refit", record.verdict.refit.seconds))
    rest = record.budget.spent_seconds - sum(seconds for _, seconds in parts)
    return [*parts, ("rest", rest)] if rest > 0 else parts


def _from_costs(rungs: Sequence[RungRecord]) -> dict[str, float]:
    """Return the seconds of the trainings; those of an ensemble hold its members', which are told beside it."""
    costs = {each.name: each.cost.train_seconds for each in rungs if each.cost}
    for rung in rungs:
        weights = rung.plan.get("weights")
        if rung.name in costs and isinstance(weights, Mapping):
            costs[rung.name] -= sum(costs.get(member, 0.0) for member in weights)
        pilots = sum(point.seconds for point in rung.forecast.points) if rung.forecast else 0.0
        if pilots:
            costs[rung.name] = costs.get(rung.name, 0.0) + pilots
    return costs


def part_label(name: str) -> str:
    """Write the name of a part of the climb for a reader; rungs keep theirs."""
    return spoken(f"report.part.{name}") if name in ("reading", "refit", "test", "rest") else name


def budget(material: Material) -> Figure | None:
    """Draw where the seconds went, as one bar."""
    parts = [_Part(name, seconds, part_label(name), name == part_label(name)) for name, seconds in spent(material)]
    if not parts:
        return None
    allowed = material.record.budget.seconds
    bounded = allowed < UNBOUNDED_SECONDS
    total = sum(part.seconds for part in parts)
    figure = new_figure(92)
    axes = axes_at(figure, 8, 32, WIDTH - 40, 34)
    edge = max(total, allowed if bounded and allowed < 4 * total else 0.0)
    start, turn = 0.0, 0
    for part in parts:
        turn += part.rung
        cover = (0.95 if turn % 2 else 0.7) if part.rung else 0.35
        axes.barh(0, part.seconds, left=start, height=1, color=ACCENT if part.rung else MUTED, alpha=cover,
                  edgecolor=PAPER, linewidth=1.2)  # fmt: skip
        _inside(axes, part, start, (WIDTH - 40) * part.seconds / edge)
        start += part.seconds
    if bounded and allowed <= edge:
        axes.plot([allowed, allowed], [-0.75, 0.75], color=INK, linewidth=1.4, clip_on=False)
        told = spoken("report.budget.mark", seconds=seconds_text(allowed))
        axes.annotate(told, (allowed, 0.75), (0, 4), textcoords="offset points", color=INK, fontsize=SMALL,
                      ha="right" if allowed > 0.5 * edge else "left", annotation_clip=False)  # fmt: skip
    axes.set_xlim(0, edge)
    axes.set_ylim(-0.5, 0.5)
    axes.set_yticks([])
    places = [place for place in axes.get_xticks() if 0 <= place <= edge]
    axes.set_xticks(places, [seconds_text(place) if place else "0" for place in places])
    axes.spines["left"].set_visible(False)
    return figure


def _inside(axes: Axes, part: _Part, start: float, room: float) -> None:
    """Write the name of a stretch on it, where it fits."""
    if text_width(part.label, SMALL) + 8 <= room:
        colour = PAPER if part.rung else INK
        axes.text(start + part.seconds / 2, 0, part.label, fontsize=SMALL, color=colour, ha="center", va="center")
