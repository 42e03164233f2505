"""The sentences in English, by key; a file for each part of the product that speaks."""

from typing import Final

from yunti.words.english.borrowed import BORROWED
from yunti.words.english.bundle import BUNDLE
from yunti.words.english.climbing import CLIMBING
from yunti.words.english.data import DATA
from yunti.words.english.devices import DEVICES
from yunti.words.english.doctor import DOCTOR
from yunti.words.english.ladders import LADDERS
from yunti.words.english.plans import PLANS
from yunti.words.english.report import REPORT
from yunti.words.english.screen import SCREEN
from yunti.words.english.tokens import TOKENS
from yunti.words.english.training import TRAINING

# what records hold in English and `told` finds again; the words of screen and report are written when they are shown
RECORDED: Final[dict[str, str]] = {
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
}
ENGLISH: Final[dict[str, str]] = {**RECORDED, **SCREEN, **REPORT}
