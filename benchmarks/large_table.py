"""A table of millions of rows, climbed by the linear and boosting rungs: seconds and peak memory.

    python benchmarks/large_table.py --rows 10000000 --columns 50 --budget 15m

Makes a CSV file of random numbers and categories with a known signal, climbs it in a process of its own, and samples
the memory of that process and its children: private memory (what the machine must really have) and resident memory
(which counts pages of mapped files that the system may drop at any time).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

BLOCK = 200_000


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = Path(folder) / "large.csv"
        began = time.monotonic()
        write(source, options.rows, options.columns)
        print(f"wrote {source.stat().st_size / 1e9:.2f} GB in {time.monotonic() - began:.0f} s", flush=True)
        climb(source, Path(folder) / "run", options.budget, options.rungs)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--rungs", default="constant,linear,boosting")
    parser.add_argument("--folder", help="where the files go; the system's temporary folder if not given")
    return parser.parse_args()


def write(path: Path, rows: int, columns: int) -> None:
    """Write a CSV file: four fifths numbers, one fifth categories, and a target that depends on some of each."""
    random = np.random.default_rng(0)
    numbers = columns * 4 // 5
    levels = np.array([f"level {value:02d}" for value in range(12)])
    writer = None
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        values = random.normal(size=(count, numbers)).astype(np.float32).round(4)
        codes = random.integers(0, 12, size=(count, columns - numbers))
        signal = values[:, 0] + values[:, 1] * values[:, 2] + 0.3 * (codes[:, 0] % 3) - 0.3
        target = np.where(signal + random.logistic(size=count) > 0, "yes", "no")
        block = {f"number_{place}": values[:, place] for place in range(numbers)}
        block |= {f"category_{place}": levels[codes[:, place]] for place in range(columns - numbers)}
        table = pa.table(block | {"target": target})
        if writer is None:
            writer = pyarrow.csv.CSVWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def climb(source: Path, run: Path, budget: str, rungs: str) -> None:
    """Climb in a process of its own and print what it took."""
    command = [sys.executable, "-m", "yunti", "climb", str(source), "--target", "target", "--budget", budget]
    command += ["--rungs", rungs, "--out", str(run), "--json"]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    private = resident = 0
    while process.poll() is None:
        now_private, now_resident = memory(process.pid)
        private, resident = max(private, now_private), max(resident, now_resident)
        time.sleep(0.5)
    record = json.loads(process.stdout.read() if process.stdout else "{}")
    print(f"climbed in {time.monotonic() - began:.0f} s of a budget of {budget}; split {record['data']['split']}")
    print(f"peak memory of all processes: {private / 2**30:.2f} GiB private, {resident / 2**30:.2f} GiB resident")
    for rung in record["rungs"]:
        cost, score = rung["cost"] or {}, rung["score"] or {}
        took, peak = cost.get("train_seconds", 0), cost.get("peak_memory_bytes", 0) / 2**30
        line = f"{rung['name']:<10} {rung['status']:<8} {score.get('valid', float('nan')):.4f}  {took:6.0f} s"
        print(f"{line}  {peak:.2f} GiB  {rung['reason']}")
    print(record["verdict"]["reason"], record["test"])


def memory(pid: int) -> tuple[int, int]:
    """Bytes of private and of resident memory of a process and its children."""
    private = resident = 0
    pending = [pid]
    while pending:
        each = pending.pop()
        try:
            status = Path(f"/proc/{each}/status").read_text().splitlines()
            children = Path(f"/proc/{each}/task/{each}/children").read_text().split()
        except OSError:
            continue
        pending += [int(child) for child in children]
        for line in status:
            if line.startswith("RssAnon:"):
                private += int(line.split()[1]) * 1024
            elif line.startswith("VmRSS:"):
                resident += int(line.split()[1]) * 1024
    return private, resident


if __name__ == "__main__":
    main()
