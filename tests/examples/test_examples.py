"""The scripts in examples/ run as they stand and learn what they are given."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yunti.errors import YuntiError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LINE = re.compile(r"accuracy valid (\S+), test (\S+) \((\S+)–(\S+)\),(?: macro F1 (\S+),)? \d+ s")
Example = Callable[..., str]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Example:
    """Runs a script with arguments, as a command line would, and returns what it printed."""

    def run(name: str, *arguments: object) -> str:
        path = EXAMPLES / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    return run


def accuracy(printed: str) -> float:
    """Accuracy on the test rows, of a line that must hold together."""
    found = LINE.fullmatch(printed.strip())
    assert found is not None, printed
    valid, test, low, high = (float(each) for each in found.groups()[:4])
    assert 0 <= low <= test <= high <= 1
    assert 0 <= valid <= 1
    return test


@pytest.mark.parametrize(
    ("name", "epochs", "least"), [("fully_connected", 10, 0.8), ("convolutional", 5, 0.8), ("recurrent", 10, 0.6)]
)
def test_pictures_are_learned(example: Example, name: str, epochs: int, least: float) -> None:
    assert accuracy(example(name, "sample:digits", epochs)) > least


def test_a_table_with_two_classes_is_learned(example: Example) -> None:
    assert accuracy(example("sigmoid_net")) > 0.8


def test_names_are_left_out_of_a_table(example: Example, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ages = random.integers(1, 90, 200)
    words = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "haven", "isle", "juniper", "kelp", "lagoon"]
    names = [" ".join(random.choice(words, 5)) for _ in ages]
    lines = [f"{name},{age},{'old' if age > 45 else 'young'}" for name, age in zip(names, ages, strict=True)]
    table = tmp_path / "people.csv"
    table.write_text("\n".join(["name,age,group", *lines]), encoding="utf-8")
    assert accuracy(example("sigmoid_net", table, "group", 20)) > 0.8


def write_pictures(folder: Path, side: int = 24) -> None:
    """Pictures with boxes of three colours, as Pascal VOC tells them: the first six to learn from, the others not."""
    random = np.random.default_rng(0)
    colours = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for number in range(9):
        pixels = random.integers(0, 60, (side * 3, side * 6, 3))
        things = [
            "<object><name>red</name><bndbox><xmin>0</xmin><ymin>9</ymin><xmax>0</xmax><ymax>9</ymax></bndbox></object>"
        ]
        for place in range(18):
            name = list(colours)[place % 3]
            top, left = place // 6 * side, place % 6 * side
            box = pixels[top : top + side, left : left + side]
            box[:] = np.clip(random.normal(colours[name], 40, box.shape), 0, 255)
            edges = f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{left + side}</xmax><ymax>{top + side}</ymax>"
            things.append(f"<object><name>{name}</name><bndbox>{edges}</bndbox></object>")
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"p{number}.jpg")
        text = f"<annotation>{''.join(things)}</annotation>"
        (folder / "annotations" / f"p{number}.xml").write_text(text, encoding="utf-8")
    (folder / "train.txt").write_text("".join(f"p{number}\n" for number in range(6)), encoding="utf-8")
    (folder / "val.txt").write_text("".join(f"p{number}\n" for number in range(6, 9)), encoding="utf-8")


def test_boxes_are_cut_out_and_learned(example: Example, tmp_path: Path) -> None:
    write_pictures(tmp_path / "boxes")
    printed = example("crop_cells", tmp_path / "boxes", tmp_path / "cells")
    assert printed.splitlines() == ["train: 108 cells from 6 pictures", "test: 54 cells from 3 pictures"]
    with Image.open(next((tmp_path / "cells" / "train" / "green").iterdir())) as picture:
        assert (picture.size, picture.mode) == ((32, 32), "RGB")
        red, green, blue = np.asarray(picture).mean(axis=(0, 1))
    assert green > red + 60 and green > blue + 60
    assert accuracy(example("colour", tmp_path / "cells", 3)) > 0.8


def test_a_target_of_three_classes_is_refused_where_one_output_is_given(example: Example) -> None:
    with pytest.raises(YuntiError, match="3 numbers"):
        example("sigmoid_net", "sample:penguins", "species", 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "epochs", "least"), [("fully_connected", 40, 0.93), ("convolutional", 20, 0.93), ("recurrent", 40, 0.9)]
)
def test_digits(example: Example, name: str, epochs: int, least: float) -> None:
    assert accuracy(example(name, "sample:digits", epochs)) >= least


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "epochs", "least"), [("fully_connected", 15, 0.87), ("convolutional", 5, 0.905), ("recurrent", 5, 0.86)]
)
def test_fashion(example: Example, shared_data: Path, name: str, epochs: int, least: float) -> None:
    assert accuracy(example(name, shared_data / "fashion-mnist", epochs)) >= least


@pytest.mark.slow
@pytest.mark.parametrize(("name", "target", "least"), [("Titanic", "Survived", 0.76), ("credit_data", "Status", 0.75)])
def test_real_tables_with_two_classes(
    example: Example, shared_data: Path, name: str, target: str, least: float
) -> None:
    assert accuracy(example("sigmoid_net", shared_data / "tables" / f"{name}.csv.gz", target)) >= least


@pytest.mark.slow
def test_blood_cells(example: Example, shared_data: Path, tmp_path: Path) -> None:
    example("crop_cells", shared_data / "boxes", tmp_path / "cells")
    assert accuracy(example("colour", tmp_path / "cells")) >= 0.95
