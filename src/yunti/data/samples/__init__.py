"""Small, real and freely licensed data sets: `sample:NAME`. This tuple is the whole list."""

from __future__ import annotations

from yunti.data.samples.sample import Sample, read_diabetes, read_digits
from yunti.errors import SourceError, nearest

_DEBIAN = "Debian's package index (Debian 12, main)"
_DEBIAN_LICENCE = "free under the Debian Free Software Guidelines, each description under its package's licence"

SAMPLES: tuple[Sample, ...] = (
    Sample(
        name="digits",
        idea="1,797 pictures of handwritten digits, 8 × 8 pixels",
        target="label",
        task="classification",
        licence="CC BY 4.0",
        origin="Alpaydin and Kaynak 1998, UCI Machine Learning Repository, as shipped with scikit-learn",
        content=read_digits,
    ),
    Sample(
        name="penguins",
        idea="344 penguins of three species: measures, island, sex and year, with values missing",
        target="species",
        task="classification",
        licence="CC0 1.0",
        origin="Gorman, Williams and Fraser 2014, Palmer Station LTER, from the Python package palmerpenguins",
        content="penguins.csv",
    ),
    Sample(
        name="diabetes",
        idea="442 patients: ten measures and the disease's progression after a year",
        target="progression",
        task="regression",
        licence="BSD 3-Clause",
        origin="Efron, Hastie, Johnstone and Tibshirani 2004, as shipped with scikit-learn",
        content=read_diabetes,
    ),
    Sample(
        name="packages",
        idea="2,400 descriptions of Debian packages in six sections, in English",
        target="section",
        task="classification",
        licence=_DEBIAN_LICENCE,
        origin=f"{_DEBIAN}, one package of a source, shortened to 360 characters",
        content="packages.csv.gz",
    ),
    Sample(
        name="packages-zh",
        idea="416 descriptions of Debian packages in five groups, in Chinese",
        target="类别",
        task="classification",
        licence=_DEBIAN_LICENCE,
        origin=f"{_DEBIAN}, translated by Debian's volunteers, shortened to 300 characters",
        content="packages-zh.csv.gz",
    ),
)


def samples() -> tuple[Sample, ...]:
    """Return all samples."""
    return SAMPLES


def find_sample(name: str) -> Sample:
    """Return the sample of this name.

    Raises:
        SourceError: there is none; the sentence names the nearest.
    """
    for sample in SAMPLES:
        if sample.name == name:
            return sample
    known = [sample.name for sample in SAMPLES]
    raise SourceError(f"sample:{name}", "it must be a sample that yunti ships", "there is none", nearest(name, known))
