"""Changes to training rows that leave the answer as it is, made on a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yunti.data.encode import Stream
from yunti.data.tokens import PADDING, UNKNOWN
from yunti.models.layers import Batch
from yunti.models.recipe import Augment

MIXED = ("numbers", "image.", "audio.", "sequence.", "features.")  # what mixup can mix: tokens and codes it cannot
_MIRROR_ROWS = 6000


def augmented(batch: Batch, streams: Sequence[Stream], wish: Augment, random: torch.Generator) -> Batch:
    """Return the batch with every stream changed at random as the wish says."""
    changed = dict(batch)
    for stream in streams:
        match stream.kind:
            case "image" if wish.shift or wish.mirror or wish.erase:
                changed[stream.key] = _pictures(batch[stream.key], stream, wish, random)
            case "text" if wish.drop:
                changed[stream.key] = _drop(batch[stream.key], wish.drop, random)
            case "audio" | "sequence":
                mask = batch[f"{stream.key}.mask"]
                steps, mask = _stretch(batch[stream.key], mask, wish.stretch, random)
                if stream.kind == "audio":
                    steps = _tilt(_warp(steps, wish.warp, random), mask, wish.tilt, random)
                    steps = _blank(steps, mask, wish.mask, random)
                if wish.noise:
                    noise = torch.randn(steps.shape, generator=random).to(steps.device)
                    steps = (steps + wish.noise * noise) * mask[..., None]
                changed[stream.key], changed[f"{stream.key}.mask"] = steps, mask
            case _:
                pass
    return changed


def mirror_keeps_answers(pixels: NDArray[np.uint8], target: NDArray[Any], classes: int) -> bool:
    """Say whether pictures may be mirrored: for no class may a simple model take mirrored pictures for another class.

    A ridge classifier on small pictures is fitted on one half of a sample and asked about the other half as it is and
    mirrored. Letters and digits fail at once; so do a left and a right arrow.

    Args:
        pixels: shape (rows, height, width, channels), training rows.
        target: shape (rows,), class codes.
        classes: number of classes.
    """
    sample = pixels[:_MIRROR_ROWS]
    step = max(1, max(sample.shape[1:3]) // 16)
    features = {
        mirrored: _flat(sample[:, ::step, ::step] if not mirrored else sample[:, ::step, ::-1][:, :, ::step])
        for mirrored in (False, True)
    }
    half = len(sample) // 2
    known, asked = target[:half], target[half : len(sample)]
    weights = _ridge(features[False][:half], np.eye(classes)[known])
    right = {mirrored: (values[half:] @ weights).argmax(axis=1) == asked for mirrored, values in features.items()}
    for each in range(classes):
        rows = asked == each
        if rows.sum() >= 5 and right[True][rows].mean() < 0.5 * right[False][rows].mean():
            return False
    return bool(right[True].mean() >= 0.7 * right[False].mean())


def _ridge(features: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    gram = features.T @ features
    solution: NDArray[np.float64] = np.linalg.solve(
        gram + 0.1 * np.trace(gram) / len(gram) * np.eye(len(gram)), features.T @ wanted
    )
    return solution


def _flat(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    flat = pixels.reshape(len(pixels), -1).astype(np.float64) / 255
    return np.hstack([flat, np.ones((len(flat), 1))])


def _pictures(pixels: Tensor, stream: Stream, wish: Augment, random: torch.Generator) -> Tensor:
    rows, height, width, _ = pixels.shape
    down = _whole(rows, round(wish.shift * height), random)
    right = _whole(rows, round(wish.shift * width), random)
    lines = (torch.arange(height) + down[:, None]).clamp(0, height - 1)
    places = (torch.arange(width) + right[:, None]).clamp(0, width - 1)
    if wish.mirror:
        flipped = torch.rand(rows, generator=random) < 0.5
        places = torch.where(flipped[:, None], width - 1 - places, places)
    moved = pixels[torch.arange(rows)[:, None, None], lines[:, :, None], places[:, None, :]]
    if not wish.erase:
        return moved
    high, wide = max(1, round(wish.erase * height)), max(1, round(wish.erase * width))
    top = torch.randint(1 - high, height, (rows, 1), generator=random)
    left = torch.randint(1 - wide, width, (rows, 1), generator=random)
    inside = _between(top, high, height)[:, :, None] & _between(left, wide, width)[:, None, :]
    grey = torch.tensor(stream.mean).round().to(torch.uint8).to(pixels.device)
    return torch.where(inside[..., None].to(pixels.device), grey, moved)


def _drop(tokens: Tensor, share: float, random: torch.Generator) -> Tensor:
    hidden = (torch.rand(tokens.shape, generator=random) < share).to(tokens.device) & (tokens != PADDING)
    return tokens.masked_fill(hidden, UNKNOWN)


def _stretch(steps: Tensor, mask: Tensor, share: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Play every row faster or slower; a row never grows past the batch's longest."""
    if not share:
        return steps, mask
    rows, longest = mask.shape
    speed = 1 + share * (2 * torch.rand(rows, generator=random) - 1).to(steps.device)
    lengths = mask.sum(dim=1)
    stretched = (lengths / speed).round().clamp(min=1).minimum(torch.tensor(longest))
    place = torch.arange(longest, device=steps.device)
    source = (place * speed[:, None]).long().minimum((lengths - 1).clamp(min=0)[:, None])
    there = (place < stretched[:, None]) & (lengths > 0)[:, None]
    moved = steps.gather(1, source[..., None].expand(-1, -1, steps.shape[2]))
    return moved * there[..., None], there


def _warp(steps: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Stretch and move the bands of every row, with straight lines between them."""
    if not share:
        return steps
    rows, _, bands = steps.shape
    stretch = 1 + share * (2 * torch.rand(rows, 1, generator=random) - 1)
    move = 0.5 * share * bands * (2 * torch.rand(rows, 1, generator=random) - 1)
    source = (torch.arange(bands) * stretch + move).clamp(0, bands - 1).to(steps.device)
    below = source.long().clamp(max=max(0, bands - 2))
    part = (source - below)[:, None, :]
    low = steps.gather(2, below[:, None, :].expand_as(steps))
    high = steps.gather(2, (below + 1).clamp(max=bands - 1)[:, None, :].expand_as(steps))
    return low + part * (high - low)


def _tilt(steps: Tensor, mask: Tensor, deviation: float, random: torch.Generator) -> Tensor:
    """Add the same sum of three slow cosines over the bands to all frames of a row."""
    if not deviation:
        return steps
    rows, _, bands = steps.shape
    places = torch.arange(bands) / bands
    waves = torch.cos(torch.pi * torch.arange(1, 4)[:, None] * places)  # (waves, bands)
    curves = (deviation * torch.randn(rows, 3, generator=random)) @ waves
    return steps + curves[:, None, :].to(steps.device) * mask[..., None]


def _blank(steps: Tensor, mask: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Two stretches of bands and two of frames, each of up to this share, become 0, the recording's mean."""
    if not share:
        return steps
    rows, _, bands = steps.shape
    for _ in range(2):
        start, size = _span(torch.full((rows,), bands), share, random)
        steps = steps.masked_fill(_between(start, size, bands)[:, None, :].to(steps.device), 0.0)
        start, size = _span(mask.sum(dim=1).cpu(), share, random)
        steps = steps.masked_fill(_between(start, size, steps.shape[1])[..., None].to(steps.device), 0.0)
    return steps


def _span(lengths: Tensor, share: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    size = torch.rand(len(lengths), 1, generator=random) * share * lengths[:, None]
    start = torch.rand(len(lengths), 1, generator=random) * (lengths[:, None] - size)
    return start.round(), size.round()


def _between(start: Tensor, size: Tensor | int, length: int) -> Tensor:
    place = torch.arange(length)
    return (place >= start) & (place < start + size)


def _whole(rows: int, most: int, random: torch.Generator) -> Tensor:
    return torch.randint(-most, most + 1, (rows,), generator=random)
