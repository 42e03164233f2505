"""Every public verb once, on 50 rows: if this fails, look here first."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

import yunti
from yunti.cli import app
from yunti.storing import to_json


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 50 rows with a number, a category and a text; heavy stones sink."""
    draw = random.Random(0)
    path = tmp_path_factory.mktemp("tiny") / "stones.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["weight", "colour", "note", "sinks"])
        for number in range(50):
            weight = draw.uniform(0, 10)
            note = f"found as number {number} by the {draw.choice(['river', 'road', 'old wall'])}"
            writer.writerow([f"{weight:.2f}", draw.choice(["grey", "red"]), note, "yes" if weight > 5 else "no"])
    return path


@pytest.fixture(scope="module")
def climb(rows: Path) -> yunti.Climb:
    return yunti.climb(rows, target="sinks", rungs=["constant", "linear"], budget="60s", out=rows.parent / "run")


def test_climb(climb: yunti.Climb) -> None:
    assert [(rung.name, rung.status) for rung in climb.record.rungs] == [("constant", "done"), ("linear", "done")]
    assert climb.verdict.chosen in ("constant", "linear")
    assert climb.record.test is not None
    assert "linear" in str(climb.table())


def test_report_and_plot(climb: yunti.Climb, rows: Path) -> None:
    assert climb.report(rows.parent / "again.html").read_text().startswith("<!DOCTYPE html>")
    assert climb.plot("quality", rows.parent / "quality.png").axes


def test_the_run_folder(climb: yunti.Climb) -> None:
    document = json.loads((climb.folder / "climb.json").read_text())
    assert {"data", "task", "machine", "budget", "rungs", "verdict", "test", "format"} <= set(document)
    assert (climb.folder / "models" / "linear").is_dir()
    assert (climb.folder / "report.html").is_file()
    assert (climb.folder / "log.jsonl").read_text().count("\n") > 4


def test_resume(climb: yunti.Climb) -> None:
    assert to_json(yunti.resume(climb.folder).record) == to_json(climb.record)


def test_predict_save_load_and_evaluate(climb: yunti.Climb, rows: Path) -> None:
    predicted = climb.best.predict(rows)
    assert predicted.column_names == ["prediction", "probability_no", "probability_yes"]
    assert predicted.num_rows == 50
    climb.best.save(rows.parent / "stones.yunti")
    loaded = yunti.load(rows.parent / "stones.yunti")
    assert loaded.predict(rows).equals(predicted)
    assert 0 <= loaded.evaluate(rows)["scores"]["accuracy"] <= 1


def test_look(rows: Path) -> None:
    assert yunti.look(rows, target="sinks") is not None


def test_the_command_line(climb: yunti.Climb, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, out = str(climb.folder / "models" / "linear"), rows.parent / "out.csv"
    assert app.run(["look", str(rows), "--target", "sinks"]) == 0
    assert "colour" in capsys.readouterr().out
    assert app.run(["look", str(rows), "--target", "sinks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 50
    assert app.run(["rungs"]) == 0
    assert "boosting" in capsys.readouterr().out
    assert app.run(["predict", bundle, str(rows), "-o", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 51
    assert app.run(["evaluate", bundle, str(rows), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["scores"]) >= {"accuracy", "log_loss"}
    assert app.run(["report", str(climb.folder)]) == 0
    assert capsys.readouterr().out == f"{climb.folder / 'report.html'}\n"
    assert app.run(["climb", "--resume", str(climb.folder)]) == 0
    assert "chosen" in capsys.readouterr().out
    assert app.run(["climb", "--resume", str(climb.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((climb.folder / "climb.json").read_text())
