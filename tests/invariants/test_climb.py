"""Whole climbs: killed and resumed, interrupted, over budget, twice with one seed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import yunti
from yunti.climbing import run as run_module
from yunti.climbing.run import RunFolder
from yunti.errors import OptionError

RUNGS = "constant,linear,tree"


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "yunti", "climb", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def numbers(folder):
    """What must be the same in two runs: statuses, scores, the choice and the test score; no timings."""
    record = json.loads((folder / "climb.json").read_text())
    rungs = {each["name"]: (each["status"], each["score"], each["scores"]) for each in record["rungs"]}
    return rungs, record["verdict"]["chosen"], record["test"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One climb that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    yunti.climb("sample:penguins", rungs=RUNGS, budget="60s", out=folder)
    return folder


def wait_for(path, process, seconds=60.0):
    end = time.monotonic() + seconds
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert path.exists(), process.communicate(timeout=10)[0]


@pytest.mark.parametrize("moment", ["request.json", "prepared/dataset.json", "outcomes/linear/record.json"])
def test_a_climb_that_is_killed_and_resumed_ends_like_one_that_was_not(tmp_path, whole, moment):
    folder = tmp_path / "run"
    process = start("sample:penguins", "--rungs", RUNGS, "--budget", "60s", "--out", folder)
    wait_for(folder / moment, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finished = {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("outcomes/*/record.json")}

    climb = yunti.resume(folder)

    assert climb.record.test is not None
    assert numbers(folder) == numbers(whole)
    for rung, written in finished.items():  # what was finished was not trained again
        assert (folder / "outcomes" / rung / "record.json").stat().st_mtime_ns == written


def test_two_processes_do_not_write_into_one_folder(whole, monkeypatch):
    monkeypatch.setattr(run_module, "LOCK_SECONDS", 0.2)
    with (
        RunFolder.open(whole).held(),
        pytest.raises(OptionError, match="no other process may be at work there, but one is"),
    ):
        yunti.resume(whole)
    assert yunti.resume(whole).verdict.chosen


def test_ctrl_c_keeps_what_is_done_and_resume_trains_the_rest(tmp_path, whole):
    folder = tmp_path / "run"
    process = start("sample:penguins", "--rungs", RUNGS, "--budget", "60s", "--out", folder)
    wait_for(folder / "outcomes" / "linear" / "record.json", process)
    process.send_signal(signal.SIGINT)
    screen, _ = process.communicate(timeout=60)
    assert "Traceback" not in screen

    record = json.loads((folder / "climb.json").read_text())
    assert record["verdict"], screen
    assert record["verdict"]["chosen"] in ("constant", "linear", "tree")
    if record["test"] is None:  # the signal came in time: the test rows stay closed
        assert yunti.load(folder / "models" / record["verdict"]["chosen"]) is not None
    yunti.resume(folder)
    assert numbers(folder) == numbers(whole)


def test_resuming_a_finished_climb_changes_nothing(whole):
    before = (whole / "climb.json").read_bytes()
    assert yunti.resume(whole).verdict.chosen
    assert (whole / "climb.json").read_bytes() == before


def test_the_best_bundle_gives_the_tested_score_on_the_test_rows(whole):
    climb = yunti.resume(whole)
    record = climb.record
    assert record.test is not None
    assert record.test.rung == record.verdict.chosen
    assert record.test.low <= record.test.score <= record.test.high
    assert climb.table().num_rows == 3
    assert (whole / "log.jsonl").read_text().count("RungEnded") == 3
    assert list((whole / "tensorboard").iterdir())


def test_the_chosen_rung_is_trained_anew_on_training_and_validation_rows(tmp_path, whole):
    record = yunti.resume(whole).record
    split, chosen = record.data.split, record.verdict.chosen
    assert record.verdict.refit.rows == split.train + split.valid
    assert f"trained anew on {split.train + split.valid} rows" in (whole / "models" / chosen / "card.md").read_text()

    plain = yunti.climb("sample:penguins", rungs=RUNGS, budget="60s", refit=False, out=tmp_path / "plain")
    assert plain.record.verdict.refit is None
    assert "trained anew" not in (plain.folder / "models" / chosen / "card.md").read_text()
    rows = "sample:penguins"
    first, second = (plain.best.predict(rows), yunti.load(whole / "models" / chosen).predict(rows))
    assert first.column("prediction").to_pylist() != second.column("prediction").to_pylist() or (
        first.column(1).to_pylist() != second.column(1).to_pylist()
    )


@pytest.mark.parametrize("killed", ["before it was noted", "while the bundle was replaced"])
def test_a_climb_killed_while_it_trains_anew_ends_like_one_that_was_not(tmp_path, whole, killed):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    record = json.loads((folder / "climb.json").read_text())
    chosen = record["verdict"]["chosen"]
    for unwritten in ("refit.json", "test.json"):
        (folder / "outcomes" / chosen / unwritten).unlink()
    (folder / "climb.json").write_text(json.dumps(record | {"verdict": None, "test": None}))
    if killed == "while the bundle was replaced":
        (folder / "models" / chosen).rename(folder / "models" / f".{chosen}.old")
    climb = yunti.resume(folder)
    assert numbers(folder) == numbers(whole)
    assert climb.verdict.refit is not None
    assert climb.verdict.refit.rows == yunti.resume(whole).verdict.refit.rows  # type: ignore[union-attr]


def test_what_keeps_a_rung_from_being_trained_anew_is_told(tmp_path):
    climb = yunti.climb("sample:penguins", rungs="constant,linear", budget="2s", out=tmp_path / "run")
    refit = climb.verdict.refit
    assert refit is not None
    assert refit.rows > 0 or "would take" in refit.reason
    assert climb.record.test is not None


def test_a_budget_that_is_too_small_still_ends_with_a_model(tmp_path):
    climb = yunti.climb("sample:penguins", budget="1s", out=tmp_path / "run")
    assert climb.best.predict("sample:penguins").num_rows > 300
    assert any(each.status == "skipped" and "share of the budget" in each.reason for each in climb.record.rungs)
