"""Kinds, numbers, times and labels: what values are, and why."""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raws import looked, raw_of, write_csv
from yunti.data import numbers, times
from yunti.data.kinds import find_kinds, flag_words, named_as_id
from yunti.data.labels import labels_of, ordered
from yunti.data.parse import read_column, table_from_raw, target_from_raw
from yunti.data.table import Categories, Numbers, Ragged, Texts
from yunti.errors import ColumnError
from yunti.specs import ColumnSpec, Kind

DRAW = random.Random(0)
WORDS = [start + end for start in ("dar", "col", "riv", "sto", "hou") for end in ("k", "d", "er", "ne", "my")]
SENTENCES = [" ".join(DRAW.choices(WORDS, k=DRAW.randint(5, 15))) for _ in range(200)]
CHINESE = ["".join(DRAW.choices("今天天气很好我们去公园散步看见了许多花和鸟真是非常开心", k=20)) for _ in range(200)]


def kind_of(values: Any, name: str = "column") -> Kind:
    return find_kinds(raw_of({name: values}), {})[0].kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "3", "4"], "number"),
        (["1.5", " -2e3", "+4", ".5"], "number"),
        (["1", "2", "NA", "-", "None", "?", None, "3"], "number"),
        (["1,234", "5,678,901", "3"], "number"),
        (["1.234,50", "2,75", "3"], "number"),
        (["12 %", "7.5%", "3%"], "number"),
        (["$1,200.50", "$3", "-$7"], "number"),
        (["1 234", "12 345 678", "3"], "number"),
        (["1", "2", "1", "2"], "number"),
        (["0", "1", "1", "0"], "flag"),
        (["0.0", "1.0", "1.0"], "flag"),
        (["yes", "no", "no"], "flag"),
        (["TRUE", "FALSE", "TRUE"], "flag"),
        (["t", "f", "f"], "flag"),
        (["是", "否", "是"], "flag"),
        (["male", "female", "male"], "flag"),
        (["red", "green", "blue"] * 5, "category"),
        (["None", "Gravel", "Paved"] * 5, "category"),
        (["02134", "10001", "00501", "94110"] * 6, "category"),
        (["2020-01-31", "2021-12-01"], "time"),
        (["2020-01-31 23:59:59", "2021-12-01T00:00"], "time"),
        (["2020-01-31T10:00:00Z", "2021-12-01T10:00:00+02:00"], "time"),
        (["Mar-2018", "Feb-2018"], "time"),
        (["31/12/2020", "01/06/2021"], "time"),
        (["3 March 2020", "12 Apr 2021"], "time"),
        (["2020年3月5日", "2020年12月31日"], "time"),
        (["2016.5", "2016.58", "2017.1"], "number"),
        (SENTENCES, "text"),
        (CHINESE, "text"),
        ([f"User-{number:05d}" for number in range(60)], "id"),
        ([f"{number}@mail.org" for number in range(60)], "id"),
        (["ACGT"[number % 4] + "".join(DRAW.choices("ACGT", k=40)) for number in range(150)], "text"),
        (["[1, 2.5, 3]", "[4]", "[]"], "sequence"),
        ([None, None, None], "category"),
    ],
)
def test_kinds_of_strings(values: Sequence[str | None], kind: Kind) -> None:
    assert kind_of(values) == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([True, False, None]), "flag"),
        (pa.array([0, 1, 1, None]), "flag"),
        (pa.array([1, 2, 1]), "number"),
        (pa.array([1.5, None]), "number"),
        (pa.array([datetime.date(2020, 1, 1), None]), "time"),
        (pa.array([datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)]), "time"),
        (pa.array([datetime.timedelta(hours=1), None]), "number"),
        (pa.array([[1.0, 2.0], [3.0]]), "sequence"),
        (pa.array([[[1, 2], [3, 4]], [[5, 6]]]), "sequence"),
        (pa.array([["red", "round"], ["blue"]]), "text"),
        (pa.array(["a", "b", "c", "a"]).dictionary_encode(), "category"),
        (pa.array([3, 1, 2, 3]).dictionary_encode(), "category"),
        (pa.nulls(3), "category"),
        (pa.array([{"a": 1}]), "text"),
    ],
)
def test_kinds_of_typed_values(values: pa.Array, kind: Kind) -> None:
    assert kind_of(values) == kind


def test_whole_numbers_are_times_only_by_name() -> None:
    epochs = [str(1_500_000_000 + 86_400 * day) for day in range(30)]
    days = ["20160702", "20160703", "20171231"]
    assert kind_of(epochs) == "number"
    assert kind_of(epochs, "created_at") == "time"
    assert kind_of(pa.array([int(each) for each in epochs]), "timestamp") == "time"
    assert kind_of(days) == "number"
    assert kind_of(days, "sale_date") == "time"


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)])
def test_epochs_of_every_unit_give_the_same_seconds(unit: str, factor: int) -> None:
    raw = raw_of({"time": [str(1_600_000_000 * factor), str(1_600_086_400 * factor)]})
    spec = find_kinds(raw, {})[0]
    assert spec.parsing == {"epoch": unit}
    column = table_from_raw(raw, [spec])["time"]
    assert isinstance(column, Numbers)
    assert column.values.tolist() == [1_600_000_000, 1_600_086_400]


@pytest.mark.parametrize("name", ["id", "user_id", "PassengerId", "rownames", "Unnamed: 0", "", "编号", "row_key"])
def test_names_of_keys(name: str) -> None:
    assert named_as_id(name)


@pytest.mark.parametrize("name", ["humid", "paid", "width", "grid", "price", "valid", "monkey"])
def test_names_that_only_look_like_keys(name: str) -> None:
    assert not named_as_id(name)


def test_the_user_has_the_last_word() -> None:
    raw = raw_of({"zip": ["1", "2", "3"], "note": ["a", "b", "a"], "when": ["20200131", "20200201", "20200301"]})
    specs = find_kinds(raw, {"zip": "category", "note": "text", "when": "time"})
    assert [spec.kind for spec in specs] == ["category", "text", "time"]
    table = table_from_raw(raw, specs)
    assert isinstance(table["zip"], Categories)
    assert isinstance(table["note"], Texts)
    assert table["when"].values[0] == np.datetime64("2020-01-31").astype("datetime64[s]").astype(int)  # type: ignore[union-attr]


def test_evidence_counts_what_was_found(tmp_path: Path) -> None:
    ages = [str(20 + row % 50) for row in range(200)]
    ages[16] = "unclear"
    ages[90] = ""
    file = write_csv(tmp_path / "people.csv", {"age": ages, "sex": ["m", "f"] * 100, "y": ["1", "0", "0", "1"] * 50})
    seen = looked(file, target="y")
    evidence = {column.name: column.evidence for column in seen.data.columns}
    assert evidence["age"] == "198 of 199 values are numbers; 1 is not, whole, 20 to 69"
    assert evidence["sex"] == "two values: f (100) and m (100)"
    mixed = [each for each in seen.data.findings if each.code == "mixed"]
    assert [(each.column, each.row, each.count) for each in mixed] == [("age", 17, 1)]
    assert "unclear" in mixed[0].message


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_plain_numbers_come_back(values: list[float]) -> None:
    read, unread = numbers.to_numbers(pa.array([repr(value) for value in values], pa.large_string()), {})
    assert read.tolist() == values
    assert not unread.any()


@given(
    st.lists(st.integers(-10_000_000, 10_000_000), min_size=3, max_size=30),
    st.sampled_from([(",", "."), (".", ","), (" ", "."), (" ", ","), ("'", ".")]),
    st.sampled_from(["", "%", "€"]),
)
@settings(max_examples=100, deadline=None)
def test_written_amounts_come_back(cents: list[int], marks: tuple[str, str], unit: str) -> None:
    thousands, decimal = marks
    written = [f"{cent / 100:,.2f}".replace(",", "\0").replace(".", decimal).replace("\0", thousands) for cent in cents]
    written = [f"{text} {unit}".strip() for text in [*written, f"1{thousands}234{thousands}567{decimal}89"]]
    texts = pa.array(written, pa.large_string())
    parsing = numbers.find_format(texts, np.ones(len(texts), dtype=np.int64))
    assert parsing is not None
    read, unread = numbers.to_numbers(texts, parsing)
    assert not unread.any()
    np.testing.assert_allclose(read[:-1], np.array(cents) / 100)


def test_infinite_values_are_not_numbers() -> None:
    read, unread = numbers.to_numbers(pa.array(["1", "inf", "-Infinity", "nan"], pa.large_string()), {})
    assert read.tolist()[0] == 1
    assert np.isnan(read[1:]).all()
    assert unread.tolist() == [False, True, True, False]


@given(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)))
@settings(max_examples=100, deadline=None)
def test_times_agree_with_python(moment: datetime.datetime) -> None:
    moment = moment.replace(microsecond=0)
    expected = moment.replace(tzinfo=datetime.UTC).timestamp()
    day = moment.replace(hour=0, minute=0, second=0, tzinfo=datetime.UTC).timestamp()
    for label, pattern, value in [
        ("year-month-day", "%Y-%m-%d %H:%M:%S", expected),
        ("day.month.year", "%d.%m.%Y %H:%M:%S", expected),
        ("month/day/year", "%m/%d/%Y %I:%M:%S %p", expected),
        ("name day year", "%B %d, %Y", day),
        ("day name year", "%d-%b-%Y", day),
        ("年月日", "%Y年%m月%d日", day),
    ]:
        read, unread = times.to_times(pa.array([moment.strftime(pattern)], pa.large_string()), {"format": label})
        assert (read[0], unread[0]) == (value, False), (label, moment)


def test_days_that_do_not_exist_are_not_times() -> None:
    texts = pa.array(["2021-02-29", "2020-02-29", "2020-13-01", "2020-00-10", "2020-04-31"], pa.large_string())
    read, unread = times.to_times(texts, {"format": "year-month-day"})
    assert unread.tolist() == [True, False, True, True, True]
    assert times.moment(read[1]) == "2020-02-29"


def test_numbers_keep_their_values_apart() -> None:
    small = numbers.compact(np.array([0.1, 0.2, np.nan]))
    assert small.dtype == np.float32
    assert numbers.compact(np.array([16_777_216.0, 16_777_217.0])).dtype == np.float64
    assert numbers.compact(1e9 + np.arange(1000) / 1000).dtype == np.float64
    assert numbers.compact(np.random.default_rng(0).normal(size=100_000)).dtype == np.float32


def test_flag_words_know_synonyms_at_prediction() -> None:
    raw = raw_of({"smokes": ["yes", "no", "no"]})
    spec = find_kinds(raw, {})[0]
    column = read_column(raw_of({"smokes": ["Y", "TRUE", "0", "n", "", "maybe"]}), spec, None, lambda _: None)
    assert isinstance(column.column, Numbers)
    np.testing.assert_array_equal(column.column.values, [1, 1, 0, 0, np.nan, np.nan])
    assert column.wrong == {5: "it is 'maybe'"}
    assert flag_words(["a", "b", "c"]) is None


def test_labels_are_trimmed_and_whole() -> None:
    assert labels_of(pa.chunked_array([[" a ", "b", "a", None, "NA"]])).names.to_pylist() == ["a", "b"]
    assert labels_of(pa.chunked_array([["1.0", "2", "1"]])).codes.tolist() == [0, 1, 0]
    assert labels_of(pa.chunked_array([[1.0, 2.0, None, float("nan")]])).names.to_pylist() == ["1", "2"]
    assert labels_of(pa.chunked_array([["1.0", "v2"]])).names.to_pylist() == ["1.0", "v2"]
    assert ordered(["10", "9", "-1"]) == ("-1", "9", "10")


def test_answers_of_new_rows_follow_the_classes() -> None:
    target = ColumnSpec("y", "category")
    raw = raw_of({"y": ["b", " a", "c", None]})
    assert target_from_raw(raw, target, ("a", "b")).tolist() == [1, 0, -1, -1]
    truth = raw_of({"y": pa.array([True, False])})
    assert target_from_raw(truth, target, ("False", "True")).tolist() == [1, 0]
    values = target_from_raw(raw_of({"y": ["1.5", None]}), ColumnSpec("y", "number"), ())
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, [1.5, np.nan])


def test_sequences_from_lists_strings_and_arrays() -> None:
    lists = raw_of({"s": pa.array([[1.0, 2.0, 3.0], [], None, [4.0]])})
    written = raw_of({"s": ["[1, 2, 3]", "[]", None, "[4.0]"]})
    padded = np.full((4, 3), np.nan, dtype=np.float32)
    padded[0] = [1, 2, 3]
    padded[3, 0] = 4
    for raw in (lists, written, raw_of({}, arrays={"s": padded})):
        column = table_from_raw(raw, [ColumnSpec("s", "sequence")])["s"]
        assert isinstance(column, Ragged)
        assert column.lengths.tolist() == [3, 0, 0, 1]
        assert column.values.ravel().tolist() == [1, 2, 3, 4]


def test_steps_with_several_channels_and_gaps() -> None:
    nested = raw_of({"s": pa.array([[[1, 2], [3, 4]], [[5, 6]], [[7]]])})
    reading = read_column(nested, ColumnSpec("s", "sequence"), None, lambda _: None)
    assert isinstance(reading.column, Ragged)
    assert reading.column.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert reading.wrong == {2: "its steps do not all have 2 values"}
    gaps = np.array([[[np.nan], [1], [np.nan], [2], [np.nan]]], dtype=np.float32)
    filled = table_from_raw(raw_of({}, arrays={"s": gaps}), [ColumnSpec("s", "sequence")])["s"]
    assert isinstance(filled, Ragged)
    assert filled.values.ravel().tolist() == [0, 1, 1, 2]


def test_data_frames_keep_their_kinds() -> None:
    frame = pd.DataFrame(
        {
            "number": pd.array([1, None, 3] * 20, dtype="Int64"),
            "category": pd.Categorical(["x", "y", None] * 20),
            "flag": [True, False, True] * 20,
            "time": pd.date_range("2020-01-01", periods=60, tz="Europe/Berlin"),
            "text": SENTENCES[:60],
            "y": [0, 1] * 30,
        }
    )
    seen = looked(frame, target="y")
    kinds = {column.name: column.kind for column in seen.data.columns}
    assert kinds == {
        "number": "number",
        "category": "flag",
        "flag": "flag",
        "time": "time",
        "text": "text",
        "y": "flag",
    }


def test_long_columns_are_understood_from_a_sample() -> None:
    values = pa.chunked_array([pa.array([str(number % 97) for number in range(100_000)])] * 4)
    assert find_kinds(raw_of({"long": values}), {})[0].kind == "number"


@pytest.mark.parametrize("kind", ["number", "time", "flag", "image", "audio", "sequence"])
def test_new_rows_of_another_kind_are_refused(kind: Kind) -> None:
    parsing = {"flag": {"no": "no", "yes": "yes"}, "time": {"format": "year-month-day"}}.get(kind, {})
    spec = ColumnSpec("c", kind, shape=(8, 8, 1), rate=8_000, parsing=parsing)
    with pytest.raises(ColumnError, match=r"table\.csv, row 1: column 'c' must hold"):
        table_from_raw(raw_of({"c": ["surely", "not", "so"]}), [spec])
