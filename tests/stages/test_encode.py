"""Tables as arrays: scales, levels, words, pictures, sounds and sequences, fitted on training rows only."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yunti.data.encode import Encoder, Reading, shrink
from yunti.data.scaling import Scaler, quantile_edges
from yunti.data.spectrogram import log_mel, mel_filters
from yunti.data.table import Categories, Images, Numbers, Ragged, Table, Texts
from yunti.data.tokens import PADDING, UNKNOWN, Tokeniser, lengths_percentile, words_of
from yunti.specs import ColumnSpec

DAY = 86_400.0


def numbers(*values: float) -> Table:
    return Table({"x": Numbers(np.array(values))})


def scaled(train: Table, kind="number", new: Table | None = None) -> np.ndarray:
    scaler = Scaler([ColumnSpec("x", kind)])
    scaler.fit(train)
    return scaler.apply(new or train)


def test_numbers_are_centred_on_the_median_and_divided_by_the_quartile_range():
    out = scaled(numbers(0, 1, 2, 3, 4))
    z = (np.arange(5) - 2) / 2
    np.testing.assert_allclose(out[:, 0], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6)


def test_extreme_values_are_clipped_softly():
    out = scaled(numbers(0, 1, 2, 3, 4), new=numbers(1e30, -1e30))
    np.testing.assert_allclose(out[:, 0], [3, -3], rtol=1e-5)


def test_missing_numbers_become_the_median_and_a_flag():
    out = scaled(numbers(0, np.nan, 2, 4))
    assert out.shape == (4, 2)
    assert out[1].tolist() == [0, 1]
    assert out[:, 1].tolist() == [0, 1, 0, 0]


def test_a_number_that_misses_only_in_new_rows_has_no_flag():
    assert scaled(numbers(0, 1, 2), new=numbers(np.nan, np.inf)).tolist() == [[0], [0]]


def test_a_constant_number_and_an_empty_one_become_zero():
    assert scaled(numbers(7, 7, 7)).tolist() == [[0], [0], [0]]
    assert scaled(numbers(np.nan, np.nan))[:, 0].tolist() == [0, 0]


def test_flags_lie_on_both_sides_of_zero():
    out = scaled(numbers(0, 1, 1), kind="flag")
    assert out[0, 0] < 0 < out[1, 0]


def test_a_time_tells_the_cycles_in_which_rows_differ():
    weeks = scaled(numbers(*(day * DAY for day in range(30))), kind="time")
    assert weeks.shape == (30, 1 + 2)  # the line of time and the week; always midnight, less than half a year
    hours = scaled(numbers(*(hour * 3600.0 for hour in range(48))), kind="time")
    assert hours.shape == (48, 1 + 2)  # the line of time and the day
    years = scaled(numbers(*(hour * 3600.0 * 7 for hour in range(2000))), kind="time")
    assert years.shape == (2000, 1 + 6)
    np.testing.assert_allclose(years[:, 1] ** 2 + years[:, 2] ** 2, 1, rtol=1e-5)


def test_quantile_edges_ascend_and_repeat_the_last_where_values_are_few():
    features = np.stack([np.arange(1000), np.arange(1000) % 3, np.zeros(1000)], axis=1).astype(np.float32)
    edges = quantile_edges(features, 4)
    np.testing.assert_allclose(edges[0], [0, 249.75, 499.5, 749.25, 999])
    assert edges[1].tolist() == [0, 1, 2, 2, 2]
    assert edges[2].tolist() == [0] * 5


def test_words_are_lower_case_and_ideographs_stand_alone():
    assert words_of("Hello, 世界!  naïve_x 3.14") == ["hello", ",", "世", "界", "!", "naïve", "_", "x", "3", ".", "14"]
    assert words_of("") == []


def test_frequent_words_stay_whole_and_rare_ones_fall_into_pieces():
    tokeniser = Tokeniser.fit(["network network cable", "network cable", "networking unbelievable"] * 3, 200)
    whole = tokeniser.tokens("network", 9)
    assert len(whole) == 1
    rare = tokeniser.tokens("networkable", 12)
    assert len(rare) > 1
    assert UNKNOWN not in rare
    assert tokeniser.tokens("Ω", 9) == [UNKNOWN]


def test_a_long_text_keeps_its_beginning_and_its_end():
    tokeniser = Tokeniser.fit(["a b c d e f g h"] * 2, 100)
    every = tokeniser.tokens("a b c d e f g h", 100)
    assert tokeniser.tokens("a b c d e f g h", 4) == [*every[:3], every[-1]]


def test_texts_without_spaces_are_cut_into_characters():
    tokeniser = Tokeniser.fit(["今天天气很好", "天气不好"], 100)
    encoded = tokeniser.encode(["天气", "", "好天"], 10)
    assert encoded.lengths.tolist() == [2, 0, 2]
    assert set(encoded.row(0)) <= set(range(2, tokeniser.size))
    assert encoded.values[1] != encoded.values[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=8), st.integers(20, 300), st.integers(1, 40))
def test_any_text_gives_known_tokens(texts, size, longest):
    tokeniser = Tokeniser.fit(texts, size)
    encoded = tokeniser.encode([*texts, "something else 另外"], longest)
    assert encoded.lengths.max() <= longest
    assert ((encoded.values > PADDING) & (encoded.values < tokeniser.size)).all()
    again = Tokeniser(tokeniser.words, tokeniser.pieces).encode([*texts, "something else 另外"], longest)
    np.testing.assert_array_equal(again.values, encoded.values)


def test_the_vocabulary_keeps_to_its_size():
    tokeniser = Tokeniser.fit([f"word{number} word{number}" for number in range(500)], 100)
    assert tokeniser.size <= 100


def test_percentile_of_lengths_is_at_least_one():
    assert lengths_percentile(Ragged(np.zeros(0, dtype=np.int32), np.zeros(3, dtype=np.int64)), 98) == 1


def test_mel_filters_cover_every_bin_between_the_ends():
    filters = mel_filters(8000, 256, 20)
    assert filters.shape == (129, 20)
    assert (filters.sum(axis=0) > 0).all()
    peaks = filters.argmax(axis=0)
    assert (np.diff(peaks) >= 0).all()


@pytest.mark.parametrize("loudness", [0.9, 0.01])
def test_a_spectrogram_shows_which_tone_comes_when_and_not_how_loud_it_is_or_how_long_it_was_quiet(loudness):
    time = np.arange(4000) / 8000
    first, second = np.sin(2 * np.pi * 500 * time), np.sin(2 * np.pi * 2000 * time)
    wave = np.where(time < 0.2, 0.0, np.where(time < 0.35, first, second)) * loudness
    sound = Ragged((wave[:, None] * 32767).astype(np.int16), np.array([0, 4000, 4000]))
    frames = log_mel(sound, 8000, 24, 0.01)
    assert 29 <= frames.lengths[0] <= 32  # 0.2 s of quiet are cut off; windows reach over its end
    assert frames.lengths[1] == 0
    values = frames.values.astype(np.float32)
    low, high = values[:10].mean(axis=0).argmax(), values[-10:].mean(axis=0).argmax()
    assert low < high
    assert values[:10, low].min() > values[-10:, low].max()
    np.testing.assert_allclose(values.mean(), 0, atol=0.01)
    np.testing.assert_allclose(values.std(), 1, atol=0.02)


def test_a_steady_tone_can_be_told_from_another():
    time = np.arange(2000) / 8000
    tones = [np.sin(2 * np.pi * pitch * time) for pitch in (500, 2000)]
    samples = (np.concatenate(tones)[:, None] * 20000).astype(np.int16)
    frames = log_mel(Ragged(samples, np.array([0, 2000, 4000])), 8000, 24, 0.01)
    first, second = (frames.row(place).mean(axis=0) for place in range(2))
    assert first.argmax() < second.argmax()


def test_pictures_are_averaged_down_and_not_copied_where_they_fit():
    pixels = np.zeros((3, 8, 8, 1), dtype=np.uint8)
    pixels[:, :4] = 200
    assert shrink(pixels, (8, 8)) is pixels
    assert shrink(pixels, (2, 2))[0, :, :, 0].tolist() == [[200, 200], [0, 0]]


def mixed_table(rows: int, seed: int = 0) -> Table:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 9, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    steps = random.normal(5, 2, (offsets[-1], 2)).astype(np.float32)
    steps[0] = np.nan
    return Table(
        {
            "n": Numbers(random.normal(0, 1, rows).astype(np.float32)),
            "c": Categories(random.integers(-1, 3, rows).astype(np.int32), ("red", "green", "rare")),
            "t": Texts(pa.array([f"word {number % 3}" for number in range(rows)], pa.large_string())),
            "t2": Texts(pa.array([None] * rows, pa.large_string())),
            "i": Images(random.integers(0, 255, (rows, 100, 50, 3)).astype(np.uint8), np.ones(rows, dtype=bool)),
            "a": Ragged(
                random.integers(-999, 999, (rows * 900, 1)).astype(np.int16), np.arange(rows + 1, dtype=np.int64) * 900
            ),
            "s": Ragged(steps, offsets),
            "k": Categories(np.arange(rows, dtype=np.int32), tuple(str(number) for number in range(rows))),
        }
    )


COLUMNS = (
    ColumnSpec("n", "number"),
    ColumnSpec("c", "category"),
    ColumnSpec("t", "text"),
    ColumnSpec("t2", "text"),
    ColumnSpec("i", "image", shape=(100, 50, 3)),
    ColumnSpec("a", "audio", rate=8000, channels=1),
    ColumnSpec("s", "sequence", channels=2),
    ColumnSpec("k", "id"),
)


def test_every_kind_is_encoded_and_comes_back_from_json():
    encoder = Encoder(COLUMNS, Reading(side=50, bands=16))
    encoder.fit(mixed_table(40))
    assert encoder.number_width == 1
    encoded = encoder.encode(mixed_table(12, seed=1))
    assert {name: len(values) for name, values in encoded.items()} == dict.fromkeys(
        ("numbers", "categories", "text.2", "text.3", "image.4", "audio.5", "sequence.6"), 12
    )
    assert encoded["image.4"].shape == (12, 50, 25, 3)
    assert encoded["audio.5"].values.shape[1] == 16
    assert np.isfinite(encoded["sequence.6"].values).all()
    assert abs(encoded["sequence.6"].values.mean()) < 0.5

    copy = Encoder(COLUMNS, Reading())
    copy.restore(encoder.arrays(), json.loads(json.dumps(encoder.facts())))
    for name, values in copy.encode(mixed_table(12, seed=1)).items():
        wanted = encoded[name]
        if isinstance(values, Ragged):
            np.testing.assert_array_equal(values.values, wanted.values)
            np.testing.assert_array_equal(values.offsets, wanted.offsets)
        else:
            np.testing.assert_array_equal(values, wanted)


def test_levels_are_known_by_name_and_rare_or_unknown_ones_are_code_zero():
    train = Table({"c": Categories(np.array([0, 0, 1, 1, 2], dtype=np.int32), ("red", "green", "rare"))})
    encoder = Encoder([ColumnSpec("c", "category")], Reading())
    encoder.fit(train)
    assert encoder.cardinalities == (3,)
    new = Table({"c": Categories(np.array([0, 1, 2, -1], dtype=np.int32), ("green", "rare", "blue"))})
    codes = encoder.encode(new)["categories"][:, 0]
    assert codes[0] > 0
    assert codes[1:].tolist() == [0, 0, 0]


def test_a_slice_of_sequences_is_encoded_like_the_whole():
    table = mixed_table(20)
    encoder = Encoder([ColumnSpec("s", "sequence", channels=2)], Reading(steps=3))
    encoder.fit(table)
    assert encoder.streams[0].stride > 1
    whole = encoder.encode(table)["sequence.0"]
    part = encoder.encode(table.take(slice(5, 9)))["sequence.0"]
    for row in range(4):
        np.testing.assert_allclose(part.row(row), whole.row(5 + row), rtol=1e-6)


def test_neighbouring_steps_are_averaged_within_a_row():
    values = np.array([[1.0], [3.0], [10.0], [20.0], [40.0], [np.nan], [7.0]], dtype=np.float32)
    table = Table({"s": Ragged(values, np.array([0, 3, 7]))})
    encoder = Encoder([ColumnSpec("s", "sequence", channels=1)], Reading(steps=2))
    encoder.fit(table)
    stream = encoder.streams[0]
    assert stream.stride == 2
    encoded = encoder.encode(table)["sequence.0"]
    raw = encoded.values[:, 0] * stream.deviation[0] + stream.mean[0]
    assert encoded.offsets.tolist() == [0, 2, 4]
    np.testing.assert_allclose(raw, [2, 10, 30, 7], rtol=1e-5)
