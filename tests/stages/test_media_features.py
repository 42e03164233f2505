"""Pictures, sounds and sequences as columns of numbers for traditional models."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from yunti.data.table import Column, Images, Ragged, Table
from yunti.models.features import Block, Features, audio, images, sequences
from yunti.models.features.audio import Sound
from yunti.models.features.images import Picture
from yunti.models.features.scaling import Scaled
from yunti.models.features.sequences import Sequence
from yunti.specs import ColumnSpec, Spec, TaskSpec

ROWS = 24
LOST = 5  # the row without a value
NONE = np.zeros(ROWS)


def some_pictures(height: int = 8, width: int = 8, channels: int = 1) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, height, width, channels), dtype=np.uint8)
    present = np.arange(ROWS) != LOST
    return Images(pixels * present[:, None, None, None].astype(np.uint8), present)


def some_rows(least: int, most: int, channels: int, dtype: type) -> Ragged:
    rng = np.random.default_rng(0)
    lengths = rng.integers(least, most, ROWS)
    lengths[LOST] = 0
    values = rng.normal(0, 1, (lengths.sum(), channels)) * (5000 if dtype is np.int16 else 1)
    return Ragged(values.astype(dtype), np.cumsum([0, *lengths]))


CASES: dict[str, tuple[Callable[[], Block], Column]] = {
    "small pictures": (lambda: Picture("x", (8, 8, 1), 0.0, True), some_pictures()),
    "pictures for trees": (lambda: Picture("x", (8, 8, 1), float("nan"), False), some_pictures()),
    "colour pictures": (lambda: Picture("x", (33, 20, 3), 0.0, True), some_pictures(33, 20, 3)),
    "narrow pictures": (lambda: Picture("x", (1, 30, 1), 0.0, True), some_pictures(1, 30)),
    "sounds": (lambda: Scaled(Sound("x", 8000)), some_rows(1, 3000, 1, np.int16)),
    "sounds for trees": (lambda: Sound("x", 8000), some_rows(1, 3000, 1, np.int16)),
    "sequences": (lambda: Scaled(Sequence("x", 3)), some_rows(1, 40, 3, np.float32)),
    "sequences for trees": (lambda: Sequence("x", 3), some_rows(1, 40, 3, np.float32)),
    "one channel": (lambda: Scaled(Sequence("x", 1)), some_rows(24, 25, 1, np.float32)),
    "many channels": (lambda: Scaled(Sequence("x", 14)), some_rows(1, 9, 14, np.float32)),
}
FOR_TREES = [name for name in CASES if "trees" in name]


def fitted(name: str) -> tuple[Block, Column]:
    make, column = CASES[name]
    block = make()
    block.fit(column, NONE, 0)
    return block, column


@pytest.mark.parametrize("name", CASES)
def test_features_are_dense_float32_with_a_name_each(name: str) -> None:
    block, column = fitted(name)
    found = block.transform(column)
    assert found.dtype == np.float32
    assert found.shape == (ROWS, block.width)
    assert len(set(block.names)) == block.width
    assert not block.sparse
    assert block.levels == (0,) * block.width


@pytest.mark.parametrize("name", CASES)
def test_only_trees_see_that_a_value_is_missing_as_nan(name: str) -> None:
    block, column = fitted(name)
    lost = np.isnan(block.transform(column))
    expected = np.zeros_like(lost)
    expected[LOST] = name in FOR_TREES
    np.testing.assert_array_equal(lost, expected)


@pytest.mark.parametrize("name", CASES)
def test_a_restored_block_gives_the_same_features(name: str) -> None:
    block, column = fitted(name)
    other = CASES[name][0]()
    other.restore(block.parts())
    assert other.names == block.names
    np.testing.assert_array_equal(other.transform(column), block.transform(column))


@pytest.mark.parametrize("name", CASES)
def test_a_row_has_the_same_features_in_any_company(name: str) -> None:
    block, column = fitted(name)
    whole = block.transform(column)
    order = np.random.default_rng(3).permutation(ROWS)
    np.testing.assert_allclose(block.transform(column.take(order)), whole[order], atol=2e-4, rtol=1e-4)
    np.testing.assert_allclose(block.transform(column.take(slice(7, 9))), whole[7:9], atol=2e-4, rtol=1e-4)
    assert block.transform(column.take(slice(0, 0))).shape == (0, block.width)


@pytest.mark.parametrize("name", CASES)
def test_features_do_not_depend_on_how_much_is_worked_on_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    block, column = fitted(name)
    whole = block.transform(column)
    monkeypatch.setattr(images, "CHUNK_VALUES", 700)
    monkeypatch.setattr(audio, "CHUNK_SAMPLES", 2500)
    monkeypatch.setattr(sequences, "CHUNK_STEPS", 60)
    np.testing.assert_allclose(block.transform(column), whole, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in CASES if name not in FOR_TREES])
def test_scaled_features_are_centred_and_of_one_size(name: str) -> None:
    block, column = fitted(name)
    found = np.delete(block.transform(column), LOST, axis=0)
    inner = found[:, [not each.endswith("is missing") for each in block.names]]
    assert np.abs(inner.mean(axis=0)).max() < 0.6
    assert 0.5 < inner.std() < 1.5
    assert np.abs(inner).max() < 12


@pytest.mark.parametrize("name", CASES)
def test_training_rows_without_any_value_give_features_all_the_same(name: str) -> None:
    make, column = CASES[name]
    empty = column.take(np.full(3, LOST))
    block = make()
    block.fit(empty, np.zeros(3), 0)
    found = block.transform(column)
    assert found.shape == (ROWS, block.width)
    assert np.isfinite(np.delete(found, LOST, axis=0)).all()


def test_a_channel_without_any_value_is_nan_and_the_others_are_not() -> None:
    column = some_rows(10, 20, 3, np.float32)
    column.values[column.offsets[2] : column.offsets[3], 1] = np.nan
    block = Sequence("x", 3)
    found = block.transform(column)[2]
    about = [
        ("channel 2:" in name or "channels 1 and 2:" in name or "channels 2 and 3:" in name) for name in block.names
    ]
    np.testing.assert_array_equal(np.isnan(found), about)
    assert 0 < sum(about) < len(about)


def test_the_flavours_of_a_mixed_table_hold_every_medium() -> None:
    table = Table({name: CASES[name][1] for name in ("small pictures", "sounds", "sequences")})
    columns = (
        ColumnSpec("small pictures", "image", shape=(8, 8, 1)),
        ColumnSpec("sounds", "audio", rate=8000, channels=1),
        ColumnSpec("sequences", "sequence", channels=3),
    )
    spec = Spec(columns, TaskSpec("regression", "y", "r2", "higher"), ROWS)
    for flavour in ("scaled", "raw"):
        features = Features(spec, flavour)
        features.fit(table, NONE)
        found = features.transform(table)
        assert found.shape == (ROWS, len(features.names))
        assert np.isfinite(found).all() == (flavour == "scaled")


@pytest.mark.parametrize("samples", [np.zeros(4000), np.full(4000, 9000), np.array([7])])
def test_silence_a_constant_and_a_single_sample_are_sounds(samples: np.ndarray) -> None:
    column = Ragged(samples.astype(np.int16)[:, None], np.array([0, len(samples)]))
    assert np.isfinite(Sound("x", 8000).transform(column)).all()


def test_a_sound_is_told_apart_from_itself_played_backwards_but_not_from_itself_played_louder() -> None:
    times = np.arange(4000) / 8000
    sweep = np.sin(2 * np.pi * (300 + 2500 * times) * times).astype(np.float32) * 0.2

    def features(sound: np.ndarray) -> np.ndarray:
        return Sound("x", 8000).transform(Ragged(sound[:, None], np.array([0, len(sound)])))[0]

    assert np.abs(features(sweep * 3) - features(sweep)).max() < 0.05
    assert np.abs(features(sweep[::-1]) - features(sweep)).max() > 2


def test_fast_and_slow_changes_are_told_apart_in_long_rows() -> None:
    rng, steps = np.random.default_rng(0), 2000
    period = np.repeat([4, 8], 20)
    waves = np.sin(2 * np.pi * (np.arange(steps) / period[:, None] + rng.random((40, 1))))
    column = Ragged(waves.astype(np.float32).reshape(-1, 1), np.arange(41) * steps)
    block = Sequence("x", 1)
    place = block.names.index("x: autocorrelation 4")
    np.testing.assert_allclose(block.transform(column)[:, place], np.where(period == 4, 1, -1), atol=0.01)


def accuracy(kind: ColumnSpec, train: tuple[Column, np.ndarray], test: tuple[Column, np.ndarray]) -> float:
    from sklearn.linear_model import LogisticRegression

    labels, codes = np.unique(train[1], return_inverse=True)
    task = TaskSpec("classification", "y", "accuracy", "higher", tuple(map(str, labels)))
    features = Features(Spec((kind,), task, len(codes)), "scaled")
    features.fit(Table({"x": train[0]}), codes)
    model = LogisticRegression(C=0.03, max_iter=500).fit(features.transform(Table({"x": train[0]})), codes)
    return float(np.mean(labels[model.predict(features.transform(Table({"x": test[0]})))] == test[1]))


def test_a_linear_model_reads_digits_of_8_by_8_pixels() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images * 255 / 16).astype(np.uint8)[..., None]
    column = Images(pixels, np.ones(len(pixels), dtype=np.bool_))
    parts = [(column.take(rows), digits.target[rows]) for rows in (slice(0, 1200), slice(1200, None))]
    assert accuracy(ColumnSpec("x", "image", shape=(8, 8, 1)), *parts) >= 0.95


@pytest.mark.parametrize(("name", "least"), [("JapaneseVowels", 0.95), ("ItalyPowerDemand", 0.93)])
def test_a_linear_model_tells_real_sequences_apart(name: str, least: float, shared_data: Path) -> None:
    with np.load(shared_data / "series" / f"{name}.npz") as arrays:
        parts = [(arrays[f"x_{part}"].astype(np.float32), arrays[f"y_{part}"]) for part in ("train", "test")]
    rows = [[row[:, ~np.isnan(row).all(axis=0)].T for row in values] for values, _ in parts]
    columns = [Ragged(np.concatenate(each), np.cumsum([0, *map(len, each)])) for each in rows]
    kind = ColumnSpec("x", "sequence", channels=columns[0].values.shape[1])
    assert accuracy(kind, *((column, part[1]) for column, part in zip(columns, parts, strict=True))) >= least


def test_a_linear_model_understands_digits_of_an_unseen_speaker(shared_data: Path) -> None:
    import soundfile

    def sounds(speaker: str) -> tuple[list[np.ndarray], list[str]]:
        files = [shared_data / "spoken-digits" / f"{digit}_{speaker}_{take}.wav" for digit, take in every]
        return [soundfile.read(file, dtype="int16")[0] for file in files], [digit for digit, _ in every]

    every = list(itertools.product("0123456789", range(10, 22)))
    known = [sounds(speaker) for speaker in ("jackson", "lucas", "nicolas")]
    train, test = [list(itertools.chain.from_iterable(each)) for each in zip(*known, strict=True)], sounds("george")
    columns = [Ragged(np.concatenate(each)[:, None], np.cumsum([0, *map(len, each)])) for each in (train[0], test[0])]
    kind = ColumnSpec("x", "audio", rate=8000, channels=1)
    assert accuracy(kind, (columns[0], np.array(train[1])), (columns[1], np.array(test[1]))) >= 0.7
