"""Features of pictures, sounds and sequences against other implementations, closed forms and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.stats

from yunti.data.table import Ragged
from yunti.models.features import audio, images, sequences

SIGNED = 18


def pictures(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def ragged(*rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.concatenate([np.reshape(row, (len(row), -1)) for row in rows]).astype(np.float32)
    return values, np.cumsum([0, *(len(row) for row in rows)])


# Pictures


@pytest.mark.parametrize(("turn", "place"), [(0, 0), (1, 4.5), (2, 9), (3, 13.5)])
def test_a_ramp_votes_for_its_own_direction(turn: int, place: float) -> None:
    ramp = np.tile(np.arange(12, dtype=np.float32) / 12, (12, 1))
    ramp = {0: ramp, 1: ramp.T, 2: ramp[:, ::-1], 3: ramp.T[::-1]}[turn]
    histogram = images.cell_histograms(ramp[None, :, :, None], 4)[0, 1, 1]
    expected = np.zeros(SIGNED)
    share = place - int(place)
    expected[int(place)], expected[(int(place) + 1) % SIGNED] = 1 - share, share
    np.testing.assert_allclose(histogram / histogram.sum(), expected, atol=1e-5)


def test_histograms_agree_with_a_plain_loop_over_pixels() -> None:
    picture, side = pictures(9, 10), 3
    padded = np.pad(picture, 1, mode="edge").astype(np.float64)
    expected = np.zeros((3, 4, SIGNED))
    for y in range(9):
        for x in range(10):
            down = (padded[y + 2, x + 1] - padded[y, x + 1]) / 2
            right = (padded[y + 1, x + 2] - padded[y + 1, x]) / 2
            angle = np.arctan2(down, right) % (2 * np.pi) * SIGNED / (2 * np.pi)
            low, share = int(angle), angle - int(angle)
            for cell_y in range(3):
                for cell_x in range(4):
                    near_y = max(0.0, 1 - abs(y - (cell_y * side + 1)) / side)
                    near_x = max(0.0, 1 - abs(x - (cell_x * side + 1)) / side)
                    vote = np.hypot(down, right) * near_y * near_x
                    expected[cell_y, cell_x, low % SIGNED] += vote * (1 - share)
                    expected[cell_y, cell_x, (low + 1) % SIGNED] += vote * share
    found = images.cell_histograms(picture[None, :, :, None], side)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_hog_agrees_with_a_plain_loop_over_cells_and_blocks() -> None:
    picture = pictures(1, 12, 12, 1)
    signed = images.cell_histograms(picture, 4)[0].astype(np.float64)
    both = np.concatenate([signed, signed[..., :9] + signed[..., 9:]], axis=-1)
    expected = []
    for y in range(3):
        for x in range(3):
            average, texture = np.zeros(27), []
            for up in (-1, 0):
                for left in (-1, 0):
                    corners = [(y + up + a, x + left + b) for a in (0, 1) for b in (0, 1)]
                    block = [signed[min(2, max(0, p)), min(2, max(0, q))] for p, q in corners]
                    relative = np.minimum(both[y, x] / np.sqrt(np.sum(np.square(block)) + 1e-3), 0.2)
                    average += relative / 4
                    texture.append(relative[:18].mean())
            expected.append([*average, *texture])
    np.testing.assert_allclose(images.hog(picture, 4)[0], np.ravel(expected), atol=1e-5)


def test_gradients_do_not_know_brightness_and_hardly_contrast() -> None:
    picture = pictures(2, 16, 16, 1)
    np.testing.assert_allclose(images.hog(picture + 0.5, 4), images.hog(picture, 4), atol=1e-4)
    np.testing.assert_allclose(images.hog(picture * 3, 4), images.hog(picture, 4), atol=5e-3)


def test_cells_are_the_same_for_a_negative_and_blocks_are_not() -> None:
    picture = pictures(2, 16, 16, 1)
    np.testing.assert_allclose(images.cells(1 - picture, 4), images.cells(picture, 4), atol=1e-4)
    assert np.abs(images.hog(1 - picture, 4) - images.hog(picture, 4)).max() > 0.05


def test_of_several_channels_the_one_that_changes_most_counts() -> None:
    weak, strong = pictures(1, 8, 8, 1) * 0.1, pictures(1, 8, 8, 1, seed=1)
    strong = np.cumsum(strong, axis=2)  # rises everywhere, faster than the other can
    for found, expected in zip(
        images.gradients(np.concatenate([weak, strong], axis=-1)), images.gradients(strong), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_shrinking_averages_whole_squares() -> None:
    picture = pictures(3, 32, 28, 2)
    expected = picture.reshape(3, 16, 2, 14, 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(images.shrink(picture), expected.reshape(3, -1), atol=1e-6)


def test_shrinking_keeps_the_mean_where_squares_do_not_fit() -> None:
    picture = pictures(3, 37, 37, 1)
    np.testing.assert_allclose(images.shrink(picture).mean(axis=1), picture.mean(axis=(1, 2, 3)), atol=1e-5)


def test_colours_of_a_picture_made_by_hand() -> None:
    pixels = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    pixels[0, 0, :, 0] = 255
    found = images.colours(pixels)[0].reshape(10, 3)
    np.testing.assert_allclose(found[0], [0.5, 1, 1])  # darkest eighth
    np.testing.assert_allclose(found[7], [0.5, 0, 0])  # brightest eighth
    np.testing.assert_allclose(found[8:], [[0.5, 0, 0], [0.5, 0, 0]], atol=1e-6)


# Sounds


@pytest.mark.parametrize("inputs", [8, 26])
def test_the_cosine_transform_is_that_of_scipy(inputs: int) -> None:
    values = pictures(5, inputs)
    expected = scipy.fft.dct(values, type=2, norm="ortho", axis=1)[:, :13]
    np.testing.assert_allclose(values @ audio.cosines(inputs, min(13, inputs)), expected, atol=1e-5)


def test_log_mel_agrees_with_a_plain_loop_over_frames() -> None:
    from yunti.data.spectrogram import mel_filters

    rate, rng = 8000, np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, length).astype(np.float32) for length in (1000, 150, 433)]
    values, offsets = ragged(*sounds)
    found, frames = audio.log_mel(values[:, 0], offsets, rate)
    expected = []
    for sound in sounds:
        sharp = sound - 0.97 * np.concatenate([sound[:1], sound[:-1]])
        for start in range(0, max(1, len(sound) - 199), 80):
            cut = np.zeros(200)
            piece = sharp[start : start + 200]
            cut[: len(piece)] = piece
            power = np.abs(np.fft.rfft(cut * np.hamming(200), 256)) ** 2
            expected.append(np.log(power @ mel_filters(rate, 256, audio.FILTERS) + 1e-10))
    assert np.diff(frames).tolist() == [11, 1, 3]
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_frames_do_not_depend_on_how_many_are_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    whole, _ = audio.log_mel(values, np.array([0, 8000]), 8000)
    monkeypatch.setattr(audio, "FRAMES_AT_ONCE", 7)
    np.testing.assert_array_equal(audio.log_mel(values, np.array([0, 8000]), 8000)[0], whole)


def test_spectral_shape_of_noise_and_of_a_single_band() -> None:
    flat, peak = np.zeros((1, 20), dtype=np.float32), np.full((1, 20), -40.0, dtype=np.float32)
    peak[0, 7] = 0
    centroid, spread, flatness, roll_off = audio.spectral_shape(flat)[0]
    np.testing.assert_allclose([centroid, spread, flatness], [9.5, np.arange(20).std(), 1], rtol=1e-5)
    assert roll_off in (16, 17)  # 17 of 20 equal shares are 85 %, up to rounding
    np.testing.assert_allclose(audio.spectral_shape(peak)[0], [7, 0, 0, 7], atol=1e-3)


def test_silence_at_both_ends_is_left_out_and_silence_within_stays() -> None:
    energies = np.full((10, 4), -20.0, dtype=np.float32)
    energies[[3, 6]] = 0
    energies[8:] = 5  # another sound, loud throughout
    kept, frames = audio.trim(energies, np.array([0, 8, 10]))
    assert frames.tolist() == [0, 4, 6]
    np.testing.assert_array_equal(kept, energies[[3, 4, 5, 6, 8, 9]])


def test_features_of_a_sound_agree_with_numpy_by_their_names() -> None:
    rng = np.random.default_rng(3)
    sounds = [rng.normal(0, 1, n) * np.hanning(n) * rng.uniform(500, 9000) for n in (2400, 1720)]
    column = Ragged(np.concatenate(sounds).astype(np.int16)[:, None], np.cumsum([0, *map(len, sounds)]))
    block = audio.Sound("x", 8000)
    values = np.asarray(column.values[:, 0] / 32768, dtype=np.float32)
    energies, frames = audio.trim(*audio.log_mel(values, column.offsets, 8000))
    for index, found in enumerate(block.transform(column)):
        told = dict(zip((name.removeprefix("x: ") for name in block.names), found, strict=True))
        mine = energies[frames[index] : frames[index + 1]].astype(np.float64)
        cepstra = scipy.fft.dct(mine, norm="ortho", axis=1)[:, :13]
        normal = (cepstra - cepstra.mean(axis=0)) / cepstra.std(axis=0)
        decibels = 10 * np.log10(np.exp(mine).sum(axis=1))
        decibels -= decibels.max()
        stretch = len(mine) / 8
        weight = np.clip(np.minimum(np.arange(len(mine)) + 1, stretch) - np.arange(len(mine)), 0, None) / stretch
        expected = {
            "seconds": len(mine) * 0.01,
            "coefficient 3: mean": cepstra[:, 3].mean(),
            "coefficient 0: deviation": cepstra[:, 0].std(),
            "coefficient 2: least": normal[:, 2].min(),
            "coefficient 5: mean change": np.abs(np.diff(normal[:, 5])).mean(),
            "coefficients 0 and 1: correlation": np.corrcoef(cepstra[:, 0], cepstra[:, 1])[0, 1],
            "coefficients 4 and 12: correlation": np.corrcoef(cepstra[:, 4], cepstra[:, 12])[0, 1],
            "coefficient 1: stretch 1 of 8": weight @ cepstra[:, 1],
            "loudness: stretch 1 of 8": weight @ decibels,
            "roll-off: stretch 1 of 8": weight @ audio.spectral_shape(mine.astype(np.float32))[:, 3],
        }
        for name, value in expected.items():
            assert told[name] == pytest.approx(value, rel=2e-3, abs=2e-3), name


# Sequences


def lag_correlation(row: np.ndarray, lag: int) -> float:
    centred = row - row.mean()
    return float((centred[:-lag] * centred[lag:]).sum() / (centred**2).sum()) if len(row) > lag else 0.0


@pytest.mark.parametrize("lengths", [(24, 24, 24), (5, 40, 1, 17)])
def test_statistics_agree_with_numpy_row_by_row(lengths: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    rows = [np.cumsum(rng.normal(3, 1, (length, 2)), axis=0) for length in lengths]
    values, offsets = ragged(*rows)
    found = sequences.statistics(values, offsets)
    for index in range(len(rows)):
        for channel in range(2):
            row = values[offsets[index] : offsets[index + 1], channel].astype(np.float64)
            told = dict(zip(sequences.STATISTICS, found[index, :, channel], strict=True))
            expected = {
                "mean": row.mean(), "deviation": row.std(), "least": row.min(), "most": row.max(),
                "median": np.sort(row)[int(np.rint((len(row) - 1) / 2))], "first": row[0], "last": row[-1],
            } | {f"autocorrelation {lag}": lag_correlation(row, lag) for lag in (2, 4, 8, 16)}  # fmt: skip
            if len(row) > 1:
                change, centred = np.diff(row), row - row.mean()
                times = (np.arange(len(row)) + 0.5) / len(row)
                expected |= {
                    "slope": np.polyfit(times, row, 1)[0],
                    "mean change": np.abs(change).mean(),
                    "deviation of changes": np.sqrt((change**2).mean()),
                    "crossings of the mean": (centred[1:] * centred[:-1] < 0).mean(),
                    "autocorrelation": lag_correlation(row, 1),
                }
            for name, value in expected.items():
                assert told[name] == pytest.approx(value, rel=1e-4, abs=1e-4), name


def test_curvature_of_a_parabola_and_of_a_line() -> None:
    times = (np.arange(400) + 0.5) / 200 - 1  # -1 to 1, the domain of Legendre polynomials
    values, offsets = ragged(3 * (1.5 * times**2 - 0.5) + 2 * times, 5 * times)
    found = sequences.statistics(values, offsets)[:, sequences.STATISTICS.index("curvature"), 0]
    np.testing.assert_allclose(found, [3, 0], atol=1e-3)


def test_stretches_share_the_steps_between_them() -> None:
    values, offsets = ragged(np.arange(6), np.array([1.0, 4.0]), np.array([7.0]))
    found = sequences.segments(values, offsets, 3)[..., 0]
    np.testing.assert_allclose(found, [[0.5, 2.5, 4.5], [1, 2.5, 4], [7, 7, 7]], atol=1e-6)


@pytest.mark.parametrize(("cycles", "octave"), [(1, 0), (2, 1), (3, 2), (6, 3), (12, 4)])
def test_a_wave_has_its_energy_in_its_octave(cycles: int, octave: int) -> None:
    wave = 40 * np.sin(2 * np.pi * cycles * np.arange(32) / 32)[None, :, None]
    found = np.exp(sequences.bands(wave.astype(np.float32))[0, :, 0])
    np.testing.assert_allclose(found, np.arange(5) == octave, atol=1e-5)


def test_correlations_are_those_of_pearson() -> None:
    rng = np.random.default_rng(2)
    rows = [rng.normal(0, 1, (length, 3)) @ rng.normal(0, 1, (3, 3)) for length in (30, 9)]
    values, offsets = ragged(*rows)
    expected = [
        [scipy.stats.pearsonr(row[:, i], row[:, j]).statistic for i, j in ((0, 1), (0, 2), (1, 2))] for row in rows
    ]
    np.testing.assert_allclose(sequences.correlations(values, offsets), expected, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.1, 1e6, -3e-7])
def test_a_constant_row_correlates_with_nothing(level: float) -> None:
    values, offsets = ragged(np.stack([np.full(37, level), np.arange(37)], axis=1))
    assert sequences.correlations(values, offsets).tolist() == [[0.0]]
    told = dict(zip(sequences.STATISTICS, sequences.statistics(values, offsets)[0, :, 0], strict=True))
    assert [told[name] for name in ("autocorrelation", "autocorrelation 8", "crossings of the mean")] == [0, 0, 0]


def test_gaps_are_filled_with_the_mean_of_their_row_and_channel() -> None:
    nan = np.nan
    values = np.array([[1, nan], [nan, nan], [3, nan], [5, 6]], dtype=np.float32)
    present, filled, offsets, known = sequences.filled(Ragged(values, np.array([0, 3, 3, 4])))
    assert present.tolist() == [0, 2]
    assert offsets.tolist() == [0, 3, 4]
    assert known.tolist() == [[True, False], [True, True]]
    np.testing.assert_array_equal(filled, [[1, 0], [2, 0], [3, 0], [5, 6]])
