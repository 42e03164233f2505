"""Laying rows out and opening them again; facts come from training rows, and nothing is lost or mixed up."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raws import found, looked, prepared, write_csv
from yunti.data.dataset import DataOptions, Dataset, open_dataset, prepare
from yunti.data.join import joined
from yunti.data.options import DataOptions as Options
from yunti.data.parse import table_from_raw, target_from_raw
from yunti.data.read import read_raw
from yunti.data.store import StoredColumns, open_column, write_column
from yunti.data.table import Categories, Column, Examples, Images, Numbers, Ragged, Texts
from yunti.errors import SourceError

ROWS = 300
COLOURS = ["red", "green", "blue", "grey"]


def mixed_columns(rows: int = ROWS) -> dict[str, list[Any]]:
    random = np.random.default_rng(0)
    return {
        "size": [
            None if row % 11 == 0 else round(float(value), 3) for row, value in enumerate(random.normal(size=rows))
        ],
        "colour": [None if row % 13 == 0 else COLOURS[value] for row, value in enumerate(random.integers(0, 4, rows))],
        "round": random.choice(["yes", "no"], rows).tolist(),
        "day": [f"2021-{1 + row % 12:02d}-{1 + row % 28:02d}" for row in range(rows)],
        "note": [
            " ".join(random.choice(["old", "new", "bent", "sold", "kept", "very"], 6)) + f" {row}"
            for row in range(rows)
        ],
        "class": random.choice(["apple", "pear", "plum"], rows).tolist(),
    }


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "fruit.csv", mixed_columns())


def parts_of(dataset: Dataset) -> list[Examples]:
    return [dataset.train, dataset.valid, dataset.open_test()]


def test_every_row_stands_where_it_belongs(table: Path, tmp_path: Path) -> None:
    dataset = prepared(table, tmp_path, target="class")
    source = mixed_columns()
    rows = np.concatenate([part.rows for part in parts_of(dataset)])
    assert sorted(rows.tolist()) == list(range(ROWS))
    for part in parts_of(dataset):
        size, colour, note = part.table["size"], part.table["colour"], part.table["note"]
        assert isinstance(size, Numbers)
        assert isinstance(colour, Categories)
        assert isinstance(note, Texts)
        for place, row in enumerate(part.rows):
            assert dataset.classes[part.target[place]] == source["class"][row]
            assert note.values[place].as_py() == source["note"][row]
            code = colour.codes[place]
            assert (None if code < 0 else colour.names[code]) == source["colour"][row]
            expected = source["size"][row]
            assert np.isnan(size.values[place]) if expected is None else size.values[place] == np.float32(expected)


def test_rows_are_shuffled_within_their_part(table: Path, tmp_path: Path) -> None:
    dataset = prepared(table, tmp_path, target="class")
    assert not np.array_equal(dataset.train.rows, np.sort(dataset.train.rows))


def test_the_same_seed_lays_out_the_same_rows(table: Path, tmp_path: Path) -> None:
    first = prepared(table, tmp_path / "a", target="class", seed=3)
    second = prepared(table, tmp_path / "b", target="class", seed=3)
    other = prepared(table, tmp_path / "c", target="class", seed=4)
    assert np.array_equal(first.train.rows, second.train.rows)
    assert first.record == second.record
    assert not np.array_equal(first.train.rows, other.train.rows)


def test_a_data_set_opens_again(table: Path, tmp_path: Path) -> None:
    dataset = prepared(table, tmp_path, target="class")
    again = open_dataset(dataset.folder)
    assert again.record == dataset.record
    assert again.columns == dataset.columns
    assert (again.target, again.task, again.classes) == (dataset.target, "classification", ("apple", "pear", "plum"))
    assert np.array_equal(again.valid.target, dataset.valid.target)
    assert isinstance(again.train.table["size"].values.base, np.memmap)  # type: ignore[union-attr]
    assert not (dataset.folder / "work").exists()


def test_an_unfinished_folder_is_made_anew(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    (folder / "work").mkdir(parents=True)
    (folder / "0000.values.npy").write_bytes(b"half")
    with pytest.raises(SourceError, match="must hold dataset"):
        open_dataset(folder)
    assert len(prepared(table, tmp_path, target="class").train) == 180
    assert not (folder / "0000.names.npy").exists()


def test_nothing_stays_where_preparing_fails(table: Path, tmp_path: Path) -> None:
    def stop(stage: str, fraction: float) -> None:
        if stage == "laying out":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(table, DataOptions(target="class"), tmp_path / "prepared", stop)
    assert not (tmp_path / "prepared").exists()


def test_progress_is_told(table: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    prepare(table, DataOptions(target="class"), tmp_path / "p", lambda stage, fraction: told.append((stage, fraction)))
    assert list(dict.fromkeys(stage for stage, _ in told)) == ["reading", "understanding", "examining", "laying out"]
    assert all(0 <= fraction <= 1 for _, fraction in told)


def test_facts_come_from_training_rows_only(tmp_path: Path) -> None:
    columns = mixed_columns()
    columns["part"] = ["train"] * 200 + ["test"] * 100
    columns["colour"][250] = "ultraviolet"
    columns["note"][260] = "long " * 400
    dataset = prepared(write_csv(tmp_path / "t.csv", columns), tmp_path, target="class", split="part")
    specs = {column.name: column for column in dataset.columns}
    assert specs["colour"].levels == 4
    assert specs["note"].length is not None
    assert specs["note"].length < 60
    assert specs["round"].levels == 2
    assert "part" not in specs
    roles = {column.name: column.role for column in dataset.record.columns}
    assert (roles["part"], roles["class"]) == ("split", "target")


def test_classes_that_no_training_row_has_are_set_aside(tmp_path: Path) -> None:
    columns = mixed_columns()
    columns["part"] = ["train"] * 200 + ["test"] * 100
    columns["class"][250] = columns["class"][251] = "durian"
    file = write_csv(tmp_path / "t.csv", columns)
    dataset = prepared(file, tmp_path, target="class", split="part")
    assert dataset.classes == ("apple", "pear", "plum")
    assert len(dataset.open_test()) == 98
    assert dataset.open_test().target.min() >= 0
    assert found(looked(file, target="class", split="part"), "unseen_class")[0].count == 2


def test_groups_are_kept_for_the_intervals(tmp_path: Path) -> None:
    columns = {**mixed_columns(), "farm": [f"farm {row % 30}" for row in range(ROWS)]}
    dataset = prepared(write_csv(tmp_path / "t.csv", columns), tmp_path, target="class", group="farm")
    assert "farm" not in [column.name for column in dataset.columns]
    parts = (dataset.train, dataset.valid, dataset.open_test())
    groups = [set(part.groups.tolist()) for part in parts]  # type: ignore[union-attr]
    assert set(dataset.both().groups.tolist()) == groups[0] | groups[1]  # type: ignore[union-attr]
    assert len(set.union(*groups)) == sum(len(group) for group in groups) == 30
    assert prepared(tmp_path / "t.csv", tmp_path, target="class").train.groups is None


def test_the_latest_rows_test(tmp_path: Path) -> None:
    columns = mixed_columns()
    dataset = prepared(write_csv(tmp_path / "t.csv", columns), tmp_path, target="class", time="day")
    days = [max(columns["day"][row] for row in part.rows) for part in parts_of(dataset)]
    assert days == sorted(days)
    assert max(columns["day"][row] for row in dataset.train.rows) < min(
        columns["day"][row] for row in dataset.valid.rows
    )
    assert "day" not in [column.name for column in dataset.columns]
    kept = prepared(tmp_path / "t.csv", tmp_path, target="class", time="day", keep=("day",))
    assert "day" in [column.name for column in kept.columns]


def test_a_separate_test_source(tmp_path: Path) -> None:
    columns = mixed_columns()
    head = {name: values[:200] for name, values in columns.items()}
    tail = {name: values[200:] for name, values in columns.items()} | {"extra": ["x"] * 100}
    first, second = write_csv(tmp_path / "train.csv", head), tmp_path / "test.parquet"
    frame = pd.DataFrame(tail)
    frame.to_parquet(second)
    dataset = prepared(first, tmp_path, target="class", test=second)
    test = dataset.open_test()
    assert sorted(test.rows.tolist()) == list(range(200, 300))
    assert [dataset.classes[code] for code in test.target] == [columns["class"][row] for row in test.rows]
    note = test.table["note"]
    assert isinstance(note, Texts)
    assert note.strings() == [columns["note"][row] for row in test.rows]
    assert dataset.record.split.how == "ready split, valid stratified by target"


def test_sequences_of_other_lengths_are_joined(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((40, 5, 2), dtype=np.float32), y=np.arange(40) % 2)
    np.savez(tmp_path / "b.npz", x=np.ones((20, 7, 2), dtype=np.float32), y=np.arange(20) % 2)
    (tmp_path / "w1").mkdir()
    (tmp_path / "w2").mkdir()
    both = joined(
        read_raw(tmp_path / "a.npz", tmp_path / "w1"), read_raw(tmp_path / "b.npz", tmp_path / "w2"), tmp_path
    )
    assert both.arrays["x"].shape == (60, 7, 2)
    assert np.isnan(both.arrays["x"][:40, 5:]).all()
    assert both.place(45) == (str(tmp_path / "b.npz"), 6)


def test_broken_rows_are_quarantined(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", mixed_columns())
    lines = table.read_text().splitlines()
    lines[5] += ",and,more"
    table.write_text("\n".join(lines) + "\n")
    dataset = prepared(table, tmp_path, target="class")
    quarantine = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert [(row["file"], row["row"]) for row in quarantine] == [(str(table), 5)]
    assert sum(len(part) for part in parts_of(dataset)) == ROWS - 1
    assert dataset.record.rows == ROWS
    broken = [finding for finding in dataset.record.findings if finding.code == "broken"]
    assert (broken[0].row, broken[0].count) == (5, 1)


def test_answers_that_are_no_numbers_are_quarantined(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"x": np.random.default_rng(0).normal(size=100).tolist(), "y": list(range(100))}
    columns["y"] = [float(value) * 1.5 for value in np.random.default_rng(1).permutation(100)]
    columns["y"][7] = "about four"
    dataset = prepared(write_csv(tmp_path / "t.csv", columns), tmp_path, target="y")
    quarantine = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert quarantine[0]["row"] == 8
    assert "about four" in quarantine[0]["reason"]
    assert dataset.task == "regression"
    assert sum(len(part) for part in parts_of(dataset)) == 99
    assert all(np.isfinite(part.target).all() for part in parts_of(dataset))


def test_new_rows_are_read_as_training_rows_were(table: Path, tmp_path: Path) -> None:
    dataset = prepared(table, tmp_path, target="class")
    raw = read_raw(table, tmp_path)
    whole = table_from_raw(raw, dataset.columns)
    stored = table_from_raw(raw, dataset.columns, tmp_path)
    assert len(whole) == len(stored) == ROWS
    codes = target_from_raw(raw, dataset.target, dataset.classes)
    for part in parts_of(dataset):
        assert np.array_equal(codes[part.rows], part.target)
        for name in whole.columns:
            for read in (whole, stored):
                assert_same(part.table[name], read[name].take(part.rows))


def assert_same(first: Column, second: Column) -> None:
    match first, second:
        case Numbers(left), Numbers(right):
            np.testing.assert_array_equal(left, right)
        case Categories() as left, Categories() as right:
            assert names_of(left) == names_of(right)
        case Texts() as left, Texts() as right:
            assert left.values.to_pylist() == right.values.to_pylist()
        case Images() as left, Images() as right:
            np.testing.assert_array_equal(left.pixels, right.pixels)
            np.testing.assert_array_equal(left.present, right.present)
        case Ragged() as left, Ragged() as right:
            for row in range(len(left)):
                np.testing.assert_array_equal(left.row(row), right.row(row))
        case _:
            raise AssertionError((type(first), type(second)))


def names_of(column: Categories) -> list[str | None]:
    return [None if code < 0 else column.names[code] for code in column.codes]


@given(
    st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)), max_size=40),
    st.data(),
)
@settings(max_examples=50, deadline=None)
def test_columns_come_back_from_their_files(texts: list[str | None], data: st.DataObject) -> None:
    import tempfile

    rows = len(texts)
    order = np.array(data.draw(st.permutations(range(rows))), dtype=np.int64)
    random = np.random.default_rng(rows)
    lengths = random.integers(0, 4, rows)
    columns: dict[str, Column] = {
        "text": Texts(pa.array([text or None for text in texts], pa.large_string())),
        "number": Numbers(random.normal(size=rows).astype(np.float32)),
        "category": Categories(random.integers(-1, 3, rows).astype(np.int32), ("a", "b/ü", "云")),
        "image": Images(random.integers(0, 255, (rows, 2, 3, 1), dtype=np.uint8), random.random(rows) > 0.5),
        "ragged": Ragged(
            random.normal(size=(int(lengths.sum()), 2)).astype(np.float32), np.concatenate([[0], np.cumsum(lengths)])
        ),
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        stored = tuple(
            write_column(folder, name, number, column, order) for number, (name, column) in enumerate(columns.items())
        )
        for each in stored:
            assert_same(open_column(folder, each), columns[each.name].take(order))
        part = StoredColumns(folder, stored, slice(rows // 3, rows), stay_open=True)
        for name, column in columns.items():
            assert_same(part[name], column.take(order[rows // 3 :]))
            assert part[name] is part[name]


def test_regression_keeps_values(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=90), "y": np.linspace(1e9, 1e9 + 1, 90)})
    dataset = prepared(frame, tmp_path, target="y")
    assert (dataset.task, dataset.classes) == ("regression", ())
    assert dataset.train.target.dtype == np.float64
    assert np.array_equal(dataset.train.target, frame["y"].to_numpy()[dataset.train.rows])


@pytest.mark.parametrize(
    ("values", "asked", "task", "classes"),
    [
        ([0, 1] * 40, None, "classification", ("0", "1")),
        ([1, 2, 3, 4, 5] * 16, None, "classification", ("1", "2", "3", "4", "5")),
        ([1, 2, 3, 4, 5] * 16, "regression", "regression", ()),
        ([number / 4 for number in range(80)], None, "regression", ()),
        ([number % 40 for number in range(80)], None, "regression", ()),
        ([number % 40 for number in range(80)], "classification", "classification", tuple(map(str, range(40)))),
        (["yes", "no"] * 40, None, "classification", ("no", "yes")),
        ([True, False] * 40, None, "classification", ("false", "true")),
        (["1.0", "2.0"] * 40, None, "classification", ("1", "2")),
        (["好", "差"] * 40, None, "classification", ("好", "差")),
    ],
)
def test_tasks(values: list[Any], asked: Any, task: str, classes: tuple[str, ...]) -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=80), "y": values})
    look = looked(frame, target="y", task=asked)
    assert (look.task, set(look.classes)) == (task, set(classes))
    assert look.target is not None
    assert look.target.role == "target"


def test_looking_without_a_target(table: Path) -> None:
    look = looked(table)
    assert look.target is None
    assert look.task is None
    assert look.candidates[0] == "class"
    assert {column.name for column in look.data.columns} == set(mixed_columns())
    assert look.examples["round"]
    assert look.missing["size"] == pytest.approx(28 / ROWS)
    assert look.data.split.how == "no target was named"


def test_looking_leaves_nothing_behind(table: Path) -> None:
    before = sorted(table.parent.iterdir())
    looked(table, target="class")
    assert sorted(table.parent.iterdir()) == before


def test_looking_and_preparing_agree(table: Path, tmp_path: Path) -> None:
    look, dataset = looked(table, target="class"), prepared(table, tmp_path, target="class")
    assert look.data.split == dataset.record.split
    assert look.data.findings == dataset.record.findings
    plain = [dataclasses.replace(column, levels=None, length=None) for column in dataset.record.columns]
    assert [dataclasses.replace(column, levels=None, length=None) for column in look.data.columns] == plain


def test_options_have_one_home() -> None:
    assert DataOptions is Options


def test_a_wide_table_needs_memory_for_one_column_at_a_time(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pa.table(
        {f"c{number}": random.normal(size=50_000) for number in range(40)} | {"y": random.integers(0, 2, 50_000)}
    )
    dataset = prepared(frame, tmp_path, target="y")
    assert dataset.record.split.train == 40_000
    assert all(isinstance(column.values.base, np.memmap) for column in dataset.train.table.columns.values())  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["JapaneseVowels", "ItalyPowerDemand"])
def test_official_splits(shared_data: Path, tmp_path: Path, name: str) -> None:
    dataset = prepared(shared_data / "series" / f"{name}.npz", tmp_path)
    arrays = np.load(shared_data / "series" / f"{name}.npz")
    assert len(dataset.open_test()) == len(arrays["y_test"])
    assert len(dataset.train) + len(dataset.valid) == len(arrays["y_train"])
    assert dataset.columns[0].channels == arrays["x_train"].shape[1]


def test_the_split_of_the_cells(shared_data: Path, tmp_path: Path) -> None:
    dataset = prepared(shared_data / "tables" / "cells.csv.gz", tmp_path, target="class", split="case")
    assert (len(dataset.open_test()), len(dataset.train) + len(dataset.valid)) == (1_010, 1_009)
