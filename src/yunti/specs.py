"""All that a model may know about its data and its task before it sees a row.

Everything here is frozen, small, and written to JSON inside a bundle: a bundle's model is rebuilt from its `Spec`.
Facts are taken from the training rows only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["number", "category", "flag", "time", "text", "image", "audio", "sequence", "id"]
KINDS: tuple[Kind, ...] = ("number", "category", "flag", "time", "text", "image", "audio", "sequence", "id")

TaskName = Literal["classification", "regression", "language"]
Direction = Literal["higher", "lower"]
Era = Literal["traditional", "deep", "large"]
LANGUAGE_SUMS = 5  # nats, bytes, characters, tokens and words of a row: see `yunti.tasks.language`
Role = Literal["input", "target", "left out", "split", "group", "order"]


@dataclass(frozen=True)
class ColumnSpec:
    """One input column: its name, its kind, and the facts of that kind.

    Args:
        name: the column's name in the source.
        kind: what the values are.
        evidence: why the kind was chosen, as a clause for people.
        role: what the column is used for; models see inputs only.
        levels: number of distinct values (category, flag).
        length: typical longest row: characters (text), samples (audio), steps (sequence); the 95th percentile.
        shape: height, width and channels (image).
        channels: values per step (sequence; 1 for audio).
        rate: samples per second (audio).
        parsing: how the raw values are read (the time format, the words for true and false, the decimal comma);
            plain JSON values, the same for training and for new data.
    """

    name: str
    kind: Kind
    evidence: str = ""
    role: Role = "input"
    levels: int | None = None
    length: int | None = None
    shape: tuple[int, int, int] | None = None
    channels: int | None = None
    rate: int | None = None
    parsing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds_chats(self) -> bool:
        """Whether its texts are conversations."""
        return bool(self.parsing.get("chat", False))

    @property
    def holds_passages(self) -> bool:
        """Whether its texts are passages that were cut from longer ones."""
        return bool(self.parsing.get("passages", False))


@dataclass(frozen=True)
class TaskSpec:
    """What is asked and how it is scored.

    Args:
        name: classification, regression, or language: the next token of a text.
        target: the name of the target column; of language the column that holds the text.
        metric: the metric that decides, as in `yunti.tasks.metrics`.
        direction: whether a higher or a lower value of the metric is better.
        classes: the class labels in the order of the probabilities; empty for other tasks.
    """

    name: TaskName
    target: str
    metric: str
    direction: Direction
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """What a rung is told when it is asked whether it fits, and when it builds a model.

    Args:
        columns: the input columns; the target and columns left out are not among them.
        task: what is asked.
        rows: number of training rows.
        seed: seed of everything random in the model (see `yunti.seeds`).
        device: where networks run: "cpu", "cuda" or "mps".
        pretrained: a local folder or hub name of a pretrained model, if one was given.
    """

    columns: tuple[ColumnSpec, ...]
    task: TaskSpec
    rows: int
    seed: int = 0
    device: str = "cpu"
    pretrained: str | None = None

    def of_kind(self, *kinds: Kind) -> tuple[ColumnSpec, ...]:
        """Return the columns of these kinds, in their order."""
        return tuple(column for column in self.columns if column.kind in kinds)

    @property
    def outputs(self) -> int:
        """Number of values that a model puts out for a row: one per class, one, or the five sums of language."""
        if self.task.name == "language":
            return LANGUAGE_SUMS
        return len(self.task.classes) if self.task.name == "classification" else 1
