"""Tables as arrays that a network can read; everything learned here is learned from training rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Union, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.scaling import Scaler, quantile_edges
from yunti.data.spectrogram import log_mel
from yunti.data.table import Categories, Images, Packed, Ragged, Table, Texts
from yunti.data.tokens import Tokeniser, lengths_percentile
from yunti.specs import ColumnSpec

Encoded = Mapping[str, Union[NDArray[Any], Ragged, Packed]]  # noqa: UP007  (a runtime alias that beartype can read)
StreamKind = Literal["text", "image", "audio", "sequence", "features"]

_SAMPLE = 10_000  # rows that statistics of pictures, sounds and sequences are taken from: rows stand in random order
_CLIP = 10.0


@final
@dataclass(frozen=True)
class Reading:
    """How finely columns are read. The defaults suit networks that train on a processor in minutes.

    Args:
        bins: most bins of a number, for piecewise-linear embeddings.
        vocabulary: most tokens of a text column.
        tokens: most tokens of one text.
        side: most pixels of a picture's longer side; larger ones are averaged down.
        bands: mel bands of a sound.
        frames: most frames of a typical sound; the step between frames grows with longer sounds.
        steps: most steps of a typical sequence; neighbours of longer ones are averaged.
    """

    bins: int = 32
    vocabulary: int = 30_000
    tokens: int = 256
    side: int = 64
    bands: int = 40
    frames: int = 400
    steps: int = 512


@final
@dataclass(frozen=True)
class Stream:
    """One column that is more than a number: what its encoded rows look like.

    Args:
        key: its name among the encoded arrays.
        kind: text (tokens), image (pixels), audio (frames of a spectrogram), sequence (steps) or features (a vector
            that a pretrained model made).
        column: the column's name in the table.
        width: number of tokens in the list (text), channels (image, sequence), bands (audio), numbers (features).
        length: typical longest row in tokens, frames or steps; an image's height.
        breadth: an image's width.
        mean: mean of each channel (image, sequence).
        deviation: standard deviation of each channel (image, sequence).
        stride: neighbouring steps averaged to one (sequence).
        hop_seconds: time from frame to frame (audio).
        rate: samples per second (audio).
    """

    key: str
    kind: StreamKind
    column: str
    width: int
    length: int
    breadth: int = 1
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    stride: int = 1
    hop_seconds: float = 0.01
    rate: int = 0


@final
class Encoder:
    """Turns tables into arrays: `numbers` (rows, width) float32, `categories` (rows, columns) int32, and one array a
    stream: tokens, frames and steps as `Ragged`, pictures as (rows, height, width, channels) uint8.

    Args:
        columns: the input columns; columns of kind id are passed over.
        reading: how finely they are read.
    """

    def __init__(self, columns: Sequence[ColumnSpec], reading: Reading) -> None:
        self.columns = tuple(columns)
        self.reading = reading
        self.scaler = Scaler(columns)
        self.levels: dict[str, tuple[str, ...]] = {}
        self.streams: tuple[Stream, ...] = ()
        self.tokenisers: dict[str, Tokeniser] = {}
        self.edges: NDArray[np.float32] = np.zeros((0, 2), dtype=np.float32)

    def fit(self, table: Table) -> None:
        """Learn scales, levels and words from training rows."""
        self.scaler.fit(table)
        self.edges = quantile_edges(self.scaler.apply(table.take(slice(0, 50_000))), self.reading.bins)
        self.levels = {
            column.name: _frequent_levels(_categories(table, column.name))
            for column in self.columns
            if column.kind == "category"
        }
        streams = []
        for place, column in enumerate(self.columns):
            key = f"{column.kind}.{place}"
            match table[column.name]:
                case Texts() as texts if column.kind == "text":
                    streams.append(self._fit_text(key, column, texts))
                case Images() as images if column.kind == "image":
                    streams.append(_fit_image(key, column, images, self.reading))
                case Ragged() as ragged if column.kind == "audio":
                    streams.append(_fit_audio(key, column, ragged, self.reading))
                case Ragged() as ragged if column.kind == "sequence":
                    streams.append(_fit_sequence(key, column, ragged, self.reading))
                case _:
                    pass
        self.streams = tuple(streams)

    @property
    def number_width(self) -> int:
        """Number of features that stand for numbers, flags and times."""
        return self.scaler.width

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Codes of every category column; code 0 stands for missing, rare and unknown."""
        return tuple(1 + len(names) for names in self.levels.values())

    def encode(self, table: Table) -> Encoded:
        """Return the arrays of these rows."""
        arrays: dict[str, NDArray[Any] | Ragged] = {}
        if self.number_width:
            arrays["numbers"] = self.scaler.apply(table)
        if self.levels:
            arrays["categories"] = np.stack([_codes(table, name, names) for name, names in self.levels.items()], axis=1)
        for stream in self.streams:
            arrays[stream.key] = self._encode_stream(stream, table[stream.column])
        return arrays

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned and is not JSON."""
        return {"edges": self.edges}

    def facts(self) -> dict[str, Any]:
        """Return what was learned, as plain JSON values."""
        return {
            "reading": asdict(self.reading),
            "numbers": self.scaler.facts(),
            "levels": {name: list(names) for name, names in self.levels.items()},
            "streams": [asdict(stream) for stream in self.streams],
            "tokens": {
                key: {"words": list(each.words), "pieces": list(each.pieces)} for key, each in self.tokenisers.items()
            },
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take back what was learned."""
        self.reading = Reading(**facts["reading"])
        self.scaler.restore(facts["numbers"])
        self.levels = {name: tuple(names) for name, names in facts["levels"].items()}
        self.streams = tuple(
            Stream(**{**each, "mean": tuple(each["mean"]), "deviation": tuple(each["deviation"])})
            for each in facts["streams"]
        )
        self.tokenisers = {key: Tokeniser(each["words"], each["pieces"]) for key, each in facts["tokens"].items()}
        self.edges = np.asarray(arrays["edges"], dtype=np.float32)

    def _fit_text(self, key: str, column: ColumnSpec, texts: Texts) -> Stream:
        strings = texts.strings()
        # a list longer than the training rows' own words would hold only words that were seen once
        tokeniser = Tokeniser.fit(strings, min(self.reading.vocabulary, 1000 + 20 * len(strings)))
        self.tokenisers[key] = tokeniser
        sample = tokeniser.encode(strings[:_SAMPLE], self.reading.tokens)
        return Stream(key, "text", column.name, width=tokeniser.size, length=lengths_percentile(sample, 98))

    def _encode_stream(self, stream: Stream, column: object) -> NDArray[Any] | Ragged:
        match column:
            case Texts() as texts:
                return self.tokenisers[stream.key].encode(texts.strings(), self.reading.tokens)
            case Images() as images:
                return shrink(images.pixels, (stream.length, stream.breadth))
            case Ragged() as ragged if stream.kind == "audio":
                return log_mel(ragged, stream.rate, stream.width, stream.hop_seconds)
            case Ragged() as ragged:
                return _standardise(_average_neighbours(ragged, stream.stride), stream)
            case _:
                raise TypeError(f"{stream.column} is stored as {type(column).__name__}, not as {stream.kind}")


def shrink(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Average pictures down (or stretch them up) to height and width; those of this size already are not copied.

    Args:
        pixels: shape (rows, height, width, channels).
        size: height and width that are wanted.
    """
    if pixels.shape[1:3] == size:
        return pixels
    from PIL import Image

    rows, _, _, channels = pixels.shape
    out = np.empty((rows, *size, channels), dtype=np.uint8)
    for row in range(rows):
        for channel in range(channels):
            picture = Image.fromarray(np.ascontiguousarray(pixels[row, :, :, channel]))
            out[row, :, :, channel] = np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BOX))
    return out


def _fit_image(key: str, column: ColumnSpec, images: Images, reading: Reading) -> Stream:
    _, height, width, channels = images.pixels.shape
    scale = min(1.0, reading.side / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    sample = shrink(images.pixels[:2000], size)[images.present[:2000]].reshape(-1, channels)
    mean = sample.mean(axis=0, dtype=np.float64) if len(sample) else np.zeros(channels)
    deviation = sample.std(axis=0, dtype=np.float64) if len(sample) else np.ones(channels)
    return Stream(
        key, "image", column.name, width=channels, length=size[0], breadth=size[1],
        mean=_floats(mean), deviation=_floats(np.maximum(deviation, 1.0)),
    )  # fmt: skip


def _fit_audio(key: str, column: ColumnSpec, sounds: Ragged, reading: Reading) -> Stream:
    rate = column.rate or 16_000
    lengths = sounds.lengths[:_SAMPLE]
    typical = float(np.percentile(lengths, 95)) / rate if len(lengths) else 1.0
    hop = max(0.01, typical / reading.frames)
    return Stream(
        key, "audio", column.name, width=reading.bands, length=max(1, int(typical / hop)), hop_seconds=hop, rate=rate
    )


def _fit_sequence(key: str, column: ColumnSpec, sequences: Ragged, reading: Reading) -> Stream:
    lengths = sequences.lengths[:_SAMPLE]
    typical = float(np.percentile(lengths, 95)) if len(lengths) else 1.0
    stride = max(1, int(np.ceil(typical / reading.steps)))
    sample = np.asarray(sequences.take(slice(0, min(len(sequences), _SAMPLE))).values, dtype=np.float64)
    known = np.isfinite(sample)
    count = np.maximum(1, known.sum(axis=0))
    mean = np.where(known, sample, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, sample - mean, 0.0) ** 2).sum(axis=0) / count)
    return Stream(
        key, "sequence", column.name, width=sample.shape[1], length=max(1, int(np.ceil(typical / stride))),
        mean=_floats(mean), deviation=_floats(np.where(deviation > 0, deviation, 1.0)), stride=stride,
    )  # fmt: skip


def _standardise(sequences: Ragged, stream: Stream) -> Ragged:
    mean = np.array(stream.mean, dtype=np.float32)
    deviation = np.array(stream.deviation, dtype=np.float32)
    start, stop = int(sequences.offsets[0]), int(sequences.offsets[-1])
    values = (np.asarray(sequences.values[start:stop], dtype=np.float32) - mean) / deviation
    values = np.nan_to_num(values, nan=0.0, posinf=_CLIP, neginf=-_CLIP)
    return Ragged(np.clip(values, -_CLIP, _CLIP), sequences.offsets - start)


def _average_neighbours(sequences: Ragged, stride: int) -> Ragged:
    if stride == 1:
        return sequences
    lengths = sequences.lengths
    groups = -(-lengths // stride)
    offsets = np.concatenate([[0], np.cumsum(groups)]).astype(np.int64)
    starts = np.repeat(sequences.offsets[:-1] - offsets[:-1] * stride, groups) + np.arange(offsets[-1]) * stride
    if not len(starts):
        return Ragged(np.zeros((0, sequences.values.shape[1]), dtype=np.float32), offsets)
    stop = int(sequences.offsets[-1])
    values = np.asarray(sequences.values[:stop], dtype=np.float32)
    known = np.isfinite(values)
    totals = np.add.reduceat(np.where(known, values, 0.0), starts, axis=0)
    counts = np.add.reduceat(known.astype(np.float32), starts, axis=0)
    return Ragged((totals / np.where(counts > 0, counts, np.nan)).astype(np.float32), offsets)


def _frequent_levels(column: Categories) -> tuple[str, ...]:
    """Levels that enough rows share; the others are told apart by too few rows to learn from."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.names))
    least = 2 if len(column) < 2000 else 5
    kept = [place for place in np.argsort(-counts, kind="stable") if counts[place] >= least]
    return tuple(column.names[place] for place in kept[:10_000])


def _categories(table: Table, name: str) -> Categories:
    column = table[name]
    if not isinstance(column, Categories):
        raise TypeError(f"{name} is stored as {type(column).__name__}, not as categories")
    return column


def _codes(table: Table, name: str, names: tuple[str, ...]) -> NDArray[np.int32]:
    return _categories(table, name).codes_in({each: code for code, each in enumerate(names, start=1)}, other=0)


def _floats(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
