"""A small model that keeps something of every form a bundle stores, and a bundle of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pytest
from sklearn.tree import DecisionTreeClassifier

from yunti.bundle.bundle import Bundle, load_bundle
from yunti.bundle.card import About
from yunti.bundle.format import save_bundle
from yunti.data.table import Examples, Numbers, Table, Texts
from yunti.errors import OptionError
from yunti.ladders.rung import Rung
from yunti.models.contract import Estimator, Parts, Size, Watch
from yunti.specs import ColumnSpec, Spec, TaskSpec

LABELS = ("好", "b,|`", '"c"')
COLUMNS = (ColumnSpec("width", "number", "numbers with a point"), ColumnSpec("note | 记", "text", length=9))
CLASSES = TaskSpec("classification", "answer", "accuracy", "higher", LABELS)
VALUES = TaskSpec("regression", "answer", "r2", "higher")


@final
class Tilt(Estimator):
    """Tilts a plane over the width and the length of the note; its tree only comes along."""

    def __init__(self, spec: Spec, size: Size) -> None:
        super().__init__(spec, size)
        self.weights = np.zeros((2, spec.outputs), dtype=np.float32)
        self.words: list[str] = []
        self.title = ""
        self.tree: Any = None

    def fit(self, train: Examples, valid: Examples, watch: Watch) -> None:
        inputs = self._inputs(train.table)
        self.weights = np.linspace(-1, 1, self.weights.size, dtype=np.float32).reshape(self.weights.shape)
        self.words, self.title = ["云", "\u2028", ""], "first\r\nsecond\n\x00云梯"
        self.tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(inputs, inputs[:, 0] > 0)

    def refit(self, rows: Examples, watch: Watch) -> None:
        self.fit(rows, rows, watch)

    def predict(self, table: Table) -> Any:
        heights = self._inputs(table) @ self.weights * np.float32(self.size.dial)
        if self.spec.task.name == "regression":
            return heights[:, 0].astype(np.float64) * 1000
        shares = np.exp(heights - heights.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def parts(self) -> Parts:
        return Parts({"weights": self.weights}, {"words": self.words}, {"标题": self.title}, {"a/tree": self.tree})

    def restore(self, parts: Parts) -> None:
        self.weights, self.words = parts.arrays["weights"], parts.facts["words"]
        self.title, self.tree = parts.texts["标题"], parts.objects["a/tree"]

    @property
    def parameters(self) -> int:
        return int(self.weights.size)

    @property
    def train_flops(self) -> float:
        return 1.0

    @property
    def plan(self) -> dict[str, Any]:
        return {"slope": "|1|"}

    def _inputs(self, table: Table) -> Any:
        width, note = table["width"], table["note | 记"]
        assert isinstance(width, Numbers)
        assert isinstance(note, Texts)
        lengths = np.array([len(text) for text in note.strings()], dtype=np.float32)
        return np.stack([np.nan_to_num(width.values).astype(np.float32), lengths / 5], axis=1)


TILT = Rung("tilt", "traditional", "A tilted plane.", "this test", lambda _spec: None, Tilt)


def know(monkeypatch: pytest.MonkeyPatch, *rungs: Rung) -> None:
    """Put rungs on the ladder of bundles for one test."""

    def find(_task: str, name: str) -> Rung:
        for rung in (TILT, *rungs):
            if rung.name == name:
                return rung
        raise OptionError("--rungs", "it must name rungs", repr(name), "choose another")

    monkeypatch.setattr("yunti.bundle.format.find_rung", find)


def frame(rows: int = 30, seed: int = 0) -> pa.Table:
    """Rows as a user gives them, with the answers."""
    random = np.random.default_rng(seed)
    width = random.normal(size=rows)
    notes = ["云梯" * int(random.integers(0, 4)) + "x" for _ in range(rows)]
    answers = [LABELS[int(place)] for place in random.integers(0, 3, rows)]
    return pa.table({"width": width, "note | 记": notes, "answer": answers})


def rows_of(table: pa.Table) -> Table:
    notes = pa.array(table["note | 记"].to_pylist(), pa.large_string())
    return Table({"width": Numbers(table["width"].to_numpy()), "note | 记": Texts(notes)})


def fitted(task: TaskSpec = CLASSES) -> Tilt:
    model = Tilt(Spec(COLUMNS, task, 30), Size(0.5))
    examples = Examples(rows_of(frame()), np.zeros(30, dtype=np.int32), np.arange(30))
    model.fit(examples, examples, Watch())
    return model


def about(task: TaskSpec = CLASSES) -> About:
    data = {"source": "rows.csv", "rows": 30, "split": {"train": 20, "valid": 5, "test": 5, "how": "at random"}}
    scores = {"accuracy": 0.75, "log_loss": 0.5} if task.name == "classification" else {"r2": 0.5, "rmse": 12345.6}
    target = ColumnSpec("answer", "category" if task.name == "classification" else "number", role="target")
    rung = {"name": "tilt", "era": "traditional", "idea": "A tilted plane.", "source": "", "plan": {"slope": "|1|"}}
    first = next(iter(scores))
    return About(COLUMNS, target, task, data, scores, rung, {first: (scores[first] - 0.1, scores[first] + 0.1)})


def saved(folder: Path, task: TaskSpec = CLASSES, rung: str = "tilt") -> Path:
    """Save a bundle of the model and return its folder."""
    save_bundle(folder, fitted(task), rung, Size(0.5), about(task), rows_of(frame(8)))
    return folder


def loaded(folder: Path, task: TaskSpec = CLASSES) -> Bundle:
    return load_bundle(saved(folder, task))
