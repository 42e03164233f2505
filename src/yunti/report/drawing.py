"""What all figures share: their colours and fonts, and how one becomes part of a page.

A figure is drawn in the colours of the light page. In the page each colour becomes a CSS variable, so that the same
figure serves light and dark, and its text becomes text in the font of the page.
"""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

INK, MUTED, LINE, PAPER, ACCENT = "#1c1f26", "#626977", "#d8dce3", "#fffffe", "#17607f"
COLOURS: Final = {INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper", ACCENT: "accent"}
SMALL, USUAL = 10.5, 11.5
WIDTH = 760  # points, which are the pixels of the page; the page scales a figure to its column
CHINESE_FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei")
FORMS = (".png", ".svg", ".pdf")
_NOT_IN_A_PAGE = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", re.DOTALL
)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "yunti",
    "text.parse_math": False,  # a class may be called "$5"
    "font.size": USUAL,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.labelsize": SMALL,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.solid_capstyle": "round",
    "savefig.facecolor": "none",
}


@functools.cache
def _fonts() -> tuple[str, ...]:
    """DejaVu Sans, which comes with matplotlib, and one with Chinese glyphs where there is one."""
    from matplotlib.font_manager import get_font_names

    there = set(get_font_names())
    return ("DejaVu Sans", *[name for name in CHINESE_FONTS if name in there][:1])


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the report as long as the context lasts."""
    with mpl.rc_context({**_STYLE, "font.family": list(_fonts())}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a square stands there, no warning
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Make an empty figure; sizes are in points."""
    figure = Figure(figsize=(width / 72, height / 72), facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes; the place of the lower left corner and the size are in points."""
    across, up = figure.get_size_inches() * 72
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def axis_name(axes: Axes, text: str) -> None:
    """Write the name of the upright axis above it, where it is read without turning the head."""
    axes.annotate(
        text, (0, 1), (0, 10), xycoords="axes fraction", textcoords="offset points", color=MUTED, fontsize=SMALL,
        ha="left", annotation_clip=False,
    )  # fmt: skip


def shades(colour: str) -> LinearSegmentedColormap:
    """Return a scale of one colour that differs in how much it covers, so that it stays one CSS variable."""
    return LinearSegmentedColormap.from_list("shades", [(*mpl.colors.to_rgb(colour), 0.12), mpl.colors.to_rgba(colour)])


def inline(figure: Figure, name: str, label: str) -> str:
    """Write a figure as an SVG element of the page.

    Args:
        figure: the figure.
        name: its name, unique in the page: its ids begin with it.
        label: what it shows, for readers who do not see it; plain text.
    """
    from markupsafe import escape

    written = io.StringIO()
    with style():
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", metadata=nothing, transparent=True)
    svg = _NOT_IN_A_PAGE.sub("", written.getvalue())
    svg = re.sub(r"<[^>]*>", lambda tag: _tag(tag[0], name), svg)
    width, height = figure.get_size_inches() * 72
    head = (
        f'<svg class="figure" role="img" aria-label="{escape(label)}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="max-width: {1.15 * width:.0f}px; min-width: {0.78 * width:.0f}px">'
    )
    return re.sub(r"<svg[^>]*>", lambda _: head, svg, count=1).replace("<defs>\n  \n </defs>", "").strip()


def _tag(tag: str, name: str) -> str:
    """Make a tag fit for the page: colours are variables, ids are unique, fonts are those of the page."""
    for colour, variable in COLOURS.items():
        tag = tag.replace(colour, f"var(--{variable})")
    tag = re.sub(r"\bid=\"", f'id="{name}-', tag).replace("url(#", f"url(#{name}-")
    tag = tag.replace('xlink:href="#', f'href="#{name}-')
    tag = re.sub(r"font-family: [^;\"]*(?:'[^']*'[^;\"]*)*;? ?", "", tag)
    return re.sub(r"\s+", " ", tag) if len(tag) > 200 else tag


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a picture; the ending of the path names its form, one of `FORMS`."""
    metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
    metadata = {"CreationDate": None} if path.suffix == ".pdf" else metadata
    with style():
        figure.savefig(path, dpi=200, facecolor=PAPER, metadata=metadata)
