"""Two processes are one: the same losses, a lost worker comes back, and any number goes on where another left off."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# in fp32: sums of halves are rounded so much that their order tells
STILL = ["training.augment.shift=0", "training.augment.noise=0", "model.dropout=0.0", "engine.precision=fp32"]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--no-python"]


def command(rung: str, out: Path, *settings: str) -> list[str]:
    sets = [part for setting in settings for part in ("--set", setting)]
    return [sys.executable, "-m", "yunti", "train", "sample:digits", "--rung", rung, "--out", str(out), *sets]


def launched(words: list[str], *options: str) -> list[str]:
    return [*LAUNCH[:5], *options, *LAUNCH[5:], *words]


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "YUNTI_CACHE": str(cache), "OMP_NUM_THREADS": "1", "MASTER_PORT": "0"}


def history(out: Path, rung: str = "mlp") -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "outcomes" / rung / "history.jsonl").read_text().splitlines()]


def run(words: list[str], cache: Path) -> str:
    done = subprocess.run(words, env=environment(cache), capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def killed_when(words: list[str], cache: Path, ready: Callable[[], bool]) -> None:
    """Run a command in a session of its own, and kill all of it when a checkpoint lies there."""
    process = subprocess.Popen(
        words, env=environment(cache), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(ready, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    folder = words[words.index("--out") + 1].encode()
    for path in Path("/proc").glob("[0-9]*"):  # the launcher gave each of its own a session
        with contextlib.suppress(OSError):
            if folder in (path / "cmdline").read_bytes().split(b"\0"):
                os.kill(int(path.name), signal.SIGKILL)
    time.sleep(1.0)  # the workers see that their parents are gone


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.05)


def has_checkpoint(out: Path, rung: str = "mlp") -> Callable[[], bool]:
    return lambda: any((out / "outcomes" / rung / "checkpoints").glob("step-*.s*"))


def workers_of(launcher: int) -> list[int]:
    """Return the worker processes below a launcher, the later started last."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            grandparent = int((Path("/proc") / str(parent) / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if b"yunti.climbing.worker" in words and grandparent == launcher:
            found.append(int(path.name))
    return sorted(found)


def agree(first: list[dict[str, float]], second: list[dict[str, float]], within: float) -> None:
    """Compare the losses of the steps that both tell: how often a score is told too depends on the machine's pace."""
    ones, others = ({line["step"]: line["loss"] for line in lines} for lines in (first, second))
    both = ones.keys() & others.keys()
    assert len(both) >= 0.5 * max(len(ones), len(others))
    for step in both:
        assert others[step] == pytest.approx(ones[step], abs=within)


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    settings = ["training.epochs=3", *STILL]
    run(command("mlp", tmp_path / "one", *settings), tmp_path)
    run(launched(command("mlp", tmp_path / "two", *settings)), tmp_path)
    agree(history(tmp_path / "one"), history(tmp_path / "two"), 1e-5)
    record = json.loads((tmp_path / "two" / "climb.json").read_text())
    assert record["rungs"][0]["status"] == "done"
    assert record["test"]["score"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("rung", ["convnet", "transformer"])
def test_batch_normalisation_and_shards_change_no_loss(rung: str, tmp_path: Path) -> None:
    settings = ["training.epochs=1", *(each for each in STILL if "noise" not in each)]
    if rung == "convnet":  # Adam would blow up differences in gradients that are nearly zero
        settings += ["training.augment.erase=0", "training.optimiser=sgd", "training.learning_rate=0.001"]
    else:
        settings += ["training.optimiser=adamw", "engine.sharding=fsdp"]
    run(command(rung, tmp_path / "one", *settings), tmp_path)
    run(launched(command(rung, tmp_path / "two", *settings)), tmp_path)
    agree(history(tmp_path / "one", rung)[:5], history(tmp_path / "two", rung)[:5], 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["ddp", "fsdp"])
def test_any_number_of_processes_goes_on(sharding: str, tmp_path: Path) -> None:
    settings = ["training.epochs=40", "engine.checkpoint_seconds=0.2", f"engine.sharding={sharding}", *STILL]
    run(command("mlp", tmp_path / "whole", *settings), tmp_path)
    resume = [sys.executable, "-m", "yunti", "train", "--resume"]
    two_then_one, one_then_two = tmp_path / "two-one", tmp_path / "one-two"
    killed_when(launched(command("mlp", two_then_one, *settings)), tmp_path, has_checkpoint(two_then_one))
    assert "goes on from its checkpoint" in run([*resume, str(two_then_one)], tmp_path)
    killed_when(command("mlp", one_then_two, *settings), tmp_path, has_checkpoint(one_then_two))
    assert "goes on from its checkpoint" in run(launched([*resume, str(one_then_two)]), tmp_path)
    for out in (two_then_one, one_then_two):
        agree(history(tmp_path / "whole"), history(out), 2e-3)


@pytest.mark.slow
def test_a_lost_worker_comes_back(tmp_path: Path) -> None:
    settings = ["training.epochs=40", "engine.checkpoint_seconds=0.2", *STILL]
    run(command("mlp", tmp_path / "whole", *settings), tmp_path)
    out = tmp_path / "lost"
    with (tmp_path / "said.txt").open("wb") as said:
        words = launched(command("mlp", out, *settings), "--max-restarts", "2")
        process = subprocess.Popen(words, env=environment(tmp_path), stdout=said, stderr=said)
        wait_for(has_checkpoint(out), process)
        os.kill(workers_of(process.pid)[-1], signal.SIGKILL)
        assert process.wait(240) == 0, (tmp_path / "said.txt").read_text()
    assert "goes on from its checkpoint" in (tmp_path / "said.txt").read_text()
    agree(history(tmp_path / "whole"), history(out), 2e-3)
