"""The ensemble's weights against what must hold for any greedy selection."""

from __future__ import annotations

import numpy as np

from yunti.ladders.prediction.ensemble import greedy_weights


def squared(target, prediction):
    return float(np.mean((target - prediction) ** 2))


def test_weights_add_up_and_find_a_known_mixture():
    random = np.random.default_rng(0)
    first, second, noise = random.normal(size=(3, 500))
    weights = greedy_weights([first, second, noise], 0.7 * first + 0.3 * second, squared)
    np.testing.assert_allclose(weights, [0.7, 0.3, 0.0], atol=0.03)
    assert weights.sum() == 1


def test_a_perfect_model_stays_alone():
    random = np.random.default_rng(0)
    target, noise = random.normal(size=(2, 200))
    np.testing.assert_array_equal(greedy_weights([noise, target], target, squared), [0, 1])


def test_it_is_never_worse_than_its_best_member():
    random = np.random.default_rng(1)
    target = random.normal(size=300)
    members = [target + random.normal(0, spread, 300) for spread in (0.5, 0.8, 2.0)]
    mixed = sum(
        weight * member for weight, member in zip(greedy_weights(members, target, squared), members, strict=True)
    )
    assert squared(target, mixed) <= min(squared(target, member) for member in members)
