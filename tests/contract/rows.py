"""Small sets of rows with a signal in every kind of column, made from a seed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from yunti.data.table import Categories, Examples, Images, Numbers, Ragged, Table, Texts
from yunti.specs import ColumnSpec, Kind, Spec, TaskName, TaskSpec

WORDS = ("apple", "river", "stone", "cloud", "铁", "云", "梯", "music")
KINDS: tuple[Kind, ...] = ("number", "category", "text", "image", "audio", "sequence")


def task_spec(name: TaskName, classes: int = 3) -> TaskSpec:
    if name == "regression":
        return TaskSpec("regression", "y", "r2", "higher")
    return TaskSpec("classification", "y", "accuracy", "higher", tuple("abcdef"[:classes]))


def make_spec(kind: Kind, task: TaskName, rows: int, seed: int = 0) -> Spec:
    """Describe the columns that `make_rows` makes."""
    columns = {
        "number": (ColumnSpec("width", "number"), ColumnSpec("height", "number")),
        "category": (
            ColumnSpec("colour", "category", levels=3),
            ColumnSpec("brand", "category", levels=7),
            ColumnSpec("wet", "flag", levels=2),
        ),
        "text": (ColumnSpec("note", "text", length=40),),
        "image": (ColumnSpec("picture", "image", shape=(12, 12, 1)),),
        "audio": (ColumnSpec("sound", "audio", rate=4000, length=1600, channels=1),),
        "sequence": (ColumnSpec("steps", "sequence", length=20, channels=2),),
    }[kind]
    return Spec(columns, task_spec(task), rows, seed)


def make_rows(kind: Kind, task: TaskName, rows: int, seed: int = 0) -> Examples:
    """Make rows whose columns of one kind tell the target; a few values are missing."""
    random = np.random.default_rng(seed)
    hidden = random.uniform(0, 3, rows)
    target = hidden.astype(np.int32) if task == "classification" else hidden * 10 - 5
    table = {
        "number": _numbers,
        "category": _categories,
        "text": _texts,
        "image": _images,
        "audio": _sounds,
        "sequence": _sequences,
    }[kind](hidden, random)
    return Examples(Table(table), target, np.arange(rows, dtype=np.int64))


def _numbers(hidden: np.ndarray, random: np.random.Generator) -> dict[str, Numbers]:
    width = (hidden + random.normal(0, 0.1, len(hidden))).astype(np.float32)
    width[0] = np.nan
    return {"width": Numbers(width), "height": Numbers(random.normal(0, 1, len(hidden)).astype(np.float32))}


def _categories(hidden: np.ndarray, random: np.random.Generator) -> dict[str, Categories | Numbers]:
    codes = hidden.astype(np.int32)
    codes[0] = -1
    wet = (random.random(len(hidden)) < 0.5).astype(np.float32)
    brand = Categories(random.integers(0, 7, len(hidden)).astype(np.int32), tuple("ABCDEFG"))
    return {"colour": Categories(codes, ("red", "green", "blue")), "brand": brand, "wet": Numbers(wet)}


def _texts(hidden: np.ndarray, random: np.random.Generator) -> dict[str, Texts]:
    rows: list[str | None] = []
    for value in hidden:
        chosen = random.choice(WORDS, 4)
        rows.append(" ".join([WORDS[int(value)], *chosen, WORDS[int(value)]]))
    rows[0] = None
    return {"note": Texts(pa.array(rows, pa.large_string()))}


def _images(hidden: np.ndarray, random: np.random.Generator) -> dict[str, Images]:
    pixels = random.integers(0, 40, (len(hidden), 12, 12, 1)).astype(np.uint8)
    for row, value in enumerate(hidden):
        place = int(value * 3)
        pixels[row, place : place + 4, place : place + 4] = 220
    return {"picture": Images(pixels, np.ones(len(hidden), dtype=bool))}


def _sounds(hidden: np.ndarray, random: np.random.Generator) -> dict[str, Ragged]:
    rows = []
    for value in hidden:
        time = np.arange(int(random.integers(1200, 1700))) / 4000
        wave = 0.5 * np.sin(2 * np.pi * (300 + 300 * value) * time) + random.normal(0, 0.01, len(time))
        rows.append((wave * 32767).clip(-32768, 32767).astype(np.int16)[:, None])
    return {"sound": _ragged(rows)}


def _sequences(hidden: np.ndarray, random: np.random.Generator) -> dict[str, Ragged]:
    rows = []
    for value in hidden:
        steps = int(random.integers(10, 21))
        trend = np.linspace(0, value, steps)
        rows.append(np.stack([trend, random.normal(0, 0.2, steps)], axis=1).astype(np.float32))
    return {"steps": _ragged(rows)}


def _ragged(rows: list[np.ndarray]) -> Ragged:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Ragged(np.concatenate(rows), offsets)
