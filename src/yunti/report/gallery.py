"""The figures by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from yunti.errors import OptionError, nearest
from yunti.report import figures, foreseen, row_figures
from yunti.report.drawing import FORMS, save, style
from yunti.report.material import Material

FIGURES: Final[Mapping[str, Callable[[Material], Figure | None]]] = {
    "quality": figures.quality,
    "curves": figures.curves,
    "forecasts": foreseen.forecasts,
    "budget": figures.budget,
    "confusion": row_figures.confused,
    "calibration": row_figures.calibrated,
    "predicted": row_figures.predicted,
    "residuals": row_figures.residuals,
}


def draw(material: Material, name: str) -> Figure | None:
    """Draw the figure of a name in `FIGURES`; None where the climb has no numbers for it."""
    with style():
        return FIGURES[name](material)


def plot(material: Material, name: str, path: str | Path | None = None) -> Figure:
    """Draw a figure and, if a path is given, write it there.

    Args:
        material: the climb.
        name: of the figure.
        path: ends in .png, .svg or .pdf.

    Raises:
        OptionError: there is no such figure, the climb has no numbers for it, or the file cannot be written.
    """
    if path is not None and Path(path).suffix.lower() not in FORMS:
        must, got = f"its ending must be one of {', '.join(FORMS)}", repr(Path(path).suffix)
        raise OptionError(str(path), must, f"it is {got}", "name a picture, such as quality.png")
    figure = draw(material, name) if name in FIGURES else None
    if figure is None:
        there = [each for each in FIGURES if draw(material, each) is not None]
        listed = ", ".join(there) or "none"
        if name in FIGURES:
            raise OptionError(
                f"figure {name!r}", "the climb must have numbers for it", "it has none", f"these can be drawn: {listed}"
            )
        raise OptionError(f"figure {name!r}", f"it must be one of {listed}", "it is none of them", nearest(name, there))
    if path is not None:
        try:
            save(figure, Path(path))
        except OSError as error:
            said = error.strerror or str(error)
            raise OptionError(str(path), "it must be a file that can be written", said, "name another one") from error
    return figure
