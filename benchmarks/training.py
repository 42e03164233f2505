"""The training engine against loops that people write: examples a second, side by side in one run.

    python benchmarks/training.py SOURCE [--rounds 3] [--peers PYTHON]

SOURCE holds 28 × 28 pictures, such as the files of Fashion-MNIST. PYTHON is the interpreter of an environment with
`pip install torch==2.13.0 keras tensorflow-cpu jax jaxlib`, for `training_peers.py`; without it only PyTorch is
compared with. Every figure is the median over the rounds, in which the candidates take turns; each is measured in a
process of its own, after ten steps. Instead, `--overhead 14` compares the engine with the shortest loop in so many
pairs of runs, `--kills 30` kills trainings of `--rung` at random moments, and `--precisions` compares the scores of
bf16 and fp32.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yunti.data.dataset import Dataset, open_dataset, prepare
from yunti.data.options import DataOptions
from yunti.models.attention import Block
from yunti.models.contract import Watch
from yunti.models.own import own_network
from yunti.models.rearrange import rearranged
from yunti.models.settings import settings_from
from yunti.specs import Spec
from yunti.tasks.task import infer_task
from yunti.training import train
from yunti.training.allocator import keep_freed_memory
from yunti.training.loop import Descent
from yunti.training.measuring import threads_for
from yunti.training.optimisers import AdamW
from yunti.training.precision import peak_flops

BATCH = 128
WARM_UP = 10  # steps before the clock starts
STEPS = {"mlp": 6000, "cnn": 500, "lstm": 500, "transformer": 40}
GOALS = {"mlp": (1.5, 1.5), "cnn": (2.0, 2.5), "lstm": (1.5, 3.0)}
SHARES = {"cnn": 0.35, "transformer": 0.60}
LIBRARIES = ("torch", "torch-resident", "keras-tensorflow", "keras-jax")


class Rows(nn.Module):
    """Three LSTM layers of 64 over the lines of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 64, 3, batch_first=True)
        self.head = nn.Linear(64, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.lstm(pictures[:, 0])[0][:, -1])


class Wide(nn.Module):
    """Four Transformer blocks of width 512 over the lines of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Linear(28, 512)
        self.blocks = nn.ModuleList(Block(512, 8, 0.0) for _ in range(4))
        self.head = nn.Linear(512, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        tokens = self.front(pictures[:, 0])
        for block in self.blocks:
            tokens = block(tokens, None)
        return self.head(tokens.mean(dim=1))


def fully_connected() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def convolutional() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1600, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": fully_connected,
    "cnn": convolutional,
    "lstm": Rows,
    "transformer": Wide,
}


def engine_rate(name: str, dataset: Dataset) -> dict[str, float]:
    """Train through yunti's engine; return examples a second, and the share of the peak."""
    torch.manual_seed(0)
    task = infer_task(dataset.task, dataset.target.name, dataset.classes, None)
    network = own_network(MODELS[name](), Spec(dataset.columns, task, len(dataset.train)))
    marks: list[float] = []
    inner, learn = Descent.run, Descent._learn

    def noting(self: Descent, factor: float) -> Any:
        if self.step == WARM_UP:
            marks.append(time.perf_counter())
            Descent._learn = learn  # type: ignore[method-assign]
        return learn(self, factor)

    def timed(self: Descent) -> dict[str, Any]:
        notes = inner(self)
        marks.append(time.perf_counter())
        return notes

    Descent.run, Descent._learn = timed, noting  # type: ignore[method-assign]
    epochs = STEPS[name] * BATCH / len(dataset.train)
    train(
        network, dataset.train, dataset.valid.take(slice(0, 0)), Watch(), settings_from([("training.epochs", epochs)])
    )
    Descent.run = inner  # type: ignore[method-assign]
    rate = (STEPS[name] - WARM_UP) * BATCH / (marks[1] - marks[0])
    flops = network.flops / (STEPS[name] * BATCH)
    peak = peak_flops("cpu", network.plan["precision"]["value"])
    return {"rate": rate, "share": rate * flops / peak, "flops": flops}


def bare_rate(name: str, dataset: Dataset) -> dict[str, float]:
    """Train by the shortest loop with the same tricks; return examples a second."""
    keep_freed_memory()
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    module = rearranged(MODELS[name]())
    optimiser = AdamW([{"params": list(module.parameters()), "lr": 1e-3, "weight_decay": 0.0}])
    pixels = torch.from_numpy(np.array(dataset.train.table[dataset.columns[0].name].pixels))
    target = torch.from_numpy(np.array(dataset.train.target).astype(np.int64))
    mean, deviation = float(pixels[:1000].float().mean()), float(pixels[:1000].float().std())
    torch.set_num_threads(threads_for(BATCH * FLOPS[name]))
    order = torch.randperm(len(target))

    def step(place: int) -> float:
        rows = order[place * BATCH % (len(order) - BATCH) :][:BATCH]
        pictures = pixels.index_select(0, rows).float().sub_(mean).div_(deviation).permute(0, 3, 1, 2)
        loss = F.cross_entropy(module(pictures), target.index_select(0, rows))
        torch.autograd.backward(loss)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return float(loss.detach())

    for place in range(WARM_UP):
        step(place)
    began = time.perf_counter()
    for place in range(WARM_UP, STEPS[name]):
        step(place)
    return {"rate": (STEPS[name] - WARM_UP) * BATCH / (time.perf_counter() - began)}


FLOPS = {"mlp": 8e5, "cnn": 1.5e7, "lstm": 1.5e7, "transformer": 1e9}  # of a row, roughly: for the number of threads
OWN: dict[str, Callable[[str, Dataset], dict[str, float]]] = {"yunti": engine_rate, "bare": bare_rate}


def laid_out(source: str) -> tuple[Path, Path]:
    """Lay the source out once: as yunti keeps it, and as one file of arrays for the others."""
    folder = Path(tempfile.mkdtemp(prefix="training-"))
    prepared, arrays = folder / "prepared", folder / "arrays.npz"
    prepared.mkdir()
    dataset = prepare(source, DataOptions(), prepared, lambda _name, _fraction: None)
    pixels = np.array(dataset.train.table[dataset.columns[0].name].pixels)[..., 0]
    np.savez(arrays, x=pixels, y=np.array(dataset.train.target).astype(np.int64))
    return prepared, arrays


def measured(candidate: str, model: str, prepared: Path, arrays: Path, peers: str | None) -> dict[str, float]:
    """Measure one candidate in a process of its own."""
    if candidate in OWN:
        command = [sys.executable, __file__, str(prepared), "--one", candidate, model]
    else:
        script = str(Path(__file__).with_name("training_peers.py"))
        python = sys.executable if candidate.startswith("torch") else str(peers)
        command = [python, script, candidate, model, "--data", str(arrays), "--seconds", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{candidate} {model} failed: {done.stderr[-600:]}")
    line: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"rate": line["examples_per_second"]} if "examples_per_second" in line else line


def compare(source: str, rounds: int, peers: str | None) -> None:
    """Print examples a second of all candidates, and the ratios."""
    prepared, arrays = laid_out(source)
    others = [library for library in LIBRARIES if peers or library.startswith("torch")]
    for model in MODELS:
        candidates = ["yunti", "bare", *(others if model in GOALS else [])]
        figures: dict[str, list[dict[str, float]]] = {candidate: [] for candidate in candidates}
        for _ in range(rounds):
            for candidate in candidates:
                figures[candidate].append(measured(candidate, model, prepared, arrays, peers))
        show(model, {name: statistics.median(each["rate"] for each in some) for name, some in figures.items()})
        if model in SHARES:
            share = statistics.median(each["share"] for each in figures["yunti"])
            print(f"  share of the measured matmul peak: {share:.0%} (goal {SHARES[model]:.0%})", flush=True)


def overhead(source: str, pairs: int) -> None:
    """Print how much longer the engine's steps take than those of the bare loop: the median over pairs of runs."""
    prepared, arrays = laid_out(source)
    for model in MODELS:
        longer: list[float] = []
        for _ in range(pairs):
            bare, yunti = (
                measured(candidate, model, prepared, arrays, None)["rate"] for candidate in ("bare", "yunti")
            )
            longer.append(bare / yunti - 1)
        low, middle, high = np.quantile(longer, (0.25, 0.5, 0.75))
        print(f"{model}: {middle:+.1%} time (quartiles {low:+.1%} and {high:+.1%}; goal at most +3 %)", flush=True)


def show(model: str, rates: dict[str, float]) -> None:
    print(f"{model}: " + ", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items()))
    if model in GOALS:
        plain, keras = GOALS[model]
        print(f"  over the plain PyTorch loop: {rates['yunti'] / rates['torch']:.2f} (goal {plain})")
        best = max((rate for name, rate in rates.items() if name.startswith("keras")), default=None)
        if best is not None:
            print(f"  over Keras, the faster backend: {rates['yunti'] / best:.2f} (goal {keras})")


def kills(source: str, count: int, rung: str, epochs: float) -> None:
    """Kill trainings at random moments, resume each, and compare weights and history bit by bit."""
    chance = random.Random(0)
    command = ["yunti", "train", source, "--rung", rung, "--set", f"training.epochs={epochs}"]
    command += ["--set", "engine.checkpoint_seconds=0.1", "--out"]
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    began = time.monotonic()
    subprocess.run([*command, str(folder / "whole")], check=True, capture_output=True)
    whole, seconds = state_of(folder / "whole", rung), time.monotonic() - began
    same = 0
    for number in range(count):
        out = folder / f"run-{number}"
        killed_after(chance.uniform(0.2, 0.95) * seconds, [*command, str(out)])
        resumed = subprocess.run(["yunti", "train", "--resume", str(out)], check=False, capture_output=True, text=True)
        if resumed.returncode:  # it was killed before there was anything to go on from
            subprocess.run([*command, f"{out}-anew"], check=True, capture_output=True)
            out = Path(f"{out}-anew")
        same += state_of(out, rung) == whole
        went_on = "goes on from its checkpoint" in resumed.stdout
        print(f"kill {number + 1}: {'identical' if state_of(out, rung) == whole else 'DIFFERENT'}"
              f"{', from a checkpoint' if went_on else ''}", flush=True)  # fmt: skip
    print(f"{same} of {count} identical in weights and history")


def killed_after(seconds: float, command: list[str]) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def state_of(run: Path, rung: str) -> tuple[bytes, bytes]:
    """Return a trained rung's weights and its history, as they lie on disk."""
    weights = sorted((run / "models" / rung).glob("*.safetensors"))
    return b"".join(path.read_bytes() for path in weights), (run / "outcomes" / rung / "history.jsonl").read_bytes()


def precisions(asked: list[str]) -> None:
    """Compare the scores of bf16 and fp32 over three seeds, for SOURCE:RUNG:EPOCHS:TARGET each."""
    for each in asked:
        source, rung, epochs, target = [*each.rsplit(":", 3)]
        scores: dict[str, list[float]] = {"fp32": [], "bf16": []}
        for seed in range(3):
            for precision, some in scores.items():
                with tempfile.TemporaryDirectory() as folder:
                    command = ["yunti", "train", source, "--rung", rung, "--seed", str(seed), "--json"]
                    command += ["--set", f"engine.precision={precision}", "--set", f"training.epochs={epochs}"]
                    command += ["--out", f"{folder}/run"]
                    command += ["--target", target] if target else []
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    some.append(json.loads(done.stdout)["rungs"][0]["score"]["valid"])
        told = {name: ", ".join(f"{score:.4f}" for score in some) for name, some in scores.items()}
        print(f"{source} {rung}: fp32 {told['fp32']}; bf16 {told['bf16']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("source")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers")
    parser.add_argument("--overhead", type=int, metavar="PAIRS")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--rung", default="convnet")
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--precisions", nargs="*", metavar="SOURCE:RUNG:EPOCHS:TARGET")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("YUNTI_CACHE", tempfile.mkdtemp(prefix="cache-"))
    if given.one:
        candidate, model = given.one
        print(json.dumps(OWN[candidate](model, open_dataset(Path(given.source)))))
    elif given.overhead:
        overhead(given.source, given.overhead)
    elif given.kills:
        kills(given.source, given.kills, given.rung, given.epochs)
    elif given.precisions is not None:
        precisions(given.precisions)
    else:
        compare(given.source, given.rounds, given.peers)


if __name__ == "__main__":
    main()
