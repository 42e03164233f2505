"""Where ticks stand on axes of logarithms, and where names stand beside their points."""

from __future__ import annotations

import math
from collections.abc import Sequence

from yunti.words.units import count_text, number_text

_TIMES = (
    *((10.0**power, f"{10**power:g} s") for power in range(-3, 2)),
    *((60.0, "1 min"), (600.0, "10 min"), (3600.0, "1 h"), (36_000.0, "10 h"), (360_000.0, "100 h")),
)
_BETWEEN = (
    *((factor * 10.0**power, f"{factor * 10**power:g} s") for power in range(-3, 1) for factor in (2, 5)),
    *((20.0, "20 s"), (30.0, "30 s"), (120.0, "2 min"), (300.0, "5 min"), (1800.0, "30 min"), (7200.0, "2 h")),
    *((18_000.0, "5 h"), (72_000.0, "20 h"), (180_000.0, "50 h")),
)
Box = tuple[float, float, float, float]


def time_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return places and names of ticks on an axis of seconds.

    Example:
        >>> time_ticks(0.8, 70)
        [(1.0, '1 s'), (10.0, '10 s'), (60.0, '1 min')]
    """
    found = [each for each in _TIMES if low <= each[0] <= high]
    return found if len(found) > 2 else sorted(each for each in (*_TIMES, *_BETWEEN) if low <= each[0] <= high)


def error_ticks(low: float, high: float) -> list[float]:
    """Return places of ticks on an axis of errors: 1, 2 and 5 times powers of ten, or round numbers where those are
    too few.

    Example:
        >>> error_ticks(0.009, 0.6), error_ticks(52, 78)
        ([0.01, 0.02, 0.05, 0.1, 0.2, 0.5], [55.0, 60.0, 65.0, 70.0, 75.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{factor}e{power}") for power in powers for factor in factors]
        inside = [each for each in ticks if low <= each <= high]
        if 3 <= len(inside) <= 9:
            return inside
    step = 10 ** math.floor(math.log10((high - low) / 3))
    step *= max(factor for factor in (1, 2, 5) if factor * step <= (high - low) / 3)
    first = math.ceil(low / step)
    return [float(f"{place * step:.10g}") for place in range(first, math.floor(high / step) + 1)]


def row_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return places and names of ticks on an axis of rows: few, because panels are small."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high]
        if len(ticks) >= 2:
            break
    ticks = ticks[:: max(1, math.ceil(len(ticks) / 4))]
    return [(tick, tick_text(tick)) for tick in ticks]


def tick_text(value: float) -> str:
    """Write a number at a tick, short however large it is.

    Example:
        >>> tick_text(0.005), tick_text(-2.5e6), tick_text(12000)
        ('0.005', '−2.5 M', '12,000')
    """
    text = number_text(value) if abs(value) < 1e5 else f"{'-' if value < 0 else ''}{count_text(abs(value))}"
    return text.replace("-", "−")


def text_width(text: str, size: float) -> float:
    """Estimate the width of a text in points: browsers use another font than matplotlib, so it need not be exact."""
    return size * sum(1.0 if ord(letter) > 0x2E80 else 0.58 for letter in text)


def place_names(
    points: Sequence[tuple[float, float]], names: Sequence[str], size: float, obstacles: Sequence[Box], room: Box
) -> list[tuple[float, float]]:
    """Find a place for each name near its point where it covers neither another name nor a point.

    Args:
        points: where the points are.
        names: their names.
        size: of the letters; all sizes and places are in points.
        obstacles: boxes (left, bottom, right, top) that should stay free, such as points and lines.
        room: the box in which names should stay.

    Returns:
        The lower left corner of each name.
    """
    taken: list[Box] = []
    places = []
    for (x, y), name in zip(points, names, strict=True):
        width, height = text_width(name, size), size
        best, least = (x + 9, y - height / 2), math.inf
        for far in (0, 9, 18, 30, 44, 60):
            for left, bottom in _around(x, y, width, height, 9 + far):
                box = (left - 2, bottom - 1, left + width + 2, bottom + height + 1)
                cost = far / 3 + _outside(box, room) * 10
                cost += sum(_overlap(box, each) for each in taken) * 4 + sum(_overlap(box, each) for each in obstacles)
                if cost < least - 1e-9:
                    best, least = (left, bottom), cost
        places.append(best)
        taken.append((best[0] - 2, best[1] - 1, best[0] + width + 2, best[1] + height + 1))
    return places


def _around(x: float, y: float, width: float, height: float, gap: float) -> list[tuple[float, float]]:
    right, left, middle = x + gap, x - gap - width, x - width / 2
    return [
        (right, y - height / 2), (left, y - height / 2), (middle, y + gap), (middle, y - gap - height),
        (right, y + gap * 0.7), (right, y - gap * 0.7 - height), (left, y + gap * 0.7), (left, y - gap * 0.7 - height),
    ]  # fmt: skip


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    return across * up if across > 0 and up > 0 else 0.0


def _outside(box: Box, room: Box) -> float:
    return sum(max(0.0, each) for each in (room[0] - box[0], room[1] - box[1], box[2] - room[2], box[3] - room[3]))
