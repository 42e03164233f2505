"""Drawing tokens: what is cut away, and how often each is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from yunti.errors import OptionError
from yunti.models.sampling import Sampling, draw

CHANCES = np.array([0.05, 0.4, 0.3, 0.15, 0.1])


def shares(sampling, logits=None, seen=(), draws=20_000):
    random = np.random.default_rng(0)
    logits = np.log(CHANCES) if logits is None else logits
    counts = np.bincount([draw(logits, seen, sampling, random) for _ in range(draws)], minlength=len(logits))
    return counts / draws


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (Sampling(temperature=1.0), [0, 1, 2, 3, 4]),
        (Sampling(temperature=1.0, top_k=2), [1, 2]),
        (Sampling(temperature=1.0, top_p=0.69), [1, 2]),
        (Sampling(temperature=1.0, top_p=0.71), [1, 2, 3]),
        (Sampling(temperature=1.0, min_p=0.3), [1, 2, 3]),
        (Sampling(temperature=1.0, top_k=3, min_p=0.5), [1, 2]),
    ],
)
def test_tokens_are_drawn_as_often_as_what_was_kept_says(sampling, kept):
    expected = np.zeros(5)
    expected[kept] = CHANCES[kept] / CHANCES[kept].sum()
    assert np.abs(shares(sampling) - expected).max() < 0.015


def test_temperature_sharpens_and_zero_takes_the_most_probable():
    expected = CHANCES**2 / (CHANCES**2).sum()
    assert np.abs(shares(Sampling(temperature=0.5)) - expected).max() < 0.015
    assert shares(Sampling(temperature=0.0), draws=5)[1] == 1


def test_what_was_said_is_less_probable_whatever_the_sign_of_its_logit():
    logits = np.array([2.0, -1.0, 0.5])
    penalised = np.array([2.0 / 1.5, -1.0 * 1.5, 0.5])
    expected = np.exp(penalised) / np.exp(penalised).sum()
    found = shares(Sampling(temperature=1.0, repetition_penalty=1.5), logits, seen=(0, 1, 1))
    assert np.abs(found - expected).max() < 0.015


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.1}, {"min_p": 1.0}, {"repetition_penalty": 0},
     {"max_tokens": 0}, {"stop": ("",)}],
)  # fmt: skip
def test_values_out_of_their_range_are_refused(wrong):
    with pytest.raises(OptionError, match=f"--{next(iter(wrong)).replace('_', '-')}: it must be"):
        Sampling(**wrong)
