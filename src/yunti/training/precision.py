"""Which numbers products are computed in while training, and why; and how fast this machine multiplies them."""

from __future__ import annotations

import contextlib
import json
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, final

import torch

from yunti.devices import this_machine
from yunti.models.settings import PrecisionName
from yunti.storing import write_atomic
from yunti.training.pace import cache_folder, read_cache
from yunti.words import say

Kind = Literal["fp32", "bf16", "fp16"]
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

_SIDE = {"cpu": 1024, "cuda": 8192}
_REPEATS = 5
_WORTH = 1.3  # times as fast in bf16: less is eaten up by the casts
_AMPERE = 8  # compute capability from which bf16 has units of its own


_AS_IT_IS = contextlib.nullcontext()


@final
@dataclass(frozen=True)
class Precision:
    """What products are computed in; weights, and what the optimiser keeps, are always fp32.

    Args:
        name: of the numbers.
        reason: why these.
        device: where.
    """

    name: Kind
    reason: str
    device: str

    @property
    def dtype(self) -> torch.dtype:
        """The type of these numbers."""
        return DTYPES[self.name]

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the forward pass runs."""
        if self.name == "fp32":
            return _AS_IT_IS
        return torch.autocast(torch.device(self.device).type, self.dtype)

    @property
    def needs_scaling(self) -> bool:
        """Whether small gradients would vanish: fp16 has 5 bits of exponent."""
        return self.name == "fp16"


def choose_precision(device: str, asked: PrecisionName = "auto") -> Precision:
    """Choose the numbers of products: the fastest that this device multiplies in full range.

    bf16 has the range of fp32 with 8 bits of fraction; with fp32 weights it trains to the same score (Kalamkar et al.,
    2019, A study of bfloat16 for deep learning training, arXiv 1905.12322). Not every processor that knows bf16 is
    faster with it: those with AMX are, and Zen 4, so its products are timed.

    Args:
        device: "cpu", "cuda", "cuda:1" or "mps".
        asked: "auto", or what to take.
    """
    kind = torch.device(device).type
    if asked != "auto":
        return Precision(asked, say("device.asked for"), device)
    if kind == "cuda":
        major = torch.cuda.get_device_capability(device)[0]
        if major >= _AMPERE:
            return Precision("bf16", say("precision.GPU"), device)
        return Precision("fp16", say("precision.old GPU"), device)
    if kind != "cpu":
        return Precision("fp32", say("precision.unknown", device=kind), device)
    if not _has_bf16():
        return Precision("fp32", say("precision.processor"), device)
    fast, exact = peak_flops("cpu", "bf16"), peak_flops("cpu", "fp32")
    speeds = say("precision.timed", fast=fast / 1e9, exact=exact / 1e9)
    return Precision("bf16" if fast > _WORTH * exact else "fp32", speeds, device)


def peak_flops(device: str, name: Kind) -> float:
    """Return how many operations a second a large matrix product reaches here, measured once and remembered.

    Args:
        device: where.
        name: of the numbers multiplied.
    """
    kind = torch.device(device).type
    machine = this_machine()
    where = torch.cuda.get_device_name(device) if kind == "cuda" else f"{machine.processor} x{machine.cores}"
    key = f"{where} {name} torch {torch.__version__}"
    file = cache_folder() / "peaks.json"
    known = read_cache(file).get(key)
    if isinstance(known, float):
        return known
    measured = _measure(device, DTYPES[name], _SIDE.get(kind, 1024))
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, json.dumps({**read_cache(file), key: measured}))
    return measured


def _measure(device: str, dtype: torch.dtype, side: int) -> float:
    left = torch.randn(side, side, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    best = float("inf")
    threads = torch.get_num_threads()
    torch.set_num_threads(this_machine().cores)
    for _ in range(_REPEATS + 1):
        _wait(device)
        began = time.perf_counter()
        left @ left
        _wait(device)
        best = min(best, time.perf_counter() - began)
    torch.set_num_threads(threads)
    return 2 * side**3 / best


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _has_bf16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and any(
        torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
    )
