"""The command that would begin a climb anew, from what its record says was asked."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

IN_MEMORY = "DATA"  # stands for an object that had no name
PLAIN = ("target", "task", "metric", "test", "split", "group", "time", "pretrained")


def command_line(settings: Mapping[str, Any]) -> str:
    """Write the command line that asks for the same; an object in memory is called DATA.

    Args:
        settings: as in `climb.json`: the fields of the request.

    Example:
        >>> command_line({"source": "my data.csv", "target": "y", "seed": 3, "budget_seconds": 90.0, "refit": True})
        "yunti climb 'my data.csv' --target y --budget 90s --seed 3"
    """
    full = bool(settings.get("full"))
    source = str(settings.get("source") or IN_MEMORY)
    words = ["yunti", "train" if full else "climb"]
    options = list(_options(settings, full))
    ordered = [*options, "--", source] if source.startswith("-") else [source, *options]
    return shlex.join([*words, *ordered])


def _options(settings: Mapping[str, Any], full: bool) -> Iterator[str]:
    for name in PLAIN:
        if settings.get(name) is not None:
            yield from (f"--{name}", str(settings[name]))
    for name, kind in (settings.get("kinds") or {}).items():
        yield from ("--kind", f"{name}={kind}")
    for name in settings.get("keep") or ():
        yield from ("--keep", str(name))
    if rungs := settings.get("rungs"):
        yield from ("--rung" if full else "--rungs", ",".join(rungs))
    for name, value in _flat(settings.get("settings") or {}):
        yield from ("--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}")
    if settings.get("budget_seconds") is not None:
        yield from ("--budget", f"{settings['budget_seconds']:g}s")
    for name in ("worth", "price"):
        if settings.get(name) is not None:
            yield from (f"--{name}", f"{settings[name]:g}" if name == "price" else str(settings[name]))
    if settings.get("seed"):
        yield from ("--seed", str(settings["seed"]))
    if settings.get("device", "auto") != "auto":
        yield from ("--device", str(settings["device"]))
    if bool(settings.get("refit", True)) is full:
        yield "--refit" if full else "--no-refit"


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
