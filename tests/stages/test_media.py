"""Pictures and sounds of every sort, and what becomes of those that cannot be read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from raws import found, looked, prepared, raw_of, write_csv
from yunti.data import audio, images
from yunti.data.kinds import find_kinds
from yunti.data.media import in_parallel
from yunti.data.parse import complete, read_column, table_from_raw
from yunti.data.store import part_path
from yunti.data.table import Images, Ragged
from yunti.errors import SourceError
from yunti.specs import ColumnSpec


def picture(seed: int, height: int = 16, width: int = 16, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.generic]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    squeezed = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    Image.fromarray(squeezed).save(path)
    return path.name


def decoded(files: list[Path | bytes | None], shape: tuple[int, int, int], white: int = 255) -> NDArray[np.uint8]:
    pixels = np.zeros((len(files), *shape), dtype=np.uint8)
    assert images.decode(files, pixels, {"white": white}, lambda _: None) == {}
    return pixels


def test_pictures_of_one_size_come_back_exactly(tmp_path: Path) -> None:
    files = [tmp_path / save(tmp_path / f"{seed}.png", picture(seed, 12, 20)) for seed in range(130)]
    shape, parsing = images.measure(files)
    assert (shape, parsing) == ((12, 20, 3), {})
    np.testing.assert_array_equal(decoded(list(files), shape), np.stack([picture(seed, 12, 20) for seed in range(130)]))


def test_grey_pictures_keep_one_channel(tmp_path: Path) -> None:
    files = [tmp_path / save(tmp_path / f"{seed}.pgm", picture(seed, 9, 7, 1)) for seed in range(3)]
    assert images.measure(files)[0] == (9, 7, 1)
    mixed = [*files, tmp_path / save(tmp_path / "coloured.png", picture(4, 9, 7))]
    assert images.measure(mixed)[0] == (9, 7, 3)


def test_pictures_of_many_sizes_become_squares() -> None:
    assert images.common_size([(20, 30), (40, 50), (60, 60)]) == (40, 40)
    assert images.common_size([(2000, 3000)] * 2) == (160, 160)
    assert images.common_size([(2000, 3000), (100, 100), (90, 150)]) == (112, 112)
    assert images.common_size([(5, 5), (6, 6)]) == (8, 8)
    assert images.common_size([]) == (128, 128)


def test_orientation_of_photographs(tmp_path: Path) -> None:
    upright = picture(0, 8, 16, 1)[..., 0]
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the viewer must turn the picture by 90 degrees clockwise
    path = tmp_path / "turned.png"
    Image.fromarray(upright).save(path, exif=exif)
    assert images.measure([path])[0] == (16, 8, 1)
    np.testing.assert_array_equal(decoded([path], (16, 8, 1))[0, ..., 0], np.rot90(upright, -1))


def test_palettes_transparency_and_depth(tmp_path: Path) -> None:
    colours = picture(1)
    palette = tmp_path / "palette.gif"
    Image.fromarray(colours).quantize(16).save(palette)
    assert np.abs(decoded([palette], (16, 16, 3))[0].astype(int) - colours).mean() < 60
    clear = np.dstack([colours, np.zeros((16, 16), dtype=np.uint8)])
    save(tmp_path / "clear.png", clear)
    assert (decoded([tmp_path / "clear.png"], (16, 16, 3)) == 255).all()
    deep = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16  # 12 bits, as in microscopes
    Image.fromarray(deep).save(tmp_path / "deep.png")
    shape, parsing = images.measure([tmp_path / "deep.png"])
    assert (shape, parsing) == ((16, 16, 1), {"white": 4095})
    read = decoded([tmp_path / "deep.png"], shape, 4095)[0, ..., 0].astype(int)
    assert np.abs(read - np.arange(256).reshape(16, 16)).max() <= 1


def test_resizing_agrees_with_averaging() -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)[..., None]
    small = np.zeros((1, 16, 16, 1), dtype=np.uint8)
    images.fit_array(smooth[None], small, lambda _: None)
    expected = smooth.reshape(16, 4, 16, 4).mean(axis=(1, 3))
    assert np.abs(small[0, ..., 0] - expected)[1:-1, 1:-1].max() <= 1.5


def test_pictures_as_bytes() -> None:
    def encoded(seed: int) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(picture(seed)).save(stream, "PNG")
        return stream.getvalue()

    column = pa.array([{"bytes": encoded(seed), "path": f"{seed}.png"} for seed in range(4)])
    raw = raw_of({"image": column})
    spec = complete(raw, find_kinds(raw, {})[0])
    assert (spec.kind, spec.shape) == ("image", (16, 16, 3))
    read = table_from_raw(raw, [spec])["image"]
    assert isinstance(read, Images)
    np.testing.assert_array_equal(read.pixels, np.stack([picture(seed) for seed in range(4)]))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A table of 60 pictures, of which one is damaged and one is absent; one is there twice, one nearly."""
    names = [save(tmp_path / "pictures" / f"{seed}.png", smooth(seed)) for seed in range(58)]
    (tmp_path / "pictures" / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n, but not really")
    (tmp_path / "pictures" / "6.png").unlink()
    save(tmp_path / "pictures" / "58.png", smooth(2))
    brighter = np.clip(smooth(3).astype(int) + 1, 0, 255).astype(np.uint8)
    save(tmp_path / "pictures" / "59.png", brighter)
    paths = [f"pictures/{name}" for name in [*names, "58.png", "59.png"]]
    return write_csv(tmp_path / "album.csv", {"path": paths, "label": ["a", "b"] * 30})


def smooth(seed: int) -> NDArray[np.uint8]:
    coarse = Image.fromarray(picture(seed, 5, 5))
    return np.asarray(coarse.resize((40, 40), Image.Resampling.BICUBIC))


def test_damaged_pictures_go_to_quarantine(album: Path, tmp_path: Path) -> None:
    dataset = prepared(album, tmp_path, target="label")
    lines = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert [(line["row"], line["file"]) for line in lines] == [(6, str(album)), (7, str(album))]
    assert "5.png cannot be read" in lines[0]["reason"]
    assert "there is no file" in lines[1]["reason"]
    rows = np.concatenate([dataset.train.rows, dataset.valid.rows, dataset.open_test().rows])
    assert sorted(rows.tolist()) == [row for row in range(60) if row not in (5, 6)]
    pixels = dataset.train.table["path"]
    assert isinstance(pixels, Images)
    assert pixels.present.all()
    for row, image in zip(dataset.train.rows[:5], pixels.pixels[:5], strict=True):
        np.testing.assert_array_equal(image, smooth({58: 2}.get(int(row), int(row))) if row != 59 else image)


def test_the_same_picture_is_found_twice(album: Path) -> None:
    look = looked(album, target="label")
    assert (found(look, "duplicates")[0].count, found(look, "duplicates")[0].row) == (1, 59)
    assert (found(look, "near_duplicates")[0].count, found(look, "near_duplicates")[0].row) == (1, 60)
    assert found(look, "broken")[0].count == 2


def test_too_many_damaged_pictures_stop_the_climb(album: Path) -> None:
    for seed in range(10, 14):
        (album.parent / "pictures" / f"{seed}.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"at most 5 % of the rows may be broken, but 6 of 60 are \(10%\)"):
        looked(album, target="label")


def test_new_pictures_follow_the_training(tmp_path: Path) -> None:
    spec = ColumnSpec("image", "image", shape=(8, 8, 1))
    new = raw_of({}, arrays={"image": picture(0, 8 * 3, 16 * 4, 3)[None]})
    read = table_from_raw(new, [spec])["image"]
    assert isinstance(read, Images)
    assert read.pixels.shape == (1, 8, 8, 1)
    stored = table_from_raw(new, [spec], tmp_path)["image"]
    assert isinstance(stored, Images)
    assert isinstance(stored.pixels, np.memmap)
    np.testing.assert_array_equal(stored.pixels, read.pixels)


def tone(hertz: float, rate: int, seconds: float = 0.5) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A table of 40 sounds in three formats and two rates; one is damaged."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(40):
        rate = 8_000 if number % 4 else 16_000
        wave = tone(200 + 20 * number, rate, 0.2 + 0.01 * number)
        stereo = np.stack([wave, wave], axis=1) if number % 2 else wave
        soundfile.write(folder / f"{number}.{'wav' if number % 3 else 'flac'}", stereo, rate)
    (folder / "7.wav").write_bytes(b"RIFF but no more")
    names = [f"sounds/{number}.{'wav' if number % 3 else 'flac'}" for number in range(40)]
    return write_csv(tmp_path / "sounds.csv", {"sound": names, "label": ["low", "high"] * 20})


def test_sounds_come_to_one_rate(sounds: Path, tmp_path: Path) -> None:
    dataset = prepared(sounds, tmp_path, target="label")
    (spec,) = dataset.columns
    assert (spec.kind, spec.rate, spec.channels) == ("audio", 8_000, 1)
    column = dataset.train.table["sound"]
    assert isinstance(column, Ragged)
    assert column.values.dtype == np.int16
    for place, row in enumerate(dataset.train.rows):
        expected = tone(200 + 20 * int(row), 8_000, 0.2 + 0.01 * int(row))
        wave = column.row(place)[:, 0]
        assert abs(len(wave) - len(expected)) <= 1
        middle = slice(100, min(len(wave), len(expected)) - 100)
        assert np.abs(wave[middle] - expected[middle]).max() < 0.02
    assert 7 not in np.concatenate([dataset.train.rows, dataset.valid.rows, dataset.open_test().rows])


def test_sounds_in_memory_and_in_files_are_the_same(sounds: Path, tmp_path: Path) -> None:
    files = sorted((sounds.parent / "sounds").glob("*.flac"))
    memory, wrong = audio.decode(files, 8_000, None, lambda _: None)
    stored, _ = audio.decode(files, 8_000, tmp_path / "steps.npy", lambda _: None)
    assert wrong == {}
    np.testing.assert_array_equal(memory.values, stored.values)
    np.testing.assert_array_equal(memory.offsets, stored.offsets)


def test_resampling_keeps_a_tone() -> None:
    for given, wanted in [(44_100, 16_000), (8_000, 16_000), (22_050, 16_000)]:
        changed = audio.resampled(tone(440, given), given, wanted)
        expected = tone(440, wanted)
        assert abs(len(changed) - len(expected)) <= 1
        assert np.abs(changed[500:-500] - expected[500 : len(changed) - 500]).max() < 0.02


def test_rates_above_the_highest_come_down(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "cd.wav", tone(440, 44_100), 44_100)
    assert audio.measure([tmp_path / "cd.wav"]) == 16_000


def test_missing_sounds_are_empty_rows(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440, 8_000), 8_000)
    raw = raw_of({"s": ["a.wav", None, "a.wav"]}, folder=tmp_path)
    spec = complete(raw, find_kinds(raw, {})[0])
    reading = read_column(raw, spec, part_path(tmp_path, 0), lambda _: None)
    assert isinstance(reading.column, Ragged)
    assert reading.column.lengths.tolist() == [4_000, 0, 4_000]
    assert (reading.present, reading.unreadable) == (2, 0)


def test_work_in_parallel_keeps_its_order() -> None:
    assert in_parallel(lambda number: number**2, range(1_000), lambda _: None) == [number**2 for number in range(1_000)]


def test_real_sounds(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "spoken-digits").glob("*.wav"))[::20]
    columns = {"file": [str(file) for file in files], "digit": [file.name[0] for file in files]}
    dataset = prepared(write_csv(tmp_path / "digits.csv", columns), tmp_path, target="digit")
    assert (dataset.columns[0].kind, dataset.columns[0].rate) == ("audio", 8_000)
    assert len(dataset.train) + len(dataset.valid) + len(dataset.open_test()) == len(files)


def test_a_folder_of_classes(shared_data: Path, tmp_path: Path) -> None:
    dataset = prepared(shared_data / "faces", tmp_path)
    assert (dataset.target.name, len(dataset.classes)) == ("label", 20)
    assert dataset.columns[0].shape == (112, 92, 1)
