"""Whether the chosen rung writes what it has read: it writes some texts, which are looked for in the training text."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from yunti.climbing.budget import LEAST_FOR_COPIES
from yunti.climbing.job import Job, Send
from yunti.climbing.run import RunFolder
from yunti.copied import CopiedRecord
from yunti.data.copies import CHARACTERS, WORDS, find_copies
from yunti.data.dataset import open_dataset
from yunti.models.costs import texts_of
from yunti.models.generation import Writer, write_all
from yunti.models.sampling import Sampling

TELL_SECONDS: Final = 0.5
WRITING_SHARE: Final = 0.6  # of the time there is
_PROMPT, _PROMPT_SHARE = 100, 0.5  # characters that a text begins with, and at most this share of it
_WANTED: Final = 20_000  # characters to write
_FEWEST, _MOST = 20, 200  # texts
_LONGEST: Final = 1_000  # characters of a text
_HELD: Final = 1 << 18  # characters of validation texts


def search_copies(job: Job, send: Send) -> None:
    """Let the chosen rung write, look for what it wrote, and leave the record."""
    from yunti.bundle.bundle import load_bundle

    began, run = time.monotonic(), RunFolder(Path(job.folder))
    dataset = open_dataset(run.prepared)
    model = load_bundle(run.model(job.rung)).model
    until = max(job.began + job.seconds, began + LEAST_FOR_COPIES)  # a process may have started slowly
    train, valid = (texts_of(model.spec, part.table) for part in (dataset.train, dataset.valid))
    prompts, held = _begun(valid)
    send({"fraction": 0.0})
    sampling = Sampling(temperature=1.0, max_tokens=_tokens(model.writer, held), seed=job.seed)
    stop = began + WRITING_SHARE * max(0.0, until - began)
    written = write_all(model.writer, prompts, sampling, _now_and_then(send), stop)
    texts = [each.text for each in written if each.text]
    if not texts:
        return  # there was no time, or the model ends every text at once
    joined = model.spec.of_kind("text")[0].holds_passages
    found = find_copies([texts, held], train, joined=joined, until=until)
    own, other = found.shares
    run.save_copied(
        job.rung,
        CopiedRecord(
            rung=job.rung,
            texts=len(texts),
            characters=sum(len(each) for each in texts),
            words=WORDS,
            runs=own.runs,
            copied_runs=own.copied_runs,
            held_runs=other.runs,
            held_copied_runs=other.copied_runs,
            span=CHARACTERS,
            spans=own.spans,
            copied_spans=own.copied_spans,
            held_spans=other.spans,
            held_copied_spans=other.copied_spans,
            longest=found.longest,
            searched=found.searched,
            seconds=round(time.monotonic() - began, 3),
        ),
    )


def _now_and_then(send: Send) -> Callable[[float], None]:
    """Tell how far the writing is, but not after every token."""
    told = time.monotonic()

    def tell(done: float) -> None:
        nonlocal told
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            send({"fraction": WRITING_SHARE * done})

    return tell


def _begun(valid: pa.LargeStringArray) -> tuple[list[str], list[str]]:
    """Return beginnings of validation texts from all over them, and what the texts go on with."""
    mean = valid.nbytes / max(1, len(valid))
    count = min(len(valid), int(np.clip(_WANTED / max(1.0, mean), _FEWEST, _MOST)))
    places = np.linspace(0, len(valid) - 1, count).astype(int).tolist()
    prompts, held, room = [], [], _HELD
    for place in places:
        text = valid[place].as_py() or ""
        cut = min(_PROMPT, int(_PROMPT_SHARE * len(text)))
        prompts.append(text[:cut])
        held.append(text[cut : cut + room])
        room -= len(held[-1])
    return prompts, held


def _tokens(writer: Writer, held: list[str]) -> int:
    """Return about how many tokens a text of the wanted length has: as the true ones have, but no longer."""
    some = "".join(held)[: 20 * _LONGEST]
    longest = max(len(text) for text in held)
    return max(1, round(min(_LONGEST, longest) * len(writer.coder.encode(some)) / max(1, len(some))))
