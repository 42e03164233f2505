"""One sample: a small real data set that comes with the package, or with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Union, final

import numpy as np
import pyarrow as pa

from yunti.data.raw import Raw
from yunti.specs import TaskName

Origin = Union[str, Callable[[str], Raw]]  # noqa: UP007  (a runtime alias that beartype can read)


@final
@dataclass(frozen=True)
class Sample:
    """A data set to try things on.

    Args:
        name: what follows `sample:`.
        idea: what it is, in one clause.
        target: the column to predict.
        task: what is asked of it.
        licence: under which terms it comes.
        origin: who made it, and where it was taken from.
        content: the file beside this module that holds it, or a function that makes it, given the source's name.
    """

    name: str
    idea: str
    target: str
    task: TaskName
    licence: str
    origin: str
    content: Origin

    @property
    def file(self) -> Path | None:
        """The file that holds it, if it is one."""
        return Path(__file__).with_name(self.content) if isinstance(self.content, str) else None


def read_digits(name: str) -> Raw:
    """Read scikit-learn's digits: pixels from 0 to 16 become bytes from 0 to 255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    labels = pa.table({"label": pa.array(digits.target.astype(np.int64))})
    return Raw(name, labels, {"image": pixels}, {"image": "image"}, target="label", files=(name,))


def read_diabetes(name: str) -> Raw:
    """Read scikit-learn's diabetes table with its measured values and readable names."""
    from sklearn.datasets import load_diabetes

    table = load_diabetes(scaled=False)
    names = ["age_years", "sex", "body_mass_index", "blood_pressure", "total_cholesterol", "ldl_cholesterol"]
    names += ["hdl_cholesterol", "cholesterol_ratio", "log_triglycerides", "glucose"]
    columns = {each: pa.array(table.data[:, place]) for place, each in enumerate(names)}
    columns["sex"] = pa.array([f"group {value:.0f}" for value in table.data[:, 1]], pa.large_string())
    columns["progression"] = pa.array(table.target)
    return Raw(name, pa.table(columns), target="progression", files=(name,))
