"""Pictures as histograms of oriented gradients, small pixels and colours."""

from __future__ import annotations

from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Column, Images
from yunti.models.contract import Parts
from yunti.models.features.block import Block

ORIENTATIONS = 9  # of half a turn; 18 of a whole one
CHUNK_VALUES = 4_000_000  # pixel values that are worked on at a time
COLOUR_BINS = 8
CELLS = 7  # cells along the shorter side; each then spans strokes of the picture, not its noise
MOST_CELLS = 120
SMALL = 16  # longest side of a shrunk picture

Floats = NDArray[np.float32]


def cell_side(height: int, width: int) -> int:
    """Choose the side of a cell in pixels: about 7 cells along the shorter side, at most 120 in all.

    Example:
        >>> cell_side(28, 28), cell_side(8, 8), cell_side(92, 112)
        (4, 2, 13)
    """
    side = max(2, round(min(height, width) / CELLS))
    while -(-height // side) * -(-width // side) > MOST_CELLS:
        side += 1
    return side


def gradients(pixels: Floats) -> tuple[Floats, Floats]:
    """Return the gradient's size and its direction, in units of a bin (0 to 18, a whole turn).

    Central differences within, one-sided at the border; of several channels the one that changes most counts.

    Args:
        pixels: shape (pictures, height, width, channels).

    Returns:
        Two arrays of shape (pictures, height, width).
    """
    down, right = (_difference(pixels, axis) for axis in (1, 2))
    if pixels.shape[-1] == 1:
        down, right = down[..., 0], right[..., 0]
    else:
        strongest = np.argmax(down**2 + right**2, axis=-1)[..., None]
        down = np.take_along_axis(down, strongest, axis=-1)[..., 0]
        right = np.take_along_axis(right, strongest, axis=-1)[..., 0]
    angle = np.arctan2(down, right)
    angle *= np.float32(ORIENTATIONS / np.pi)
    angle[angle < 0] += 2 * ORIENTATIONS
    return np.sqrt(down * down + right * right), angle


def cell_histograms(pixels: Floats, side: int) -> Floats:
    """Return the histogram of gradient directions of every cell.

    A pixel's gradient is shared between the two nearest of 18 directions and between the nearest cells, each in
    proportion to its nearness (Dalal and Triggs, 2005, section 6.3).

    Args:
        pixels: shape (pictures, height, width, channels).
        side: pixels along a cell.

    Returns:
        Shape (pictures, cells down, cells across, 18); opposite directions are 9 places apart.
    """
    size, angle = gradients(pixels)
    directions = 2 * ORIENTATIONS
    lower = np.minimum(angle.astype(np.int8), directions - 1)
    upper_share = (angle - lower) * size
    lower_share = size - upper_share
    rows, columns = (_spread(length, side) for length in pixels.shape[1:3])
    histograms = np.empty((len(pixels), rows.shape[0], columns.shape[0], directions), dtype=np.float32)
    for bin_ in range(directions):
        votes = lower_share * (lower == bin_) + upper_share * (lower == (bin_ - 1) % directions)
        histograms[..., bin_] = rows @ votes @ columns.T
    return histograms


def hog(pixels: Floats, side: int) -> Floats:
    """Return histograms of oriented gradients, relative to the gradients around, with and without sign.

    Every cell is divided by the length of each of the four 2×2 blocks that hold it, and cut at 0.2. The four are
    averaged for each direction (18 with sign, 9 without) and summed over directions for each block (4 numbers):
    31 numbers a cell that know the sign, where Dalal and Triggs (2005) have 36 that do not (Felzenszwalb et al., 2010,
    Object detection with discriminatively trained part-based models, section 6). The length of a block is that of its
    directions with sign; beyond the border the last cell is repeated.

    The sign tells light on dark from dark on light: within one collection of pictures that is mostly the same and
    worth knowing; where it is not, the directions without sign serve.

    Args:
        pixels: shape (pictures, height, width, channels).
        side: pixels along a cell.

    Returns:
        Shape (pictures, cells · 31).
    """
    signed = cell_histograms(pixels, side)
    down, across = signed.shape[1:3]
    both = np.concatenate([signed, _folded(signed)], axis=-1)
    energy = np.pad(np.square(signed).sum(axis=-1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    pairs = energy[:, :-1] + energy[:, 1:]
    lengths = np.sqrt(pairs[:, :, :-1] + pairs[:, :, 1:] + np.float32(1e-3))[..., None]
    total, texture = np.zeros_like(both), []
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        relative = np.minimum(both / lengths[:, y : y + down, x : x + across], np.float32(0.2))
        total += relative
        texture.append(relative[..., : 2 * ORIENTATIONS].sum(axis=-1))
    return np.concatenate([total / 4, np.stack(texture, axis=-1) / (2 * ORIENTATIONS)], axis=-1).reshape(len(both), -1)


def cells(pixels: Floats, side: int) -> Floats:
    """Return the gradient histograms of single cells, without sign, each relative to the gradients around it.

    Args:
        pixels: shape (pictures, height, width, channels).
        side: pixels along a cell.

    Returns:
        Shape (pictures, cells · 9).
    """
    histograms = _folded(cell_histograms(pixels, side))
    energy = np.square(histograms).sum(axis=-1)
    down, across = (_spread_cells(length) for length in energy.shape[1:3])
    around = np.sqrt(down @ energy @ across.T + np.float32(1e-3))
    return (histograms / around[..., None]).reshape(len(pixels), -1)


def shrink(pixels: Floats) -> Floats:
    """Average pixels over equal areas, the longer side to at most 16; shape (pictures, values)."""
    factor = -(-max(pixels.shape[1:3]) // SMALL)
    rows, columns = (_areas(length, -(-length // factor)) for length in pixels.shape[1:3])
    moved = np.moveaxis(pixels, -1, 1)  # (pictures, channels, height, width)
    small: Floats = np.ascontiguousarray(np.moveaxis(rows @ moved @ columns.T, 1, -1))
    return small.reshape(len(pixels), -1)


def colours(pixels: NDArray[np.uint8]) -> Floats:
    """Return, for every channel, the shares of pixels in 8 equal ranges, the mean and the deviation.

    Args:
        pixels: shape (pictures, height, width, channels).

    Returns:
        Shape (pictures, channels · 10).
    """
    count, channels = len(pixels), pixels.shape[-1]
    flat = pixels.reshape(count, -1, channels)
    bins = flat >> 5
    shares = [(bins == level).mean(axis=1, dtype=np.float32) for level in range(COLOUR_BINS)]
    mean = flat.mean(axis=1, dtype=np.float32) / np.float32(255)
    square = np.square(flat, dtype=np.float32).mean(axis=1, dtype=np.float32) / np.float32(255**2)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    return np.concatenate([*shares, mean, deviation], axis=1, dtype=np.float32)


@final
class Picture(Block):
    """A picture as gradients, small pixels and, where it has colours, their histogram.

    Args:
        name: the column's name.
        shape: height, width and channels.
        missing: what stands for a picture that is missing: 0, or NaN for models that know it.
        overlap: describe gradients by overlapping blocks (31 features a cell), or by single cells (9).
    """

    def __init__(self, name: str, shape: tuple[int, int, int], missing: float, overlap: bool) -> None:
        self.name, self.shape, self.missing, self.overlap = name, shape, missing, overlap
        self.side = cell_side(*shape[:2])
        self.center = np.zeros(0, dtype=np.float32)
        self.scale = np.ones(0, dtype=np.float32)

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Find the mean of every feature and one deviation for each group."""
        del target
        from yunti.seeds import generator

        images = cast(Images, column)
        rows = generator(seed, "pictures", self.name).permutation(len(images))[:4000]
        rows = np.sort(rows[images.present[rows]])
        widths = self._widths()
        if not len(rows):
            self.center, self.scale = np.zeros(sum(widths), dtype=np.float32), np.ones(sum(widths), dtype=np.float32)
            return
        values = np.concatenate(self._groups(images.take(rows)), axis=1)
        self.center = values.mean(axis=0)
        groups = np.split(values - self.center, np.cumsum(widths)[:-1], axis=1)
        scales = [np.full(group.shape[1], max(1e-6, float(group.std()))) for group in groups]
        self.scale = (1 / np.concatenate(scales)).astype(np.float32)

    def transform(self, column: Column) -> Floats:
        """Return the features, centred, every group with deviation 1."""
        images = cast(Images, column)
        values = np.empty((len(images), len(self.center)), dtype=np.float32)
        step = max(1, CHUNK_VALUES // int(np.prod(self.shape)))
        for start in range(0, len(images), step):
            part = images.take(slice(start, start + step))
            piece = np.concatenate(self._groups(part), axis=1)
            piece -= self.center
            piece *= self.scale
            piece[~part.present] = self.missing
            values[start : start + step] = piece
        return values

    @property
    def names(self) -> tuple[str, ...]:
        """Column, group and place in it."""
        groups = zip(("gradient", "pixel", "colour"), self._widths(), strict=False)
        return tuple(f"{self.name}: {group} {place}" for group, width in groups for place in range(width))

    def parts(self) -> Parts:
        """Return the centres and scales."""
        return Parts({"center": self.center, "scale": self.scale})

    def restore(self, parts: Parts) -> None:
        """Take them back."""
        self.center, self.scale = parts.arrays["center"], parts.arrays["scale"]

    def _groups(self, images: Images) -> list[Floats]:
        pixels = images.pixels.astype(np.float32) / np.float32(255)
        gradient = hog(pixels, self.side) if self.overlap else cells(pixels, self.side)
        groups = [gradient, shrink(pixels)]
        return [*groups, colours(images.pixels)] if self.shape[2] > 1 else groups

    def _widths(self) -> list[int]:
        """Number of features of each group."""
        blank = Images(np.zeros((1, *self.shape), dtype=np.uint8), np.ones(1, dtype=np.bool_))
        return [group.shape[1] for group in self._groups(blank)]


def _folded(signed: Floats) -> Floats:
    """Add opposite directions: 18 with sign become 9 without."""
    return signed[..., :ORIENTATIONS] + signed[..., ORIENTATIONS:]


def _difference(pixels: Floats, axis: int) -> Floats:
    """Half the difference of the two neighbours along an axis; at the border the picture goes on as its last pixel."""
    moved = np.moveaxis(pixels, axis, 0)
    change = np.empty_like(moved)
    if len(moved) == 1:
        change[:] = 0
    else:
        np.subtract(moved[2:], moved[:-2], out=change[1:-1])
        np.subtract(moved[1], moved[0], out=change[0])
        np.subtract(moved[-1], moved[-2], out=change[-1])
        change *= np.float32(0.5)
    return np.moveaxis(change, 0, axis)


def _spread(length: int, side: int) -> Floats:
    """Return how much a pixel counts for each cell, shape (cells, length): a tent over the cell's centre."""
    cells = -(-length // side)
    centers = (np.arange(cells) + 0.5) * side - 0.5
    distance = np.abs(np.arange(length)[None, :] - centers[:, None]) / side
    return np.maximum(0, 1 - distance).astype(np.float32)


def _spread_cells(count: int) -> Floats:
    """Return which cells are neighbours along a side (each of itself too), shape (count, count)."""
    distance = np.abs(np.arange(count)[:, None] - np.arange(count)[None, :])
    return (distance <= 1).astype(np.float32)


def _areas(length: int, parts: int) -> Floats:
    """Return the shares by which pixels count for equal parts of a side, shape (parts, length); rows sum to 1."""
    edges = np.linspace(0, length, parts + 1)
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.maximum(overlap, 0) * (parts / length)).astype(np.float32)
