"""Language models against the loop that people write: tokens a second, side by side in one run.

    python benchmarks/language_speed.py TEXT [--shapes small,gpt,baby,words] [--rounds 5] [--threads N]

The peer is a loop in the manner of nanoGPT: LayerNorm, GELU, learned places, `scaled_dot_product_attention`, AdamW as
PyTorch gives it, cross-entropy over all logits, batches stacked row by row, all in fp32; ours multiplies in the numbers
that the engine chooses on this machine. Both have the same shape and batch and no dropout, and take turns; a figure is
the median over the rounds, by the wall clock and by the time of the processors, which says more where other programs
run too. Other questions, instead:

    --spent       where the time of a step goes, by operation
    --decode      seconds a token with and without the cache, by the length so far
    --until 1.95  processor seconds and steps until the validation loss is reached, both with their own recipe
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.models.decoder import Decoder
from yunti.models.decoder_size import DecoderShape
from yunti.models.recipe import Recipe
from yunti.training.allocator import keep_freed_memory
from yunti.training.optimisers import advance, clipped, optimisers_for, set_rate
from yunti.training.precision import choose_precision


@dataclass(frozen=True)
class Shape:
    vocabulary: int  # 0: the characters of the text
    width: int
    depth: int
    heads: int
    context: int
    batch: int
    steps: int  # a round


SHAPES = {
    "small": Shape(0, 128, 4, 4, 64, 12, 20),  # nanoGPT's recipe for a processor
    "gpt": Shape(0, 256, 4, 8, 128, 32, 3),  # the rung `gpt` as it is
    "baby": Shape(0, 384, 6, 6, 256, 64, 1),  # nanoGPT's smallest recipe for a GPU
    "words": Shape(16384, 128, 4, 4, 128, 12, 3),
}


WHO = ("plain", "adamw", "muon")


class PlainAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width, bias=False)
        self.c_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        rows, steps, width = x.shape
        q, k, v = (
            part.view(rows, steps, self.heads, -1).transpose(1, 2) for part in self.c_attn(x).split(width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(rows, steps, width))


class PlainBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.attn = PlainAttention(width, heads)
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.c_proj(F.gelu(self.c_fc(self.ln_2(x))))


class Plain(nn.Module):
    """What nanoGPT trains, in own words."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.wte = nn.Embedding(shape.vocabulary, shape.width)
        self.wpe = nn.Embedding(shape.context, shape.width)
        self.h = nn.ModuleList(PlainBlock(shape.width, shape.heads) for _ in range(shape.depth))
        self.ln_f = nn.LayerNorm(shape.width, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02 / (2 * shape.depth) ** 0.5 if "c_proj" in name else 0.02)

    def forward(self, tokens: Tensor, wanted: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), wanted.reshape(-1), ignore_index=-1)


def plain_loop(
    shape: Shape, data: NDArray[np.uint16], rate: Callable[[int], float]
) -> tuple[nn.Module, Iterator[None]]:
    module = Plain(shape)
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)

    def batch() -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(data) - shape.context, (shape.batch,))
        x = torch.stack([torch.from_numpy(data[i : i + shape.context].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + shape.context].astype(np.int64)) for i in starts])
        return x, y

    def steps() -> Iterator[None]:
        number = 0
        while True:
            for group in optimiser.param_groups:
                group["lr"] = rate(number)
            loss = module(*batch())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            loss.item()
            number += 1
            yield

    return module, steps()


def own_loop(
    shape: Shape, data: NDArray[np.uint16], recipe: Recipe, factor: Callable[[int], float]
) -> tuple[nn.Module, Iterator[None]]:
    module = Decoder(DecoderShape(shape.vocabulary, shape.width, shape.depth, shape.heads, shape.heads, shape.context))
    precision = choose_precision("cpu")
    optimisers = optimisers_for(module, recipe, products=precision.dtype)
    parameters = list(module.parameters())
    reach = np.arange(shape.context + 1)
    random = np.random.default_rng(0)

    def steps() -> Iterator[None]:
        number = 0
        while True:
            set_rate(optimisers, factor(number))
            starts = random.integers(len(data) - shape.context, size=shape.batch)
            with precision.autocast():
                loss = module.loss(torch.from_numpy(data[starts[:, None] + reach].astype(np.int64)))
            torch.autograd.backward(loss)
            clipped(parameters, recipe.clip, asked=False)
            advance(optimisers)
            loss.item()
            number += 1
            yield

    return module, steps()


def read(path: Path, vocabulary: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16], int]:
    """Return tokens to train on, a tenth to check with, and how many there are: characters, or numbers by chance."""
    characters = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    levels, tokens = np.unique(characters, return_inverse=True)
    tokens = tokens.astype(np.uint16)
    if vocabulary:  # the speed does not depend on which they are
        tokens = np.random.default_rng(0).integers(vocabulary, size=len(tokens)).astype(np.uint16)
    cut = int(0.9 * len(tokens))
    return tokens[:cut], tokens[cut:], vocabulary or len(levels)


def sized(name: str, path: Path) -> tuple[Shape, NDArray[np.uint16], NDArray[np.uint16]]:
    shape = SHAPES[name]
    train, valid, vocabulary = read(path, shape.vocabulary)
    return Shape(vocabulary, *list(vars(shape).values())[1:]), train, valid


def loop(who: str, shape: Shape, train: NDArray[np.uint16]) -> Iterator[None]:
    if who == "plain":
        return plain_loop(shape, train, lambda _: 1e-3)[1]
    keep_freed_memory()
    torch.set_flush_denormal(True)
    return own_loop(shape, train, Recipe(shape.batch, 1, 1e-3, optimiser=who), lambda _: 1.0)[1]


def work(who: str, shape: Shape, train: NDArray[np.uint16], threads: int, line: Connection) -> None:
    """Take as many steps as are asked for, and answer with the seconds they took: wall and processor."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    steps = loop(who, shape, train)
    while count := line.recv():
        began, worked = time.perf_counter(), time.process_time()
        for _ in range(count):
            next(steps)
        line.send(((time.perf_counter() - began) / count, (time.process_time() - worked) / count))


def speeds(names: list[str], path: Path, rounds: int, threads: int) -> None:
    """Let the candidates take turns, each in a process of its own: what the allocator does holds for a whole one."""
    context = multiprocessing.get_context("spawn")
    for name in names:
        shape, train, _ = sized(name, path)
        lines, found = {}, {who: [] for who in WHO}
        for who in WHO:
            lines[who], theirs = context.Pipe()
            context.Process(target=work, args=(who, shape, train, threads, theirs), daemon=True).start()
        for number in range(rounds + 1):
            for who, line in lines.items():
                line.send(shape.steps if number else 3)
                took = line.recv()
                if number:
                    found[who].append(took)
        for line in lines.values():
            line.send(0)
        for who, took in found.items():
            wall, worked = (statistics.median(each) for each in zip(*took, strict=True))
            ratios = [
                statistics.median(a[clock] / b[clock] for a, b in zip(found["plain"], took, strict=True))
                for clock in (0, 1)
            ]
            print(
                f"{name:6} {who:6} {1000 * wall:8.1f} ms a step, {1000 * worked:8.1f} of processors;"
                f" {shape.batch * shape.context / wall:8.0f} tokens/s, × plain {ratios[0]:.2f}, {ratios[1]:.2f}",
                flush=True,
            )


def spent(names: list[str], path: Path) -> None:
    for name in names:
        shape, train, _ = sized(name, path)
        for who in WHO:
            steps = loop(who, shape, train)
            for _ in range(3):
                next(steps)
            with torch.profiler.profile() as profile:
                for _ in range(3):
                    next(steps)
            print(name, who)
            print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=18, max_name_column_width=45))


def decode(path: Path) -> None:
    _, _, vocabulary = read(path, 0)
    decoder = Decoder(DecoderShape(vocabulary, 384, 6, 6, 6, 1024)).eval()
    tokens = torch.randint(vocabulary, (1, 1024))
    reading = decoder.begin(tokens[:, :1])
    times = []
    for step in range(1, 1023):
        began = time.perf_counter()
        reading.step(tokens[:, step])
        times.append(time.perf_counter() - began)
    for length in (64, 128, 256, 512, 1000):
        cached = statistics.median(times[length - 20 : length + 20])
        whole = []
        for _ in range(5):
            began = time.perf_counter()
            with torch.inference_mode():
                decoder.logits(decoder.states(tokens[:, :length])[:, -1])
            whole.append(time.perf_counter() - began)
        anew = statistics.median(whole)
        print(f"{length:5} tokens: {1000 * cached:.2f} ms cached, {1000 * anew:.2f} ms anew, {anew / cached:.1f} times")


def until(goal: float, path: Path, steps: int, rate: float) -> None:
    shape, train, valid = sized("small", path)
    windows = torch.from_numpy(valid[: len(valid) // 65 * 65].astype(np.int64)).view(-1, 65)[::4]

    def cosine(step: int) -> float:
        warm, share = 100, min(1.0, step / 2000)
        low = 1e-4 / 1e-3
        return min(1.0, (step + 1) / warm) * (low + (1 - low) * 0.5 * (1 + np.cos(np.pi * share)))

    def wsd(step: int) -> float:
        return min(1.0, (step + 1) / 20) * min(1.0, 1 - max(0.0, (step / steps - 0.5) / 0.5) ** 0.5)

    def loss_of(module: nn.Module) -> float:
        with torch.no_grad():
            if isinstance(module, Decoder):
                return float(module.loss(windows))
            return float(module(windows[:, :-1], windows[:, 1:]))

    recipe = Recipe(shape.batch, 1, rate, weight_decay=0.1, optimiser="muon")
    made = {
        "plain": plain_loop(shape, train, lambda step: 1e-3 * cosine(step)),
        "own": own_loop(shape, train, recipe, wsd),
    }
    for name, (module, loop) in made.items():
        seconds, number, score = 0.0, 0, float("inf")
        while number < (2000 if name == "plain" else steps) and score > goal:
            began = time.process_time()
            for _ in range(50):
                next(loop)
            seconds += time.process_time() - began
            number += 50
            score = loss_of(module)
            if number % 250 == 0:
                print(f"{name:6} {number:5} steps {seconds:6.1f} s of processors  loss {score:.4f}", flush=True)
        print(f"{name:6} {number:5} steps {seconds:6.1f} s of processors  loss {score:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--spent", action="store_true")
    parser.add_argument("--decode", action="store_true")
    parser.add_argument("--until", type=float)
    parser.add_argument("--steps", type=int, default=1000, help="planned with --until")
    parser.add_argument("--rate", type=float, default=6e-3)
    given = parser.parse_args()
    threads = given.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    if given.spent:
        keep_freed_memory()
        spent(given.shapes.split(","), given.text)
    elif given.decode:
        keep_freed_memory()
        decode(given.text)
    elif given.until:
        keep_freed_memory()
        until(given.until, given.text, given.steps, given.rate)
    else:
        speeds(given.shapes.split(","), given.text, given.rounds, threads)


if __name__ == "__main__":
    main()
