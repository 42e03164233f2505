"""Which rows train, which choose (valid), and which are opened once at the end (test)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from yunti.errors import ColumnError, SourceError
from yunti.seeds import generator
from yunti.words import say

TRAIN, VALID, TEST, ASIDE = 0, 1, 2, -1
LEAST_ROWS = 10
_TENTH = 0.1  # of a text that is cut by place validates, and as much tests
_CAP = 20_000  # more rows narrow no interval that matters, and cost training rows and time
_CAP_BYTES, _FEW_TEXTS = 1e6, 50  # of texts that are scored token by token, unless they are very long
_ORDERS = 64  # orders of the groups that are tried
_FREE = -2
_CARVED = {
    (VALID,): "split.ready but valid",
    (TEST,): "split.ready but test",
    (VALID, TEST): "split.ready but both",
}

READY: dict[str, str] = {
    **dict.fromkeys(("train", "training", "trn", "tr", "learn", "训练", "训练集"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev", "development", "eval", "验证", "验证集", "开发集"), "valid"),
    **dict.fromkeys(("test", "testing", "tst", "te", "holdout", "测试", "测试集"), "test"),
}


@final
@dataclass(frozen=True, eq=False)
class Wish:
    """What the split must respect.

    Args:
        source: the source, for messages.
        usable: rows that may be used, shape (rows,), bool.
        strata: what should be spread evenly: class codes or bins of the target, shape (rows,), int64.
        clusters: rows that repeat each other share a code, shape (rows,), int64.
        ready: a ready part for every row ("train", "valid", "test"), or None.
        groups: codes of rows that must stay together, -1 where missing, or None.
        times: when a row happened, NaN where missing, or None.
        group_name: the column that `groups` came from.
        time_name: the column that `times` came from.
        documents: whether rows are documents, or passages of those that `groups` tells where no group was named.
        lengths: bytes of every row that is scored token by token; None for other tasks.
        by_place: whether the parts are cut by place, not drawn.
    """

    source: str
    usable: NDArray[np.bool_]
    strata: NDArray[np.int64]
    clusters: NDArray[np.int64]
    ready: NDArray[np.str_] | None = None
    groups: NDArray[np.int64] | None = None
    times: NDArray[np.float64] | None = None
    group_name: str = ""
    time_name: str = ""
    documents: bool = False
    lengths: NDArray[np.int64] | None = None
    by_place: bool = False


@final
@dataclass(frozen=True, eq=False)
class Parts:
    """The part of every row (0 train, 1 valid, 2 test, −1 set aside), and how it was found.

    Args:
        part: of every row.
        how: in a clause.
        parted: whether rows that repeat each other stand on both sides, because nearly all do.
    """

    part: NDArray[np.int8]
    how: str
    parted: bool = False


def share_of(rows: int) -> float:
    """Say which share of this many rows validates, and which tests: the fewer there are, the more.

    Example:
        >>> [share_of(rows) for rows in (1_000, 10_000, 100_000)], round(share_of(10_000_000), 4)
        ([0.2, 0.15, 0.1], 0.002)
    """
    share = 0.2 if rows < 2_000 else 0.15 if rows < 20_000 else 0.1
    return min(share, _CAP / rows) if rows else share


def split(wish: Wish, seed: int) -> Parts:
    """Divide the usable rows.

    A ready split is taken as it is, and what it lacks is carved out of its training rows: by group or by time where
    that is asked for, else so that every class (or range of the target) is spread evenly and copies stay together;
    of a text that is cut into passages, by place.

    Raises:
        SourceError: there are too few rows.
        ColumnError: the groups or times cannot be split.
    """
    part = np.where(wish.usable, _FREE, ASIDE).astype(np.int8)
    if wish.usable.sum() < LEAST_ROWS:
        raise SourceError(
            wish.source, f"at least {LEAST_ROWS} rows must be usable", f"there are {wish.usable.sum()}", "add rows"
        )
    how = ""
    if wish.ready is not None:
        part[wish.usable & (wish.ready == "valid")] = VALID
        part[wish.usable & (wish.ready == "test")] = TEST
        how = say("split.ready")
    free = int((part == _FREE).sum())
    if free < LEAST_ROWS // 2:
        raise SourceError(
            wish.source, "the ready split must have training rows", f"it has {free}", "mark more as train"
        )
    share = min(_TENTH, _CAP / free) if wish.by_place else share_of(free)
    if wish.lengths is not None:
        total = max(1, int(wish.lengths[part == _FREE].sum()))
        share = min(share, max(_CAP_BYTES / total, _FEW_TEXTS / free))
    wanted = {each: max(1, round(share * free)) for each in (TEST, VALID) if not (part == each).any()}
    parted = False
    if wanted:
        free_rows = part == _FREE
        how = _carve(wish, part, wanted, seed)
        if any(not (part == each).any() for each in wanted) and len(np.unique(wish.clusters)) < len(part):
            part[free_rows], parted = _FREE, True  # so many are alike that those that are not do not make a part
            how = _carve(replace(wish, clusters=np.arange(len(part), dtype=np.int64)), part, wanted, seed)
        if wish.ready is not None:
            how = say(_CARVED[tuple(sorted(wanted))], how=how)
    part[part == _FREE] = TRAIN
    return Parts(part, how, parted)


def _carve(wish: Wish, part: NDArray[np.int8], wanted: dict[int, int], seed: int) -> str:
    free = np.flatnonzero(part == _FREE)
    if wish.times is not None:
        part[free] = _by_time(wish, wish.times[free], wanted)
        return say("split.by time", column=wish.time_name)
    if wish.by_place:
        assert wish.lengths is not None
        documents = np.arange(len(part)) if wish.groups is None else wish.groups
        part[free] = _by_place(wish.lengths[free], documents[free], {each: wanted[each] / len(free) for each in wanted})
        return say("split.by place")
    if wish.groups is not None:
        part[free] = _by_group(wish, wish.groups, free, wanted, seed)
        return say("split.by group", column=wish.group_name) if wish.group_name else say("split.by document")
    part[free] = _stratified(wish.strata[free], wish.clusters[free], wanted, seed)
    return say("split.by document" if wish.documents else "split.stratified")


def _by_place(lengths: NDArray[np.int64], documents: NDArray[np.int64], wanted: dict[int, float]) -> NDArray[np.int8]:
    """Cut the text where its shares end: the beginning trains, then comes validation, and the end tests.

    A cut lies at the end of a document where one ends within half a part of it, so that no document is on both sides.

    Args:
        lengths: bytes of the rows, in the order of the text.
        documents: the document of each row.
        wanted: share of the bytes of each part.
    """
    ends = np.cumsum(lengths)
    closing = np.flatnonzero(documents[1:] != documents[:-1]) + 1
    part = np.full(len(lengths), TRAIN, dtype=np.int8)
    left, stop = 1.0, len(lengths)
    for number, (each, share) in enumerate(sorted(wanted.items(), reverse=True)):
        left -= share
        cut = int(np.searchsorted(ends, left * ends[-1])) + 1
        near = closing[np.abs(ends[closing - 1] - left * ends[-1]) <= share / 2 * ends[-1]]
        if len(near):
            cut = int(near[np.abs(ends[near - 1] - left * ends[-1]).argmin()])
        cut = int(np.clip(cut, len(wanted) - number, stop - 1))  # rows must remain for the parts still to come
        part[cut:stop] = each
        stop = cut
    return part


def _stratified(
    strata: NDArray[np.int64], clusters: NDArray[np.int64], wanted: dict[int, int], seed: int
) -> NDArray[np.int8]:
    """Draw clusters at even steps through the rows sorted by stratum, so that every stratum gives its share.

    Clusters of a stratum with fewer than three, and clusters larger than a quarter of a part, train.
    """
    _, first, cluster, sizes = np.unique(clusters, return_index=True, return_inverse=True, return_counts=True)
    kind = strata[first]
    random = generator(seed, "split")
    units = random.permutation(len(first))
    units = units[np.lexsort((sizes[units], kind[units]))]
    alone = np.bincount(kind, minlength=1)[kind[units]] < 3
    units = units[~alone & (sizes[units] <= max(1, min(wanted.values()) / 4))]
    part = np.full(len(first), TRAIN, dtype=np.int8)
    for each, count in wanted.items():
        step = min(0.5, count / max(1, sizes[units].sum()))
        chosen = np.diff(np.floor(np.arange(len(units) + 1) * step + random.random())) > 0
        if not chosen.any() and len(units):
            chosen[int(random.integers(len(units)))] = True
        part[units[chosen]] = each
        units = units[~chosen]
    return part[cluster]


def _by_time(wish: Wish, times: NDArray[np.float64], wanted: dict[int, int]) -> NDArray[np.int8]:
    """Cut at moments, so that equal times stay together: the latest rows test, those before validate."""
    moments, place, counts = np.unique(times[~np.isnan(times)], return_inverse=True, return_counts=True)
    if len(moments) < len(wanted) + 1:
        raise ColumnError(
            wish.source,
            f"--time {wish.time_name} needs at least {len(wanted) + 1} different times",
            f"it holds {len(moments)}",
            "name another column",
        )
    of_moment = np.full(len(moments), TRAIN, dtype=np.int8)
    end = len(moments)
    for number, (each, count) in enumerate(sorted(wanted.items(), reverse=True)):
        rest = len(wanted) - number  # moments that must remain for the parts still to come, and for training
        after = np.cumsum(counts[:end][::-1])
        take = int(np.clip(np.abs(after - count).argmin() + 1, 1, end - rest))
        of_moment[end - take : end] = each
        end -= take
    part = np.full(len(times), TRAIN, dtype=np.int8)
    part[~np.isnan(times)] = of_moment[place]
    return part


def _by_group(
    wish: Wish, groups: NDArray[np.int64], free: NDArray[np.int64], wanted: dict[int, int], seed: int
) -> NDArray[np.int8]:
    """Try some orders of the groups; keep the one whose parts come nearest to the sizes and classes of the whole."""
    codes = np.where(groups[free] >= 0, groups[free], groups.max() + 1 + np.arange(len(free)))
    unit = np.unique(_merged(codes, wish.clusters[free]), return_inverse=True)[1]
    if unit.max() < len(wanted):  # copies link all groups: the groups decide
        unit = np.unique(codes, return_inverse=True)[1]
    sizes = np.bincount(unit)
    if len(sizes) < len(wanted) + 1:
        raise ColumnError(
            wish.source,
            f"--group {wish.group_name} needs at least {len(wanted) + 1} different groups",
            f"it holds {len(sizes)}",
            "name another column",
        )
    stratum = np.unique(wish.strata[free], return_inverse=True)[1]
    width = int(stratum.max()) + 1 if (int(stratum.max()) + 1) * len(sizes) <= 20_000_000 else 1
    table = np.zeros((len(sizes), width))
    np.add.at(table, (unit, stratum if width > 1 else np.zeros_like(stratum)), 1)
    random = generator(seed, "split")
    best, least = np.zeros(len(sizes), dtype=np.int8), np.inf
    for _ in range(_ORDERS if len(sizes) < 100_000 else 4):
        order = random.permutation(len(sizes))
        part = _deal(sizes[order], wanted)
        loss = _unlike(table[order], part, wanted)
        if loss < least:
            least, best[order] = loss, part
    return best[unit]


def _deal(sizes: NDArray[np.int64], wanted: dict[int, int]) -> NDArray[np.int8]:
    part, start = np.full(len(sizes), TRAIN, dtype=np.int8), 0
    for number, (each, count) in enumerate(wanted.items()):
        filled = np.cumsum(sizes[start:])
        take = int(np.clip(np.abs(filled - count).argmin() + 1, 1, len(sizes) - start - (len(wanted) - number)))
        part[start : start + take] = each
        start += take
    return part


def _unlike(table: NDArray[np.float64], part: NDArray[np.int8], wanted: dict[int, int]) -> float:
    """Measure how far the parts are from their sizes and from the classes of the whole; lost classes weigh most."""
    whole = table.sum(axis=0) / table.sum()
    train = table[part == TRAIN].sum(axis=0)
    loss = 10.0 * float(((train == 0) & (whole > 0)).mean())
    for each, count in wanted.items():
        rows = table[part == each].sum(axis=0)
        loss += abs(rows.sum() - count) / count + 0.5 * float(np.abs(rows / rows.sum() - whole).sum())
    return loss


def _merged(groups: NDArray[np.int64], clusters: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merge groups that share copies."""
    _, cluster, counts = np.unique(clusters, return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(counts[cluster] > 1)
    if len(repeated) == 0:
        return groups
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, group = np.unique(groups, return_inverse=True)
    size = int(group.max()) + 1 + int(cluster.max()) + 1
    links = coo_array(
        (np.ones(len(repeated), dtype=np.bool_), (group[repeated], group.max() + 1 + cluster[repeated])), (size, size)
    )
    return np.asarray(connected_components(links, directed=False)[1][group], dtype=np.int64)


def is_ready_split(names: Sequence[str]) -> bool:
    """Say whether the distinct values of a column are those of a ready split.

    Example:
        >>> is_ready_split(["test", "train"]), is_ready_split(["train", "boat"]), is_ready_split(["train"])
        (True, False, False)
    """
    parts = {READY.get(name.casefold()) for name in names}
    return len(names) <= 3 and None not in parts and "train" in parts and len(parts) >= 2


def ready_parts(names: tuple[str, ...], codes: NDArray[np.int32], source: str, column: str) -> NDArray[np.str_]:
    """Read a column that holds a ready split.

    Args:
        names: its distinct values.
        codes: shape (rows,), places in `names`; −1 where missing: such rows train.
        source: the source, for messages.
        column: the column's name.

    Raises:
        ColumnError: it holds other words, or no training rows.
    """
    marks = _marks(column)
    words = [READY.get(name.casefold()) or marks.get(name.casefold()) for name in names]
    if None in words:
        unknown = names[words.index(None)]
        raise ColumnError(
            source,
            f"--split {column} must hold train, valid (or validation, dev) and test",
            f"it holds {unknown!r}",
            "write it with these words, or name another column",
        )
    if "train" not in words or len(set(words)) < 2:
        raise ColumnError(
            source,
            f"--split {column} must mark training rows and others",
            f"it holds only {', '.join(repr(name) for name in names) or 'missing values'}",
            "name another column, or leave out --split",
        )
    return np.array([*words, "train"])[codes]


def _marks(column: str) -> dict[str, str]:
    """Say what yes and no mean in a column such as `is_test`."""
    lowered = column.casefold()
    named = next((part for part in ("train", "valid", "test") if part in lowered), None)
    if named is None:
        return {}
    other = "test" if named == "train" else "train"
    return {**dict.fromkeys(("1", "true", "yes"), named), **dict.fromkeys(("0", "false", "no"), other)}
