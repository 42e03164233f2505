"""Fitting Kneser–Ney n-grams within a memory, a size and a time."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yunti.errors import OptionError
from yunti.models.contract import Watch
from yunti.models.ngrams.counting import Counts, Tick, block_size, count_ngrams
from yunti.models.ngrams.estimate import bytes_of, estimate, kept, thresholds_for
from yunti.models.ngrams.grams import greatest_order
from yunti.models.ngrams.kneser_ney import KneserNey
from yunti.models.ngrams.model import NO_LIMITS, Limits, shortening
from yunti.models.ngrams.order import Order, best_order, usual_order
from yunti.models.ngrams.runs import Store
from yunti.models.ngrams.stream import check_corpus
from yunti.words import say

Documents = tuple[NDArray[Any], NDArray[Any]]
_PILOT: Final = 1 << 17  # tokens of a first fit, which tells how long a fit takes and is in hand if time runs out
_SLOWER: Final = 0.7  # of the pilot's pace: larger tables lie in memory and files, not in the processor's caches
_CHOOSING: Final = 0.15  # of a fit's time: what each order that is tried takes, scoring left out
_CHOICE: Final = 1 << 18  # tokens that tell one order from another to a few thousandths of a bit
_MOST_TOKENS: Final = (1 << 32) - 1  # that counts of 32 bits hold


def fit_kneser_ney(
    tokens: NDArray[Any],
    offsets: NDArray[Any],
    vocabulary: int,
    order: int | None = None,
    valid: Documents | None = None,
    limits: Limits = NO_LIMITS,
) -> KneserNey:
    """Count n-grams and estimate an interpolated modified Kneser–Ney model of them.

    Where the time does not hold all tokens, as a fit of the first 131,072 tells, the first ones that it holds are
    learned from: a lower order would save little, since most of the time goes with the tokens. Should the deadline come
    early all the same, the model of that first fit is returned.

    Args:
        tokens: (length,) integers from 0 to V - 1, mapped into memory or not. 0 ends a document; whether end tokens
            stand there, and are learned, is the caller's choice.
        offsets: (documents + 1,) the places where documents begin, and the end of the last. The order of documents
            does not matter unless time runs out.
        vocabulary: number of different tokens, V.
        order: length of the longest n-grams, from 1 to what 64 bits hold (see `greatest_order`); if None it is derived
            from V and the number of tokens.
        valid: tokens and offsets of other documents, on whose first 262,144 tokens the order is chosen, up to `order`,
            by the fewest bits.
        limits: what the fit may use.

    Raises:
        OptionError: the order is too high, a token is not of the vocabulary, the offsets do not fit, or there is no
            token.
        RungError: the disk does not hold the counts.

    Example:
        >>> model = fit_kneser_ney(np.array([1, 2, 1, 2, 0, 1, 2, 0]), np.array([0, 5, 8]), vocabulary=4, order=3)
        >>> model.surprise(np.array([1, 2, 0]), np.array([0, 3])).round(3).tolist()
        [0.093, 0.022, 0.437]
    """
    start, stop = _check_some("tokens", tokens, offsets, vocabulary)
    if valid is not None:
        _check_some("valid", *valid, vocabulary)
    _check_order(order, vocabulary)
    usual = usual_order(vocabulary, stop - start)
    wanted = Order(order, say("run.by hand")) if order is not None else usual
    most = min(stop - start, _MOST_TOKENS)
    pilot, affordable = None, most
    if most > _PILOT and not math.isinf(limits.watch.deadline):
        begun = time.monotonic()
        pilot = _fit(_first(tokens, offsets, _PILOT), vocabulary, wanted, None, replace(limits, watch=Watch()))
        slower = _SLOWER / (1 if valid is None else 1 + _CHOOSING * wanted.order)
        pace = _PILOT / (time.monotonic() - begun) * slower
        affordable = min(most, int(limits.watch.left * pace))
    model, learned = pilot, _PILOT
    if pilot is None or affordable > _PILOT:
        watch = limits.watch if pilot is not None else replace(limits.watch, deadline=math.inf)
        try:
            part = _first(tokens, offsets, affordable)
            model, learned = _fit(part, vocabulary, wanted, valid, replace(limits, watch=watch)), affordable
        except TimeoutError:
            model, learned = pilot, _PILOT
    assert model is not None
    limits.watch.tell(1.0)
    return KneserNey(model.arrays(), model.plan | shortening(min(learned, stop - start), stop - start))


def _check_some(name: str, tokens: NDArray[Any], offsets: NDArray[Any], vocabulary: int) -> tuple[int, int]:
    start, stop = check_corpus(tokens, offsets, vocabulary)
    if start == stop:
        raise OptionError(name, "there must be at least one token", "there is none", "give a text that is not empty")
    return start, stop


def _check_order(order: int | None, vocabulary: int) -> None:
    greatest = greatest_order(vocabulary)
    if order is not None and not 1 <= order <= greatest:
        must = f"it must be from 1 to {greatest} with {vocabulary:,} different tokens, so that 64 bits hold a context"
        raise OptionError("order", must, f"it is {order}", "choose one of these")


def _first(tokens: NDArray[Any], offsets: NDArray[Any], count: int) -> Documents:
    """Return the documents of the first tokens; the last may be cut off."""
    end = int(offsets[0]) + count
    return tokens, np.minimum(offsets, end) if end < int(offsets[-1]) else offsets


def _fit(part: Documents, vocabulary: int, wanted: Order, valid: Documents | None, limits: Limits) -> KneserNey:
    """Fit to all that is given; past the deadline TimeoutError is raised."""

    def tick(done: float) -> None:
        limits.watch.tell(done)
        if not limits.watch.left:
            raise TimeoutError

    with tempfile.TemporaryDirectory(prefix="ngrams-", dir=limits.folder) as folder:
        store = Store(Path(folder), limits.memory_bytes // 5)
        shape, size = (vocabulary, wanted.order), block_size(limits.memory_bytes)
        counts = count_ngrams(*part, shape, store, size, _within(tick, 0, 0.7))
        room = limits.memory_bytes * 2 // (5 if valid is None else 10)  # with the best so far there is the next one
        most_bytes = room if limits.most_bytes is None else min(room, limits.most_bytes)
        if valid is None:
            model = _estimated(counts, wanted, most_bytes, _within(tick, 0.7, 1))
        else:
            model = _chosen(counts, wanted, most_bytes, valid, _within(tick, 0.7, 1))
        return KneserNey(model.arrays(), model.plan | {"spilled_bytes": store.spilled_bytes})


def _within(tick: Tick, start: float, stop: float) -> Tick:
    """Return what tells of a section of the work, whose 0..1 is start..stop of the whole."""
    return lambda done: tick(start + (stop - start) * done)


def _estimated(counts: Counts, wanted: Order, most_bytes: int, tick: Tick) -> KneserNey:
    thresholds = thresholds_for(counts, wanted.order, most_bytes)
    arrays, taken = estimate(counts, thresholds, tick)
    reasons = {"order": wanted.why}
    plan: dict[str, Any] = {"order": wanted.order, "vocabulary": counts.vocabulary, "tokens": counts.tokens}
    plan |= {"n-grams": kept(counts, thresholds), "bytes": bytes_of(counts, thresholds)}
    plan["discounts"] = [[round(float(each), 4) for each in row] for row in taken]
    if any(thresholds):
        plan["least counts"] = [each + 1 for each in thresholds]
        reasons["least counts"] = say("ngrams.least counts", bytes=most_bytes)
    return KneserNey(arrays, plan | {"reasons": reasons})


def _chosen(counts: Counts, wanted: Order, most_bytes: int, valid: Documents, tick: Tick) -> KneserNey:
    """Estimate a model of each order from the same counts, and keep the one with the fewest bits of those in time."""
    best: KneserNey | None = None
    bits: dict[int, float] = {}
    for order in range(1, counts.order + 1):
        part = _within(tick, (order - 1) / counts.order, order / counts.order)
        try:
            model = _estimated(counts, Order(order, wanted.why), most_bytes, part)
        except TimeoutError:
            if best is None:
                raise
            break
        bits[order] = float(model.surprise(*_first(*valid, _CHOICE)).mean() / math.log(2))
        if best_order(bits).order == order:
            best = model
    assert best is not None
    reasons = best.plan["reasons"] | {"order": best_order(bits).why}
    plan = best.plan | {"bits": {str(each): round(value, 4) for each, value in bits.items()}, "reasons": reasons}
    return KneserNey(best.arrays(), plan)
