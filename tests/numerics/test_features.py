"""Features and solvers of traditional rungs against scikit-learn, SciPy and plain loops."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_wine, make_moons
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SkRidge
from sklearn.metrics import log_loss
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from yunti.data.table import Texts
from yunti.ladders.prediction.descent import Problem, Scorer
from yunti.ladders.prediction.kernel import Landmarks, gaussian
from yunti.ladders.prediction.losses import Logistic, Softmax, Squared, SquaredHinge, sigmoid, softmax
from yunti.ladders.prediction.machines import Maker
from yunti.ladders.prediction.platt import Platt
from yunti.ladders.prediction.ridge import Ridge
from yunti.models.contract import Watch
from yunti.models.features.grams import grams, spell
from yunti.models.features.tfidf import TfIdf
from yunti.specs import TaskSpec

TEXTS = [
    "The cat sat on the mat, the cat!",
    "A dog sat on a log.",
    "dogs and CATS and logs 42",
    "我爱北京天安门 beijing",
    "",
    "tea",
]


def spelled(texts, unit):
    found = grams(texts, unit)
    places = zip(found.texts, found.starts, found.lengths, strict=True)
    rows = [[] for _ in texts]
    for text, start, length in places:
        rows[text].append(spell(found.stream[start : start + length]))
    return [sorted(row) for row in rows]


def test_words_and_pairs_are_those_that_a_loop_finds():
    for text, found in zip(TEXTS, spelled(TEXTS, "words"), strict=True):
        words = re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+", text.lower())
        pairs = max(0, len(words) - 1)
        assert sorted(each for each in found if each in words) == sorted(words)
        assert len(found) == len(words) + pairs


def test_character_grams_are_those_of_scikit_learn():
    texts = [text for text in TEXTS if len(text) > 3]
    analyse = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4)).build_analyzer()
    for text, found in zip(texts, spelled(texts, "characters"), strict=True):
        assert sorted(set(found)) == sorted({gram for gram in analyse(text) if len(gram) >= 3})


def test_weights_are_those_of_scikit_learn():
    texts = Texts(pa.array(TEXTS, pa.large_string()))
    bag = TfIdf("words", 1000)
    bag.fit(texts, 0)
    ours = bag.transform(texts)
    pattern = r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+"
    reference = TfidfVectorizer(token_pattern=pattern, ngram_range=(1, 2), sublinear_tf=True).fit_transform(TEXTS)
    assert ours.shape == reference.shape
    # columns stand in another order: compare all inner products and the sorted weights of every text
    np.testing.assert_allclose((ours @ ours.T).toarray(), (reference @ reference.T).toarray(), atol=1e-5)
    for first, second in zip(ours.toarray(), reference.toarray(), strict=True):
        np.testing.assert_allclose(np.sort(first), np.sort(second), atol=1e-5)


@pytest.mark.parametrize("loss", [Softmax, Logistic, SquaredHinge])
def test_slopes_are_those_of_finite_differences(loss):
    random = np.random.default_rng(0)
    target, weights = random.integers(0, 3, 20), random.uniform(0.5, 2, 20)
    scores = random.normal(size=(20, 3)).astype(np.float32)
    subject = loss(target, 3, weights)
    slopes = subject.slopes(scores)
    for row, output in ((0, 0), (7, 1), (19, 2)):
        nudge = np.zeros_like(scores)
        nudge[row, output] = 1e-2
        change = (subject.value(scores + nudge).sum() - subject.value(scores - nudge).sum()) / 2e-2
        assert slopes[row, output] == pytest.approx(change, abs=2e-4)


@pytest.mark.parametrize(("load", "weight"), [(load_wine, 0.1), (load_breast_cancer, 1.0)])
def test_logistic_regression_is_that_of_scikit_learn(load, weight):
    data = load()
    matrix = StandardScaler().fit_transform(data.data).astype(np.float32)
    classes = len(data.target_names)
    reference = LogisticRegression(C=weight, tol=1e-8, max_iter=5000).fit(matrix, data.target)
    outputs = 1 if classes == 2 else classes
    loss = (Logistic if classes == 2 else Softmax)(data.target, outputs)
    fit = Problem(matrix, loss, outputs).solve(1 / (weight * len(matrix)), steps=500, tolerance=3e-4)
    scores = fit.scorer.scores(matrix)
    chances = np.hstack([1 - sigmoid(scores), sigmoid(scores)]) if classes == 2 else softmax(scores)
    assert fit.settled
    np.testing.assert_allclose(chances, reference.predict_proba(matrix), atol=5e-3)
    assert log_loss(data.target, chances) == pytest.approx(
        log_loss(data.target, reference.predict_proba(matrix)), abs=1e-4
    )


def test_sparse_and_dense_matrices_give_the_same_weights():
    data = load_wine()
    matrix = StandardScaler().fit_transform(data.data).astype(np.float32)
    fits = [Problem(each, Logistic(data.target, 3), 3).solve(1e-2) for each in (matrix, sparse.csr_matrix(matrix))]
    np.testing.assert_allclose(fits[0].scorer.weights, fits[1].scorer.weights, atol=1e-3)


@pytest.mark.parametrize("shape", [(80, 12), (30, 90)])
def test_ridge_is_that_of_scikit_learn_and_of_the_descent(shape):
    random = np.random.default_rng(1)
    matrix = (random.normal(size=shape) + 3).astype(np.float32)
    target = matrix[:, 0] * 2 - matrix[:, 1] + random.normal(size=shape[0]) + 100
    alpha = 0.05
    reference = SkRidge(alpha=alpha * shape[0]).fit(matrix.astype(np.float64), target)
    ridge = Ridge(matrix)
    weights, bias = ridge.solve(ridge.aim(target), alpha)
    np.testing.assert_allclose(weights, reference.coef_, atol=1e-4)
    assert bias == pytest.approx(reference.intercept_, rel=1e-4)
    centred = (target - target.mean()).astype(np.float32)
    fit = Problem(matrix - matrix.mean(axis=0), Squared(centred, 1), 1).solve(alpha, steps=2000, tolerance=1e-6)
    np.testing.assert_allclose(fit.scorer.weights[:, 0], reference.coef_, atol=2e-3)


def test_the_kernel_and_its_coordinates_are_exact_on_their_landmarks():
    random = np.random.default_rng(2)
    rows, others = (random.normal(size=(count, 4)).astype(np.float32) for count in (40, 15))
    np.testing.assert_allclose(gaussian(others, rows, 0.3), rbf_kernel(others, rows, gamma=0.3), atol=1e-5)
    landmarks = Landmarks.among(rows, 0.3)
    coordinates = landmarks.coordinates(rows)
    np.testing.assert_allclose(coordinates @ coordinates.T, rbf_kernel(rows, gamma=0.3), atol=1e-3)
    inner = random.normal(size=(40, 2)).astype(np.float32)
    by_kernel = gaussian(others, rows, 0.3) @ landmarks.weights(inner)
    np.testing.assert_allclose(by_kernel, landmarks.coordinates(others) @ inner, rtol=1e-2, atol=1e-2)


def test_the_machine_separates_as_well_as_scikit_learns():
    matrix, target = make_moons(600, noise=0.25, random_state=0)
    matrix = matrix.astype(np.float32)
    train, held = (matrix[:400], target[:400]), (matrix[400:], target[400:])
    reference = SVC(C=3.0, gamma=1.0).fit(*train).score(*held)
    task = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b"))
    maker = Maker(task, None, np.random.default_rng(0), Watch())
    ((_, machine),) = maker.curved(train, 1.0, (3.0,))
    ours = ((machine.scores(held[0])[:, 0] > 0) == held[1]).mean()
    assert ours == pytest.approx(reference, abs=0.03)


def test_calibration_is_level_with_scikit_learns_sigmoid():
    random = np.random.default_rng(3)
    decisions = random.normal(size=(4000, 1))
    target = (random.random(4000) < 1 / (1 + np.exp(-3 * decisions[:, 0] + 1))).astype(np.int64)
    fitted, fresh = slice(0, 2000), slice(2000, None)
    platt = Platt()
    platt.fit(decisions[fitted], target[fitted], None)
    ours = log_loss(target[fresh], platt.chances(decisions[fresh]))
    best = LogisticRegression(C=1e6).fit(decisions[fitted], target[fitted]).predict_proba(decisions[fresh])
    assert ours == pytest.approx(log_loss(target[fresh], best), abs=5e-3)
    np.testing.assert_allclose(platt.chances(decisions).sum(axis=1), 1, atol=1e-6)


def test_scores_are_a_product_and_a_bias():
    scorer = Scorer(np.array([[1.0], [2.0]], dtype=np.float32), np.array([0.5], dtype=np.float32))
    np.testing.assert_allclose(scorer.scores(np.array([[3.0, 4.0]], dtype=np.float32)), [[11.5]])
