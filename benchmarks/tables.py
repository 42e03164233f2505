"""yunti, AutoGluon and FLAML side by side: the same rows, the same columns, the same seconds.

    python benchmarks/tables.py --seconds 90 --data FOLDER --out tables.json

Each table is divided once into train.csv and test.csv; every system sees only those. The peers run in an environment of
their own, which this script makes under ~/.cache/yunti/peers (AutoGluon without its torch models). Systems run one
after the other, so that none slows another. Scores are computed here, by one function, from the predictions alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from yunti.seeds import generator
from yunti.tasks.intervals import interval
from yunti.tasks.task import infer_task, score

PEERS = ("autogluon.tabular[lightgbm,catboost]==1.6.3", "flaml==2.7.0", "xgboost-cpu==3.2.0")
TEST_SHARE = 0.25


@dataclass(frozen=True)
class Case:
    """One table: its target, and the columns that no system gets (indices, copies and consequences of the target)."""

    file: str
    target: str
    task: str
    drop: tuple[str, ...] = ("rownames",)
    split: str | None = None


CASES = (
    Case("Titanic", "Survived", "classification", ("rownames", "SexCode", "Name")),
    Case("credit_data", "Status", "classification"),
    Case("cells", "class", "classification", split="case"),
    Case("Boston", "medv", "regression"),
    Case("hotel_rates", "avg_price_per_room", "regression"),
    Case("diamonds", "price", "regression"),
    Case(
        "loans_full_schema",
        "interest_rate",
        "regression",
        (
            "rownames",
            "emp_title",
            "grade",
            "sub_grade",
            "installment",
            "paid_total",
            "paid_principal",
            "paid_interest",
            "paid_late_fees",
            "balance",
        ),
    ),
)


def main() -> None:
    options = arguments()
    python = peers_python()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if options.tables and case.file not in options.tables:
                continue
            files = divide(case, options.data, Path(folder) / case.file)
            for system in options.systems:
                result = run(system, case, files, options.seconds, python)
                results.append(result)
                print(line(result), flush=True)
    if options.out:
        Path(options.out).write_text(json.dumps(results, indent=2) + "\n")
    print("\n" + table(results))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90, help="time for each system on each table")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("YUNTI_DATA", ".")) / "tables")
    parser.add_argument("--tables", nargs="*", help="only these tables")
    parser.add_argument("--systems", nargs="*", default=["yunti", "autogluon", "flaml"])
    parser.add_argument("--out", help="write the figures here as JSON")
    return parser.parse_args()


def peers_python() -> Path:
    """Make the peers' environment once; return its interpreter."""
    folder = Path(os.environ.get("YUNTI_PEERS", Path.home() / ".cache" / "yunti" / "peers"))
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PEERS], check=True)
    return python


def divide(case: Case, data: Path, folder: Path) -> Path:
    """Write train.csv and test.csv of a case; return their folder."""
    rows = pyarrow.csv.read_csv(data / f"{case.file}.csv.gz")
    rows = rows.filter(pc.is_valid(rows[case.target]))
    if case.split:
        inside = np.array([value == "Test" for value in rows[case.split].to_pylist()])
        rows = rows.drop_columns([case.split])
    else:
        inside = generator(0, "benchmark", case.file).random(rows.num_rows) < TEST_SHARE
    rows = rows.drop_columns([name for name in case.drop if name in rows.column_names])
    folder.mkdir(parents=True)
    for name, chosen in (("train", ~inside), ("test", inside)):
        pyarrow.csv.write_csv(rows.filter(pa.array(chosen)), folder / f"{name}.csv")
    return folder


def run(system: str, case: Case, folder: Path, seconds: float, python: Path) -> dict[str, object]:
    """Run one system on one case and score its predictions."""
    began = time.monotonic()
    predictions = folder / f"{system}.csv"
    note = ""
    if system == "yunti":
        note = run_yunti(case, folder, seconds, predictions)
    else:
        command = [python, Path(__file__).with_name("peers.py"), system, folder, case.target, case.task, str(seconds)]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        note = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:]
    wall = time.monotonic() - began
    value, low, high = judge(case, folder / "test.csv", predictions)
    about = {"table": case.file, "system": system, "wall_seconds": wall, "note": note}
    return about | {"score": value, "low": low, "high": high}


def run_yunti(case: Case, folder: Path, seconds: float, predictions: Path) -> str:
    yunti = [sys.executable, "-m", "yunti"]
    out = folder / "run"
    options = [
        "--target",
        case.target,
        "--task",
        case.task,
        "--budget",
        str(seconds),
        "--test",
        str(folder / "test.csv"),
    ]
    climb = [*yunti, "climb", str(folder / "train.csv"), *options, "--out", str(out), "--json"]
    record = json.loads(subprocess.run(climb, capture_output=True, text=True, check=True).stdout)
    chosen = record["verdict"]["chosen"]
    bundle = out / "models" / chosen
    subprocess.run(
        [*yunti, "predict", str(bundle), str(folder / "test.csv"), "-o", str(predictions)],
        capture_output=True, check=True,
    )  # fmt: skip
    return f"{chosen}, climbed in {record['budget']['spent_seconds']:.0f} s"


def judge(case: Case, test: Path, predictions: Path) -> tuple[float, float, float]:
    """Score a column of predictions against the test rows, with a bootstrap interval."""
    if not predictions.exists():
        return float("nan"), float("nan"), float("nan")
    truth = pyarrow.csv.read_csv(test)[case.target].to_pylist()
    answers = pyarrow.csv.read_csv(predictions)["prediction"].to_pylist()
    if case.task == "regression":
        spec = infer_task("regression", case.target, (), None)
        target, prediction = np.array(truth, dtype=np.float64), np.array(answers, dtype=np.float64)
    else:
        classes = tuple(sorted({str(value) for value in truth} | {str(value) for value in answers}))
        spec = infer_task("classification", case.target, classes, None)
        target = np.array([classes.index(str(value)) for value in truth], dtype=np.int32)
        prediction = np.eye(len(classes), dtype=np.float32)[[classes.index(str(value)) for value in answers]]
    low, high = interval(spec, target, prediction, seed=0)
    return score(spec, target, prediction), low, high


def line(result: dict[str, object]) -> str:
    return "{table:<18} {system:<10} {score:.4f} ({low:.4f} to {high:.4f})  {wall_seconds:5.0f} s  {note}".format(
        **result
    )


def table(results: list[dict[str, object]]) -> str:
    """Lay the scores out as Markdown, one row a table."""
    systems = list(dict.fromkeys(str(each["system"]) for each in results))
    rows = ["| table | " + " | ".join(systems) + " |", "|---" * (len(systems) + 1) + "|"]
    for name in dict.fromkeys(each["table"] for each in results):
        cells = {
            each["system"]: "{score:.4f} ({low:.4f}–{high:.4f})".format(**each)
            for each in results
            if each["table"] == name
        }
        rows.append(f"| {name} | " + " | ".join(cells.get(system, "") for system in systems) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
