"""Every sentence that tells what is wrong with the data, read as the user reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn

import yunti
from raws import looked, raw_of, write_csv
from yunti.climbing.combine import combine
from yunti.data.parse import table_from_raw, target_from_raw
from yunti.errors import ColumnError, InputError, OptionError, RungError, SourceError
from yunti.specs import ColumnSpec, Spec
from yunti.tasks.task import infer_task

ROWS = 60


def columns() -> dict[str, list[Any]]:
    random = np.random.default_rng(0)
    return {
        "weight": random.normal(size=ROWS).round(3).tolist(),
        "colour": [["red", "green", "blue"][row % 3] for row in range(ROWS)],
        "tags": [f"tag {row}" for row in range(ROWS)],
        "price": (random.random(ROWS) * 100).round(2).tolist(),
        "kind": ["a", "b"] * (ROWS // 2),
        "one": ["same"] * ROWS,
    }


TALES = [f"the tale of day {row} begins in a small town" for row in range(30)]
CASES: list[tuple[dict[str, Any], type[InputError], str]] = [
    (
        {},
        ColumnError,
        "the column to predict must be named, but no target was given; use --target with one of its "
        "columns, such as 'price'",
    ),
    (
        {"target": "prize"},
        ColumnError,
        "the target must be one of its columns, but 'prize' is none; did you mean 'price'?",
    ),
    (
        {"target": "kind", "group": "farm"},
        ColumnError,
        "--group farm must name a column, but there is no 'farm'; choose one of",
    ),
    (
        {"target": "kind", "time": "wight"},
        ColumnError,
        "--time wight must name a column, but there is no 'wight'; did you mean 'weight'?",
    ),
    (
        {"target": "kind", "split": "colour"},
        ColumnError,
        "--split colour must hold train, valid (or validation, dev) and "
        "test, but it holds 'red'; write it with these words, or name another column.",
    ),
    ({"target": "kind", "split": "one"}, ColumnError, "--split one must hold train"),
    (
        {"target": "kind", "keep": ("wight",)},
        ColumnError,
        "--keep wight must name a column, but there is no 'wight'; did you mean 'weight'?",
    ),
    (
        {"target": "kind", "kinds": {"wight": "number"}},
        ColumnError,
        "--kind wight=number must name a column, but there is no 'wight'; did you mean 'weight'?",
    ),
    (
        {"target": "kind", "kinds": {"weight": "numbr"}},
        OptionError,
        "--kind weight=numbr: the kind must be known, but 'numbr' is not; did you mean 'number'?",
    ),
    (
        {"target": "kind", "kinds": {"colour": "number"}},
        ColumnError,
        "table.csv, row 1: column 'colour' must be readable as "
        "number, but it is 'red'; leave out --kind colour=number.",
    ),
    (
        {"target": "kind", "kinds": {"tags": "time"}},
        ColumnError,
        "table.csv, row 1: column 'tags' must be readable as time, but it is 'tag 0'",
    ),
    ({"target": "kind", "kinds": {"colour": "flag"}}, ColumnError, "column 'colour' must be readable as flag"),
    (
        {"target": "kind", "kinds": {"colour": "image"}},
        SourceError,
        "at most 5 % of the rows may be broken, but 60 of 60 "
        "are (100%), first table.csv, row 1: colour: there is no file red; correct the source",
    ),
    (
        {"target": "kind", "group": "colour", "time": "weight"},
        OptionError,
        "rows can be split by groups or by time, but both were given; choose one.",
    ),
    (
        {"target": "kind", "group": "colour", "split": "colour"},
        OptionError,
        "a column can have one role, but it is named twice; name it once.",
    ),
    (
        {"target": "kind", "group": "kind"},
        OptionError,
        "--group kind: it must not be the target, but it is; name another column.",
    ),
    (
        {"target": "weight", "group": "kind"},
        ColumnError,
        "--group kind needs at least 3 different groups, but it holds 2",
    ),
    (
        {"target": "kind", "time": "colour"},
        ColumnError,
        "--time colour must name a column of times or numbers, but it is of kind category",
    ),
    (
        {"target": "one"},
        ColumnError,
        "the target 'one' must have at least two classes, but every row is of class 'same'; add rows of other classes.",
    ),
    (
        {"target": "tags"},
        ColumnError,
        "the target 'tags' must have at most 1,000 classes, with several rows each, but 60 "
        "rows hold 60 distinct values",
    ),
    ({"target": "price", "task": "classification"}, ColumnError, "the target 'price' must have at most 1,000 classes"),
    (
        {"target": "kind", "task": "regression"},
        ColumnError,
        "row 1: the target 'kind' must hold numbers for regression, but it is 'a'; leave out --task regression.",
    ),
    ({"target": "kind", "test": "other.csv"}, ColumnError, "the test rows must have column 'weight'"),
]


@pytest.mark.parametrize(("options", "error", "said"), CASES)
def test_options_that_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], error: type[InputError], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(Path("other.csv"), {"wait": [1, 2], "kind": ["a", "b"]})
    write_csv(Path("table.csv"), columns())
    with pytest.raises(error) as caught:
        if options:
            looked("table.csv", **options)
        else:
            from raws import prepared

            prepared("table.csv", tmp_path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(("table.csv", "other.csv", "--"))
    assert str(caught.value)[-1] in ".?"


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        ({"x": [1.5, 2.5] * 3, "y": ["a", "b"] * 3}, {}, "at least 10 rows must be usable, but there are 6; add rows."),
        ({"x": [1.5] * 30, "y": [None] * 30}, {}, "the target 'y' must have values, but every row is empty"),
        (
            {"x": [1.5] * 30, "y": [2.5] * 30},
            {"task": "regression"},
            "must have different values, but every row holds 2.5",
        ),
        (
            {"x": ["same"] * 30, "y": ["a", "b"] * 15},
            {},
            "at least one column must be left to learn from, but all 1 were left out ('x' holds 'same' in every row)",
        ),
        ({"y": ["a", "b"] * 15}, {}, "at least one column must be left to learn from"),
        (
            {"x": range(30), "y": pd.date_range("2020-01-01", periods=30)},
            {},
            "the target must be a number, a flag or a category, but 'y' holds times",
        ),
        ({"x": range(30), "y": [[1, 2]] * 30}, {}, "but 'y' is of kind sequence; choose another column."),
        (
            {"x": [[1, 2]] * 30, "y": ["a", "b"] * 15},
            {"kinds": {"x": "number"}},
            "column 'x' must be readable as number, but it holds values of type",
        ),
        ({"x": range(30), "y": range(30)}, {"time": "x", "target": "x"}, "it must not be the target"),
        (
            {"y": range(30)},
            {"task": "language"},
            "the text must stand in 'y' as it is to be read, but it holds values of type int64; name a column of "
            "text with --target.",
        ),
        (
            {"x": range(30)},
            {"task": "language", "target": None},
            "it must have a column of text, but its columns are of kind number; name one with --target.",
        ),
        (
            {"y": TALES},
            {"task": "language", "target": "z"},
            "the text must stand in one of its columns, but 'z' is none; choose one of 'y'.",
        ),
        (
            {"y": [f'[{{"role": "user", "content": "{tale}"}}]' for tale in TALES]},
            {"task": "language", "target": None},
            "'y' as it is to be read, but it holds chats, which are lists of messages; name it with --target "
            "to learn from conversations.",
        ),
        (
            {"y": [[{"role": "user", "content": "hello"}]] * 30},
            {"task": "language"},
            "30 of 30 are (100%), first data frame, row 1: nobody answers; add a message of the assistant",
        ),
        (
            {"y": ["one fine day"] * 30},
            {"task": "language"},
            "its text must give at least 10 passages to learn from, choose by and test on, but it gives 1; give more "
            "text.",
        ),
        (
            {"y": TALES, "x": range(30)},
            {"task": "language", "keep": ("x",)},
            "--keep x: a text goes on from itself alone, but 'x' is to be kept as an input; leave out --keep.",
        ),
        (
            {"y": TALES, "x": range(30)},
            {"task": "language", "group": "y"},
            "--target y: it must not divide the rows too, but it does; name another column.",
        ),
        (
            {"y": TALES, "x": [1, 2] * 15},
            {"task": "language", "group": "x"},
            "--group x needs at least 3 different groups, but it holds 2",
        ),
    ],
)
def test_tables_that_cannot_be_used(frame: dict[str, Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        looked(pd.DataFrame(frame), **{"target": "y", **options})
    assert said in str(caught.value)


def test_a_text_without_a_target_that_is_too_short(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one line\nand another\n")
    with pytest.raises(SourceError) as caught:
        looked(str(tmp_path / "a.txt"))
    assert "but it gives 1; give more text, or name the --target if it is a table." in str(caught.value)


def test_a_module_of_ones_own_learns_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(TALES * 9))
    with pytest.raises(OptionError) as caught:
        yunti.fit(nn.Linear(1, 1), str(tmp_path / "a.txt"))
    assert "yunti.fit: a module of one's own must predict classes or values, but" in str(caught.value)
    assert "is a text to go on with; name a table and its target." in str(caught.value)


def test_models_of_text_make_no_ensemble() -> None:
    spec = Spec((ColumnSpec("text", "text"),), infer_task("language", "text"), 100)
    with pytest.raises(RungError) as caught:
        combine(None, None, spec, ["gpt", "lstm"])  # type: ignore[arg-type]
    assert str(caught.value) == (
        "ensemble: its members must give probabilities or values, but they give the nats of texts; use one of them."
    )


def test_new_rows_without_a_column() -> None:
    with pytest.raises(ColumnError) as caught:
        table_from_raw(raw_of({"wait": ["1"]}), [ColumnSpec("weight", "number")])
    assert str(caught.value) == (
        "table.csv: column 'weight' must be there, as it was in training, but it is missing; did you mean 'wait'?"
    )


def test_new_rows_of_another_kind() -> None:
    raw = raw_of({"age": ["31", "forty", "none", "??"]})
    with pytest.raises(ColumnError) as caught:
        table_from_raw(raw, [ColumnSpec("age", "number")])
    assert str(caught.value) == (
        "table.csv, row 2: column 'age' must hold numbers, but it is 'forty'; correct the values (2 are wrong), or "
        "give the column as it was in training."
    )


def test_new_rows_of_another_type() -> None:
    raw = raw_of({}, arrays={"x": np.zeros((3, 8, 8), dtype=np.uint8)})
    with pytest.raises(ColumnError, match="'x' must hold sequences of numbers, as in training, but"):
        table_from_raw(raw, [ColumnSpec("x", "sequence")])
    with pytest.raises(ColumnError, match="'age' must hold numbers, as in training, but"):
        table_from_raw(raw_of({"age": [[1], [2]]}), [ColumnSpec("age", "number")])


def test_answers_of_another_kind() -> None:
    with pytest.raises(ColumnError, match=r"table\.csv, row 1: the target 'y' must hold numbers, but it is 'high'"):
        target_from_raw(raw_of({"y": ["high", "low"]}), ColumnSpec("y", "number"), ())
    with pytest.raises(ColumnError, match="column 'y' must be there"):
        target_from_raw(raw_of({"x": ["1"]}), ColumnSpec("y", "category"), ("a", "b"))
