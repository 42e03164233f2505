"""A fully connected network on pictures, 784–256–10 where they are 28×28 in ten classes.

python examples/fully_connected.py [SOURCE] [EPOCHS]
"""

from __future__ import annotations

import sys
import time
from math import prod

from torch import nn

import yunti

EPOCHS = 40  # of 1,000 small pictures; 15 of 54,000 larger ones


def fully_connected(inputs: tuple[int, ...], outputs: int) -> nn.Module:
    """Return the network for pictures of shape (channels, height, width)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(inputs), 256), nn.ReLU(), nn.Linear(256, outputs))


def main(source: str = "sample:digits", epochs: float | str = EPOCHS) -> None:
    """Train it and print how good it is."""
    began = time.monotonic()
    run = yunti.fit(fully_connected, source, settings={"training.epochs": epochs, "training.batch": 128})
    seconds = time.monotonic() - began
    print(f"accuracy valid {run.valid:.4f}, test {run.test:.4f} ({run.low:.4f}–{run.high:.4f}), {seconds:.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
