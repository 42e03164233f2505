"""The frozen results of a climb and their JSON form, `climb.json` format 1. No torch, no numpy.

Fields may be added, never renamed: people keep these files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from yunti.copied import CopiedRecord
from yunti.specs import ColumnSpec, Era, TaskSpec

Status = Literal["done", "skipped", "failed", "stopped"]
Severity = Literal["note", "warning", "left out", "broken"]
FORMAT = 1


@dataclass(frozen=True)
class Finding:
    """Something the doctor found in the data.

    Args:
        code: short name of the check, such as "leak", "index", "constant", "duplicates", "missing".
        severity: "note" (good to know), "warning" (look at it), "left out" (a column, or documents, that are not
            used because of it), "broken" (rows that were set aside).
        message: one sentence for people.
        column: the column concerned, if one.
        file: the file concerned, if one.
        row: the first row concerned, 1-based as the user counts data rows, if one.
        count: how many rows are concerned.
    """

    code: str
    severity: Severity
    message: str
    column: str | None = None
    file: str | None = None
    row: int | None = None
    count: int | None = None


@dataclass(frozen=True)
class SplitRecord:
    """How many rows stand in each part, and how they were divided."""

    train: int
    valid: int
    test: int
    how: str = ""


@dataclass(frozen=True)
class RepeatsRecord:
    """How much rows with the same or nearly the same inputs differ in the target.

    Args:
        pairs: such pairs of rows, each row paired with the one before it.
        unlike: share of the pairs with different classes; of values, half the mean squared difference.
    """

    pairs: int
    unlike: float


@dataclass(frozen=True)
class TextRecord:
    """What a text is made of, documents that were left out not counted."""

    documents: int
    passages: int  # that they are cut into; 0 where every document is a row
    bytes: int
    characters: int
    words: int  # as `yunti.data.lengths` counts them
    distinct_characters: int
    scripts: dict[str, float] = field(default_factory=dict)  # share of the letters, the most common first
    repeated: int = 0  # documents that were left out because they repeat another one


@dataclass(frozen=True)
class DataRecord:
    """What was read and how it was understood; `repeats` where rows repeat one another, `text` of a text."""

    source: str
    rows: int
    columns: tuple[ColumnSpec, ...]
    split: SplitRecord
    findings: tuple[Finding, ...] = ()
    repeats: RepeatsRecord | None = None
    text: TextRecord | None = None


@dataclass(frozen=True)
class Score:
    """The metric that decides, on the validation rows, with a 95 % bootstrap interval."""

    metric: str
    valid: float
    low: float
    high: float

    @property
    def stderr(self) -> float:
        """The standard error that the interval tells."""
        return (self.high - self.low) / (2 * 1.96)


@dataclass(frozen=True)
class Cost:
    """What a rung cost, measured in its own process. FLOPs and parameters are counted, energy is estimated."""

    train_seconds: float
    cpu_seconds: float
    predict_seconds_per_1000: float
    peak_memory_bytes: int
    parameters: int
    bytes: int
    train_flops: float
    energy_wh: float


@dataclass(frozen=True)
class Point:
    """A rung trained on some of the training rows: a point of its learning curve; or over fewer steps, or narrower.

    Args:
        rows: that it learned from.
        score: the deciding metric on the validation rows.
        stderr: its standard error.
        seconds: that the training took, the start of a process left out.
        peak_memory_bytes: of the process up to then.
        start_seconds: of its seconds, those before it first reported that it learns: reading, first step, compilation.
        steps: that it took, of a point of a compute curve.
        dial: that the network was made with, of a point of a size curve.
    """

    rows: int
    score: float
    stderr: float
    seconds: float
    peak_memory_bytes: int
    start_seconds: float = 0.0
    steps: int | None = None
    dial: float | None = None


@dataclass(frozen=True)
class ForecastRecord:
    """What a rung was expected to bring before it was trained, and what it brought.

    Args:
        rows: training rows that it would learn from.
        basis: what it was made from: pilots of the rung itself, or the ladder's prior, which is what the rung did on
            other data.
        refused: why no honest number could be given; "" where there is one.
        median: of the deciding metric on the validation rows.
        low: lower end of the 90 % interval.
        high: its upper end.
        seconds: that its training would take, the start of its process and everything else included.
        seconds_low: lower end of the 90 % interval of the seconds.
        seconds_high: its upper end.
        start_seconds: of them, those that pass before it learns: imports, reading, the first step and compilation.
        peak_memory_bytes: that it would need.
        energy_wh: that it would use, estimated as for the cost of a rung.
        against: the best rung at that time.
        least: how much better than that counts.
        chance: probability that it is better by more.
        gain: by how much it is expected to be better than the best rung, 0 where it is not, in the metric's unit.
        price: the same for its seconds at the rate of exchange that was asked for; None without one.
        worth_it: whether it was to be trained.
        points: the pilots.
        outcome: the score that it reached, once it was trained.
        outcome_seconds: seconds that its training took.
    """

    rows: int
    basis: Literal["pilots", "prior"] = "pilots"
    refused: str = ""
    median: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float | None = None
    seconds_low: float | None = None
    seconds_high: float | None = None
    start_seconds: float | None = None
    peak_memory_bytes: int | None = None
    energy_wh: float | None = None
    against: str = ""
    least: float = 0.0
    chance: float | None = None
    gain: float | None = None
    price: float | None = None
    worth_it: bool = True
    points: tuple[Point, ...] = ()
    outcome: float | None = None
    outcome_seconds: float | None = None


@dataclass(frozen=True)
class RungRecord:
    """One rung of the climb: trained, or why not.

    `plan` holds what was derived for it (width, depth, epochs, ...) with the reasons; `scores` every metric of the task
    on the validation rows; `curve` its scores on growing parts of the training rows, `shorter` and `smaller` those of
    shorter trainings and of narrower networks, if they were measured.
    """

    name: str
    era: Era
    status: Status
    reason: str = ""
    score: Score | None = None
    cost: Cost | None = None
    forecast: ForecastRecord | None = None
    bundle: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    curve: tuple[Point, ...] = ()
    shorter: tuple[Point, ...] = ()
    smaller: tuple[Point, ...] = ()


@dataclass(frozen=True)
class BudgetRecord:
    """Seconds that were allowed and spent, wall clock, everything included."""

    seconds: float
    spent_seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class NextStep:
    """Something that could be done next and what it would bring.

    Args:
        action: what to do, in a clause.
        gain: how much better the score would be, in the metric's unit; below 0 it would be worse.
        low: lower end of the 90 % interval of the gain.
        high: its upper end.
        cost_seconds: seconds of training that it takes; None where only the user knows what it costs.
        worth_it: whether it is worth its cost; None where nobody here can say.
        kind: of the step; "rung" is one that was left out.
        rung: the rung concerned.
        rows: training rows there would be.
        chance: probability that the gain counts: that it is more than the standard error of the score.
        basis: what the numbers come from: pilots, a curve over rows, steps or sizes, other data, or nothing.
    """

    action: str
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    cost_seconds: float | None = None
    worth_it: bool | None = None
    kind: Literal["rung", "data", "longer", "larger", "pretrained", "stop"] = "rung"
    rung: str = ""
    rows: int | None = None
    chance: float | None = None
    basis: Literal["pilots", "curve", "prior", ""] = ""


@dataclass(frozen=True)
class LimitRecord:
    """What holds the score back.

    Args:
        what: too few data; labels that contradict one another; the model; the time; or "unclear".
        reason: why, in a sentence.
        noise_floor: share of rows that no model can get right, estimated; None where nothing tells it.
        disagreements: validation rows on which the strong rungs agree with one another and not with the label.
    """

    what: Literal["data", "labels", "model", "time", "unclear"]
    reason: str
    noise_floor: float | None = None
    disagreements: int = 0


@dataclass(frozen=True)
class RefitRecord:
    """How the chosen rung was trained anew on training and validation rows together; or, with 0 rows, why it was not.

    Args:
        rows: rows that it learned from.
        seconds: what that took.
        reason: in a clause, why it was not done.
        members: of an ensemble, the members that were trained anew: those for which it pays and fits.
    """

    rows: int = 0
    seconds: float = 0.0
    reason: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerdictRecord:
    """The chosen rung and why; what could be done next; what holds the score back; whether it was trained anew."""

    chosen: str
    reason: str
    next: tuple[NextStep, ...] = ()
    limit: LimitRecord | None = None
    refit: RefitRecord | None = None


@dataclass(frozen=True)
class TestRecord:
    """The score of the chosen rung on the test rows, opened once, with a 95 % bootstrap interval."""

    __test__ = False  # not a pytest class

    rung: str
    score: float
    low: float
    high: float
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ClimbRecord:
    """All numbers of a climb: what `climb.json` holds."""

    data: DataRecord
    task: TaskSpec
    machine: dict[str, Any]
    budget: BudgetRecord
    rungs: tuple[RungRecord, ...] = ()
    verdict: VerdictRecord | None = None
    test: TestRecord | None = None
    copied: CopiedRecord | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    yunti: str = ""
    created: str = ""
    format: int = FORMAT

    @property
    def price_per_hour(self) -> float | None:
        """What an hour of the machine costs, in the user's currency; None where that was not said."""
        price = self.settings.get("price")
        return float(price) if isinstance(price, int | float) else None

    def rung(self, name: str) -> RungRecord | None:
        """Return the record of the rung of this name, if it is there."""
        return next((each for each in self.rungs if each.name == name), None)
