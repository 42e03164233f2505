"""Run one peer on train.csv and test.csv of a folder; called by tables.py in the peers' own environment.

python peers.py autogluon|flaml FOLDER TARGET TASK SECONDS
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas


def main() -> None:
    system, folder, target, task, seconds = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], float(sys.argv[5])
    train, test = pandas.read_csv(folder / "train.csv"), pandas.read_csv(folder / "test.csv")
    inputs = test.drop(columns=[target])
    answers, note = (autogluon if system == "autogluon" else flaml)(train, inputs, target, task, seconds)
    pandas.DataFrame({"prediction": answers}).to_csv(folder / f"{system}.csv", index=False)
    print(note)


def autogluon(
    train: pandas.DataFrame, inputs: pandas.DataFrame, target: str, task: str, seconds: float
) -> tuple[object, str]:
    from autogluon.tabular import TabularPredictor

    metric = "accuracy" if task == "classification" else "r2"
    kind = "regression" if task == "regression" else ("binary" if train[target].nunique() == 2 else "multiclass")
    predictor = TabularPredictor(target, problem_type=kind, eval_metric=metric, verbosity=0)
    predictor.fit(train, presets="best_quality", time_limit=seconds, dynamic_stacking=False, num_cpus=2)
    return predictor.predict(inputs), predictor.model_best


def flaml(
    train: pandas.DataFrame, inputs: pandas.DataFrame, target: str, task: str, seconds: float
) -> tuple[object, str]:
    from flaml import AutoML

    metric = "accuracy" if task == "classification" else "r2"
    automl = AutoML()
    automl.fit(
        dataframe=train, label=target, task=task, metric=metric, time_budget=seconds, verbose=0, seed=0, n_jobs=2
    )
    return automl.predict(inputs), str(automl.best_estimator)


if __name__ == "__main__":
    main()
