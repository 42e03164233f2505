"""A convolutional network on pictures: two convolutions of 3×3, each halved by a maximum, and a dense layer of 64.

python examples/convolutional.py [SOURCE] [EPOCHS]
"""

from __future__ import annotations

import sys
import time

from torch import nn

import yunti

EPOCHS = 20  # of 1,000 small pictures; 5 of 54,000 larger ones


def convolutional(inputs: tuple[int, ...], outputs: int) -> nn.Module:
    """Return the network for pictures of shape (channels, height, width), each side at least 4."""
    channels, height, width = inputs
    return nn.Sequential(
        nn.Conv2d(channels, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (height // 4) * (width // 4), 64),
        nn.ReLU(),
        nn.Linear(64, outputs),
    )


def main(source: str = "sample:digits", epochs: float | str = EPOCHS) -> None:
    """Train it and print how good it is."""
    began = time.monotonic()
    run = yunti.fit(convolutional, source, settings={"training.epochs": epochs, "training.batch": 64})
    seconds = time.monotonic() - began
    print(f"accuracy valid {run.valid:.4f}, test {run.test:.4f} ({run.low:.4f}–{run.high:.4f}), {seconds:.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
