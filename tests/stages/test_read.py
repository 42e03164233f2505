"""Reading sources: what stands in a file is what comes out, and what cannot be read is told."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import feather

from yunti.data.raw import BrokenRow, Raw
from yunti.data.read import read_raw
from yunti.data.samples import samples

NAMES = ["first", "second", "third"]
CELLS = st.text(
    st.one_of(st.sampled_from(" \n\r\t,;|\"'\\aé中0."), st.characters(exclude_categories=["Cs", "Cc"])), max_size=12
)


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return str(path)


def rows_of(raw: Raw) -> list[dict[str, Any]]:
    return list(raw.arrow.to_pylist())


def delimited(rows: list[list[str]], **options: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, **options).writerows(rows)
    return text.getvalue()


# delimited text


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8),
    style=st.sampled_from([(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r\n")]),
)
def test_what_the_csv_module_writes_is_read_back(
    tmp_path: Path, delimiter: str, rows: list[list[str]], style: tuple[int, str]
) -> None:
    text = delimited([NAMES, *rows], delimiter=delimiter, quoting=style[0], lineterminator=style[1])
    raw = read_raw(write(tmp_path / "a.csv", text), tmp_path / "work")
    assert raw.arrow.column_names == NAMES
    assert [[value or "" for value in row.values()] for row in rows_of(raw)] == rows
    assert raw.broken == ()


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(CELLS.filter(str.strip), min_size=1, max_size=8))
def test_one_column_is_read_back(tmp_path: Path, rows: list[str]) -> None:
    text = delimited([["text"], *[[row] for row in rows]], quoting=csv.QUOTE_ALL)
    raw = read_raw(write(tmp_path / "a.csv", text), tmp_path / "work")
    assert raw.arrow.to_pydict() == {"text": rows}


def test_an_empty_field_is_null_and_a_quoted_one_is_a_string(tmp_path: Path) -> None:
    raw = read_raw(write(tmp_path / "a.csv", 'a,b,c\n1,,""\nNA, x ,007\n'), tmp_path / "work")
    assert rows_of(raw) == [{"a": "1", "b": None, "c": ""}, {"a": "NA", "b": " x ", "c": "007"}]
    assert raw.arrow.schema.types == [pa.large_string()] * 3


CHINESE = "城市,天气\n北京,晴朗而寒冷\n上海,阴天有小雨\n广州,多云转晴\n"
FRENCH = "ville,météo\nOrléans,été très chaud\nNîmes,août à la plage – 30 °C\n"


@pytest.mark.parametrize(
    ("content", "encoding", "told"),
    [
        (CHINESE, "utf-8", None),
        (CHINESE, "utf-8-sig", None),
        (CHINESE, "utf-16", "utf-16"),
        (CHINESE, "utf-32", "utf-32"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "gbk", "gb18030"),
        (FRENCH, "cp1252", "cp1252"),
        (FRENCH.replace("–", "-"), "latin-1", "cp1252"),
        (FRENCH, "utf-16-le", "utf-16-le"),
        (FRENCH, "utf-16-be", "utf-16-be"),
    ],
)
def test_the_encoding_is_found_and_told(tmp_path: Path, content: str, encoding: str, told: str | None) -> None:
    raw = read_raw(write(tmp_path / "a.csv", content, encoding), tmp_path / "work")
    header, *rows = [line.split(",") for line in content.splitlines()]
    assert rows_of(raw) == [dict(zip(header, row, strict=True)) for row in rows]
    assert raw.notes == ((f"its text was read as {told}",) if told else ())


def test_the_encoding_is_found_where_other_letters_come_late(tmp_path: Path) -> None:
    lines = ["id,name"] + [f"{place},plain" for place in range(300_000)] + ["300000,café crème", "300001,naïve"]
    raw = read_raw(write(tmp_path / "a.csv", "\n".join(lines), "cp1252"), tmp_path / "work")
    assert raw.arrow["name"].to_pylist()[-2:] == ["café crème", "naïve"]
    assert len(raw) == 300_002


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("honest", [True, False])
def test_packed_files_are_known_by_their_bytes(tmp_path: Path, pack: Any, honest: bool) -> None:
    ending = {gzip.compress: ".gz", bz2.compress: ".bz2", lzma.compress: ".xz"}[pack] if honest else ""
    raw = read_raw(write(tmp_path / f"a.tsv{ending}", pack(b"a\tb\n1\t2\n")), tmp_path / "work")
    assert rows_of(raw) == [{"a": "1", "b": "2"}]
    assert raw.folder == tmp_path


def test_ragged_rows_are_set_aside_with_their_numbers(tmp_path: Path) -> None:
    lines = ["a,b,c", "1,2,3", "", "4,5", '"x\ny",6,7', "8,9,10,11", "12,13,14"]
    source = write(tmp_path / "a.csv", "\n".join(lines) + "\n")
    raw = read_raw(source, tmp_path / "work")
    assert raw.broken == (
        BrokenRow(source, 2, "2 fields instead of 3", "4,5"),
        BrokenRow(source, 4, "4 fields instead of 3", "8,9,10,11"),
    )
    assert raw.arrow["a"].to_pylist() == ["1", "x\ny", "12"]
    assert [raw.place(index) for index in range(3)] == [(source, 1), (source, 3), (source, 5)]


def test_ragged_rows_are_numbered_across_blocks(tmp_path: Path) -> None:
    wrong = {7, 100_000, 299_999}
    lines = [f"{place},x" if place not in wrong else f"{place}" for place in range(1, 300_001)]
    raw = read_raw(write(tmp_path / "a.csv", "id,v\n" + "\n".join(lines)), tmp_path / "work")
    assert raw.arrow["id"].num_chunks > 1
    assert {row.row for row in raw.broken} == wrong
    assert raw.row_of is not None
    np.testing.assert_array_equal(raw.row_of, raw.arrow["id"].to_numpy().astype(np.int64))


def test_a_row_with_bytes_that_cannot_be_decoded_is_set_aside(tmp_path: Path) -> None:
    content = "name,v\nZoë,1\nИван,2\n中文,3\n".encode() + b"b\xffd,4\n" + b"x,5\n" + b"\xfe\xfe,6,7\n"
    source = write(tmp_path / "a.csv", content)
    raw = read_raw(source, tmp_path / "work")
    assert raw.arrow["name"].to_pylist() == ["Zoë", "Иван", "中文", "x"]
    assert raw.broken == (
        BrokenRow(source, 4, "column 'name' holds the byte 0xFF, which could not be decoded", "b�d"),
        BrokenRow(source, 6, "3 fields instead of 2", "��,6,7"),
    )
    assert [raw.place(index)[1] for index in range(4)] == [1, 2, 3, 5]


def test_a_quote_left_open_loses_no_line_without_a_word(tmp_path: Path) -> None:
    text = 'a,b\n1,"2,2"\n2,"3,3"\n3,"open\n4,"5,5"\n5,6\n6,"never closed\n7,8\n'
    raw = read_raw(write(tmp_path / "a.csv", text), tmp_path / "work")
    seen = " ".join([*(row.text for row in raw.broken), *(str(row) for row in rows_of(raw))])
    assert all(f"{place}" in seen for place in range(1, 9))
    assert raw.broken
    assert "quote" in raw.broken[-1].reason


def test_a_file_that_ends_inside_a_quote_loses_its_last_row_with_a_word(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", 'a,b\n1,"x ""y"""\n2,""\n3,"cut o')
    raw = read_raw(source, tmp_path / "work")
    assert rows_of(raw) == [{"a": "1", "b": 'x "y"'}, {"a": "2", "b": ""}]
    assert raw.broken == (BrokenRow(source, 3, "its quote is not closed before the file ends", "cut o"),)


@pytest.mark.parametrize("last", ['""', '""""', '"a"', "", "a", '"a\n"'])
def test_a_last_row_that_is_whole_stays(tmp_path: Path, last: str) -> None:
    for end in ("", "\n", "\r\n"):
        raw = read_raw(write(tmp_path / "a.csv", f'a,b\n1,"2"\n1,{last}{end}'), tmp_path / "work")
        assert (len(raw), raw.broken) == (2, ())


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a;b\n1,5;2,5\n3,5;4\n", [["1,5", "2,5"], ["3,5", "4"]]),
        ("sep=;\na;b\n1;2\n", [["1", "2"]]),
        ("\n\na,b\n1,2\n", [["1", "2"]]),
        ("text\nhello, world\nbye\nsee, you, soon\n", [["hello, world"], ["bye"], ["see, you, soon"]]),
        ("'a','b'\n'1,5','2'\n", [["1,5", "2"]]),
        ('a,b\n"he said \\"hi, you\\"",2\n"x",3\n', [['he said "hi, you"', "2"], ["x", "3"]]),
        ('a\tb\n"open\tx\n2\t"y\n3\tz\n', [['"open', "x"], ["2", '"y'], ["3", "z"]]),
        ('a,b\n5" pipe,1\n"C:\\dir\\",2\n', [['5" pipe', "1"], ["C:\\dir\\", "2"]]),
        ("country,1990,1991,1992\nChina,1,2,3\n", [["China", "1", "2", "3"]]),
        ("0,1,2\n0.5,0.1,0.7\n", [["0.5", "0.1", "0.7"]]),
        (",0,1\n0,a,0.7\n1,b,0.8\n", [["0", "a", "0.7"], ["1", "b", "0.8"]]),
        ("name,2020\nBob,5\nAnn,6\n", [["Bob", "5"], ["Ann", "6"]]),
        ("a,b\r1,2\r3,4\r", [["1", "2"], ["3", "4"]]),
        ("a,b\n1,2\n   \n3,4\n", [["1", "2"], ["3", "4"]]),
    ],
)
def test_how_a_file_is_written_is_found(tmp_path: Path, text: str, rows: list[list[str]]) -> None:
    raw = read_raw(write(tmp_path / "a.csv", text), tmp_path / "work")
    assert [list(row.values()) for row in rows_of(raw)] == rows
    assert raw.broken == ()


@pytest.mark.parametrize(
    ("text", "names", "note"),
    [
        (",a\n1,2\n", ["unnamed: 1", "a"], ""),
        (" a , b\n1,2\n", ["a", "b"], ""),
        ("a,b\nr1,1,2\nr2,3,4\n", ["unnamed: 1", "a", "b"], "taken as row names"),
        ("a,b\n1,2,\n3,4,\n", ["a", "b", "unnamed: 3"], "the last column is empty"),
        ('"a\nb",c\n1,2\n', ["a\nb", "c"], ""),
        ("\ufeffa,b\n1,2\n", ["a", "b"], ""),
    ],
)
def test_columns_are_named(tmp_path: Path, text: str, names: list[str], note: str) -> None:
    raw = read_raw(write(tmp_path / "a.csv", text), tmp_path / "work")
    assert raw.arrow.column_names == names
    assert note in " ".join(raw.notes)
    assert raw.broken == ()


def test_a_cell_larger_than_a_block_is_read(tmp_path: Path) -> None:
    large = "x" * 5_000_000
    text = "id,text\n" + "".join(f"{place},small\n" for place in range(300_000)) + f"300000,{large}\n300001,last\n"
    raw = read_raw(write(tmp_path / "a.csv", text), tmp_path / "work")
    assert raw.arrow["id"].to_pylist() == [str(place) for place in range(300_002)]
    assert raw.arrow["text"][300_000].as_py() == large


def test_a_large_file_stays_on_disk(tmp_path: Path) -> None:
    line = ",".join(f"value number {place}" for place in range(20)) + "\n"
    header = ",".join(f"c{place}" for place in range(20)) + "\n"
    (tmp_path / "a.csv").write_text(header + line * 170_000)
    assert (tmp_path / "a.csv").stat().st_size > 50_000_000
    before = pa.total_allocated_bytes()
    raw = read_raw(str(tmp_path / "a.csv"), tmp_path / "work")
    assert len(raw) == 170_000
    assert raw.arrow.nbytes > 50_000_000
    assert pa.total_allocated_bytes() - before < 1_000_000


# JSON


def test_json_lines_keep_their_types(tmp_path: Path) -> None:
    lines = [
        {"n": 1, "x": 1.5, "s": "2020-01-01", "t": True, "v": [1, 2.5], "o": {"k": "中", "m": {"z": 1}}},
        {"n": 2, "x": 2, "s": "2020-01-02", "t": None, "v": [], "new": "late"},
    ]
    source = write(tmp_path / "a.jsonl", "\n\n".join(json.dumps(line) for line in lines))
    raw = read_raw(source, tmp_path / "work")
    assert rows_of(raw) == [
        {"n": 1, "x": 1.5, "s": "2020-01-01", "t": True, "v": [1.0, 2.5], "o.k": "中", "o.m.z": 1, "new": None},
        {"n": 2, "x": 2.0, "s": "2020-01-02", "t": None, "v": [], "o.k": None, "o.m.z": None, "new": "late"},
    ]
    assert raw.arrow.schema.field("v").type == pa.large_list(pa.float64())
    assert raw.arrow.column_names == ["n", "x", "s", "t", "v", "o.k", "o.m.z", "new"]


def test_broken_json_lines_are_set_aside_with_their_numbers(tmp_path: Path) -> None:
    lines = ['{"a": 1}', "", '{"a": 2,}', "[3]", '{"a": 4}', '{"a": "é"}', '{"a": 5'] + ['{"a": 6}'] * 3
    source = write(tmp_path / "a.jsonl", "\n".join(lines).encode().replace("é".encode(), b"\xff"))
    raw = read_raw(source, tmp_path / "work")
    assert raw.arrow["a"].to_pylist() == [1, 4, 6, 6, 6]
    assert [(row.row, row.text) for row in raw.broken] == [
        (2, '{"a": 2,}'),
        (3, "[3]"),
        (5, '{"a": "�"}'),
        (6, '{"a": 5'),
    ]
    assert "it is not JSON (" in raw.broken[0].reason
    assert raw.broken[1].reason == "it is not an object but [3]"
    assert raw.broken[2].reason == "it holds the byte 0xFF, which could not be decoded"
    assert raw.place(1) == (source, 4)


def test_objects_without_values_lose_no_row_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yunti.data.jsonlines._BLOCK_BYTES", 10)
    lines = ['{"b": {}}', "{}", '{"b": {}}', '{"a": 1}', "{ }", '{"a": null}', '{"a": 2}']
    source = write(tmp_path / "a.jsonl", "\n".join(lines))
    raw = read_raw(source, tmp_path / "work")
    assert raw.arrow["a"].to_pylist() == [None, None, 1, None, 2]
    assert [raw.place(index)[1] for index in range(5)] == [1, 3, 4, 6, 7]
    assert [row.row for row in raw.broken] == [2, 5]


def test_a_bare_null_between_objects_is_a_broken_line(tmp_path: Path) -> None:
    raw = read_raw(write(tmp_path / "a.jsonl", '{"a": 1}\nnull\n{"a": 2} null\n{"a": 3}\n'), tmp_path / "work")
    assert raw.arrow["a"].to_pylist() == [1, 3]
    assert [row.row for row in raw.broken] == [2, 3]


def test_a_key_of_several_types_becomes_text(tmp_path: Path) -> None:
    lines = [{"a": 1}, {"a": "x"}, {"a": [1, "y"]}, {"a": None}, {"a": 2**70}, {"a": {"b": True}}]
    source = write(tmp_path / "a.ndjson", "\n".join(json.dumps(line) for line in lines))
    raw = read_raw(source, tmp_path / "work")
    assert raw.arrow["a"].to_pylist() == ["1", "x", '[1, "y"]', None, str(2**70), '{"b": true}']


def test_types_and_keys_that_change_between_blocks_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yunti.data.jsonlines._BLOCK_BYTES", 1_000)
    blocks = [{"a": 1, "b": 1, "c": [1]}, {"a": 1.5, "b": "x", "c": [2.5], "d": 1}, {"b": True}, {"a": None, "e": "z"}]
    lines = [json.dumps(block) for block in blocks for _ in range(200)]
    raw = read_raw(write(tmp_path / "a.jsonl", "\n".join(lines)), tmp_path / "work")
    assert [raw.arrow.slice(place * 200, 1).to_pylist()[0] for place in range(4)] == [
        {"a": 1.0, "b": "1", "c": [1.0], "d": None, "e": None},
        {"a": 1.5, "b": "x", "c": [2.5], "d": 1, "e": None},
        {"a": None, "b": "true", "c": None, "d": None, "e": None},
        {"a": None, "b": None, "c": None, "d": None, "e": "z"},
    ]
    assert len(raw) == 800
    assert raw.arrow["a"].num_chunks > 10


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries({"k": VALUES, "v": st.lists(VALUES, max_size=3)}), min_size=1, max_size=6))
def test_whatever_json_holds_is_read(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    source = write(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in rows))
    raw = read_raw(source, tmp_path / "work")
    assert (len(raw), raw.broken) == (len(rows), ())
    texts = [row["k"] for row in rows if row["k"] is not None]
    if texts and all(isinstance(text, str) for text in texts):
        assert raw.arrow["k"].to_pylist() == [row["k"] for row in rows]


@pytest.mark.parametrize("content", ['[{"a": 1},\n {"a": 2}]', '[{"a": 1}, {"a": 2}]', '[\n{"a": 1},{"a": 2}\n]\n'])
def test_an_array_of_objects_is_read(tmp_path: Path, content: str) -> None:
    raw = read_raw(write(tmp_path / "a.json", content), tmp_path / "work")
    assert rows_of(raw) == [{"a": 1}, {"a": 2}]


# Parquet, Arrow, Feather


TYPED = pa.table(
    {
        "i": pa.array([1, None, 3], pa.int16()),
        "f": pa.array([1.5, 2.5, None], pa.float32()),
        "s": pa.array(["a", None, "c"]),
        "d": pa.array(["x", "y", "x"]).dictionary_encode(),
        "t": pa.array([0, 1, None], pa.timestamp("ms", "UTC")),
        "l": pa.array([[1.0], None, [2.0, 3.0]], pa.list_(pa.float32())),
        "m": pa.array([1, 2, 3], pa.decimal128(10, 2)),
        "b": pa.array([True, False, None]),
        "o": pa.array([{"k": 1}, {"k": 2}, None]),
    }
)


def check_typed(raw: Raw) -> None:
    kinds = dict(zip(raw.arrow.column_names, raw.arrow.schema.types, strict=True))
    assert kinds["i"] == pa.int16()
    assert kinds["s"] == kinds["d"] == pa.large_string()
    assert kinds["l"] == pa.large_list(pa.float32())
    assert kinds["m"] == pa.float64()
    assert kinds["t"] == pa.timestamp("ms", "UTC")
    expected = {name: column for name, column in TYPED.to_pydict().items() if name != "o"}
    assert raw.arrow.drop_columns(["o.k"]).to_pydict() == expected | {"m": [1.0, 2.0, 3.0]}
    assert raw.arrow["o.k"].to_pylist() == [1, 2, None]


@pytest.mark.parametrize("kind", ["parquet", "file", "stream", "feather", "lz4", "gz"])
def test_typed_files_keep_their_types(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{'parquet' if kind in ('parquet', 'gz') else 'arrow'}"
    if kind in ("parquet", "gz"):
        pq.write_table(TYPED, path, row_group_size=2)
    elif kind == "feather":
        feather.write_feather(TYPED.drop_columns("o").append_column("o", TYPED["o"]), path, compression="zstd")
    else:
        write_options = pa.ipc.IpcWriteOptions(compression="lz4" if kind == "lz4" else None)
        new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
        with new(path, TYPED.schema, options=write_options) as writer:
            writer.write_table(TYPED)
    if kind == "gz":
        path = Path(write(tmp_path / "a.parquet.gz", gzip.compress(path.read_bytes())))
    check_typed(read_raw(str(path), tmp_path / "work"))


@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        (pa.array([1.5, None], pa.float16()), pa.float32(), [1.5, None]),
        (pa.array(["ab", None], pa.string_view()), pa.large_string(), ["ab", None]),
        (pa.array([b"ab", None], pa.binary(2)), pa.large_binary(), [b"ab", None]),
        (pa.array([[1], None], pa.list_view(pa.int8())), pa.large_list(pa.int8()), [[1], None]),
        (pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)), pa.large_list(pa.float32()), [[1.0, 2.0], None]),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())), pa.large_string(), ['[["k", 1]]', None]),
        (pa.array([[{"k": 1}], None]), pa.large_string(), ['[{"k": 1}]', None]),
        (pa.array(['{"k": 1}', None], pa.json_()), pa.large_string(), ['{"k": 1}', None]),
        (pa.RunEndEncodedArray.from_arrays([1, 2], ["a", None]), pa.large_string(), ["a", None]),
        (
            pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.array([[1]])),
            pa.large_list(pa.int64()),
            [[1], None],
        ),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_rare_types_of_arrow_become_plain(
    tmp_path: Path, column: pa.Array, kind: pa.DataType, values: list[Any]
) -> None:
    table = read_raw(pa.table({"a": column}), tmp_path / "work").arrow
    table.validate(full=True)
    assert table.schema.types == [kind]
    assert table["a"].to_pylist() == values


def test_rows_of_a_parquet_file_stay_on_disk(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=1_000_000)
    pq.write_table(pa.table(dict.fromkeys("abcdefg", rows)), tmp_path / "a.parquet")
    del rows
    before = pa.total_allocated_bytes()
    raw = read_raw(tmp_path / "a.parquet", tmp_path / "work")
    assert raw.arrow.nbytes > 50_000_000
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_a_damaged_file_never_ends_the_process(tmp_path: Path) -> None:
    from yunti.errors import SourceError

    pq.write_table(TYPED, tmp_path / "a.parquet")
    with pa.ipc.new_file(tmp_path / "a.arrow", TYPED.schema) as writer:
        writer.write_table(TYPED)
    random = np.random.default_rng(0)
    refused = 0
    for name in ("a.parquet", "a.arrow"):
        content = (tmp_path / name).read_bytes()
        for trial in range(40):
            wrong = bytearray(content)
            for place in random.integers(8, len(content), 3):
                wrong[place] ^= int(random.integers(1, 256))
            try:
                read_raw(write(tmp_path / f"{trial}{name}", bytes(wrong)), tmp_path / "work")
            except SourceError:
                refused += 1
    assert refused > 10


# tables in memory


FRAME = {"n": [1, 2, None], "s": ["a", None, "c"], "v": [[1.0], [2.0, 3.0], []]}
SHOWN = [{"n": 1, "s": "a", "v": [1.0]}, {"n": 2, "s": None, "v": [2.0, 3.0]}, {"n": None, "s": "c", "v": []}]


class Stream:
    """Something that only knows the Arrow interface."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(FRAME),
        pl.DataFrame(FRAME),
        pa.table(FRAME),
        pa.RecordBatch.from_pydict(FRAME),
        pa.RecordBatchReader.from_batches(pa.table(FRAME).schema, pa.table(FRAME).to_batches()),
        Stream(pa.table(FRAME)),
        FRAME,
        SHOWN,
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_tables_in_memory_are_read(tmp_path: Path, frame: object) -> None:
    raw = read_raw(frame, tmp_path / "work")
    assert rows_of(raw) == SHOWN
    assert (raw.source, raw.place(2)) == ("data frame", ("data frame", 3))
    assert raw.arrow.schema.field("s").type == pa.large_string()


def test_columns_of_pandas_become_plain(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "category": pd.Categorical(["x", "y", None]),
            "mixed": [1, "a", None],
            "levels": pd.Categorical([1, "a", 1]),
            "when": pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "sparse": pd.arrays.SparseArray([0.0, 0.0, 1.5]),
            "period": pd.period_range("2020-01", periods=3, freq="M"),
            "bin": pd.cut(pd.Series([1.0, 2.0, np.nan], index=[5, 3, 9]), [0, 1, 5]),
            7: [np.zeros(2), np.ones(3), None],
        },
        index=[5, 3, 9],
    )
    columns = read_raw(frame, tmp_path / "work").arrow.to_pydict()
    assert columns["category"] == ["x", "y", None]
    assert columns["mixed"] == ["1", "a", None]
    assert columns["levels"] == ["1", "a", "1"]
    assert [value and value.year for value in columns["when"]] == [2020, None, 2021]
    assert columns["whole"] == [1, None, 3]
    assert columns["sparse"] == [0.0, 0.0, 1.5]
    assert columns["period"] == ["2020-01", "2020-02", "2020-03"]
    assert columns["bin"] == ["(0.0, 1.0]", "(1.0, 5.0]", None]
    assert columns["7"] == [[0.0, 0.0], [1.0, 1.0, 1.0], None]
    assert list(columns) == ["category", "mixed", "levels", "when", "whole", "sparse", "period", "bin", "7"]


def test_columns_of_polars_become_plain(tmp_path: Path) -> None:
    frame = pl.DataFrame({"c": ["x", "y"], "a": [[1.0, 2.0], [3.0, 4.0]], "d": [1, 2]}).with_columns(
        pl.col("c").cast(pl.Categorical), pl.col("a").cast(pl.Array(pl.Float32, 2)), pl.col("d").cast(pl.Date)
    )
    table = read_raw(frame, tmp_path / "work").arrow
    assert table.schema.types == [pa.large_string(), pa.large_list(pa.float32()), pa.date32()]
    assert table["a"].to_pylist() == [[1.0, 2.0], [3.0, 4.0]]


def test_pictures_may_come_in_a_dictionary(tmp_path: Path) -> None:
    pixels = np.arange(2 * 9 * 9, dtype=np.uint8).reshape(2, 9, 9)
    raw = read_raw({"image": pixels, "label": ["a", "b"]}, tmp_path / "work")
    np.testing.assert_array_equal(raw.arrays["image"], pixels)
    assert raw.arrow.to_pydict() == {"label": ["a", "b"]}
    assert (raw.target, raw.hints) == ("label", {"image": "image"})


# arrays


def saved(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    "names", ["x_train y_train x_test y_test", "train_X train_Y test_X test_Y", "xtrain ytrain xtest ytest"]
)
def test_arrays_bring_their_own_split(tmp_path: Path, names: str) -> None:
    signals = np.random.default_rng(0).normal(size=(7, 3, 20)).astype(np.float32)
    labels = np.array(list("abcabca"))
    arrays = dict(zip(names.split(), [signals[:4], labels[:4], signals[4:], labels[4:]], strict=True))
    raw = read_raw(saved(tmp_path / "a.npz", **arrays), tmp_path / "work")
    assert raw.parts is not None
    assert raw.parts.tolist() == ["train"] * 4 + ["test"] * 3
    assert raw.target is not None
    assert raw.arrow[raw.target].to_pylist() == labels.tolist()
    np.testing.assert_array_equal(next(iter(raw.arrays.values())), signals.swapaxes(1, 2))


def test_arrays_of_one_part_have_the_columns_of_all_parts(tmp_path: Path) -> None:
    raw = read_raw(saved(tmp_path / "a.npz", x_test=np.zeros(3), y_test=np.arange(3)), tmp_path / "work")
    assert (raw.arrow.column_names, raw.parts, raw.target) == (["x", "y"], None, "y")
    raw = read_raw(saved(tmp_path / "b.npz", test_score=np.zeros(3), age=np.arange(3)), tmp_path / "work")
    assert raw.arrow.column_names == ["test_score", "age"]


def test_sequences_of_unequal_parts_are_padded(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    train, test = random.normal(size=(4, 5, 30)), random.normal(size=(3, 5, 40))
    path = saved(tmp_path / "a.npz", x_train=train, x_test=test, y_train=np.arange(4), y_test=np.arange(3))
    values = read_raw(path, tmp_path / "work").arrays["x"]
    assert (values.shape, values.dtype) == ((7, 40, 5), np.float32)
    np.testing.assert_array_equal(values[:4, :30], train.swapaxes(1, 2).astype(np.float32))
    assert np.isnan(values[:4, 30:]).all()
    assert not np.isnan(values[4:]).any()


def test_the_time_axis_is_found(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    padded = random.normal(size=(6, 10, 12))
    padded[0, 7:] = np.nan
    cases = {"padded": padded, "long": random.normal(size=(6, 30, 2)), "wide": random.normal(size=(6, 2, 30))}
    raw = read_raw(saved(tmp_path / "a.npz", **cases), tmp_path / "work")
    assert {name: values.shape for name, values in raw.arrays.items()} == {
        "padded": (6, 10, 12),
        "long": (6, 30, 2),
        "wide": (6, 30, 2),
    }
    assert any("NaN pads the end of axis 2" in note for note in raw.notes)


def test_arrays_of_numbers_are_told_from_signals(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    signal = np.cumsum(random.normal(size=(50, 40)), axis=1)
    gaps = random.normal(size=(50, 12))
    gaps[3, 8:] = np.nan
    arrays = {
        "features": random.normal(size=(50, 30)) * 10.0 ** np.arange(30),
        "few": signal[:, :4],
        "signal": signal,
        "gaps": gaps,
        "column": random.normal(size=(50, 1)),
        "flag": random.random(50) > 0.5,
        "when": np.arange(50).astype("datetime64[D]"),
        "month": np.arange(50).astype("datetime64[M]"),
        "big": np.arange(50).astype(">i4"),
        "word": np.array(["a", "bc"] * 25, dtype="S2"),
        "half": random.normal(size=50).astype(np.float16),
        "alone": np.array(3.0),
        "y": np.eye(5)[random.integers(0, 5, 50)],
    }
    raw = read_raw(saved(tmp_path / "a.npz", **arrays), tmp_path / "work")
    assert {name: values.shape for name, values in raw.arrays.items()} == {"signal": (50, 40, 1), "gaps": (50, 12, 1)}
    kinds = dict(zip(raw.arrow.column_names, raw.arrow.schema.types, strict=True))
    assert len(kinds) == 30 + 4 + 8
    assert kinds["features_30"] == kinds["few_4"] == kinds["column"] == pa.float64()
    assert (kinds["flag"], kinds["half"], kinds["word"]) == (pa.bool_(), pa.float32(), pa.large_string())
    assert (kinds["when"], kinds["month"], kinds["big"]) == (pa.date32(), pa.timestamp("s"), pa.int32())
    assert raw.target == "y"
    assert raw.arrow["y"].to_pylist() == arrays["y"].argmax(axis=1).tolist()
    assert any("'alone' is a single value" in note for note in raw.notes)


def test_arrays_of_pictures_become_bytes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    smooth = np.clip(np.cumsum(np.cumsum(random.normal(size=(20, 12, 12)), axis=1), axis=2) * 3 + 128, 0, 255)
    grey = smooth.astype(np.uint8)
    colour = random.integers(0, 256, (20, 9, 9, 3))
    arrays = {
        "bytes": grey,
        "flat": grey.reshape(20, 144),
        "whole": grey.astype(np.int64),
        "scaled": grey / 255,
        "colour": colour,
        "first": np.moveaxis(colour, 3, 1).astype(np.uint8),
        "unit": (colour / 255).astype(np.float32),
    }
    raw = read_raw(saved(tmp_path / "a.npz", **arrays), tmp_path / "work")
    for name in ("bytes", "flat", "whole", "scaled"):
        np.testing.assert_array_equal(raw.arrays[name], grey, err_msg=name)
    for name in ("colour", "first", "unit"):
        np.testing.assert_array_equal(raw.arrays[name], colour, err_msg=name)
    assert set(raw.hints.values()) == {"image"}
    assert all(values.dtype == np.uint8 for values in raw.arrays.values())


def write_idx(folder: Path, part: str, pixels: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], pack: bool) -> None:
    folder.mkdir(exist_ok=True)
    for what, values in (("images-idx3", pixels), ("labels-idx1", labels)):
        content = b"\0\0\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
        path = folder / f"{part}-{what}-ubyte{'.gz' if pack else ''}"
        path.write_bytes(gzip.compress(content) if pack else content)


@pytest.mark.parametrize("pack", [True, False])
def test_idx_files_are_read(tmp_path: Path, pack: bool) -> None:
    random = np.random.default_rng(0)
    pixels, labels = random.integers(0, 256, (9, 4, 5), dtype=np.uint8), random.integers(0, 3, 9, dtype=np.uint8)
    write_idx(tmp_path / "set", "train", pixels[:6], labels[:6], pack)
    write_idx(tmp_path / "set", "t10k", pixels[6:], labels[6:], pack)
    raw = read_raw(str(tmp_path / "set"), tmp_path / "work")
    np.testing.assert_array_equal(raw.arrays["image"], pixels)
    assert raw.arrow["label"].to_pylist() == labels.tolist()
    assert raw.parts is not None
    assert raw.parts.tolist() == ["train"] * 6 + ["test"] * 3
    assert (raw.target, raw.place(7)[1]) == ("label", 2)
    assert raw.place(7)[0].startswith(f"{tmp_path}/set/t10k-images")


# folders and several files


def test_a_folder_of_classes_is_read(tmp_path: Path) -> None:
    for name in (
        "cat/1.png",
        "cat/deep/2.JPG",
        "dog/3.png",
        "dog/notes.txt",
        ".hidden/4.png",
        "readme.md",
        "empty/x.md",
    ):
        write(tmp_path / "pets" / name, b"x")
    raw = read_raw(str(tmp_path / "pets"), tmp_path / "work")
    assert raw.arrow.to_pydict() == {
        "image": ["cat/1.png", "cat/deep/2.JPG", "dog/3.png"],
        "label": ["cat", "cat", "dog"],
    }
    assert (raw.target, raw.hints, raw.folder, raw.parts) == ("label", {"image": "image"}, tmp_path / "pets", None)


def test_a_table_of_wide_rows_is_read_in_few_blocks(tmp_path: Path) -> None:
    names = ",".join(f"gene{place}" for place in range(5_000))
    row = ",".join(["0.12345"] * 5_000)
    raw = read_raw(write(tmp_path / "a.csv", f"{names}\n" + f"{row}\n" * 200), tmp_path / "work")
    assert (len(raw), raw.arrow.num_columns) == (200, 5_000)
    assert raw.arrow.column(0).num_chunks <= 2


def test_a_folder_of_parts_and_classes_is_a_ready_split(tmp_path: Path) -> None:
    for name in ("train/a/1.wav", "train/b/2.wav", "val/a/3.wav", "test/b/4.flac"):
        write(tmp_path / "sounds" / name, b"x")
    raw = read_raw(f"{tmp_path}/sounds/", tmp_path / "work")
    assert raw.parts is not None
    found = dict(zip(raw.arrow["audio"].to_pylist(), raw.parts.tolist(), strict=True))
    assert found == {
        "train/a/1.wav": "train",
        "train/b/2.wav": "train",
        "val/a/3.wav": "valid",
        "test/b/4.flac": "test",
    }
    assert raw.arrow["label"].to_pylist() == ["b", "a", "b", "a"]


@pytest.mark.parametrize("source", ["many", "many/*.csv*", "many/[ab].csv*", "**/*.csv*"])
def test_several_files_are_one_table(tmp_path: Path, source: str) -> None:
    write(tmp_path / "many" / "a.csv", "x,y\n1,2\n3\n5,6\n")
    write(tmp_path / "many" / "b.csv.gz", gzip.compress(b"y;x\n8;7\n"))
    write(tmp_path / "many" / ".hidden.csv", "z\n")
    raw = read_raw(f"{tmp_path}/{source}", tmp_path / "work")
    assert rows_of(raw) == [{"x": "1", "y": "2"}, {"x": "5", "y": "6"}, {"x": "7", "y": "8"}]
    assert [raw.place(index) for index in range(3)] == [
        (f"{tmp_path}/many/a.csv", 1),
        (f"{tmp_path}/many/a.csv", 3),
        (f"{tmp_path}/many/b.csv.gz", 1),
    ]
    assert [row.row for row in raw.broken] == [2]
    assert raw.parts is None


def test_files_of_different_types_are_joined(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": [None, "z"], "a": [0.5, None]}), tmp_path / "2.parquet")
    raw = read_raw(f"{tmp_path}/*.parquet", tmp_path / "work")
    assert raw.arrow.to_pydict() == {"a": [1.0, 2.0, 0.5, None], "b": ["x", "y", None, "z"]}


def test_files_called_train_and_test_are_a_ready_split(tmp_path: Path) -> None:
    for part, rows in (("train", "1,2\n3,4\n"), ("test", "5,6\n")):
        write(tmp_path / "set" / f"{part}.csv", f"x,y\n{rows}")
    raw = read_raw(str(tmp_path / "set"), tmp_path / "work")
    assert raw.parts is not None
    assert raw.parts.tolist() == ["test", "train", "train"]


def test_a_hundred_files_need_few_open_ones(tmp_path: Path) -> None:
    for place in range(100):
        write(tmp_path / "many" / f"{place:03}.jsonl", json.dumps({"a": place}))
    raw = read_raw(str(tmp_path / "many"), tmp_path / "work")
    assert raw.arrow["a"].to_pylist() == list(range(100))
    assert len(list((tmp_path / "work").rglob("*.arrow"))) == 1


def test_nothing_but_the_rows_is_left_in_the_workspace(tmp_path: Path) -> None:
    read_raw(write(tmp_path / "a.csv.gz", gzip.compress("名,b\n值,2\n".encode("gb18030"))), tmp_path / "work")
    read_raw(write(tmp_path / "a.jsonl.gz", gzip.compress(b'{"a": 1}')), tmp_path / "work")
    left = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".arrow"}
    assert (tmp_path / "a.csv.gz").is_file()


def test_reading_again_gives_the_same(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", "a,b\n1,2\n3\n")
    first, second = (read_raw(source, tmp_path / "work") for _ in range(2))
    assert first.arrow.equals(second.arrow)
    assert first.broken == second.broken


# samples


@pytest.mark.parametrize("name", [sample.name for sample in samples()])
def test_a_sample_is_what_it_says(tmp_path: Path, name: str) -> None:
    sample = next(each for each in samples() if each.name == name)
    raw = read_raw(f"sample:{name}", tmp_path / "work")
    assert raw.target == sample.target
    assert sample.target in raw.arrow.column_names
    assert f"{len(raw):,}" in sample.idea
    assert raw.source == f"sample:{name}"
    levels = set(raw.arrow[sample.target].to_pylist())
    assert (len(levels) <= 10) == (sample.task == "classification")
    assert raw.broken == ()
    assert sample.licence
    assert sample.origin
    if sample.file is not None:
        assert sample.file.stat().st_size < 400_000


def test_pixels_of_the_digits_use_the_whole_range(tmp_path: Path) -> None:
    pixels = read_raw("sample:digits", tmp_path / "work").arrays["image"]
    assert (pixels.shape, pixels.dtype, pixels.min(), pixels.max()) == ((1797, 8, 8), np.uint8, 0, 255)


# real data


def test_real_arrays_have_their_time_axis_in_the_middle(shared_data: Path, tmp_path: Path) -> None:
    vowels = read_raw(shared_data / "series" / "JapaneseVowels.npz", tmp_path / "work")
    assert vowels.arrays["x"].shape == (640, 29, 12)
    assert vowels.parts is not None
    assert (vowels.parts == "train").sum() == 270
    power = read_raw(shared_data / "series" / "ItalyPowerDemand.npz", tmp_path / "work")
    assert power.arrays["x"].shape == (1096, 24, 1)
    assert (vowels.target, power.target) == ("y", "y")


def test_real_pictures_are_read(shared_data: Path, tmp_path: Path) -> None:
    raw = read_raw(str(shared_data / "fashion-mnist"), tmp_path / "work")
    assert raw.arrays["image"].shape == (70_000, 28, 28)
    assert raw.parts is not None
    assert (raw.parts == "test").sum() == 10_000
    assert np.bincount(raw.arrow["label"].to_numpy()).tolist() == [7_000] * 10
    assert isinstance(raw.arrays["image"], np.memmap)
    faces = read_raw(str(shared_data / "faces"), tmp_path / "work")
    assert (len(faces), len(set(faces.arrow["label"].to_pylist()))) == (200, 20)


@pytest.mark.parametrize(
    ("name", "rows"), [("diamonds", 53_940), ("Titanic", 1_313), ("loans_full_schema", 10_000), ("hotel_rates", 15_402)]
)
def test_real_tables_are_read_as_pandas_reads_them(shared_data: Path, tmp_path: Path, name: str, rows: int) -> None:
    path = shared_data / "tables" / f"{name}.csv.gz"
    raw = read_raw(str(path), tmp_path / "work")
    other = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert len(raw) == rows
    assert raw.broken == ()
    for column in other.columns:
        assert [value or "" for value in raw.arrow[column].to_pylist()] == other[column].tolist()
