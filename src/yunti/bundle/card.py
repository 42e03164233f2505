"""What is told about a model, and the card that tells it to people (Mitchell et al., 2019, "Model cards")."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from yunti.specs import ColumnSpec, TaskSpec
from yunti.tasks.metrics import metric_named

MOST_COLUMNS = 40
MOST_CLASSES = 20


@final
@dataclass(frozen=True)
class About:
    """All that a bundle tells about its model, in plain JSON values.

    Args:
        columns: the input columns.
        target: the target column as it is read.
        task: what is asked and how it is scored.
        data: the data it was trained on, as in `yunti.records.DataRecord`.
        scores: every metric of the task on the validation rows.
        rung: name, era, idea, source and plan of the rung.
        intervals: lower and upper end of the 95 % interval of each score that has one.
        cost: what training cost, as in `yunti.records.Cost`.
        refit_rows: rows, validation rows included, on which it was trained anew after its scores were measured, or 0.
        refit_members: of an ensemble, the members of which that is true.
        limits: sentences on what the model is not good for, beside those that hold for every model.
    """

    columns: tuple[ColumnSpec, ...]
    target: ColumnSpec
    task: TaskSpec
    data: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    rung: Mapping[str, Any] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    refit_rows: int = 0
    refit_members: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def card(about: About, made: str) -> str:
    """Write the card of a model as Markdown.

    Args:
        about: what is told.
        made: by which version and when.
    """
    sections = (
        _title(about, made),
        _scores(about),
        _data(about),
        _inputs(about),
        _making(about),
        _limits(about),
        _use(about),
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _title(about: About, made: str) -> Iterator[str]:
    rung, task = about.rung, about.task
    yield f"# {_plain(task.target)}: a {rung.get('name', 'model')} by yunti"
    yield ""
    if task.name == "classification":
        yield f"It tells which of {len(task.classes)} classes of `{_code(task.target)}` a row belongs to:"
        shown = ", ".join(f"`{_code(label)}`" for label in task.classes[:MOST_CLASSES])
        more = len(task.classes) - MOST_CLASSES
        yield shown + (f" and {more} more." if more > 0 else ".")
    elif task.name == "language" and about.target.holds_chats:
        yield f"It answers in conversations such as those of `{_code(task.target)}`, and tells how likely an answer is."
        yield "It reads each turn between two special tokens, which no text can forge: `<|system|>`, `<|user|>` or"
        yield "`<|assistant|>` before it, and `<|over|>` behind it. It is scored on what the assistant says alone."
    elif task.name == "language":
        yield f"It tells how likely a text such as those of `{_code(task.target)}` is, token after token."
    else:
        yield f"It tells the value of `{_code(task.target)}` of a row."
    yield ""
    yield f"Made by {made}."


def _scores(about: About) -> Iterator[str]:
    yield "## How good it is"
    yield ""
    rows = about.data.get("split", {}).get("valid")
    counted = f"{rows:,} validation rows" if isinstance(rows, int) else "the validation rows"
    yield f"Measured on {counted}, which it was not fitted to. `{about.task.metric}` decided."
    if about.refit_rows:
        yield (
            f"Afterwards {_who(about)} trained anew on {about.refit_rows:,} rows, these validation rows among them, "
            "with what was chosen kept: a score on these rows would flatter it now."
        )
    yield ""
    yield from _table(("metric", "score", "95 % interval", "better", "what it tells"), _score_rows(about))


def _who(about: About) -> str:
    names = [f"`{name}`" for name in about.refit_members]
    return f"its members {', '.join(names)} were" if names else "it was"


def _score_rows(about: About) -> Iterator[tuple[str, ...]]:
    for name, score in about.scores.items():
        metric = metric_named(name)
        ends = about.intervals.get(name)
        interval = f"{_number(ends[0])} to {_number(ends[1])}" if ends else "not measured"
        yield f"`{name}`", _number(score), interval, metric.direction, metric.idea


def _data(about: About) -> Iterator[str]:
    data = about.data
    split = data.get("split", {})
    yield "## What it learned from"
    yield ""
    rows = data.get("rows")
    yield f"`{_code(str(data.get('source', 'unknown')))}`" + (f", {rows:,} rows." if isinstance(rows, int) else ".")
    parts = [f"{split[name]:,} {name}" for name in ("train", "valid", "test") if isinstance(split.get(name), int)]
    if parts:
        yield ""
        yield f"Rows: {', '.join(parts)}" + (f"; {_plain(str(split['how']))}." if split.get("how") else ".")
    findings = [str(each.get("message", "")) for each in data.get("findings", ())]
    if findings:
        yield ""
        yield "What was found in it:"
        yield ""
        yield from (f"- {_plain(finding)}" for finding in findings)


def _inputs(about: About) -> Iterator[str]:
    yield "## What it reads"
    yield ""
    shown = about.columns[:MOST_COLUMNS]
    yield from _table(
        ("column", "kind", "why"), [(f"`{_code(each.name)}`", each.kind, _plain(each.evidence)) for each in shown]
    )
    if len(about.columns) > MOST_COLUMNS:
        yield ""
        yield f"and {len(about.columns) - MOST_COLUMNS} more columns."


def _making(about: About) -> Iterator[str]:
    rung = about.rung
    yield "## How it was made"
    yield ""
    yield f"Rung `{rung.get('name', '')}` ({rung.get('era', '')}): {_plain(str(rung.get('idea', '')))}"
    if rung.get("source"):
        yield f"Source: {_plain(str(rung['source']))}"
    plan = {**dict(rung.get("plan", {})), **about.cost}
    if plan:
        yield ""
        rows = [(f"`{_code(name)}`", f"`{_code(_value(value))}`") for name, value in plan.items()]
        yield from _table(("derived or measured", "value"), rows)


def _limits(about: About) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield "- The scores hold for rows that come about as the training rows did; on others it may fail unseen."
    if about.task.name == "classification":
        yield "- It knows only the classes above; a row of another class is given one of them."
        yield "- Its probabilities are as trustworthy as `calibration_error` is small."
    elif about.task.name == "language":
        yield "- It has learned how the text goes, not what is true: what it takes for likely may be false."
        yield "- It may know passages of its training text by heart."
    else:
        yield "- It gives one value without an interval; `rmse` and `mae` tell the usual error."
    yield "- It finds what goes together in the data, which need not be what causes what."
    yield from (f"- {_plain(limit)}" for limit in about.limits)


def _use(about: About) -> Iterator[str]:
    gives = {
        "classification": "`prediction` and `probability_<class>`",
        "regression": "`prediction`",
        "language": "`prediction`, the bits per byte of its text",
    }[about.task.name]
    chats = about.target.holds_chats
    new, labelled = ("new.txt", "new.txt") if about.task.name == "language" else ("new.csv", "labelled.csv")
    new, labelled = ("chats.jsonl", "chats.jsonl") if chats else (new, labelled)
    yield "## How to use it"
    yield ""
    yield "```"
    if chats:
        yield "yunti chat BUNDLE"
    elif about.task.name == "language":
        yield 'yunti generate BUNDLE --prompt "..."'
    yield f"yunti predict BUNDLE {new} -o answers.csv"
    yield f"yunti evaluate BUNDLE {labelled}"
    yield "```"
    yield ""
    yield "```python"
    yield "import yunti"
    yield "model = yunti.load(BUNDLE)"
    yield "answers = model.predict(frame)"
    yield "```"
    yield ""
    yield f"The answers have one row for each row that was given, in the same order, with {gives}."
    yield "The hashes in `bundle.json` show damage, not who made it: load bundles of people you trust."


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _number(value: float) -> str:
    return f"{value:.4f}" if 0.001 <= abs(value) < 1000 else f"{value:.4g}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _plain(text: str) -> str:
    """Return the text on one line, with nothing in it that Markdown would take for a tag."""
    return " ".join(text.split()).replace("<", "&lt;")


def _code(text: str) -> str:
    """Return the text on one line, with no backquote that would end the code."""
    return " ".join(text.split()).replace("`", "'")
