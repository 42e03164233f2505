"""Three stacked LSTM layers of 64 that read a picture line by line; the last state tells the class.

python examples/recurrent.py [SOURCE] [EPOCHS]
"""

from __future__ import annotations

import sys
import time

from torch import Tensor, nn

import yunti

EPOCHS = 40  # of 1,000 small pictures; 5 of 54,000 larger ones


class LineReader(nn.Module):
    """An LSTM over the lines of a picture of shape (channels, height, width)."""

    def __init__(self, inputs: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        channels, _, width = inputs
        self.layers = nn.LSTM(channels * width, 64, num_layers=3, batch_first=True)
        self.head = nn.Linear(64, outputs)

    def forward(self, pictures: Tensor) -> Tensor:
        """From (rows, channels, height, width) to (rows, outputs)."""
        lines = pictures.transpose(1, 2).flatten(2)  # (rows, height, channels × width)
        states, _ = self.layers(lines)
        return self.head(states[:, -1])


def main(source: str = "sample:digits", epochs: float | str = EPOCHS) -> None:
    """Train it and print how good it is."""
    began = time.monotonic()
    settings = {"training.epochs": epochs, "training.batch": 128, "training.learning_rate": 3e-3, "training.clip": 1.0}
    run = yunti.fit(LineReader, source, settings=settings)
    seconds = time.monotonic() - began
    print(f"accuracy valid {run.valid:.4f}, test {run.test:.4f} ({run.low:.4f}–{run.high:.4f}), {seconds:.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
