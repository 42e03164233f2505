"""The contract of a rung, on a postcard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from yunti.models.contract import Model, Size
from yunti.specs import Era, Kind, Spec
from yunti.words import say


def share_by_kind(table: float, **kinds: float) -> Callable[[Spec], float]:
    """Make a rung's share depend on the data: the weight of the first dear kind that the columns hold.

    Args:
        table: the weight for numbers, categories, flags and times, and for kinds that are not named.
        kinds: weights for image, audio, text and sequence.

    Example:
        >>> from yunti.specs import ColumnSpec, TaskSpec
        >>> spec = Spec((ColumnSpec("photo", "image"),), TaskSpec("regression", "y", "r2", "higher"), rows=10)
        >>> share_by_kind(1.0, image=6.0)(spec)
        6.0
    """

    def share(spec: Spec) -> float:
        dear: tuple[Kind, ...] = ("image", "audio", "text", "sequence")
        return next((kinds.get(kind, table) for kind in dear if spec.of_kind(kind)), table)

    return share


def too_little(spec: Spec, least_rows: int, purpose: str) -> str | None:
    """Say that there are too few training rows for a purpose, or no column to learn from; None where there is enough.

    Example:
        >>> from yunti.specs import TaskSpec
        >>> too_little(Spec((), TaskSpec("regression", "y", "r2", "higher"), rows=3), 4, "for weights")
        '3 training rows are too few for weights: it needs 4'
    """
    if spec.rows < least_rows:
        return say("unfit.rows", rows=spec.rows, purpose=purpose, least=least_rows)
    if not any(column.kind != "id" for column in spec.columns):
        return say("unfit.columns")
    return None


@final
@dataclass(frozen=True)
class Rung:
    """One kind of model on a ladder.

    Args:
        name: its name on screen, in files and for `--rungs`.
        era: traditional, deep or large.
        idea: one sentence that says how it works.
        source: the paper, book or library it follows.
        unfit_for: says in one clause why it cannot serve a spec, or gives None. Cheap; never looks at rows.
        build: makes an untrained model for a spec and a size.
        share: weight of its claim on the time left against the rungs still to come; more where it tends to win.
        needs_torch: whether its process must import torch (which costs seconds).
        pilots: whether parts of the rows tell what all of them would bring, for less than a part of its time; not so
            where all validation rows must first pass through a large model that knows most already.
        stands_on: the rung that reads rows with the same pretrained model and leaves it as it is: at its pace it is
            known what this one needs at least.
        passes: how many rows must go forward through that model before this rung has learned something.
        combines: whether it is made of the models of the rungs below it instead of being trained on rows.
    """

    name: str
    era: Era
    idea: str
    source: str
    unfit_for: Callable[[Spec], str | None]
    build: Callable[[Spec, Size], Model]
    share: Callable[[Spec], float] = lambda _spec: 1.0
    needs_torch: bool = False
    pilots: bool = True
    stands_on: str = ""
    passes: Callable[[Spec], float] = lambda _spec: 0.0
    combines: bool = False
