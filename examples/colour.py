"""Two convolutions of 64 and 128 filters and 1,000 hidden units on colour pictures, such as `crop_cells.py` cuts out.

python examples/colour.py SOURCE [EPOCHS]
"""

from __future__ import annotations

import sys
import time

from torch import nn

import yunti

EPOCHS = 4


def colour(inputs: tuple[int, ...], outputs: int) -> nn.Module:
    """Return the network for pictures of shape (channels, height, width), each side at least 4."""
    channels, height, width = inputs
    return nn.Sequential(
        nn.Conv2d(channels, 64, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128 * (height // 4) * (width // 4), 1000),
        nn.ReLU(),
        nn.Linear(1000, outputs),
    )


def main(source: str, epochs: float | str = EPOCHS) -> None:
    """Train it and print how good it is; the macro F1 tells whether rare classes are found as well."""
    began = time.monotonic()
    run = yunti.fit(colour, source, settings={"training.epochs": epochs, "training.batch": 64})
    seconds = time.monotonic() - began
    print(
        f"accuracy valid {run.valid:.4f}, test {run.test:.4f} ({run.low:.4f}–{run.high:.4f}), "
        f"macro F1 {run.scores['macro_f1']:.4f}, {seconds:.0f} s"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
