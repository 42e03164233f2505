"""Choose how strong a penalty is on the validation rows, from one fit to the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, final

Candidate = TypeVar("Candidate")
SPAN = 8  # half-decades to either side of the start


@final
@dataclass(frozen=True)
class Tried(Generic[Candidate]):
    """A candidate that was fitted: its place on the path, what came out, and its loss on the validation rows."""

    place: int
    candidate: Candidate
    loss: float


def walk(
    fit: Callable[[int, Candidate | None], tuple[Candidate, float]], may_go_on: Callable[[], bool], fine: bool = True
) -> Tried[Candidate]:
    """Walk along a path of penalties to where the loss is lowest, in decades and then in half-decades.

    Args:
        fit: called with a place (0 is the start, each step a half-decade weaker) and the nearest candidate so far to
            begin from; returns the candidate and its loss.
        may_go_on: asked before each fit after the first.
        fine: look at the half-decades around the best decade, too.

    Returns:
        The best one; of equals the strongest penalty.
    """
    tried: dict[int, Tried[Candidate]] = {}

    def best() -> Tried[Candidate]:
        return min(tried.values(), key=lambda each: (each.loss, each.place))

    def visit(place: int) -> None:
        if place not in tried:
            near = min(tried.values(), key=lambda each: abs(each.place - place), default=None)
            candidate, loss = fit(place, None if near is None else near.candidate)
            tried[place] = Tried(place, candidate, float("inf") if math.isnan(loss) else loss)

    visit(0)
    for direction in (2, -2):
        while best().place * direction >= 0 and abs(best().place) < SPAN and may_go_on():
            here = best().place
            visit(here + direction)
            if best().place == here:
                break
    for place in (best().place + 1, best().place - 1):
        if fine and may_go_on():
            visit(place)
    return best()
