"""How many examples a second other libraries train on, with three textbook models of 28 x 28 images.

    python benchmarks/training_peers.py LIBRARY MODEL [--seconds 15] [--data FILE.npz]

LIBRARY is torch, torch-resident, keras-tensorflow or keras-jax; MODEL is mlp, cnn or lstm. It runs in an environment
of its own, made with `pip install torch==2.13.0 keras tensorflow-cpu jax jaxlib numpy`, and needs nothing of yunti.
Every model is trained as its library's tutorials train it, on the CPU, in float32, with batches of 128 and Adam at
1e-3, with as many threads as the library takes by default. The images are random unless FILE.npz holds x, of uint8 and
shape (rows, 28, 28), and y. Better give it: on random pixels most units of the mlp die, Adam's means of their gradients
decay to denormal numbers, and PyTorch, which keeps those, slows by a third. Compiling and warming up are not timed;
then three repeats share the seconds, and one line of JSON holds the rate of each and their median.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

BATCH = 128
LEARNING_RATE = 1e-3
REPEATS = 3
WARM_UP_ROWS = 20 * BATCH
LIBRARIES = ("torch", "torch-resident", "keras-tensorflow", "keras-jax")
MODELS = ("mlp", "cnn", "lstm")

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
Train = Callable[[int, int], None]
"""Trains on the first rows of the data for a number of epochs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--seconds", type=float, default=15.0, help="what the three timed repeats take together")
    parser.add_argument("--data", type=Path, help="an npz file with x and y")
    options = parser.parse_args()
    images, labels = read(options.data) if options.data else random_data()
    prepare = prepare_torch if options.library.startswith("torch") else prepare_keras
    train, version = prepare(options.library, options.model, images, labels)
    rates = measured(train, len(images), options.seconds / REPEATS)
    answer = {"library": options.library, "model": options.model, "version": version}
    print(json.dumps(answer | {"examples_per_second": round(statistics.median(rates)), "best_of": rates}))


def read(path: Path) -> tuple[Images, Labels]:
    with np.load(path) as arrays:
        return scaled(arrays["x"]), arrays["y"].astype(np.int64)


def random_data() -> tuple[Images, Labels]:
    generator = np.random.default_rng(0)
    return scaled(generator.integers(0, 256, (60000, 28, 28), np.uint8)), generator.integers(0, 10, 60000)


def scaled(pixels: NDArray[np.uint8]) -> Images:
    return pixels.astype(np.float32) / np.float32(255)


def measured(train: Train, available: int, seconds: float) -> list[int]:
    """Return the rate of each timed repeat, once the work that fills these seconds has been found untimed."""
    rows, epochs = work(WARM_UP_ROWS, available)
    duration(train, rows, epochs)  # compiles
    while (elapsed := duration(train, rows, epochs)) < seconds / 4:
        rows, epochs = work(2 * rows * epochs, available)
    rows, epochs = work(round(rows * epochs * seconds / elapsed), available)
    return [round(rows * epochs / duration(train, rows, epochs)) for _ in range(REPEATS)]


def work(examples: int, available: int) -> tuple[int, int]:
    """Return rows and epochs of about so many examples, in whole batches: another batch size would compile again."""
    whole = available // BATCH * BATCH
    if examples >= whole:
        return whole, round(examples / whole)
    return max(1, examples // BATCH) * BATCH, 1


def duration(train: Train, rows: int, epochs: int) -> float:
    start = time.perf_counter()
    train(rows, epochs)
    return time.perf_counter() - start


def prepare_torch(library: str, model: str, images: Images, labels: Labels) -> tuple[Train, str]:
    import torch

    network = torch_model(model)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    inputs, targets = torch.from_numpy(images), torch.from_numpy(labels)
    inputs = inputs.unsqueeze(1) if model == "cnn" else inputs
    batches = resident_batches if library == "torch-resident" else loaded_batches

    def train(rows: int, epochs: int) -> None:
        for _ in range(epochs):
            torch_epoch(network, optimizer, batches(inputs[:rows], targets[:rows]))

    return train, torch.__version__


def torch_epoch(
    network: torch.nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]
) -> float:
    import torch

    total = 0.0
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total


def loaded_batches(inputs: torch.Tensor, targets: torch.Tensor) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(inputs, targets), batch_size=BATCH, shuffle=True)


def resident_batches(inputs: torch.Tensor, targets: torch.Tensor) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    import torch

    for chosen in torch.randperm(len(inputs)).split(BATCH):
        yield inputs[chosen], targets[chosen]


def torch_model(model: str) -> torch.nn.Module:
    from torch import nn

    if model == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    if model == "lstm":
        return torch_lstm()
    features = (nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*features, nn.Flatten(), nn.Linear(64 * 5 * 5, 64), nn.ReLU(), nn.Linear(64, 10))


def torch_lstm() -> torch.nn.Module:
    from torch import Tensor, nn

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.LSTM(28, 64, num_layers=3, batch_first=True)
            self.head = nn.Linear(64, 10)

        def forward(self, rows: Tensor) -> Tensor:
            states, _ = self.recurrent(rows)
            return self.head(states[:, -1])

    return Recurrent()


def prepare_keras(library: str, model: str, images: Images, labels: Labels) -> tuple[Train, str]:
    backend = library.removeprefix("keras-")
    os.environ["KERAS_BACKEND"] = backend  # read once, as keras is imported
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    inputs = images[..., np.newaxis] if model == "cnn" else images
    network = keras.Sequential([keras.Input(inputs.shape[1:]), *keras_layers(model)])
    # jit_compile stays at Keras's default, "auto". It has XLA compile the step with JAX, but not with TensorFlow where
    # there is nothing but a CPU: there the step runs as a plain graph.
    network.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def train(rows: int, epochs: int) -> None:
        network.fit(inputs[:rows], labels[:rows], batch_size=BATCH, epochs=epochs, verbose=0)

    return train, f"keras {keras.__version__}, {backend} {backend_version(backend)}"


def backend_version(backend: str) -> str:
    from importlib.metadata import packages_distributions, version

    return version(packages_distributions()[backend][0])


def keras_layers(model: str) -> list[Any]:
    from keras import layers

    if model == "mlp":
        return [layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dense(10)]
    if model == "lstm":
        stacked = [layers.LSTM(64, return_sequences=True), layers.LSTM(64, return_sequences=True), layers.LSTM(64)]
        return [*stacked, layers.Dense(10)]
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ]


if __name__ == "__main__":
    main()
