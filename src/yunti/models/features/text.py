"""Texts as weighted n-grams (sparse), or as a few directions, counts and tell-tale words (dense, for trees)."""

from __future__ import annotations

from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Column, Texts
from yunti.models.contract import Parts
from yunti.models.features.block import Block
from yunti.models.features.tfidf import TfIdf
from yunti.seeds import generator, seed_for
from yunti.specs import TaskName

Floats = NDArray[np.float32]
DIRECTIONS = 64
TELLING = 192  # words that a tree may ask for one by one
SVD_ROWS = 20_000
SHAPE = ("characters", "words", "characters a word", "capitals", "digits", "punctuation")


@final
class SparseText(Block):
    """A text as two bags of n-grams, of words and of characters, for linear models."""

    sparse = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.bags = {"words": TfIdf("words", 100_000), "characters": TfIdf("characters", 50_000)}

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Choose and weigh the n-grams."""
        del target
        for bag in self.bags.values():
            bag.fit(cast(Texts, column), seed)

    def transform(self, column: Column) -> Any:
        """Return the weights of all n-grams, a CSR matrix."""
        from scipy import sparse

        return sparse.hstack([bag.transform(cast(Texts, column)) for bag in self.bags.values()], format="csr")

    @property
    def names(self) -> tuple[str, ...]:
        """Column and n-gram."""
        return tuple(f"{self.name}: {unit} {gram!r}" for unit, bag in self.bags.items() for gram in bag.names)

    def parts(self) -> Parts:
        """Return both bags."""
        parts = Parts()
        for unit, bag in self.bags.items():
            parts.put(unit, bag.parts())
        return parts

    def restore(self, parts: Parts) -> None:
        """Take both bags back."""
        for unit, bag in self.bags.items():
            bag.restore(parts.get(unit))

    @property
    def width(self) -> int:
        """Number of n-grams of both bags."""
        return sum(len(bag.buckets) for bag in self.bags.values())


@final
class DenseText(Block):
    """A text as its directions in a space of words, its most telling words, and its outward shape.

    The directions are the singular vectors of the TF-IDF matrix (latent semantic analysis, Deerwester et al., 1990);
    the telling words are those with the highest F value of an analysis of variance (classes) or correlation (values).

    Args:
        name: the column's name.
        task: what is asked, which decides how telling a word is.
    """

    def __init__(self, name: str, task: TaskName) -> None:
        self.name, self.task = name, task
        self.bag = TfIdf("words", 30_000)
        self.directions = np.zeros((0, 0), dtype=np.float32)
        self.telling: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Choose words, directions and telling words."""
        texts = cast(Texts, column)
        self.bag.fit(texts, seed)
        rows = np.sort(generator(seed, "directions").permutation(len(texts))[:SVD_ROWS])
        matrix = self.bag.transform(texts.take(rows))
        count = min(DIRECTIONS, min(matrix.shape) - 1)
        if count > 0:
            from sklearn.utils.extmath import randomized_svd

            _, _, directions = randomized_svd(matrix, count, n_iter=3, random_state=seed_for(seed, "svd") % 2**32)
            self.directions = np.ascontiguousarray(directions.T, dtype=np.float32)
        else:
            self.directions = np.zeros((matrix.shape[1], 0), dtype=np.float32)
        telling = _telling_classes if self.task == "classification" else _telling_values
        order = np.argsort(-telling(matrix, target[rows]), kind="stable")
        self.telling = np.sort(order[:TELLING])

    def transform(self, column: Column) -> Floats:
        """Return the shape of every text, the weights of telling words, and the directions."""
        texts = cast(Texts, column)
        matrix = self.bag.transform(texts)
        told = matrix[:, self.telling].toarray()
        return np.concatenate([_shape(texts), told, np.asarray(matrix @ self.directions)], axis=1).astype(np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """Column and what of the text."""
        words = (f"word {self.bag.names[index]!r}" for index in self.telling.tolist())
        directions = (f"direction {place + 1}" for place in range(self.directions.shape[1]))
        return tuple(f"{self.name}: {what}" for what in (*SHAPE, *words, *directions))

    def parts(self) -> Parts:
        """Return the bag, the directions and the telling words."""
        parts = Parts({"directions": self.directions, "telling": self.telling})
        parts.put("bag", self.bag.parts())
        return parts

    def restore(self, parts: Parts) -> None:
        """Take them back."""
        self.directions, self.telling = parts.arrays["directions"], parts.arrays["telling"]
        self.bag.restore(parts.get("bag"))


def _shape(texts: Texts) -> Floats:
    """Return the numbers named in SHAPE for every text; NaN where it is missing."""
    import pyarrow.compute as pc

    def count(pattern: str) -> NDArray[np.float32]:
        return np.asarray(pc.fill_null(pc.count_substring_regex(texts.values, pattern), 0), dtype=np.float32)

    characters = np.asarray(pc.fill_null(pc.utf8_length(texts.values), 0), dtype=np.float32)
    words = count(r"\S+")
    kinds = [count(pattern) for pattern in (r"\p{Lu}", r"\p{N}", r"\p{P}")]
    full = np.maximum(characters, 1)
    shape = np.stack([characters, words, characters / np.maximum(words, 1), *(kind / full for kind in kinds)], axis=1)
    shape[np.asarray(texts.values.is_null())] = np.nan
    return shape


def _telling_classes(matrix: Any, target: NDArray[Any]) -> NDArray[np.float64]:
    """F value of every word: variance between classes over variance within, shape (words,)."""
    from scipy import sparse

    classes, codes = np.unique(target, return_inverse=True)
    rows = np.arange(len(codes), dtype=np.int32)
    member = sparse.csr_matrix((np.ones(len(codes), dtype=np.float32), (codes, rows)))
    counts = np.bincount(codes)[:, None]
    sums = (member @ matrix).toarray().astype(np.float64)
    mean = sums.sum(axis=0) / len(codes)
    between = (counts * (sums / counts - mean) ** 2).sum(axis=0)
    total = np.asarray(matrix.multiply(matrix).sum(axis=0), dtype=np.float64).ravel() - len(codes) * mean**2
    within = np.maximum(total - between, 1e-9)
    return between / within * ((len(codes) - len(classes)) / max(1, len(classes) - 1))


def _telling_values(matrix: Any, target: NDArray[Any]) -> NDArray[np.float64]:
    """Squared correlation of every word with the values, shape (words,)."""
    centred = target - target.mean()
    along = np.asarray(matrix.T @ centred.astype(np.float32), dtype=np.float64)
    squares = np.asarray(matrix.multiply(matrix).sum(axis=0), dtype=np.float64).ravel()
    mean = np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel() / len(target)
    return along**2 / np.maximum(squares - len(target) * mean**2, 1e-9)
