"""The sentences in Chinese, by key; a file for each part of the product that speaks."""

from typing import Final

from yunti.words.chinese.borrowed import BORROWED
from yunti.words.chinese.bundle import BUNDLE
from yunti.words.chinese.climbing import CLIMBING
from yunti.words.chinese.data import DATA
from yunti.words.chinese.devices import DEVICES
from yunti.words.chinese.doctor import DOCTOR
from yunti.words.chinese.ladders import LADDERS
from yunti.words.chinese.plans import PLANS
from yunti.words.chinese.report import REPORT
from yunti.words.chinese.screen import SCREEN
from yunti.words.chinese.tokens import TOKENS
from yunti.words.chinese.training import TRAINING

CHINESE: Final[dict[str, str]] = {
    **DATA,
    **DOCTOR,
    **TOKENS,
    **DEVICES,
    **LADDERS,
    **BORROWED,
    **PLANS,
    **TRAINING,
    **BUNDLE,
    **CLIMBING,
    **REPORT,
    **SCREEN,
}
