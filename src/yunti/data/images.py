"""Pictures of any format and size, decoded in parallel into one array of one size."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from yunti.data.media import File, in_parallel, spread, why

LARGEST_KEPT = 256  # pictures that all have one size up to this are not resized
USUAL_SIDE = 128
LARGE_SIDE = 160  # where every picture is larger than LARGEST_KEPT: enough to recognise things, still quick to train
_MEASURED = 2_000  # headers that the size is found from
_WHITES = (255, 1023, 4095, 16383, 65535)
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_GREY = ("1", "L", *_DEEP)

Shape = tuple[int, int, int]


def measure(files: Sequence[File]) -> tuple[Shape, dict[str, Any]]:
    """Find the one shape for these pictures, and what value is white where they are deeper than 8 bits.

    Returns:
        Height, width and channels; and the `parsing` of the column.
    """
    known = [file for file in files if file is not None]
    sizes: list[tuple[int, int]] = []
    grey, deep = True, list[float]()
    for place in spread(len(known), _MEASURED):
        try:
            with warnings.catch_warnings(), _opened(known[place]) as image:
                warnings.simplefilter("ignore")
                turned = image.getexif().get(0x0112, 1) >= 5  # orientations 5 to 8 swap width and height
                sizes.append(image.size if turned else image.size[::-1])
                grey &= image.mode in _GREY
                if image.mode in _DEEP and len(deep) < 64:
                    deep.append(float(np.asarray(image).max()))
        except Exception:  # Pillow raises all kinds; the row is told broken when it is read
            continue
    parsing = {"white": next((each for each in _WHITES if each >= max(deep)), max(deep))} if deep else {}
    return (*common_size(sizes), 1 if grey and sizes else 3), parsing


def common_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Choose height and width for pictures of these heights and widths.

    One common size is kept up to 256; else the square of the median side, a multiple of 8, at most 128 (160 where all
    are larger than 256).

    Example:
        >>> common_size([(28, 28)] * 3), common_size([(40, 60), (50, 50)]), common_size([(900, 1200), (768, 1024)])
        ((28, 28), (48, 48), (160, 160))
    """
    if not sizes:
        return USUAL_SIDE, USUAL_SIDE
    if len(set(sizes)) == 1 and max(sizes[0]) <= LARGEST_KEPT:
        return sizes[0]
    limit = LARGE_SIDE if min(min(size) for size in sizes) > LARGEST_KEPT else USUAL_SIDE
    side = float(np.median([np.sqrt(height * width) for height, width in sizes]))
    side = max(8, min(limit, int(side / 8) * 8))
    return side, side


def decode(
    files: Sequence[File], pixels: NDArray[np.uint8], parsing: Mapping[str, Any], tell: Callable[[float], None]
) -> dict[int, str]:
    """Decode pictures in parallel into `pixels`.

    Args:
        files: one for every row.
        pixels: shape (rows, height, width, channels), uint8; rows without a picture are left as they are.
        parsing: as `measure` returned it.
        tell: called with the fraction done.

    Returns:
        For every row whose picture cannot be read, why.
    """
    height, width, channels = pixels.shape[1:]
    white = float(parsing.get("white", 255))

    def one(row: int) -> str:
        file = files[row]
        if file is None:
            return ""
        try:
            with _opened(file) as image:
                pixels[row] = pixels_of(image, (height, width, channels), white)
        except Exception as error:
            return why(error, file)
        return ""

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        said = in_parallel(one, range(len(files)), tell)
    return {row: reason for row, reason in enumerate(said) if reason}


def pixels_of(image: Image.Image, shape: Shape, white: float = 255.0) -> NDArray[np.uint8]:
    """Turn a picture the right way up, on white where it is transparent, and bring it to a shape.

    Returns:
        Shape (height, width, channels), uint8.
    """
    height, width, channels = shape
    mode = "L" if channels == 1 else "RGB"
    if image.format == "JPEG":
        image.draft(mode, (2 * width, 2 * height))
    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP:
        scaled = np.asarray(image, dtype=np.float32) * np.float32(255 / white)
        image = Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured)
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image, dtype=np.uint8).reshape(shape)


def fit_array(values: NDArray[np.uint8], pixels: NDArray[np.uint8], tell: Callable[[float], None]) -> None:
    """Bring pictures that are an array already to the shape of `pixels`, in blocks.

    Args:
        values: shape (rows, height, width) or (rows, height, width, channels), uint8.
        pixels: shape (rows, height, width, channels); written.
        tell: called with the fraction done.
    """
    shaped = values[..., None] if values.ndim == 3 else values
    if shaped.shape == pixels.shape:
        for start in range(0, len(shaped), 4096):
            pixels[start : start + 4096] = shaped[start : start + 4096]
            tell(start / len(shaped))
        return

    def one(row: int) -> None:
        picture = shaped[row][..., 0] if shaped.shape[3] == 1 else shaped[row]
        pixels[row] = pixels_of(Image.fromarray(np.ascontiguousarray(picture)), pixels.shape[1:])

    in_parallel(one, range(len(shaped)), tell)


def _opened(file: File) -> Image.Image:
    return Image.open(file if isinstance(file, Path) else io.BytesIO(file or b""))
