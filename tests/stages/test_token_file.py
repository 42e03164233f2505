"""Token files, rows and passes over them, and lengths of texts."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yunti.data import token_file
from yunti.data.table import Texts
from yunti.data.token_file import TokenFacts, TokenFile, fingerprint_of, open_tokens, write_tokens
from yunti.data.tokenisers import ByteCoder, CharacterCoder, PairCoder, TextCoder
from yunti.data.windows import Passes, Windows
from yunti.errors import OptionError, SourceError

ENGLISH = ["The old man went; the old woman did not.", "", "Go, go -- don't stop!\n\nNow."]
CHINESE = ["云梯，古代攻城之具。", None, "学习 AI 要循序渐进。", "云梯，登。"]
TEXTS = pa.array([*ENGLISH, *CHINESE], pa.large_string())
FEW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CODERS = [ByteCoder(), CharacterCoder.fit(TEXTS), PairCoder.fit(TEXTS, 300, 0), ByteCoder().with_special(["<user>"])]


def file_of(lengths: list[int], folder: Path) -> TokenFile:
    """Make a token file in memory, whose documents have these lengths, ends included; each token is its own number."""
    documents = [[*range(1 + 100 * row, 100 * row + length), 0] for row, length in enumerate(lengths)]
    tokens = np.array([0, *(token for document in documents for token in document)], dtype=np.uint16)
    offsets = np.cumsum([1, *lengths])
    return TokenFile(folder, TokenFacts("", "", 60_000, 0, len(lengths), len(tokens) - 1), tokens, offsets)


@pytest.mark.parametrize("coder", CODERS, ids=lambda coder: coder.kind)
def test_documents_stand_one_after_the_other_each_with_its_end(coder: TextCoder, tmp_path: Path) -> None:
    told: list[float] = []
    file = write_tokens(tmp_path / "new", "train", Texts(TEXTS), coder, told.append)
    assert isinstance(file.tokens, np.memmap)
    assert (file.tokens.dtype, file.tokens[0], len(file)) == (coder.dtype, coder.end, len(TEXTS))
    for row, text in enumerate(TEXTS.to_pylist()):
        document = file.tokens[file.offsets[row] : file.offsets[row + 1]]
        assert document[-1] == coder.end
        assert coder.decode(document[:-1]) == (text or "")
        assert coder.end not in document[:-1].tolist()
    assert file.offsets[-1] == len(file.tokens) == file.facts.tokens + 1
    assert told[-1] == 1.0
    assert sorted(told) == told
    assert file.facts.coder == coder.describe()


def test_more_than_65536_tokens_take_four_bytes_each(tmp_path: Path) -> None:
    coder = CharacterCoder(np.arange(0x3400, 0x3400 + 10, dtype=np.uint32)).with_special(
        [f"<{n}>" for n in range(65_300)]
    )
    assert coder.size > 1 << 16
    assert write_tokens(tmp_path, "a", ["a㐀"], coder).tokens.tolist() == [0, 98, 257, 0]
    assert open_tokens(next(tmp_path.glob("*.json"))).tokens.dtype == np.uint32


def test_what_is_there_is_opened_and_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_tokens(tmp_path, "train", TEXTS, ByteCoder())
    with monkeypatch.context() as patch:
        patch.setattr(ByteCoder, "_encode", lambda *_: pytest.fail("it was encoded again"))
        chunks = pa.chunked_array([TEXTS.slice(0, 2), TEXTS.slice(2)])
        again = write_tokens(tmp_path, "train", chunks, ByteCoder())
    assert again.path == first.path
    assert again.tokens.tolist() == first.tokens.tolist()
    assert len(list(tmp_path.iterdir())) == 3
    write_tokens(tmp_path, "train", TEXTS.slice(1), ByteCoder())
    assert len(list(tmp_path.iterdir())) == 6


@given(st.lists(st.text(alphabet="ab云", max_size=3), min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_the_fingerprint_tells_texts_their_order_and_the_coder(texts: list[str], data: st.DataObject) -> None:
    other = data.draw(st.lists(st.text(alphabet="ab云", max_size=3), min_size=1, max_size=4) | st.permutations(texts))
    same = fingerprint_of(texts, ByteCoder()) == fingerprint_of(other, ByteCoder())
    assert same == (texts == other)
    assert fingerprint_of(texts, ByteCoder()) != fingerprint_of(texts, ByteCoder().with_special(["<user>"]))


RESIDENT = """
import sys
from pathlib import Path
from yunti.data.store import Stored, StoredColumns, write_column
from yunti.data.table import Texts
from yunti.data.token_file import write_tokens
from yunti.data.tokenisers import ByteCoder
from yunti.data.tokenisers.blocks import Reopened
import pyarrow as pa
folder = Path(sys.argv[1])
stored = write_column(folder, "text", 0, Texts(pa.array(["some words " * 1000] * 10_000, pa.large_string())))
columns = StoredColumns(folder, (stored,), slice(0, 10_000), stay_open=True)
def mapped():
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    return next(int(line[1]) for line in lines if line[0] == "RssFile:") >> 10
texts = Reopened(lambda: columns.fresh("text").values) if sys.argv[2] == "reopened" else columns["text"]
least, most = mapped(), []
file = write_tokens(folder / sys.argv[2], "train", texts, ByteCoder(), lambda _fraction: most.append(mapped()))
print(file.facts.tokens, file.facts.fingerprint, max(most) - least)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_texts_that_are_opened_anew_give_their_pages_back(tmp_path: Path) -> None:
    found = {}
    for way in ("open", "reopened"):
        command = [sys.executable, "-c", RESIDENT, str(tmp_path), way]
        found[way] = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert found["open"][:2] == found["reopened"][:2]
    assert int(found["open"][2]) > 90  # of 105 MiB
    assert int(found["reopened"][2]) < 60


KILLED = """
import os, signal, sys
from pathlib import Path
from yunti.data.token_file import write_tokens
from yunti.data.tokenisers import ByteCoder
texts = ["some words " * 1000] * 1000
stop = float(sys.argv[2])
def tell(fraction):
    if fraction >= stop:
        os.kill(os.getpid(), signal.SIGKILL)
write_tokens(Path(sys.argv[1]), "train", texts, ByteCoder(), tell)
"""


@pytest.mark.parametrize("stop", ["0.3", "1.0"])
def test_what_a_killed_process_left_does_not_count_and_is_tidied_up(tmp_path: Path, stop: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), stop], check=False)
    assert done.returncode == -9
    assert list(tmp_path.glob("*.json")) == []
    assert len(list(tmp_path.glob(".*.tmp"))) == 2
    file = write_tokens(tmp_path, "train", ["some words " * 1000] * 1000, ByteCoder())
    assert len(file.tokens) == 1 + 11_001_000
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".npy", ".npy"]


def test_a_process_whose_files_were_tidied_up_by_another_opens_those(tmp_path: Path) -> None:
    def other(_fraction: float) -> None:
        for path in tmp_path.glob(".*.tmp"):
            path.unlink()
        write_tokens(tmp_path, "train", TEXTS, ByteCoder())

    assert write_tokens(tmp_path, "train", TEXTS, ByteCoder(), other).facts.documents == len(TEXTS)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    file = write_tokens(tmp_path, "train", TEXTS, ByteCoder())
    tokens = next(tmp_path.glob("*.tokens.npy"))
    whole = tokens.read_bytes()
    tokens.write_bytes(whole[:-10])
    with pytest.raises(SourceError, match="a token file must be whole"):
        open_tokens(file.path)
    assert write_tokens(tmp_path, "train", TEXTS, ByteCoder()).tokens.tolist() == file_tokens(whole)
    file.path.write_text("{")
    assert write_tokens(tmp_path, "train", TEXTS, ByteCoder()).tokens.tolist() == file_tokens(whole)
    file.path.unlink()
    with pytest.raises(SourceError, match="its JSON is not there"):
        open_tokens(file.path)


def file_tokens(content: bytes) -> list[int]:
    return list(np.frombuffer(content[128:], dtype=np.uint16).tolist())


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_told_in_one_sentence_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, code: int
) -> None:
    added: list[Any] = []
    add = token_file._Growing.add

    def fails(self: Any, values: Any) -> None:
        added.append(values)
        if len(added) > after:
            raise OSError(code, os.strerror(code))
        add(self, values)

    monkeypatch.setattr(token_file._Growing, "add", fails)
    with pytest.raises(SourceError) as caught:
        write_tokens(tmp_path, "train", TEXTS, ByteCoder())
    expected = (
        f"{tmp_path}: tokens must be written there, but the system says 'Input/output error'; check the folder and its "
        "disk."
        if code == errno.EIO
        else f"{tmp_path}: there must be room for the tokens of the texts, but the disk is full; free some space, or "
        "write to another disk."
    )
    assert str(caught.value) == expected
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import resource, signal, sys
from pathlib import Path
from yunti.data.token_file import write_tokens
from yunti.data.tokenisers import ByteCoder
from yunti.errors import SourceError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
try:
    write_tokens(Path(sys.argv[1]), "train", ["some words " * 1000] * 1000, ByteCoder())
except SourceError as error:
    print(error)
"""


def test_a_file_that_may_not_grow_is_removed(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], check=True, capture_output=True, text=True)
    assert "but the disk is full" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_no_texts_are_an_empty_file(tmp_path: Path) -> None:
    file = write_tokens(tmp_path, "train", [], ByteCoder())
    assert (file.tokens.tolist(), file.offsets.tolist(), len(file)) == ([0], [1], 0)
    assert len(Windows(file, 4)) == len(Passes(file, 4, 2)) == 0
    assert Windows(file, 4).take(np.arange(0)).shape == (0, 5)
    assert Passes(file, 4, 2).take(np.arange(0)).tokens.shape == (0, 1)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 15), st.integers(0, 40))
@FEW
def test_windows_predict_every_token_once(tmp_path: Path, lengths: list[int], context: int, shift: int) -> None:
    file = file_of(lengths, tmp_path)
    windows = Windows(file, context, shift)
    rows = np.arange(len(windows))
    found, documents = windows.take(rows), windows.documents(rows)
    total = file.facts.tokens
    ring = np.roll(file.tokens[1:], -(shift % total)).astype(np.int64)
    targets = found[:, 1:].ravel()
    assert (len(windows) - 1) * context < total <= len(windows) * context
    assert targets[:total].tolist() == ring.tolist()
    assert targets.tolist() == np.resize(ring, len(targets)).tolist()
    assert found[:, 0].tolist() == np.concatenate([ring[-1:], ring])[np.arange(len(rows)) * context % total].tolist()
    numbers = np.roll(np.repeat(np.arange(len(lengths)), lengths), -(shift % total))
    assert documents.ravel().tolist() == np.resize(numbers, len(targets)).tolist()


def test_windows_are_taken_in_any_order_from_the_file(tmp_path: Path) -> None:
    file = write_tokens(tmp_path, "train", ["some words of a text " * 40, "云梯" * 50], CODERS[2])
    windows = Windows(file, 16)
    order = np.random.default_rng(0).permutation(len(windows))
    together = windows.take(order)
    assert together.dtype == np.int64
    for place, row in enumerate(order[:-1]):
        assert together[place].tolist() == windows.take(np.array([row]))[0].tolist()
        if row < len(windows) - 1:
            assert together[place].tolist() == file.tokens[row * 16 : row * 16 + 17].tolist()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 15), st.data())
@FEW
def test_passes_score_every_token_once_after_tokens_of_its_own_document(
    tmp_path: Path, lengths: list[int], context: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, context))
    file = file_of(lengths, tmp_path)
    passes = Passes(file, context, stride)
    order = np.array(data.draw(st.permutations(range(len(passes)))))
    some = passes.take(order)
    scored: list[tuple[int, int]] = []
    for window, row in enumerate(order):
        document = passes.documents[row]
        start, stop = file.offsets[document], file.offsets[document + 1]
        sequence = [0, *file.tokens[start:stop].tolist()]
        for place in np.flatnonzero(some.scored[window]):
            read = some.tokens[window, : place + 1].tolist()
            last = sequence.index(some.tokens[window, place + 1], 1)
            assert read == sequence[last - len(read) : last]
            assert len(read) == last or len(read) > context - stride
            assert len(read) <= context
            scored.append((int(document), last))
        assert some.scored[window].any()
        assert not some.scored[window, passes.lengths[row] :].any()
        assert (some.tokens[window, passes.lengths[row] + 1 :] == 0).all()
    assert sorted(scored) == [(row, place) for row, length in enumerate(lengths) for place in range(1, length + 1)]


def test_a_context_or_stride_that_reads_nothing_is_refused(tmp_path: Path) -> None:
    file = file_of([3], tmp_path)
    with pytest.raises(OptionError, match="context: it must be at least 1 token, but it is 0; 256 is usual"):
        Windows(file, 0)
    for stride in (0, 5):
        with pytest.raises(OptionError, match=f"stride: it must be 1 to the context, 4, but it is {stride}"):
            Passes(file, 4, stride)
