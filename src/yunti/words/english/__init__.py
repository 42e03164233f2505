"""The sentences in English, by key; a file for each part of the product that speaks."""

from typing import Final

from yunti.words.english.data import DATA
from yunti.words.english.report import REPORT

ENGLISH: Final[dict[str, str]] = {**DATA, **REPORT}
