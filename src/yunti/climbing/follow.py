"""Several processes that train one rung together: the first climbs as ever, the others do as it says.

They share the run folder. The first writes what is to be trained beside the rung's outcome; the others wait for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yunti.climbing.run import RunFolder
from yunti.climbing.supervise import supervise
from yunti.devices import Place
from yunti.errors import RungError
from yunti.storing import write_atomic

JOB = "job.json"
POLL_SECONDS = 0.2
GRACE_SECONDS = 15.0
PATIENCE_SECONDS = 3600.0  # for reading the data, which the first process does
_STARTS = (
    "SLURM_RESTART_COUNT",
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_RESTART_COUNT",
    "MASTER_PORT",
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
)


def token_of(environment: Mapping[str, str]) -> str:
    """Return what all processes of one start have in common, and no other start has."""
    return " ".join(f"{name}={environment[name]}" for name in _STARTS if name in environment)


def restarted(environment: Mapping[str, str]) -> bool:
    """Say whether `torchrun` or SLURM has started these processes again after one was lost."""
    return any(environment.get(name, "0") != "0" for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def invite(folder: Path, job: Mapping[str, Any]) -> None:
    """Tell the other processes what to train.

    Args:
        folder: of the rung's outcome.
        job: as the worker takes it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / JOB, json.dumps(dict(job)))


def follow(run: RunFolder, rung: str, place: Place, token: str) -> None:
    """Take part in the training of a rung that another process leads.

    Args:
        run: the run folder, which the leading process makes.
        rung: the rung's name.
        place: this process's place.
        token: of this start.

    Raises:
        RungError: the leading process does not come, or this one fails.
    """
    folder = run.outcome(rung)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        if run.rung_record(rung) is not None:
            return  # it was trained before; the job of an earlier start may still lie here
        if (job := _job(folder / JOB)) is not None and job["token"] == token:
            break
        if time.monotonic() > deadline:
            raise RungError(
                str(run.path), "the first process must begin here", f"it did not within {PATIENCE_SECONDS:.0f} s",
                "look at what it says, and give all processes the same --out on a disk they share",
            )  # fmt: skip
        time.sleep(POLL_SECONDS)
    own = {**job, "began": time.monotonic()}
    ending = supervise(
        own, folder / f"process-{place.rank}", 1.5 * job["seconds"] + GRACE_SECONDS, lambda _fraction, _numbers: None
    )
    if ending.how != "ok":
        raise RungError(rung, f"process {place.rank} must come to the end", ending.reason, "start them again")


def _job(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content
