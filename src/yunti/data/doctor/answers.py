"""Checks of the target: rows without it, rare classes, imbalance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from yunti.data.doctor.sheet import Sheet
from yunti.data.strings import shortened
from yunti.records import Finding
from yunti.words import say

RARE = 3  # a class with fewer rows cannot stand in train, valid and test
_HEAVY = 0.9


def check_answers(sheet: Sheet) -> Iterator[Finding]:
    """Look at the answers."""
    answers = sheet.answers
    assert answers is not None
    name = answers.spec.name
    lost = np.flatnonzero(~answers.known)
    if len(lost):
        file, row = sheet.raw.place(int(lost[0]))
        message = say("doctor.target missing", count=len(lost), target=name, file=file, row=row)
        yield Finding("target_missing", "broken", message, name, file, row, len(lost))
    if answers.task != "classification":
        return
    counts = np.bincount(answers.values[sheet.usable], minlength=len(answers.classes))
    rare = np.flatnonzero((counts < RARE) & (counts > 0))
    if len(rare):
        shown = ", ".join(f"{shortened(answers.classes[each], 24)} ({counts[each]})" for each in rare[:4])
        key = "doctor.many rare classes" if len(rare) > 4 else "doctor.rare classes"
        message = say(key, count=len(rare), classes=shown, more=len(rare) - 4)
        yield Finding("rare_classes", "warning", message, name, count=int(counts[rare].sum()))
    common = int(counts.argmax())
    share = counts[common] / max(1, counts.sum())
    if share >= _HEAVY:
        message = say("doctor.imbalance", share=share, name=shortened(answers.classes[common], 24))
        yield Finding("imbalance", "warning", message, name)
