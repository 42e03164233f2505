"""When a network cannot serve, and widths that several of them derive alike."""

from __future__ import annotations

from yunti.specs import Kind, Spec

LEAST_ROWS = 50


def too_few_rows(spec: Spec) -> str | None:
    """Say that there are too few rows to train a network, or nothing it could read."""
    if spec.rows < LEAST_ROWS:
        return f"{spec.rows} training rows are too few to train a network: it needs {LEAST_ROWS}"
    if not any(column.kind != "id" for column in spec.columns):
        return "there is no column it could learn from"
    return None


def needs_kind(spec: Spec, *kinds: Kind) -> str | None:
    """Say that there are too few rows, or no column of the kinds that a rung is made for."""
    if reason := too_few_rows(spec):
        return reason
    if spec.of_kind(*kinds):
        return None
    names = ", ".join(kinds[:-1]) + f" or {kinds[-1]}" if len(kinds) > 1 else kinds[0]
    return f"it reads {names} columns, and there is none"


def rounded(width: float, to: int = 16) -> int:
    """Return the nearest multiple, at least one: processors work on blocks of 16 numbers.

    Example:
        >>> rounded(100.0), rounded(3.0)
        (96, 16)
    """
    return max(to, round(width / to) * to)
