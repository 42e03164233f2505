"""Train one rung at full strength, alone or by several processes together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yunti.climbing.climb import Climb, resume, start
from yunti.climbing.events import Tell
from yunti.climbing.follow import follow, restarted, token_of
from yunti.climbing.request import Request, seconds_or_none
from yunti.climbing.run import RunFolder
from yunti.devices import place_of
from yunti.errors import OptionError
from yunti.models.settings import flat, plain, settings_from
from yunti.specs import Kind, TaskName


def train(  # noqa: PLR0913  (the keywords are those of `climb`, and the rung's settings)
    source: object,
    rung: str,
    *,
    target: str | None = None,
    prompt: str | None = None,
    settings: Mapping[str, Any] | None = None,
    test: object | None = None,
    split: str | None = None,
    group: str | None = None,
    time: str | None = None,
    kinds: Mapping[str, Kind] | None = None,
    keep: Sequence[str] = (),
    task: TaskName | None = None,
    metric: str | None = None,
    budget: str | float | None = None,
    seed: int = 0,
    device: str = "auto",
    pretrained: str | None = None,
    refit: bool = False,
    out: str | Path | None = None,
    tell: Tell | None = None,
    began: float | None = None,
) -> Climb | None:
    """Train one rung of the ladder with its whole recipe, on the same split and into the same folder as a climb.

    Started by `torchrun` or SLURM's `srun`, all processes train the rung together; `out` must then be a folder that
    they share, and a start after one of them was lost goes on from the last checkpoint.

    Args:
        source: as `climb` takes it, as are the keywords that are not told here.
        rung: the rung's name.
        settings: what to set by hand, by names with dots or nested: `{"training.learning_rate": 1e-3}` or
            `{"training": {"learning_rate": 1e-3}}`; see `yunti.models.settings`.
        budget: the most time it may take; as long as its recipe takes if not given.
        refit: train it anew on training and validation rows together before the test rows are opened.

    Returns:
        The finished run as a climb of one rung; None in processes that only took part.

    Raises:
        InputError: the data, an option or a setting cannot be used.

    Example:
        >>> import yunti
        >>> run = yunti.train("sample:digits", "mlp", settings={"training.epochs": 20})  # doctest: +SKIP
        >>> run.record.test.score  # doctest: +SKIP
    """
    given = settings_from(flat(settings or {}))
    request = Request(
        source=str(source) if isinstance(source, str | Path) else None,
        cwd=str(Path.cwd()),
        target=target,
        prompt=prompt,
        test=str(test) if isinstance(test, str | Path) else None,
        split=split,
        group=group,
        time=time,
        kinds=dict(kinds or {}),
        keep=tuple(keep),
        task=task,
        metric=metric,
        budget_seconds=seconds_or_none(budget),
        rungs=(rung,),
        seed=seed,
        device=device,
        pretrained=pretrained,
        refit=refit,
        full=True,
        settings=plain(given),
    )
    place = place_of(os.environ)
    if place.size == 1:
        return start(source, request, test, out, tell, began)
    if out is None:
        raise OptionError(
            "--out", f"{place.size} processes must share a run folder", "none was given", "name one with --out"
        )
    if place.rank > 0:
        follow(RunFolder(Path(out)), rung, place, token_of(os.environ))
        return None
    if restarted(os.environ) and (Path(out) / "request.json").is_file():
        return resume(out, tell, began)
    return start(source, request, test, out, tell, began)


def resume_training(folder: str | Path, tell: Tell | None = None, began: float | None = None) -> Climb | None:
    """Go on with a training that was killed or interrupted; the number of processes may be another.

    Args:
        folder: the run folder.
        tell: called with every event.
        began: `time.monotonic()` from which the rest of the budget counts; now if not given.

    Returns:
        The finished run; None in processes that only took part.

    Raises:
        OptionError: the folder is not a run folder of one rung.
    """
    run = RunFolder.open(folder)
    request = run.request
    if not request.full or not request.rungs:
        raise OptionError(
            f"--resume {folder}", "it must be the folder of `yunti train`", "it holds a climb",
            "use `yunti climb --resume`",
        )  # fmt: skip
    place = place_of(os.environ)
    if place.rank > 0:
        follow(run, request.rungs[0], place, token_of(os.environ))
        return None
    return resume(folder, tell, began)
