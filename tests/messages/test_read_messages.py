"""What is said about sources that cannot be read: one sentence, naming the file and the mend."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from yunti.data.read import read_raw
from yunti.errors import SourceError

Make = Callable[[Path], object]


def text(name: str, content: str) -> Make:
    return octets(name, content.encode())


def octets(name: str, content: bytes) -> Make:
    def make(folder: Path) -> str:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return str(folder / name)

    return make


def several(source: str, **files: str | bytes) -> Make:
    def make(folder: Path) -> str:
        for name, content in files.items():
            path = folder / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(folder / source) if source else str(folder)

    return make


def arrays(**named: Any) -> Make:
    def make(folder: Path) -> str:
        np.savez(folder / "a.npz", **named)
        return str(folder / "a.npz")

    return make


def folder_of(*names: str) -> Make:
    return several("", **{name.replace("/", "__").replace(".", "_DOT_"): b"x" for name in names})


def damaged_parquet(folder: Path) -> str:
    pq.write_table(pa.table({"a": list(range(1000)), "b": ["x"] * 1000}), folder / "a.parquet")
    content = bytearray((folder / "a.parquet").read_bytes())
    content[-200:-100] = random.Random(0).randbytes(100)
    (folder / "a.parquet").write_bytes(content)
    return str(folder / "a.parquet")


def cut_arrow(folder: Path) -> str:
    table = pa.table({"a": list(range(1000))})
    with pa.ipc.new_stream(folder / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    content = (folder / "a.arrow").read_bytes()
    (folder / "a.arrow").write_bytes(content[: len(content) // 2])
    return str(folder / "a.arrow")


def cut_npz(folder: Path) -> str:
    np.savez_compressed(folder / "a.npz", x=np.arange(10_000.0), y=np.arange(10_000))
    content = (folder / "a.npz").read_bytes()
    (folder / "a.npz").write_bytes(content[: len(content) // 2])
    return str(folder / "a.npz")


def idx(folder: Path, images: int = 5, labels: int = 5, magic: bytes = b"\0\0\x08\x03", cut: int = 0) -> str:
    for part in ("train", "t10k"):
        pixels = magic + struct.pack(">III", images, 2, 2) + bytes(images * 4)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(pixels[: len(pixels) - cut])
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", labels) + bytes(labels))
    return str(folder)


def idx_without_labels(folder: Path) -> str:
    idx(folder)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    return str(folder)


def a_fifo(folder: Path) -> str:
    os.mkfifo(folder / "a.csv")
    return str(folder / "a.csv")


TABLE = "a,b\n1,2\n3,4\n"
QUOTED = '1,"2,2"\n' * 5
CASES: dict[str, tuple[Make, str]] = {
    "missing file": (
        lambda folder: str(folder / "nothing.csv"),
        "there is no such file or folder; its folder is empty",
    ),
    "missing folder": (lambda folder: str(folder / "no" / "a.csv"), "there is no folder '.*no' either"),
    "misspelt file": (several("diamond.csv", diamonds_DOT_csv=TABLE), "did you mean 'diamonds.csv'?"),
    "address": (lambda folder: "https://example.org/a.csv", "it is an address; download it first"),
    "bucket": (lambda folder: "s3://bucket/a.parquet", "it is an address"),
    "unknown sample": (lambda folder: "sample:digit", "did you mean 'digits'?"),
    "empty file": (octets("a.csv", b""), "it must hold data, but it is empty"),
    "blank file": (text("a.csv", "\n \n\n"), "it is blank"),
    "empty text": (octets("a.txt", b""), "it must hold text, but it is empty; give a file or a folder with text."),
    "folder of empty texts": (several("", a_DOT_txt="", b_DOT_md=""), "it must hold text, but it is empty; give"),
    "junk as text": (
        octets("a.md", random.Random(1).randbytes(5000)),
        "it must be text, but it holds bytes that no text has; move it elsewhere, or save it as text in UTF-8.",
    ),
    "a web page as text": (
        text("a.txt", "<!DOCTYPE html>\n<html>not found</html>\n"),
        "it looks like a web page; move",
    ),
    "a text of unknown bytes": (
        octets("a.txt", ("Größe " * 40 + "\n").encode() * 40 + b"\xff\xfe\xfd x\n" * 60),
        "it must be text in an encoding that yunti knows, but 180 of its bytes cannot be decoded; move it elsewhere",
    ),
    "a picture among texts": (
        several("", a_DOT_txt="To be, or not to be.\n", b_DOT_txt=b"\x89PNG\r\n\x1a\n" + bytes(500)),
        r"b\.txt: it must be text, but it looks like a PNG picture; move it elsewhere",
    ),
    "folders that may be classes": (
        several("", neg__a_DOT_txt="It was dull.\n", pos__b_DOT_txt="It was fine.\n"),
        "its folders must be known to be classes or not, but its texts lie in the folders 'neg' and 'pos', which may "
        "be either; add --task language to learn how the texts go, or give a table with a column of classes.",
    ),
    "a README beside folders of tables": (
        several("", README_DOT_md="To be, or not to be.\n" * 999, y1__a_DOT_csv=TABLE, y2__b_DOT_csv=TABLE),
        "a folder must hold data that yunti knows, but it holds 'README.md', 'y1', 'y2'; give a folder of tables",
    ),
    "code": (text("a.py", "x = 1\n"), "or add --task language if it is text"),
    "empty name": (lambda folder: "", "source: it must name a file, a folder or a sample, but it is empty"),
    "header only": (text("a.csv", "age,name\n"), "there is only 'age, name'"),
    "header only, no newline": (text("a.csv", "age,name"), "there is only 'age, name'"),
    "no header": (text("a.csv", "5.1,3.5,setosa\n4.9,3.0,setosa\n"), r"it looks like data \('5.1, 3.5, setosa'\)"),
    "no header, names": (text("a.csv", "Bob,23\nAnn,31\nJo,25\n"), "it looks like data"),
    "no header, pixels": (text("a.csv", "5,0,0,0\n4,0,0,1\n"), r"it looks like data \('5, 0, 0, 0'\)"),
    "no header, dates": (text("a.csv", "2020-01-01,up\n2020-01-02,down\n"), "it looks like data"),
    "title above": (text("a.csv", "My report\na,b,c\n1,2,3\n4,5,6\n"), "delete what stands above the line"),
    "same name twice": (text("a.csv", "a,b,a\n1,2,3\n"), "columns 1 and 3 are both called 'a'"),
    "junk": (octets("a.csv", random.Random(1).randbytes(5000)), "it must be text, but it holds bytes that no text has"),
    "a picture as CSV": (octets("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(500)), "it looks like a PNG picture"),
    "Excel as CSV": (octets("a.csv", b"PK\x03\x04" + bytes(500)), "it looks like a zip archive or an Excel workbook"),
    "a web page as CSV": (text("a.csv", "<!DOCTYPE html>\n<html><body>not found</body></html>\n"), "a web page"),
    "not gzip": (text("a.csv.gz", TABLE), "a file that ends in .gz must be gzip, but its first bytes are not"),
    "bzip2 called gzip": (octets("a.csv.gz", bz2.compress(TABLE.encode())), "this is a bzip2 file"),
    "cut gzip": (octets("a.csv.gz", gzip.compress(TABLE.encode() * 99)[:-12]), "it is cut off or damaged"),
    "cut bzip2": (octets("a.csv.bz2", bz2.compress(TABLE.encode() * 99)[:-12]), "it is cut off or damaged"),
    "cut xz": (octets("a.csv.xz", lzma.compress(TABLE.encode() * 99)[:-12]), "it is cut off or damaged"),
    "damaged gzip": (octets("a.csv.gz", gzip.compress(TABLE.encode())[:10] + b"\xff" * 40), "cut off or damaged"),
    "empty gzip": (octets("a.csv.gz", gzip.compress(b"")), "it is empty once unpacked"),
    "mostly ragged": (
        text("a.csv", "a,b\n1,2\n" + "1,2,3,4\n5\n" * 20_000),
        r"most of the first [\d,]+ do not \(row 2: 4",
    ),
    "all ragged": (text("a.csv", "a,b,c\n1,2\n3,4\n5\n"), "most of the first 3 do not"),
    "open quote": (
        text("a.csv", f'a,b\n{QUOTED}3,"4\n' + "5,6\n" * 20_000),
        "row 6: a quote that is opened must be closed",
    ),
    "no such format": (text("a.foo", TABLE), "its ending must tell its kind .*, but '.foo' is not one of them"),
    "no ending": (text("data", TABLE), "it has no ending"),
    "Excel": (text("a.xlsx", "x"), "export the sheet as CSV"),
    "pickle": (text("a.pkl", "x"), "reading a pickle would run what is in it"),
    "zip": (text("a.zip", "x"), "unpack it"),
    "one picture": (text("a.png", "x"), "give a folder with one sub-folder a class"),
    "one IDX file": (text("train-images-idx3-ubyte", "x"), "give the folder that holds the four files"),
    "a pipe": (a_fifo, "it must be a file or a folder, but it is neither"),
    "not Parquet": (text("a.parquet", TABLE), "it must be a Parquet file, but its first bytes are not those of one"),
    "Arrow called Parquet": (octets("a.parquet", b"ARROW1" + bytes(99)), "it looks like an Arrow file"),
    "damaged Parquet": (damaged_parquet, "it must be a whole Parquet file, but it is cut off or damaged"),
    "short Parquet": (octets("a.parquet", b"PAR1PAR1"), "it must be a whole Parquet file"),
    "not Arrow": (text("a.arrow", TABLE), "it must be an Arrow file or stream"),
    "Parquet called Arrow": (octets("a.feather", b"PAR1" + bytes(99)), "it looks like a Parquet file"),
    "damaged Arrow": (octets("a.arrow", b"ARROW1\0\0" + bytes(99)), "it must be a whole Arrow file"),
    "cut Arrow": (cut_arrow, "it must be a whole Arrow file"),
    "no JSON": (text("a.jsonl", "hello\nworld\n"), r"it must hold JSON objects, but it is not JSON"),
    "JSON numbers": (text("a.jsonl", "1\n2\n"), "it is not an object but 1"),
    "one JSON object": (
        text("a.json", '{"version": 1,\n "data": [1, 2]}\n'),
        "a single one with the keys 'version', 'data'",
    ),
    "bad JSON array": (
        text("a.json", '[{"a": 1},\n {"a": 2},,\n {"a": 3}]'),
        r"it is not JSON \(.* at line 2, character",
    ),
    "deep JSON": (text("a.jsonl", "[" * 100_000 + "\n"), "too deep in each other|it is not JSON"),
    "JSON keys that meet": (text("a.jsonl", '{"a.b": 1, "a": {"b": 2}}\n'), "columns 1 and 2 are both called 'a.b'"),
    "JSON without keys": (text("a.jsonl", "{}\n{}\n"), "it is an object without keys in row 1"),
    "not npz": (text("a.npz", "hello"), "it must be a file of NumPy arrays, but its first bytes are not"),
    "npy called npz": (octets("a.npz", b"\x93NUMPY" + bytes(99)), "it looks like a NumPy array"),
    "cut npz": (cut_npz, "it must be a whole file of NumPy arrays, but it is cut off or damaged"),
    "pickled npz": (arrays(x=np.array([{}, []], dtype=object)), "array 'x': .* pickled Python objects"),
    "unequal npz": (arrays(x=np.arange(5), y=np.arange(6)), "'x' has 5 and 'y' has 6"),
    "unequal part": (arrays(x_train=np.arange(5), y_train=np.arange(6)), "'x' has 5 and 'y' has 6 in train"),
    "npz part missing": (arrays(x_train=np.arange(5), y_train=np.arange(5), x_test=np.arange(5)), "test has no 'y'"),
    "npz beside parts": (arrays(x_train=np.arange(5), names=np.arange(5)), "'names' is of no part"),
    "empty npz": (arrays(), "it holds none"),
    "npz without rows": (arrays(x=np.zeros((0, 3))), "its arrays are empty"),
    "npz of five axes": (arrays(x=np.zeros((2, 2, 2, 2, 2))), "it must have at most four axes, but it has 5"),
    "npz of odd pictures": (arrays(x=np.zeros((5, 8, 8, 2), np.uint8)), "pictures must have 1, 3 or 4 channels"),
    "npz of odd pixels": (arrays(x=np.full((5, 8, 8, 3), -1.0)), "pixels must lie from 0 to 255"),
    "npz of complex": (arrays(x=np.zeros(5, complex)), "it must be numbers or strings, but its type is complex128"),
    "npz of two shapes": (
        arrays(x_train=np.zeros((5, 8, 8, 3), np.uint8), x_test=np.zeros((5, 9, 9, 3), np.uint8)),
        "pictures of all parts must have one shape",
    ),
    "npz of unlike parts": (arrays(x_train=np.zeros(5), x_test=np.zeros((5, 2))), "equally many axes"),
    "npz without steps": (arrays(x=np.zeros((5, 0, 3))), "its rows must hold values"),
    "IDX file missing": (idx_without_labels, "the test labels are missing"),
    "IDX of other lengths": (lambda folder: idx(folder, labels=4), "every picture must have one label"),
    "IDX with another beginning": (lambda folder: idx(folder, magic=b"\1\2\3\4"), "it begins with 01 02 03 04"),
    "cut IDX": (lambda folder: idx(folder, cut=3), r"it must have 36 bytes for the shape \(5, 2, 2\), but it has 33"),
    "empty folder": (folder_of(), "a folder must hold data that yunti knows, but it is empty"),
    "folder of nothing known": (folder_of("a.xyz", "b.xyz"), "it holds 'a.xyz', 'b.xyz'"),
    "pictures without classes": (folder_of("a.png", "b.png"), "2 files lie in it directly"),
    "test without classes": (folder_of("train/a/1.png", "test/1.png"), "test: pictures or sounds must lie in one sub-"),
    "pictures and sounds": (folder_of("a/1.png", "b/1.wav"), "it holds a/1.png and b/1.wav"),
    "a folder beside the parts": (folder_of("train/a/1.png", "test/a/1.png", "more/1.png"), "it also holds 'more'"),
    "a table beside pictures": (
        folder_of("a.csv", "x/1.png"),
        r"it holds 'a.csv' beside .*; name the table \(.*/a.csv\)",
    ),
    "no match": (lambda folder: f"{folder}/*.csv", "the pattern must match files, but it matches none"),
    "no match in no folder": (lambda folder: f"{folder}/no/*.csv", "there is no folder"),
    "other columns": (several("*.csv", a_DOT_csv=TABLE, b_DOT_csv="a,c\n1,2\n"), "b.csv: .*, but it lacks 'b'"),
    "more columns": (several("", a_DOT_csv=TABLE, b_DOT_csv="a,b,c\n1,2,3\n"), "b.csv: .*, but it has 'c' as well"),
    "two kinds": (several("", a_DOT_csv=TABLE, b_DOT_jsonl='{"a": 1}\n'), "it is JSON lines and .*a.csv is CSV"),
    "unknown kind in a pattern": (several("*", a_DOT_csv=TABLE, b_DOT_doc="x"), "'.doc' is not one of them"),
    "a number": (lambda folder: 5, "the source must be a path or a table, but its type is int"),
    "nothing": (lambda folder: None, "its type is NoneType"),
    "an empty list": (lambda folder: [], "it is an empty list"),
    "an array": (lambda folder: np.zeros((3, 2)), "give named arrays"),
    "a lazy frame": (lambda folder: pl.DataFrame({"a": [1]}).lazy(), r"call its collect\(\) first"),
    "a frame without rows": (lambda folder: pd.DataFrame({"a": []}), "it has 0 rows and 1 columns"),
    "a frame without columns": (lambda folder: pd.DataFrame(index=[1, 2]), "it must hold rows"),
    "a polars frame without rows": (lambda folder: pl.DataFrame({"a": []}), "it must hold rows"),
    "a frame with one name twice": (lambda folder: pd.DataFrame([[1, 2]], columns=["a", "a"]), "both called 'a'"),
    "names that become one": (lambda folder: pd.DataFrame([[1, 2]], columns=["1", 1]), "both called '1'"),
    "complex numbers": (lambda folder: pd.DataFrame({"c": [1 + 2j]}), "column 'c': .*, but it has complex numbers"),
    "arrays in cells": (lambda folder: pd.DataFrame({"m": [np.eye(2)] * 2}), "it has arrays of 2 axes"),
    "polars objects": (lambda folder: pl.DataFrame({"o": [object()]}), "column 'o': its type must be known"),
    "unequal columns": (lambda folder: {"a": [1, 2], "b": [1]}, "'a' has 2, 'b' has 1"),
    "a column of one value": (lambda folder: {"a": 5}, "column 'a': it must be a list of values, but it is 5"),
    "a single column": (lambda folder: pd.Series([1, 2]), r"it is a single column; call its to_frame\(\)"),
    "unlike rows beside pictures": (lambda folder: {"x": np.eye(2), "y": [[1], [2, 3]]}, "column 'y': all its rows"),
    "a column of text": (lambda folder: {"a": "xyz"}, "it must be a list of values, but it is 'xyz'"),
    "polars integers of 128 bits": (
        lambda folder: pl.DataFrame({"a": [1]}, schema={"a": pl.Int128}),
        "its columns must be of types that Arrow knows",
    ),
    "an Arrow table without rows": (lambda folder: pa.table({"a": pa.array([], pa.int64())}), "it must hold rows"),
    "Parquet without rows": (
        lambda folder: (
            pq.write_table(pa.table({"a": pa.array([], pa.int64())}), folder / "a.parquet") or str(folder / "a.parquet")
        ),
        r"it has only columns \('a'\)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_source_gets_one_sentence(case: str, tmp_path: Path) -> None:
    make, pattern = CASES[case]
    (tmp_path / "data").mkdir()
    source = make(tmp_path / "data")
    with pytest.raises(SourceError, match=pattern) as caught:
        read_raw(source, tmp_path / "work")
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    assert str(tmp_path / "work") not in message
    if isinstance(source, str):
        assert message.startswith((source.split("*")[0].rstrip("/"), "source: "))
    else:
        assert message.startswith("data frame")


def test_a_file_without_permission_gets_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE)
    opened = Path.open

    def refuse(self: Path, *args: Any, **named: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **named)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceError, match="the right to read it is missing"):
        read_raw(str(path), tmp_path / "work")


def test_a_full_disk_gets_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE)

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("yunti.data.spill.pa.OSFile", full)
    with pytest.raises(SourceError, match="the disk is full"):
        read_raw(str(path), tmp_path / "work")
