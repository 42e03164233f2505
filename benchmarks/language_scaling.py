"""What a deeper gpt would reach, forecast from shallow ones at equal tokens, against what it reaches.

    python benchmarks/language_scaling.py TEXT [--tokens 2000000] [--block 32] [--depths 1,2,3,4] [--at 8] [--seed 0]

Every member is trained by the product's engine with the recipe of the rung `gpt`, on the same tokens in the same order;
its width is `--block` times its depth. Losses are bits per byte on the validation rows; `yunti.extrapolate` sees those
of the shallow members over their hidden parameters, and nothing of the deep one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import yunti
from yunti.data.dataset import Dataset, prepare
from yunti.data.options import DataOptions
from yunti.ladders.language.gpt import build
from yunti.models.contract import Size, Watch
from yunti.models.decoder_size import DecoderShape
from yunti.models.network import Network
from yunti.models.settings import settings_from
from yunti.specs import Spec
from yunti.tasks.language import bits_per_byte
from yunti.tasks.task import infer_task
from yunti.training import train


def member(dataset: Dataset, depth: int, block: int, tokens: int, seed: int) -> tuple[int, float]:
    """Train one member of the family; return its hidden parameters and its bits per byte."""
    task = infer_task("language", dataset.target.name, (), None)
    network = build(Spec(dataset.columns, task, len(dataset.train), seed), Size())
    assert isinstance(network, Network)
    network.prepare(dataset.train)
    present = len(network.pack(dataset.train)) * network.shape["context"]
    shape = {"depth": depth, "width": block * depth, "heads": depth, "key_value_heads": depth}
    chosen = [(f"model.{name}", value) for name, value in shape.items()]
    train(
        network, dataset.train, dataset.valid, Watch(), settings_from([*chosen, ("training.epochs", tokens / present)])
    )
    loss = bits_per_byte(dataset.valid.target, network.predict(dataset.valid.table))
    return DecoderShape(**network.shape).hidden_parameters, loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--block", type=int, default=32)
    parser.add_argument("--depths", default="1,2,3,4")
    parser.add_argument("--at", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepare(told.text, DataOptions(), Path(folder), lambda _name, _fraction: None)
        seen = [shown(dataset, int(each), told) for each in told.depths.split(",")]
        sizes, losses = zip(*seen, strict=True)
        deep = DecoderShape(2, told.block * told.at, told.at, told.at, told.at, 1).hidden_parameters
        forecast = yunti.extrapolate(sizes, losses, deep, kind="loss")
        print(f"forecast for depth {told.at}: {forecast.median:.4f} ({forecast.low:.4f} to {forecast.high:.4f})")
        _, reached = shown(dataset, told.at, told)
        print(f"off by {forecast.median / reached - 1:+.1%}")


def shown(dataset: Dataset, depth: int, told: argparse.Namespace) -> tuple[int, float]:
    began = time.monotonic()
    parameters, loss = member(dataset, depth, told.block, told.tokens, told.seed)
    print(f"depth {depth}: {parameters:,} parameters, {loss:.4f} bits per byte, {time.monotonic() - began:.0f} s")
    return parameters, loss


if __name__ == "__main__":
    main()
