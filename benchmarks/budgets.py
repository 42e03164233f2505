"""Whether climbs keep to their budget.

    python benchmarks/budgets.py RUNS SOURCE[:TARGET] … --budgets 1m 3m 10m

Wall clock of whole climbs, in processes of their own: reading, all rungs, the second training, the test, the report.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from yunti.climbing.budget import parse_budget


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--budgets", nargs="+", default=["1m", "3m", "10m"])
    given = parser.parse_args()
    worst = -1.0
    for budget in given.budgets:
        for source in given.sources:
            name, _, target = source.partition(":") if not source.startswith("sample:") else (source, "", "")
            out = given.folder / f"{Path(name.replace(':', '-')).name.split('.')[0]}-{budget}"
            arguments = [
                "climb",
                name,
                "--budget",
                budget,
                "--out",
                str(out),
                *(["--target", target] if target else []),
            ]
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "yunti", *arguments], capture_output=True, text=True, check=False
            )
            took = time.monotonic() - began
            over = took / parse_budget(budget) - 1
            worst = max(worst, over)
            record = json.loads((out / "climb.json").read_text()) if done.returncode == 0 else {}
            chosen = f"{record['test']['rung']} {record['test']['score']:.4f}" if record.get("test") else done.stderr
            print(f"{out.name:<28} took {took:6.1f} s, {over:+.1%}; test: {chosen}", flush=True)
    print(f"worst: {worst:+.1%} of the budget")


if __name__ == "__main__":
    main()
