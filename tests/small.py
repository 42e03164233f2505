"""Networks and rows that are small enough to train in a fraction of a second."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from yunti.data.encode import Encoder, Reading
from yunti.data.table import Examples, Images, Numbers, Table
from yunti.models.blueprint import Blueprint, Design, Turn
from yunti.models.contract import Watch
from yunti.models.inputs import TablePart
from yunti.models.layers import Fused, Head
from yunti.models.network import Network
from yunti.models.recipe import Recipe
from yunti.models.settings import Settings, settings_from
from yunti.models.vision import Filters
from yunti.specs import ColumnSpec, Spec, TaskSpec
from yunti.training import train

RECIPE = Recipe(batch=32, epochs=2, learning_rate=1e-2, patience=1.0)  # how often is looked depends on the pace
CLASSES = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b", "c"))
Build = Callable[[], Network]


def number_rows(rows: int, seed: int = 0) -> Examples:
    """Three numbers, of which two tell one of three classes."""
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, (rows, 3)).astype(np.float32)
    target = (np.digitize(values[:, 0] + 0.3 * values[:, 1], [-0.4, 0.4])).astype(np.int32)
    table = Table({f"x{place}": Numbers(values[:, place]) for place in range(3)})
    return Examples(table, target, np.arange(rows, dtype=np.int64))


def picture_rows(rows: int, seed: int = 0) -> Examples:
    """Pictures with a bright bar at one of three heights."""
    random = np.random.default_rng(seed)
    target = random.integers(0, 3, rows).astype(np.int32)
    pixels = random.integers(0, 60, (rows, 9, 9, 1)).astype(np.uint8)
    for row, place in enumerate(target):
        pixels[row, 3 * place : 3 * place + 3] = 220
    table = Table({"picture": Images(pixels, np.ones(rows, dtype=bool))})
    return Examples(table, target, np.arange(rows, dtype=np.int64))


def number_network(
    recipe: Recipe = RECIPE,
    seed: int = 0,
    dropout: float = 0.0,
    turns: tuple[Turn, ...] = (),
    assemble: Callable[[Mapping[str, Any], Any, int], nn.Module] | None = None,
) -> Network:
    """A network for `number_rows`."""

    def usual(shape: Mapping[str, Any], reader: Any, outputs: int) -> nn.Module:
        part = TablePart(reader, 4)
        return Fused([part], Head(part.width, shape["width"], outputs, dropout))

    def design(spec: Spec, reader: Any, size: Any) -> Design:
        return Design({"width": 16}, recipe)

    columns = tuple(ColumnSpec(f"x{place}", "number") for place in range(3))
    blueprint = Blueprint("small", lambda spec: Encoder(spec.columns, Reading()), design, assemble or usual, turns)
    return Network(Spec(columns, CLASSES, 600, seed), blueprint)


def picture_network(recipe: Recipe = RECIPE, seed: int = 0) -> Network:
    """A convolutional network, channels last in memory, for `picture_rows`."""

    def assemble(shape: Mapping[str, Any], reader: Any, outputs: int) -> nn.Module:
        (stream,) = reader.streams
        part = Filters(stream, [8, 8], 0, 1, 0)
        return Fused([part], Head(part.width, 0, outputs, 0.2))

    blueprint = Blueprint(
        "pictures", lambda spec: Encoder(spec.columns, Reading()), lambda *_: Design({}, recipe), assemble
    )
    columns = (ColumnSpec("picture", "image", shape=(9, 9, 1)),)
    return Network(Spec(columns, CLASSES, 600, seed), blueprint)


def settings(**values: Any) -> Settings:
    """Settings by names with two underscores for each dot; fp32 where nothing else is asked for."""
    given = {name.replace("__", "."): value for name, value in values.items()}
    return settings_from({"engine.precision": "fp32", **given}.items())


def stop_at(network: Network, calls: int) -> None:
    """Let a network end its training at so many losses from its first step on."""
    loss, taken = network.loss, [0]

    def counted(batch: Any, target: Any, forward: Any = None) -> Any:
        taken[0] += forward is not None and "steps" in network.plan
        if taken[0] > calls:
            raise KeyboardInterrupt
        return loss(batch, target, forward)

    network.loss = counted  # type: ignore[method-assign]


def interrupt(network: Network, rows: Examples, valid: Examples, given: Settings, home: Path, steps: int) -> None:
    """Train for so many steps and stop in the middle of the next, with a checkpoint after each."""
    stop_at(network, steps)
    try:
        train(network, rows, valid, Watch(), given, home)
    except KeyboardInterrupt:
        wait_for_writers()
        return
    raise AssertionError("it should have been stopped")


def wait_for_writers() -> None:
    """Wait until the threads that write checkpoints are through."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()


def weights(network: Network) -> dict[str, np.ndarray]:
    """Return a copy of a network's weights and buffers."""
    return {name: tensor.detach().numpy().copy() for name, tensor in network.module.state_dict().items()}


def assert_equal_bits(one: Network, other: Network) -> None:
    """Check that two networks have the same bits."""
    left, right = weights(one), weights(other)
    assert list(left) == list(right)
    for name, value in left.items():
        assert value.tobytes() == right[name].tobytes(), name
