"""How fast this machine trains a network: measured once, remembered, so that the next run plans the same steps."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from yunti.devices import this_machine
from yunti.storing import write_atomic

_PLANS_KEPT = 20
_LIKE = 0.3  # two runs whose time differs by less than this share are given the same plan


@final
@dataclass(frozen=True)
class Pace:
    """Seconds that parts of a training take.

    Args:
        step_seconds: one step: forward, backward and update of one batch.
        predict_seconds: predicting one encoded row.
        encode_seconds: encoding one row.
    """

    step_seconds: float
    predict_seconds: float
    encode_seconds: float


@final
class Memory:
    """What is remembered of one network on one machine, in a file of the user's cache.

    A damaged or unwritable cache is passed over: it costs a new measurement and nothing else.

    Args:
        facts: all that the pace depends on besides the machine, as JSON values.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        machine = this_machine()
        text = json.dumps([machine.processor, machine.cores, facts], sort_keys=True, default=str)
        self._key = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        self._file = cache_folder() / "pace.json"
        self._entry: dict[str, Any] = read_cache(self._file).get(self._key, {})

    @property
    def pace(self) -> Pace | None:
        """The pace of an earlier run, if there was one."""
        try:
            return Pace(**self._entry["pace"])
        except (KeyError, TypeError):
            return None

    def share_for(self, seconds: float) -> float | None:
        """Return the share of the recipe that a run of about this time was given before."""
        likes = [plan for plan in self._entry.get("plans", []) if abs(seconds / plan["seconds"] - 1) < _LIKE]
        return float(min(likes, key=lambda plan: abs(seconds / plan["seconds"] - 1))["share"]) if likes else None

    def remember(self, pace: Pace, seconds: float | None = None, share: float = 1.0) -> None:
        """Keep a pace, and with `seconds` the share of the recipe that was given to a run of that time."""
        plans = self._entry.get("plans", [])
        if seconds is not None and self.share_for(seconds) is None:
            plans = [*plans, {"seconds": seconds, "share": share}][-_PLANS_KEPT:]
        self._write({"pace": asdict(pace), "plans": plans})

    def forget_plans(self, pace: Pace) -> None:
        """Keep a new pace only: the plans did not hold."""
        self._write({"pace": asdict(pace), "plans": []})

    def _write(self, entry: dict[str, Any]) -> None:
        self._entry = entry
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._file, json.dumps({**read_cache(self._file), self._key: entry}))
        except OSError:
            return


def cache_folder() -> Path:
    """Return the folder of what may be lost: `$YUNTI_CACHE`, else `~/.cache/yunti`."""
    return Path(os.environ.get("YUNTI_CACHE") or Path.home() / ".cache" / "yunti")


def read_cache(file: Path) -> dict[str, Any]:
    """Return what a JSON file of the cache holds; nothing where it is absent or damaged."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
