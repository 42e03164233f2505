"""The contract of a rung, on a postcard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from yunti.models.contract import Model, Size
from yunti.specs import Era, Spec


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
        share: how much of the time left it may claim, against the shares of the rungs still to come.
        needs_torch: whether its process must import torch (which costs seconds).
        combines: whether it is made of the models of the rungs below it instead of being trained on rows.
    """

    name: str
    era: Era
    idea: str
    source: str
    unfit_for: Callable[[Spec], str | None]
    build: Callable[[Spec, Size], Model]
    share: float = 1.0
    needs_torch: bool = False
    combines: bool = False
