"""What the network rungs derive alike: when they cannot serve; batch, epochs, smoothing and augmentation by data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from yunti.ladders.rung import too_little
from yunti.models.recipe import Augment
from yunti.specs import Kind, Spec
from yunti.words import say

if TYPE_CHECKING:
    from yunti.data.encode import Stream

LEAST_ROWS = 50
MUON_ROWS = 8000  # below, batches are so small that orthogonal updates cost more than the network itself

REASONS: Mapping[str, str] = {
    "batch": say("why.batch"),
    "epochs": say("why.epochs"),
    "smoothing": say("why.smoothing"),
    "augment": say("why.augment"),
    "learning_rate": say("why.learning rate"),
    "weight_decay": say("why.weight decay"),
}

_REACH: Mapping[str, tuple[str, ...]] = {
    "image": ("shift", "mirror", "erase"),
    "text": ("drop",),
    "audio": ("mask", "warp", "tilt", "stretch", "noise"),
    "sequence": ("stretch", "noise"),
}  # what is changed of each kind of stream


def too_few_rows(spec: Spec) -> str | None:
    """Say that there are too few rows to train a network, or nothing it could read."""
    return too_little(spec, LEAST_ROWS, say("purpose.network"))


def needs_kind(spec: Spec, *kinds: Kind) -> str | None:
    """Say that there are too few rows, or no column of the kinds that a rung is made for."""
    if reason := too_few_rows(spec):
        return reason
    if spec.of_kind(*kinds):
        return None
    *others, last = (say(f"kind.{kind}") for kind in kinds)
    return say("unfit.kinds", kinds=others, last=last)


def rounded(width: float, to: int = 16) -> int:
    """Return the nearest multiple, at least one: processors work on blocks of 16 numbers.

    Example:
        >>> rounded(100.0), rounded(3.0)
        (96, 16)
    """
    return max(to, round(width / to) * to)


def batch_for(rows: int) -> int:
    """Return the rows of a step.

    Example:
        >>> batch_for(300), batch_for(50_000)
        (16, 128)
    """
    return next((batch for most, batch in ((500, 16), (2000, 32), (8000, 64)) if rows < most), 128)


def epochs_for(rows: int, scale: float, most: float) -> float:
    """Return how often every row is seen: scale / √(rows / 1000), between 1 and `most`.

    Example:
        >>> epochs_for(1000, 60.0, 80.0), epochs_for(100_000, 60.0, 80.0)
        (60.0, 6.0)
    """
    return round(min(most, max(1.0, scale * (rows / 1000) ** -0.5)), 1)


def stem_for(pixels: int) -> int:
    """Return the side of the squares of pixels that are folded into channels before the first convolution.

    Example:
        >>> stem_for(28 * 28), stem_for(64 * 64), stem_for(96 * 96)
        (1, 2, 2)
    """
    return 1 if pixels <= 40 * 40 else 2


def smoothing_for(spec: Spec) -> float:
    """Return the label smoothing: none where the metric scores probabilities."""
    return 0.1 if spec.task.metric in ("accuracy", "balanced_accuracy", "macro_f1") else 0.0


def augment_for(spec: Spec) -> Augment:
    """Return the changes to training rows that hardly ever change an answer, by kind of column."""
    small = spec.rows < 20_000
    return Augment(
        shift=0.08,
        mirror=True,
        mask=0.15 if small else 0.1,
        warp=0.15,
        tilt=0.15,
        stretch=0.15 if spec.of_kind("audio") else 0.05,
        noise=0.15 if small else 0.05,
        drop=0.1,
    )


def augment_on(spec: Spec, streams: Iterable[Stream]) -> Augment:
    """Return those of these changes that reach anything; what a pretrained model alone reads stays as it is.

    Args:
        spec: the columns and the task.
        streams: what is read in the usual way, and pictures.
    """
    reached = {name for stream in streams for name in _REACH.get(stream.kind, ())}
    return Augment(**{name: value for name, value in asdict(augment_for(spec)).items() if name in reached})
