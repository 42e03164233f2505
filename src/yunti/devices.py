"""What this machine has, and which device networks run on: each choice with its reason."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yunti.errors import OptionError, nearest
from yunti.words import say

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Machine:
    """The machine a climb runs on.

    Args:
        processor: the processor's name.
        cores: processor cores that this process may use.
        memory_bytes: memory that this process may use.
        system: operating system and its release.
        python: Python's version.
    """

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str


@dataclass(frozen=True)
class Device:
    """Where networks run, and why there."""

    name: str
    reason: str


@dataclass(frozen=True)
class Place:
    """The place of a process among those that train together.

    Args:
        rank: its number, 0 to size − 1; 0 leads.
        size: number of processes.
        local: its number on its own machine: which GPU it takes.
        host: the machine of process 0.
        port: where process 0 listens.
        beside: processes of the group on this machine, itself among them: they share its memory.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    host: str = "127.0.0.1"
    port: int = 29500
    beside: int = 1


def place_of(environment: Mapping[str, str]) -> Place:
    """Read a process's place from what `torchrun` or SLURM's `srun` has set; a single process without either.

    Args:
        environment: names and values, such as `os.environ`.

    Example:
        >>> place_of({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "LOCAL_WORLD_SIZE": "2"})
        Place(rank=1, size=2, local=1, host='a', port=29500, beside=2)
        >>> step = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "3"}
        >>> place_of({**step, "SLURM_STEP_NODELIST": "n[07-08]", "SLURM_STEP_TASKS_PER_NODE": "4(x2)"})
        Place(rank=3, size=8, local=3, host='n07', port=29500, beside=4)
        >>> place_of({})
        Place(rank=0, size=1, local=0, host='127.0.0.1', port=29500, beside=1)
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    host, beside = environment.get("MASTER_ADDR", ""), environment.get("LOCAL_WORLD_SIZE", "1")
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "WORLD_SIZE" not in environment:
        # set by srun for each of its processes; a batch script itself is one process
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
        host = host or _first_node(environment.get("SLURM_STEP_NODELIST", ""))
        # such as 4(x2),3: four on each of two machines, three on another; no machine has more than the most
        tasks = re.sub(r"\(x[0-9]+\)", "", environment.get("SLURM_STEP_TASKS_PER_NODE", "1"))
        beside = max(tasks.split(","), key=int)
    if any(name not in environment for name in names):
        return Place()
    rank, size, local = (int(environment[name]) for name in names)
    port = int(environment.get("MASTER_PORT", "29500"))
    return Place(rank, size, local, host or "127.0.0.1", port, int(beside))


def _first_node(nodes: str) -> str:
    """Return the first machine of SLURM's list, such as gpu[03-05,09],cpu1."""
    first = re.match(r"([^,\[]+)(?:\[([0-9]+))?", nodes)
    return nodes if first is None else f"{first[1]}{first[2] or ''}"


def this_machine() -> Machine:
    """Describe the machine, within the limits of the container it may be in."""
    return Machine(
        _processor(), cores(), memory_bytes(), f"{platform.system()} {platform.release()}", platform.python_version()
    )


def cores() -> int:
    """Count the processor cores that this process may use: its affinity, cut by the container's quota."""
    count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = _read("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit():
        count = min(count, max(1, round(int(quota[0]) / int(quota[1]))))
    return count


def memory_bytes() -> int:
    """Bytes of memory that this process may use: the machine's, cut by the container's limit."""
    total = int(os.sysconf("SC_PAGE_SIZE")) * int(os.sysconf("SC_PHYS_PAGES"))
    limit = _read("/sys/fs/cgroup/memory.max")
    return min(total, int(limit)) if limit.isdigit() else total


def available_bytes() -> int:
    """Bytes of memory that are free or can be freed now."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return min(int(line.split()[1]) * 1024, memory_bytes())
    return memory_bytes()


def resident_bytes(pid: int) -> int:
    """Bytes of memory that a process holds of its own, without the files it has mapped; 0 when it is gone."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def peak_memory_bytes() -> int:
    """Bytes of memory that this process held at most since it began (mapped files that were resident included)."""
    for line in _read("/proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resting_memory_bytes() -> int:
    """Give back what can be given back, begin to count the peak anew, and return the bytes that are held now.

    Where the system cannot count anew (only Linux can), the peak stays that of the whole process.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    for line in _read("/proc/self/status").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return peak_memory_bytes()


def choose_device(asked: str = "auto") -> Device:
    """Choose where networks run. Never imports torch here; a GPU is asked for in a process of its own.

    Args:
        asked: "auto", "cpu", "cuda" or "mps".

    Raises:
        OptionError: the name is unknown, or torch does not see that device.
    """
    if asked not in DEVICES:
        raise OptionError(
            "--device", f"it must be one of {', '.join(DEVICES)}", f"{asked!r} was given", nearest(asked, DEVICES)
        )
    if asked == "cpu":
        return Device("cpu", say("device.asked for"))
    wanted = [asked] if asked != "auto" else [name for name in ("cuda", "mps") if _may_have(name)]
    for name in wanted:
        if _torch_sees(name):
            return Device(name, say("device.asked for") if asked != "auto" else say("device.seen", name=name))
    if asked != "auto":
        raise OptionError(
            f"--device {asked}", "torch must see that device", "it does not", "use --device cpu or install its driver"
        )
    return Device("cpu", say("device.no GPU"))


def energy_wh(cpu_seconds: float, wall_seconds: float, memory: int) -> float:
    """Estimate the energy of a computation in watt-hours.

    E = (c · 12 W + t · m · 0.3725 W) / 3600, with c the busy core-seconds, t the wall-clock seconds and m the peak
    memory in GB: the terms and the constants (a usual server core, and memory a gigabyte) of Green Algorithms
    (Lannelongue, Grealey and Inouye, 2021, Advanced Science 8, 2100707), without the data centre's overhead.
    """
    return (cpu_seconds * 12.0 + wall_seconds * memory / 1e9 * 0.3725) / 3600


def _may_have(name: str) -> bool:
    if name == "cuda":
        return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists()
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _torch_sees(name: str) -> bool:
    probe = "torch.cuda.is_available()" if name == "cuda" else "torch.backends.mps.is_available()"
    done = subprocess.run(
        [sys.executable, "-c", f"import torch; print({probe})"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() == "True"


def _processor() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
