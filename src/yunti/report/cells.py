"""Values as they stand in the tables of a report."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from yunti.data.table import Categories, Column, Images, Numbers, Ragged, Texts
from yunti.report.groups import flag_text
from yunti.specs import ColumnSpec
from yunti.tasks.intervals import BOUNDED
from yunti.words import spoken
from yunti.words.units import MOST_DECIMALS, decimals_for, money_text, number_text, score_text, seconds_text

MOST_LETTERS = 240  # of a text
MOST_PIXELS = 96  # of a picture's longer side
POINTS = (*BOUNDED, "calibration_error")  # metrics whose differences are told in points
DASH = "–"


@final
@dataclass(frozen=True)
class Grid:
    """A table of the page.

    Args:
        heads: of its columns.
        rows: their cells: text, or Markup that is safe as it stands.
        right: columns of numbers, which stand flush right.
        marks: rows that stand out.
    """

    heads: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    right: frozenset[int] = frozenset()
    marks: frozenset[int] = field(default_factory=frozenset)


def bar(value: float, span: tuple[float, float], ends: tuple[float, float], label: str) -> Markup:
    """Draw a score with its interval as a small bar.

    Args:
        value: the score.
        span: its interval.
        ends: of the scale, the same for all bars of a column.
        label: what it says, for readers who do not see it.
    """
    width = ends[1] - ends[0] or 1.0

    def at(number: float) -> str:
        return f"{3 + 114 * min(1.0, max(0.0, (number - ends[0]) / width)):.1f}"

    return Markup(
        '<svg class="bar" viewBox="0 0 120 12" role="img" aria-label="{}"><line class="rail" x1="3" x2="117" y1="6" '
        'y2="6"/><line class="span" x1="{}" x2="{}" y1="6" y2="6"/><circle cx="{}" cy="6" r="3"/></svg>'
    ).format(label, at(min(span)), at(max(span)), at(value))


def gain_text(metric: str, gain: float | None, low: float | None, high: float | None) -> str:
    """Write a gain with its interval: in points where the metric is a share.

    Example:
        >>> gain_text("accuracy", 0.012, 0.004, 0.02), gain_text("rmse", 3.5, None, None), gain_text("mae", None, 1, 2)
        ('+1.2 (+0.4 to +2.0) percentage points', '+3.5', '–')
    """
    if gain is None:
        return DASH
    factor = 100.0 if metric in POINTS else 1.0
    values = [factor * each for each in (gain, low, high) if each is not None]
    if factor > 1:
        places = 1 if max(map(abs, values)) >= 0.2 else 2
    else:
        places = decimals_for([(values[1], values[2])]) if len(values) == 3 else _places(values[0])
    told = [f"{each:+,.{places}f}".replace("-", "−") for each in values]
    text = f"{told[0]} ({between(told[1], told[2])})" if len(values) == 3 else told[0]
    return spoken("report.points", value=text) if factor > 1 else text


def _places(value: float) -> int:
    return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(abs(value))))) if value else 0


def share_text(share: float | None) -> str:
    """Write a share in percent."""
    return DASH if share is None or not math.isfinite(share) else f"{100 * share:.0f} %"


def time_cell(
    seconds: float | None, price: float | None, ends: tuple[float | None, float | None] = (None, None)
) -> Any:
    """Write a time with its interval, and below it what it costs where an hour has a price.

    Args:
        seconds: None where nobody knows them.
        price: of an hour, if one was given.
        ends: of the interval, if there is one.
    """
    if seconds is None:
        return DASH
    text, (low, high) = seconds_text(seconds), ends
    if low is not None and high is not None:
        text += f" ({between(seconds_text(low), seconds_text(high))})"
    money = money_text(seconds, price)
    return Markup("{}<small>{}</small>").format(text, money) if money else text


def basis_cell(basis: str) -> Any:
    """Write what numbers come from; those of other data are marked."""
    if not basis:
        return DASH
    label = spoken(f"report.basis.{basis}")
    return Markup('<span class="tag">{}</span>').format(label) if basis == "prior" else label


def value_cells(specs: tuple[ColumnSpec, ...], table: Any, row: int, most: int) -> Iterator[tuple[str, Any]]:
    """Give name and value of each input of a row, at most so many; the last says how many more there are."""
    for spec in specs[:most]:
        yield spec.name, value_cell(spec, table[spec.name], row)
    if len(specs) > most:
        yield "", spoken("report.value.more", count=len(specs) - most)


def value_cell(spec: ColumnSpec, column: Column, row: int) -> Any:
    """Write the value of a column in a row: as text, or a picture as Markup."""
    match column:
        case Numbers(values):
            return _number(spec, float(values[row]))
        case Categories(codes, names):
            return names[codes[row]] if codes[row] >= 0 else DASH
        case Texts(values):
            return shortened(values[row].as_py() or DASH)
        case Images(pixels, present):
            return picture(np.asarray(pixels[row])) if present[row] else DASH
        case Ragged():
            steps = int(column.lengths[row])
            if spec.kind == "audio" and spec.rate:
                return spoken("report.value.seconds", seconds=seconds_text(steps / spec.rate))
            return spoken("report.value.steps", steps=steps)


def _number(spec: ColumnSpec, value: float) -> str:
    if math.isnan(value):
        return DASH
    if spec.kind == "flag":
        return flag_text(spec, value)
    if spec.kind == "time":
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
        except OverflowError:
            return number_text(value)
        return moment.strftime("%Y-%m-%d" if value % 86400 == 0 else "%Y-%m-%d %H:%M:%S")
    return number_text(value)


def shortened(text: str, most: int = MOST_LETTERS) -> str:
    """Cut a long text."""
    text = " ".join(text[: 4 * most].split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def picture(pixels: NDArray[np.uint8]) -> Markup:
    """Write a picture as a tiny PNG inside the page; pixels have shape (height, width, channels)."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, :3])
    image.thumbnail((MOST_PIXELS, MOST_PIXELS))
    written = io.BytesIO()
    image.save(written, format="PNG", optimize=False)
    code = base64.b64encode(written.getvalue()).decode()
    return Markup('<img alt="" src="data:image/png;base64,{}">').format(code)


def between(low: str, high: str) -> str:
    """Write an interval: with a dash, but with a word where a sign stands before a number."""
    signed = any(each[0] in "+−-" for each in (low, high))
    return f"{low} {spoken('report.to')} {high}" if signed else f"{low}–{high}"


def score_cell(value: float, low: float, high: float, decimals: int) -> str:
    """Write a score with its interval, in the language of the reader."""
    told = [score_text(each, decimals).replace("-", "−") for each in (value, low, high)]
    return f"{told[0]} ({between(told[1], told[2])})"
