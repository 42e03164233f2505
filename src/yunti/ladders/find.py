"""Find the ladder of a task and a rung by its name."""

from __future__ import annotations

from collections.abc import Sequence

from yunti.errors import OptionError, nearest
from yunti.ladders import language, prediction
from yunti.ladders.rung import Rung
from yunti.specs import TaskName

LADDERS: dict[TaskName, tuple[Rung, ...]] = {
    "classification": prediction.LADDER,
    "regression": prediction.LADDER,
    "language": language.LADDER,
}


def ladder_for(task: TaskName) -> tuple[Rung, ...]:
    """Return the rungs for a task, simplest first."""
    return LADDERS[task]


def find_rung(task: TaskName, name: str) -> Rung:
    """Return the rung of this name.

    Raises:
        OptionError: the ladder has no such rung.
    """
    return choose_rungs(task, [name])[0]


def choose_rungs(task: TaskName, names: Sequence[str] | None) -> tuple[Rung, ...]:
    """Return the rungs of these names in the ladder's order; all of them when no names are given.

    Raises:
        OptionError: a name that the ladder does not have, or no name at all.
    """
    ladder = ladder_for(task)
    if names is None:
        return ladder
    known = [rung.name for rung in ladder]
    if not names:
        raise OptionError("--rungs", "it must name at least one rung", "none was given", nearest("", known))
    for name in names:
        if name not in known:
            raise OptionError(
                "--rungs", f"it must name rungs of the {task} ladder", f"{name!r} was given", nearest(name, known)
            )
    return tuple(rung for rung in ladder if rung.name in names)
