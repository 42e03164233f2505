"""Cut labelled boxes (Pascal VOC) out of pictures, into a folder of classes that yunti reads.

python examples/crop_cells.py FOLDER OUT

FOLDER holds images/, annotations/, train.txt and val.txt. Pictures named in val.txt become the test rows: a whole
picture lies on one side, since cells of one picture look alike.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

SIDE = 32
EDGES = ("xmin", "ymin", "xmax", "ymax")
PARTS = {"train.txt": "train", "val.txt": "test"}


def boxes(annotation: Path) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Return the class and the left, upper, right and lower edge of every box that has an area."""
    found = []
    for thing in ElementTree.parse(annotation).getroot().iter("object"):
        left, upper, right, lower = (int(thing.findtext(f"bndbox/{edge}", "0")) for edge in EDGES)
        if left < right and upper < lower:
            found.append((thing.findtext("name", ""), (left, upper, right, lower)))
    return found


def crop(folder: Path, name: str, out: Path) -> int:
    """Write the boxes of one picture, SIDE pixels square, below `out`, and return how many there are."""
    found = boxes(folder / "annotations" / f"{name}.xml")
    with Image.open(folder / "images" / f"{name}.jpg") as picture:
        for place, (label, box) in enumerate(found):
            (out / label).mkdir(parents=True, exist_ok=True)
            small = picture.convert("RGB").crop(box).resize((SIDE, SIDE), Image.Resampling.BOX)
            small.save(out / label / f"{name}_{place:03}.png")
    return len(found)


def main(folder: str, out: str) -> None:
    """Cut out all boxes and print how many there are."""
    for listed, part in PARTS.items():
        names = Path(folder, listed).read_text(encoding="utf-8").split()
        count = sum(crop(Path(folder), name, Path(out) / part) for name in names)
        print(f"{part}: {count} cells from {len(names)} pictures")


if __name__ == "__main__":
    main(*sys.argv[1:])
