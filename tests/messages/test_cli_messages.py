"""Every mistake on the command line ends in one sentence on standard error, and exit code 2."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from yunti.cli import app

MISTAKES = {
    "an unknown command": (["clim", "a.csv"], "no such command 'clim'. Did you mean 'climb'?"),
    "an unknown flag": (["climb", "a.csv", "--tagret", "x"], "no such option: --tagret"),
    "a flag without its value": (["climb", "a.csv", "--target"], "option '--target' requires an argument"),
    "a value that is no number": (["climb", "a.csv", "--seed", "one"], "invalid value for '--seed'"),
    "a glob that the shell has opened": (["climb", "a.csv", "b.csv"], "unexpected extra argument(s) (b.csv)"),
    "no source": (["climb"], "climb: it needs data, but no SOURCE was given; name a file, a folder or sample:digits"),
    "an absent file": (["climb", "absent.csv", "--target", "x"], "absent.csv"),
    "a kind without a name": (["climb", "a.csv", "--kind", "text"], "it must be NAME=KIND, but 'text' is not"),
    "a kind that is none": (["climb", "a.csv", "--kind", "x=txt"], "'txt' is not; did you mean 'text'?"),
    "a task that is none": (["look", "a.csv", "--task", "regresion"], "did you mean 'regression'?"),
    "a task that has no ladder": (["rungs", "--task", "translation"], "it must be one of classification, regression"),
    "a budget that is none": (["climb", "sample:penguins", "--budget", "soon"], "it must be a time such as 90s"),
    "a budget of nothing": (["climb", "sample:penguins", "--budget", "0s"], "it must be a time such as 90s"),
    "a device that is none": (["climb", "sample:penguins", "--device", "tpu"], "it must be one of auto, cpu, cuda"),
    "a run that is none": (["climb", "--resume", "absent"], "it must be the folder of an earlier climb"),
    "a run and a source": (["climb", "a.csv", "--resume", "absent"], "'a.csv' was; leave it out"),
    "a run and a flag": (["climb", "--resume", "absent", "--kind", "x=text"], "--kind was; leave it out"),
    "a run folder in use": (["climb", "sample:penguins", "--out", "used"], "the run folder must be new or empty"),
    "an output of no form": (
        ["predict", "b", "a.csv", "-o", "out.xlsx"],
        "its ending must name a form, but '.xlsx' does not; choose one of '.csv'",
    ),
    "an output without ending": (["predict", "b", "a.csv", "-o", "out"], "but it has none; choose one of '.csv'"),
    "an output that is a folder": (
        ["predict", "b", "a.csv", "-o", "folder.csv"],
        "it must be a file, but it is a folder",
    ),
    "an output in no folder": (
        ["predict", "b", "a.csv", "-o", "no/out.csv"],
        "its folder must be there, but no is not",
    ),
    "a bundle that is none": (["predict", "absent", "a.csv", "-o", "out.csv"], "absent"),
    "prompts of no form": (["generate", "b", "--prompts", "a.xlsx"], "a.xlsx: the ending of a file of prompts must"),
    "prompts that are absent": (["generate", "b", "--prompts", "absent.txt"], "absent.txt"),
    "prompts twice": (["generate", "b", "--prompt", "x", "--prompts", "a.txt"], "--prompts: one of --prompt and"),
    "a stream of a file": (["generate", "b", "--stream", "--prompts", "a.txt"], "it must stand without --prompts"),
    "a text in no form": (
        ["generate", "b", "-o", "out.parquet"],
        "its ending must name a form, but '.parquet' does not; choose one of '.jsonl'",
    ),
    "a bundle to evaluate that is none": (["evaluate", "absent.yunti", "a.csv"], "absent.yunti"),
    "a board of no run": (["board", "absent"], "it must be the run folder of a climb, but there is no such folder"),
    "a board of another folder": (
        ["board", "used"],
        "it must be the run folder of a climb, but it holds no request.json",
    ),
    "a board before the first rung": (["board", "begun"], "it must hold curves, but no rung has begun to train"),
    "a report of no run": (["report", "absent"], "it must be the run folder of a climb, but there is no such folder"),
    "a report of another folder": (
        ["report", "used"],
        "it must be the run folder of a climb, but it holds no request.json",
    ),
    "a report before the data are read": (["report", "begun"], "but there is no climb.json yet"),
    "a report in no language": (["report", "begun", "--lang", "fr"], "it must be one of en, zh, but 'fr'"),
    "a port that cannot be": (["board", "begun", "--port", "70000"], "invalid value for '--port'"),
    "nothing to predict with": (["predict"], "missing argument 'BUNDLE'"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a little of everything."""
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,y\n1,2\n")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("years of work")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "request.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert sentence in told.err
    assert told.err.startswith("yunti: ")
    assert told.err.count("\n") == 1
    assert told.err.endswith((".\n", "?\n"))
    assert "Traceback" not in told.err


def test_a_mistake_leaves_the_folder_as_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    for arguments, _ in MISTAKES.values():
        app.run(arguments)
    capsys.readouterr()
    assert [path for path in sorted(folder.rglob("*")) if path not in before and path.name != "runs"] == []
    assert (folder / "used" / "thesis.txt").read_text() == "years of work"


def test_a_port_in_use_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "begun" / "tensorboard").mkdir()
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert app.run(["board", "begun", "--port", port]) == 2
    told = capsys.readouterr().err
    assert f"--port {port}: the port must be free" in told
    assert told.count("\n") == 1
