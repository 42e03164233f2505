"""The sentences in Chinese, by key; a file for each part of the product that speaks."""

from typing import Final

from yunti.words.chinese.data import DATA
from yunti.words.chinese.report import REPORT

CHINESE: Final[dict[str, str]] = {**DATA, **REPORT}
