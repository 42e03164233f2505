"""Boosting beside plain LightGBM, and linear beside scikit-learn, on the same features of the same rows.

    python benchmarks/plain.py --data FOLDER

Plain LightGBM has the tuned defaults of Holzmüller et al. (2024), stopped on the validation rows; scikit-learn's
logistic or ridge regression has its penalty chosen there from a grid of decades. All learn from the training rows alone
and are scored on the test rows, with the difference to yunti's rung and its 95 % interval by a paired bootstrap.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from yunti.data.dataset import Dataset, prepare
from yunti.data.options import DataOptions
from yunti.ladders.find import find_rung
from yunti.models.contract import Size, Watch
from yunti.models.features import Features
from yunti.specs import Spec, TaskSpec
from yunti.tasks.intervals import paired
from yunti.tasks.task import infer_task, score

TABLES = (
    ("Titanic", "Survived"),
    ("credit_data", "Status"),
    ("cells", "class"),
    ("Boston", "medv"),
    ("hotel_rates", "avg_price_per_room"),
    ("diamonds", "price"),
)
SECONDS = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("YUNTI_DATA", ".")) / "tables")
    options = parser.parse_args()
    print("| table | rung | yunti | seconds | peer | seconds | yunti − peer (95 %) |\n|---|---|---|---|---|---|---|")
    for name, target in TABLES:
        with tempfile.TemporaryDirectory() as folder:
            source = str(options.data / f"{name}.csv.gz")
            dataset = prepare(source, DataOptions(target=target), Path(folder) / "prepared", lambda *_: None)
            task = infer_task(dataset.task, dataset.target.name, dataset.classes, None)
            for rung, peer in (("boosting", plain_lightgbm), ("linear", scikit_learn)):
                print(compared(name, rung, peer, dataset, task), flush=True)


def compared(name: str, rung: str, peer: Any, dataset: Dataset, task: TaskSpec) -> str:
    """Fit both and lay out one row."""
    spec = Spec(dataset.columns, task, len(dataset.train), 0)
    test = dataset.open_test()
    began = time.monotonic()
    model = find_rung(task.name, rung).build(spec, Size())
    model.fit(dataset.train, dataset.valid, Watch(time.monotonic() + SECONDS))  # type: ignore[attr-defined]
    took = time.monotonic() - began
    ours = model.predict(test.table)
    began = time.monotonic()
    theirs = peer(spec, dataset, test.table)
    peer_took = time.monotonic() - began
    gap = paired(task, test.target, theirs, ours, seed=0)  # how far the second leads
    scores = [score(task, test.target, each) for each in (ours, theirs)]
    return (
        f"| {name}, {task.metric} | {rung} | {scores[0]:.4f} | {took:.1f} | {scores[1]:.4f} | {peer_took:.1f} | "
        f"{gap.difference:+.4f} ({gap.low:+.4f} to {gap.high:+.4f}) |"
    )


def plain_lightgbm(spec: Spec, dataset: Dataset, table: Any) -> NDArray[Any]:
    """Fit LightGBM with tuned defaults to the same features; return its predictions."""
    features = Features(spec, "raw")
    features.fit(dataset.train.table, dataset.train.target)
    classifies = spec.task.name == "classification"
    kind = lightgbm.LGBMClassifier if classifies else lightgbm.LGBMRegressor
    model = kind(
        n_estimators=1000,
        learning_rate=0.04 if classifies else 0.05,
        num_leaves=50 if classifies else 100,
        min_child_samples=40 if classifies else 3,
        subsample=0.75 if classifies else 0.7,
        subsample_freq=1,
        min_child_weight=1e-7,
        verbosity=-1,
    )
    codes = [place for place, count in enumerate(features.levels) if count]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(
            features.transform(dataset.train.table),
            dataset.train.target,
            eval_set=[(features.transform(dataset.valid.table), dataset.valid.target)],
            callbacks=[lightgbm.early_stopping(100, verbose=False)],
            categorical_feature=codes,
        )
        matrix = features.transform(table)
        return np.asarray(model.predict_proba(matrix) if classifies else model.predict(matrix))


def scikit_learn(spec: Spec, dataset: Dataset, table: Any) -> NDArray[Any]:
    """Fit logistic or ridge regression to the same features, its penalty chosen on the validation rows."""
    features = Features(spec, "scaled")
    features.fit(dataset.train.table, dataset.train.target)
    rows, held = features.transform(dataset.train.table), features.transform(dataset.valid.table)
    fits = []
    for weight in 10.0 ** np.arange(-4, 3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if spec.task.name == "classification":
                model = LogisticRegression(C=weight, max_iter=500).fit(rows, dataset.train.target)
                chances = model.predict_proba(held)[np.arange(len(dataset.valid)), dataset.valid.target]
                loss = -np.log(np.maximum(chances, 1e-9)).mean()
            else:
                model = Ridge(1 / weight).fit(rows, dataset.train.target)
                loss = ((model.predict(held) - dataset.valid.target) ** 2).mean()
        fits.append((loss, model))
    best = min(fits, key=lambda fit: fit[0])[1]
    matrix = features.transform(table)
    return np.asarray(best.predict_proba(matrix) if spec.task.name == "classification" else best.predict(matrix))


if __name__ == "__main__":
    main()
