"""A dense network 128–64–32–1 on a table with two classes: its one output is the logit of a sigmoid.

python examples/sigmoid_net.py [SOURCE] [TARGET] [EPOCHS]
"""

from __future__ import annotations

import sys
import time

from torch import nn

import yunti

EPOCHS = 30


def sigmoid_net(inputs: tuple[int, ...], _outputs: int) -> nn.Module:
    """Return the network for rows of numbers and one-hot categories."""
    (width,) = inputs
    return nn.Sequential(
        nn.Linear(width, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, 1),
    )


def main(source: str = "sample:penguins", target: str = "sex", epochs: float | str = EPOCHS) -> None:
    """Train it, without columns of text such as names, and print how good it is."""
    began = time.monotonic()
    columns = yunti.look(source, target=target).data.columns
    left_out = {column.name: "id" for column in columns if column.kind == "text"}
    settings = {"training.epochs": epochs, "training.batch": 32, "training.weight_decay": 0.1}
    run = yunti.fit(sigmoid_net, source, target=target, kinds=left_out, settings=settings)
    seconds = time.monotonic() - began
    print(f"accuracy valid {run.valid:.4f}, test {run.test:.4f} ({run.low:.4f}–{run.high:.4f}), {seconds:.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
