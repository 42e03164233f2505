"""The command line without a climb: numbers for people, layout, the screen, exit codes, output files."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from rich.cells import cell_len
from rich.console import Console

from yunti.cli import app
from yunti.cli.console import PIPE_WIDTH
from yunti.cli.layout import (
    aligned,
    column_lines,
    finding_lines,
    hung,
    ladder_lines,
    machine_sentence,
    task_sentence,
    wrapped,
)
from yunti.cli.screen import Screen, result_lines
from yunti.cli.tables import write_table
from yunti.climbing.events import Decided, Finished, Prepared, RungEnded, RungProgress, RungStarted, Stage
from yunti.climbing.state import INTERRUPTED
from yunti.records import (
    BudgetRecord,
    ClimbRecord,
    Cost,
    DataRecord,
    Finding,
    RungRecord,
    Score,
    SplitRecord,
    TestRecord,
    VerdictRecord,
)
from yunti.specs import ColumnSpec, TaskSpec
from yunti.words import units

COLUMNS = (
    ColumnSpec("rownames", "number", "counts 1, 2, 3", role="left out"),
    ColumnSpec("备注", "text", "24 characters on average"),
    ColumnSpec("bill_length_mm", "number", "all of the 342 values present are numbers, with one decimal"),
    ColumnSpec("species", "category", "3 distinct words", role="target"),
)
FINDINGS = (
    Finding("missing", "note", "column 'bill_length_mm' is missing in 2 of 344 rows."),
    Finding("broken row", "broken", "birds.csv row 17: 9 fields where the header has 8."),
    Finding("index", "left out", "column 'rownames' counts the rows.", column="rownames"),
)
DATA = DataRecord("birds.csv", 344, COLUMNS, SplitRecord(240, 52, 52, "stratified"), FINDINGS)
TASK = TaskSpec("classification", "species", "accuracy", "higher", ("Adelie", "Chinstrap", "Gentoo"))
COST = Cost(75.0, 140.0, 0.01, 220 << 20, 26_800, 229_000, 1e9, 0.1)
RUNGS = (
    RungRecord(
        "constant", "traditional", "done", "", Score("accuracy", 0.44, 0.31, 0.58), COST, bundle="models/constant"
    ),
    RungRecord("linear", "traditional", "done", "", Score("accuracy", 0.981, 0.942, 1.0), COST, bundle="models/linear"),
    RungRecord(
        "boosting",
        "traditional",
        "stopped",
        "its share was up after 340 of 2,000 trees",
        Score("accuracy", 0.96, 0.90, 1.0),
        COST,
        bundle="models/boosting",
    ),
    RungRecord("mlp", "deep", "failed", "its process was killed, most likely by the system for want of memory"),
    RungRecord("convnet", "deep", "skipped", "no column is a picture, a text or a sound"),
)
RECORD = ClimbRecord(
    DATA,
    TASK,
    {"processor": "A fast one", "cores": 2, "memory_bytes": 16 << 30, "device": "cpu"},
    BudgetRecord(60.0, 44.2, "asked for"),
    RUNGS,
    VerdictRecord("linear", "linear is chosen: accuracy 0.981."),
    TestRecord("linear", 0.962, 0.904, 1.0),
)
EVENTS = (
    Stage("reading", 0.5),
    Prepared(DATA, TASK, RECORD.budget, RECORD.machine, "runs/birds"),
    RungStarted("linear", "traditional", "a weighted sum", 12.0),
    RungProgress("linear", 0.5, {"loss": 0.25, "valid": 0.9}, 3.0),
    *(RungEnded(rung) for rung in RUNGS),
    Decided(VerdictRecord("linear", "it is best."), RECORD.test),
    Finished(RECORD),
)


def told(width: int, *, terminal: bool, **settings: object) -> str:
    """What the screen shows of a whole climb."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, highlight=False, **settings)  # type: ignore[arg-type]
    with Screen(console) as screen:
        for event in EVENTS:
            screen.tell(event)
    return stream.getvalue()


def test_times_and_sizes_are_short_at_every_magnitude() -> None:
    assert all(len(units.seconds_text(1.37 * 10**power)) <= 8 for power in range(-6, 8))
    assert all(len(units.bytes_text(3.37 * 10**power)) <= 8 for power in range(15))
    assert all(len(units.count_text(7.77 * 10**power)) <= 7 for power in range(15))
    assert [units.seconds_text(value) for value in (60.4, 3599.6, 86399.9)] == ["60 s", "1h 00m", "1d 00h"]


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.5, 0.5, 0.5, "0.500 (0.500–0.500)"),
        (0.98123, 0.98041, 0.98204, "0.9812 (0.9804–0.9820)"),
        (543.21, 531.0, 556.0, "543 (531–556)"),
        (float("nan"), float("nan"), float("nan"), "– (–––)"),
        (-0.02, -0.11, 0.04, "-0.020 (-0.110 to 0.040)"),
    ],
)
def test_a_score_shows_as_many_decimals_as_its_interval_allows(
    value: float, low: float, high: float, text: str
) -> None:
    assert units.scored(value, low, high) == text


def test_sentences_are_broken_between_words_and_long_words_are_cut() -> None:
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert wrapped("云梯攻城", 4) == ["云梯", "攻城"]
    assert wrapped("", 9) == [""]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_laid_out_line_is_wider_than_the_screen(width: int) -> None:
    lines = [
        *hung("data", "a sentence that is longer than a narrow screen and must be broken " * 3, width),
        *column_lines(COLUMNS, width, 24),
        *column_lines(COLUMNS * 10, width, 24),
        *finding_lines(FINDINGS, width),
        *ladder_lines(RECORD, max(width, 60)),
    ]
    assert max(line.cell_len for line in lines) <= max(width, 60)


def test_cells_stand_in_columns_whatever_their_script() -> None:
    lines = [line.plain for line in aligned([("备注", "a"), ("four", "b")], 40)]
    assert [cell_len(line[: line.index(letter)]) for line, letter in zip(lines, "ab", strict=True)] == [8, 8]


def test_many_columns_are_folded_by_kind() -> None:
    many = [replace(COLUMNS[2], name=f"pixel{number}") for number in range(784)]
    lines = [line.plain for line in column_lines(many, 80, 24)]
    assert len(lines) < 6
    assert "784" in lines[1]
    assert "776 more" in " ".join(lines)


def test_the_gravest_findings_come_first_and_many_are_counted() -> None:
    lines = [line.plain for line in finding_lines(FINDINGS, 200)]
    assert [line.split()[0] for line in lines] == ["broken", "left", "note"]
    assert "and 8 more" in [line.plain for line in finding_lines(FINDINGS[:1] * 20, 200)][-1]


def test_the_ladder_shows_every_rung_and_marks_the_chosen_one() -> None:
    lines = [line.plain for line in ladder_lines(RECORD, 120)]
    assert [name for name in ("constant", "linear", "boosting", "mlp", "convnet") if name not in " ".join(lines)] == []
    assert [line for line in lines if "→" in line] == [lines[2]]
    assert "0.981 (0.942–1.000)" in lines[2]
    assert "1m 15s  220 MiB    27 k  224 KiB" in lines[2]


@pytest.mark.parametrize("width", [70, 80, 120, 200])
def test_the_ladder_has_a_line_for_each_rung_and_none_is_empty(width: int) -> None:
    lines = [line.plain for line in ladder_lines(RECORD, width)]
    assert [line for line in lines if not line.strip()] == []
    assert len(lines) <= 1 + 2 * len(RUNGS)
    assert max(map(cell_len, lines)) <= width


def test_rungs_left_out_for_one_reason_tell_it_once() -> None:
    others = tuple(replace(RUNGS[4], name=name) for name in ("recurrent", "resnet"))
    lines = [line.plain for line in ladder_lines(replace(RECORD, rungs=(*RUNGS, *others)), 120)]
    assert sum("no column is a picture" in line for line in lines) == 1
    assert [line.split()[0] for line in lines if "skipped: likewise" in line] == ["recurrent", "resnet"]
    stream = io.StringIO()
    with Screen(Console(file=stream, width=120)) as screen:
        for rung in (RUNGS[4], *others, replace(others[0], name="lstm", reason="another")):
            screen.tell(RungEnded(rung))
    shown = stream.getvalue()
    assert shown.count("no column is a picture") == 1
    assert shown.count("likewise") == 2
    assert "another" in shown


def test_a_long_reason_is_cut_after_two_lines() -> None:
    wordy = replace(RECORD, rungs=(replace(RUNGS[3], reason="it failed for a reason that is told at length " * 9),))
    lines = [line.plain for line in ladder_lines(wordy, 80)][1:]
    assert len(lines) == 2
    assert lines[1].endswith("…")


def test_a_narrow_screen_keeps_the_score_and_drops_the_last_costs() -> None:
    head = next(iter(ladder_lines(RECORD, 70))).plain
    assert "accuracy" in head
    assert "size" not in head


def test_a_pipe_gets_plain_unbroken_lines() -> None:
    text = told(80, terminal=False)
    assert "\x1b" not in text
    assert "\r" not in text
    assert "boosting     accuracy 0.960 (0.900–1.000) in 1m 15s – stopped: its share was up" in text
    assert "broken     birds.csv row 17: 9 fields where the header has 8." in text


def test_a_terminal_gets_a_live_line_that_is_cleared_again() -> None:
    text = told(100, terminal=True)
    assert "\x1b[" in text
    assert "linear" in text
    assert "\x1b[?25h" in text  # the cursor is shown again


def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    coloured = {f"\x1b[{code}m" for code in (31, 32, 33, 36)} | {"\x1b[1;32m"}
    assert [code for code in coloured if code in told(100, terminal=True)] == []


def test_a_screen_left_by_an_error_shows_the_cursor_again() -> None:
    stream = io.StringIO()
    with pytest.raises(RuntimeError), Screen(Console(file=stream, force_terminal=True, width=80)) as screen:
        screen.tell(RungStarted("linear", "traditional", "a weighted sum", 12.0))
        raise RuntimeError
    assert "\x1b[?25h" in stream.getvalue()


def test_the_end_tells_the_choice_the_test_and_the_next_command() -> None:
    text = "\n".join(line.plain for line in result_lines(RECORD, Path("runs/my birds"), PIPE_WIDTH))
    assert "chosen     linear is chosen: accuracy 0.981." in text
    assert "test       accuracy 0.962 (0.904–1.000) on 52 rows, opened once, at the end" in text
    assert "next       yunti predict 'runs/my birds/models/linear' new.csv -o out.csv" in text
    assert "--resume" not in text


def test_an_interrupted_climb_tells_how_to_go_on() -> None:
    left = replace(RECORD, rungs=(*RUNGS, RungRecord("tree", "traditional", "skipped", INTERRUPTED)), test=None)
    text = "\n".join(line.plain for line in result_lines(left, Path("runs/birds"), PIPE_WIDTH))
    assert "go on      yunti climb --resume runs/birds" in text
    assert "skipped: interrupted\n" in text
    assert "test  " not in text


def test_a_climb_in_which_nothing_was_trained_can_be_shown() -> None:
    nothing = replace(RECORD, rungs=RUNGS[3:], verdict=None, test=None)
    lines = [line.plain for line in result_lines(nothing, Path("runs/birds"), 80)]
    assert "failed: its process was killed" in " ".join(lines)


def test_the_task_and_the_machine_are_told_in_a_line() -> None:
    assert task_sentence(TASK).startswith("classification of 'species' into 3 classes (Adelie, Chinstrap, Gentoo)")
    assert task_sentence(TaskSpec("regression", "price", "rmse", "lower")).endswith("RMSE decides, lower is better")
    assert machine_sentence(RECORD.machine) == "A fast one, 2 cores, 16 GiB, networks on cpu"
    assert machine_sentence({}) == ""


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_predictions_are_written_by_the_ending(tmp_path: Path, ending: str) -> None:
    table = pa.table({"prediction": ["a, b", "云"], "probability_云": [0.25, 0.75]})
    path = tmp_path / f"out.{ending}"
    write_table(table, str(path))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    if ending == "csv":
        assert path.read_text() == 'prediction,probability_云\n"a, b",0.25\n云,0.75\n'
    elif ending == "jsonl":
        assert [json.loads(line)["prediction"] for line in path.read_text().splitlines()] == ["a, b", "云"]
    else:
        assert parquet.read_table(path).equals(table)


def test_help_and_version_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert [app.run(arguments) for arguments in ([], ["--help"], ["-h"], ["climb", "-h"], ["--version"])] == [0] * 5
    told_to_the_user = capsys.readouterr()
    assert "yunti 0.1.0" in told_to_the_user.out
    assert told_to_the_user.err == ""


def test_the_ladders_are_listed_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["rungs", "--task", "regression"]) == 0
    text = capsys.readouterr().out
    assert app.run(["rungs", "--json"]) == 0
    ladders = json.loads(capsys.readouterr().out)
    assert ladders[0]["tasks"] == ["classification", "regression"]
    assert [rung["name"] for rung in ladders[0]["rungs"] if rung["name"] not in text] == []


def test_a_defect_is_one_sentence_and_shows_its_place_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_arguments: object) -> None:
        raise ZeroDivisionError("of everything")

    monkeypatch.setattr(app, "_enter", broken)
    monkeypatch.delenv("YUNTI_DEBUG", raising=False)
    assert app.run(["rungs"]) == 1
    assert capsys.readouterr().err == (
        "yunti: a defect of yunti, ZeroDivisionError: of everything; set YUNTI_DEBUG=1 to see where, "
        "and please report it.\n"
    )
    monkeypatch.setenv("YUNTI_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        app.run(["rungs"])


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device"), "yunti: the system refused: [Errno 28] No space left on device; mend"),
        (MemoryError(), "yunti: there is not enough memory; free some"),
    ],
)
def test_what_the_machine_refuses_is_one_sentence_and_code_2(
    error: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_arguments: object) -> None:
        raise error

    monkeypatch.setattr(app, "_enter", refused)
    monkeypatch.delenv("YUNTI_DEBUG", raising=False)
    assert app.run(["climb", "sample:digits"]) == 2
    assert capsys.readouterr().err.startswith(sentence)


def test_an_interruption_before_anything_is_done_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "_enter", interrupted)
    assert app.run(["climb", "sample:digits"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "yunti", "rungs", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 1
