"""yunti (云梯): climb a ladder of models on your data, from linear to Transformer, and know what each step costs.

The names below are all there is for users; each is loaded when it is first used, so that `import yunti` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from yunti.bundle.bundle import Bundle
    from yunti.bundle.bundle import load_bundle as load
    from yunti.climbing.climb import Climb, climb, resume
    from yunti.climbing.forecast.curve import Forecast, extrapolate
    from yunti.climbing.forecast.surface import extrapolate_surface
    from yunti.climbing.own import Fitted, fit
    from yunti.climbing.single import train
    from yunti.data.dataset import Look
    from yunti.errors import (
        BundleError,
        ColumnError,
        InputError,
        OptionError,
        PackageError,
        RungError,
        SourceError,
        YuntiError,
    )
    from yunti.specs import Kind, TaskName

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "BundleError",
    "Climb",
    "ColumnError",
    "Fitted",
    "Forecast",
    "InputError",
    "OptionError",
    "PackageError",
    "RungError",
    "SourceError",
    "YuntiError",
    "__version__",
    "climb",
    "extrapolate",
    "extrapolate_surface",
    "fit",
    "load",
    "look",
    "resume",
    "train",
]

_HOMES = {
    "Bundle": ("yunti.bundle.bundle", "Bundle"),
    "load": ("yunti.bundle.bundle", "load_bundle"),
    "Climb": ("yunti.climbing.climb", "Climb"),
    "climb": ("yunti.climbing.climb", "climb"),
    "Forecast": ("yunti.climbing.forecast.curve", "Forecast"),
    "extrapolate": ("yunti.climbing.forecast.curve", "extrapolate"),
    "extrapolate_surface": ("yunti.climbing.forecast.surface", "extrapolate_surface"),
    "resume": ("yunti.climbing.climb", "resume"),
    "train": ("yunti.climbing.single", "train"),
    "Fitted": ("yunti.climbing.own", "Fitted"),
    "fit": ("yunti.climbing.own", "fit"),
}


def look(  # noqa: PLR0913  (the keywords are those of `climb` that concern the data)
    source: object,
    *,
    target: str | None = None,
    prompt: str | None = None,
    test: object | None = None,
    split: str | None = None,
    group: str | None = None,
    time: str | None = None,
    kinds: Mapping[str, Kind] | None = None,
    keep: Sequence[str] = (),
    task: TaskName | None = None,
    seed: int = 0,
) -> Look:
    """Say what a source holds and what is wrong with it, without training.

    Args:
        source: a file, folder, glob or `sample:NAME`; or a pandas, polars or Arrow table.
        target: the column to predict; may be left open.
        prompt: the column of questions, where the target holds answers.
        test: a separate source of test rows.
        split: a column that holds a ready split.
        group: a column whose equal values stay on one side of the split.
        time: a column by which to split.
        kinds: kinds of columns, where the kinds found are wrong.
        keep: columns to use although they would be left out.
        task: "classification", "regression" or "language", where the source and its target should not decide.
        seed: seed of the split.

    Raises:
        InputError: the data or an option cannot be used.

    Example:
        >>> [column.name for column in look("sample:penguins").data.columns][:2]
        ['species', 'island']
    """
    from yunti.data.dataset import DataOptions
    from yunti.data.dataset import look as look_at

    options = DataOptions(target, prompt, test, split, group, time, dict(kinds or {}), task, tuple(keep), seed)
    return look_at(source, options)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'yunti' has no attribute {name!r}")
    module, original = _HOMES.get(name, ("yunti.errors", name))
    value = getattr(import_module(module), original)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
