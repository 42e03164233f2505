"""The figures of the validation rows: confusion, calibration, and predicted values against true ones."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from yunti.report.details import calibration, confusion
from yunti.report.drawing import ACCENT, INK, LINE, MUTED, PAPER, SMALL, WIDTH, axes_at, axis_name, new_figure, shades
from yunti.report.material import Material
from yunti.report.scales import text_width
from yunti.words import spoken
from yunti.words.units import count_text

Floats = NDArray[np.float64]

MOST_CLASSES = 20
MOST_BESIDE = 12  # classes with which the matrix leaves room for another figure beside it
MOST_POINTS = 500  # more are drawn as hexagons that count
HALF = 440.0  # width of a figure that shares its line with another
LONGEST_NAME = 16


def confused(material: Material) -> Figure | None:
    """Draw the confusion matrix of at most 20 classes: true ones down, predicted ones across, rows as numbers."""
    classes, scored = material.record.task.classes, material.scored
    if scored is None or not 0 < len(classes) <= MOST_CLASSES:
        return None
    matrix = confusion(*scored)
    names = [short(name) for name in classes]
    longest = max(text_width(name, SMALL) for name in names)
    room = HALF if len(names) <= MOST_BESIDE else WIDTH
    widest = 58.0 if room == HALF else 36.0
    slanted = longest > min(widest, (room - longest - 44) / len(names)) - 6
    left, above = longest + 34.0, (0.7 * longest + 18.0 if slanted else 22.0) + 24
    right = 0.6 * longest if slanted else 0.0
    cell = min(widest, (room - left - right - 10) / len(names))
    size = cell * len(names)
    figure = new_figure(size + above + 8, left + size + right + 10)
    axes = axes_at(figure, left, 8, size, size)
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    for true, line in enumerate(matrix):
        for guess, rows in enumerate(line):
            _cell(axes, guess, true, int(rows), float(shares[true, guess]), cell)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.xaxis.tick_top()
    places = range(len(names))
    axes.set_xticks(places, names, color=INK)
    if slanted:
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="left", rotation_mode="anchor")
    axes.set_yticks(places, names, color=INK)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.annotate(spoken("report.axis.predicted class"), (0, 1), (0, above - 20), xycoords="axes fraction",
                  textcoords="offset points", color=MUTED, fontsize=SMALL, annotation_clip=False)  # fmt: skip
    axes.set_ylabel(spoken("report.axis.true class"), loc="top")
    return figure


def _cell(axes: Axes, x: int, y: int, rows: int, share: float, size: float) -> None:
    right = x == y
    cover = 0.06 + 0.84 * share if right else min(0.85, 1.6 * share**0.6)
    colour = ACCENT if right else INK
    colour, cover = (colour, cover) if rows else (LINE, 0.25)
    axes.add_artist(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=colour, alpha=cover, linewidth=0))
    if rows:
        letters = f"{rows:,}" if len(f"{rows:,}") * 7.2 < size else count_text(rows)
        axes.text(x, y, letters, ha="center", va="center_baseline", fontsize=min(SMALL, size / 2.6),
                  color=PAPER if cover > 0.5 else INK)  # fmt: skip


def short(name: str, most: int = LONGEST_NAME) -> str:
    """Cut a long name."""
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def calibrated(material: Material) -> Figure | None:
    """Draw the reliability diagram: the share that proves right against the probability that is stated."""
    scored = material.scored
    if scored is None or not material.record.task.classes:
        return None
    bins = calibration(*scored)
    figure = new_figure(400, HALF)
    axes = axes_at(figure, 48, 128, HALF - 64, 244)
    low = max(0.0, min(0.1 * np.floor(10 * each.low) for each in bins))
    axes.plot([low, 1], [low, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
    for each in bins:
        axes.plot([each.stated] * 2, [each.right_low, each.right_high], color=ACCENT, linewidth=1, alpha=0.6, zorder=2)
    axes.plot([each.stated for each in bins], [each.right for each in bins], "-o", color=ACCENT, markersize=5,
              linewidth=1.2, zorder=3)  # fmt: skip
    axes.set_xlim(low, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(axis="y")
    axes.set_xticklabels([])
    _bare(axes)
    axis_name(axes, spoken("report.axis.share right"))
    counts = axes_at(figure, 48, 44, HALF - 64, 66)
    for each in bins:
        width = each.high - each.low
        counts.bar(each.low, each.rows, width=0.86 * width, align="edge", color=ACCENT, alpha=0.55, linewidth=0)
        counts.annotate(count_text(each.rows), (each.low + 0.43 * width, each.rows), (0, 2), ha="center",
                        textcoords="offset points", fontsize=SMALL - 2.5, color=MUTED)  # fmt: skip
    counts.set_xlim(low, 1.02)
    counts.set_ylim(0, 1.25 * max(each.rows for each in bins))
    counts.set_yticks([])
    _bare(counts)
    counts.set_xlabel(spoken("report.axis.stated"))
    return figure


def predicted(material: Material) -> Figure | None:
    """Draw predicted values against true ones."""
    found = _values(material)
    if found is None:
        return None
    target, prediction = found
    figure = new_figure(380, HALF)
    axes = axes_at(figure, 62, 48, HALF - 78, 296)
    low, high = _ends(np.concatenate([target, prediction]))
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=(0, (3, 3)), zorder=3)
    _cloud(axes, target, prediction, (low, high), (low, high))
    axes.set_xlabel(spoken("report.axis.true value"))
    axis_name(axes, spoken("report.axis.predicted value"))
    return figure


def residuals(material: Material) -> Figure | None:
    """Draw what is left of the true value when the predicted one is taken off, against the predicted one."""
    found = _values(material)
    if found is None:
        return None
    target, prediction = found
    figure = new_figure(380, HALF)
    axes = axes_at(figure, 62, 48, HALF - 78, 296)
    left = target - prediction
    axes.axhline(0, color=MUTED, linewidth=1, linestyle=(0, (3, 3)), zorder=3)
    _cloud(axes, prediction, left, _ends(prediction), _ends(left))
    axes.set_xlabel(spoken("report.axis.predicted value"))
    axis_name(axes, spoken("report.axis.residual"))
    return figure


def _values(material: Material) -> tuple[Floats, Floats] | None:
    scored = material.scored
    return None if scored is None or material.record.task.name != "regression" else scored


def _ends(values: Floats) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


def _cloud(axes: Axes, x: Floats, y: Floats, across: tuple[float, float], up: tuple[float, float]) -> None:
    if len(x) <= MOST_POINTS:
        axes.plot(x, y, "o", color=ACCENT, alpha=0.55, markersize=4.2, markeredgewidth=0, zorder=2)
    else:
        axes.hexbin(x, y, gridsize=30, extent=(*across, *up), mincnt=1, bins="log", cmap=shades(ACCENT),
                    linewidths=0.2, zorder=2)  # fmt: skip
    axes.set_xlim(*across)
    axes.set_ylim(*up)
    axes.locator_params(nbins=5)
    axes.grid(axis="y")
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
