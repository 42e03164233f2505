"""Lossless tokenisers: every text comes back, in one piece or token by token, alone or among others."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yunti.data.table import Texts
from yunti.data.tokenisers import (
    CODERS,
    ByteCoder,
    CharacterCoder,
    ChatCoder,
    CoderState,
    FolderCoder,
    PairCoder,
    TextCoder,
    every_nth,
    fit_coder,
    learn_coder,
    restore_coder,
    suggest,
    vocabulary_for,
)
from yunti.data.tokenisers import blocks as blocks_module
from yunti.data.tokenisers.blocks import BLOCK_BYTES, blocks
from yunti.data.tokenisers.words import words_in
from yunti.errors import OptionError, SourceError
from yunti.words import speaking, told

ENGLISH = ["The old man didn't go; the old woman did.", "It's 1914, the\n\nold man's 70.", "Go, go -- don't stop!"] * 4
CHINESE = ["云梯，古代攻城之具。", "攻城用的云梯，今天没有了。", "学习 AI 要循序渐进，如登云梯。"] * 4
TEXTS = [*ENGLISH, *CHINESE]
KINDS = ("bytes", "characters", "bpe", "folder", "bytes with chat")
HARD = [
    "",
    "\x00",
    "a\x00b\x00",
    "e\u0301é",
    "👩🏽‍🚀👩",
    "\r\n\r\n \t\v",
    "<|end|>",
    "<user>",
    "\ufeff\ufffd",
    "İıſK",
    " ",
    "  a",
    "x" * 99,
]
ALL = st.text() | st.sampled_from(HARD) | st.text(alphabet="ab '’12云梯，。\n \t.é<|>end", max_size=200)


@cache
def folder_json() -> str:
    """A tokeniser as a pretrained model has it: GPT-2's rules, special tokens, normal form C, a beginning put first."""
    from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens([AddedToken("<|end|>", lstrip=True), "<user>"])
    tokenizer.add_tokens([AddedToken("  ", lstrip=True)])
    end = tokenizer.token_to_id("<|end|>")
    tokenizer.post_processor = processors.TemplateProcessing("<|end|> $A", special_tokens=[("<|end|>", end)])
    return str(tokenizer.to_str())


def write_folder(path: Path, **changed: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "tokenizer.json").write_text(json.dumps({**json.loads(folder_json()), **changed}))
    (path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|end|>"}}))
    return path


@cache
def coder(kind: str) -> TextCoder:
    if kind == "folder":
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            return FolderCoder.read(write_folder(Path(folder) / "small"))
    if kind == "bytes with chat":
        return ByteCoder().with_special(["<user>", "<assistant>"])
    return fit_coder(kind, TEXTS, size=340, seed=0)  # type: ignore[arg-type]


each_coder = pytest.mark.parametrize("kind", KINDS)


@each_coder
@given(text=ALL)
@settings(max_examples=200, deadline=None)
def test_every_text_comes_back(kind: str, text: str) -> None:
    made = coder(kind)
    tokens = made.encode(text)
    assert made.decode(tokens) == text
    assert tokens.dtype == made.dtype
    assert made.end not in tokens.tolist()
    assert not set(made.special.values()) & set(tokens.tolist())


@each_coder
@given(texts=st.lists(ALL | st.none(), max_size=8))
@settings(max_examples=60, deadline=None)
def test_texts_together_are_coded_as_each_alone(kind: str, texts: list[str | None]) -> None:
    made = coder(kind)
    together = made.encode_all(pa.array(texts, pa.large_string()))
    assert len(together) == len(texts)
    for row, text in enumerate(texts):
        tokens = together.values[together.offsets[row] : together.offsets[row + 1]]
        assert tokens.tolist() == made.encode(text or "").tolist()


@each_coder
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_tokens_one_by_one_give_the_text_of_all(kind: str, data: st.DataObject) -> None:
    made = coder(kind)
    if data.draw(st.booleans()):
        tokens = made.encode(data.draw(ALL)).tolist()
    else:
        tokens = data.draw(st.lists(st.integers(0, made.size - 1), max_size=30))
    stream = made.stream()
    pieces = [stream.push(token) for token in tokens]
    assert "".join(pieces) + stream.finish() == made.decode(tokens)
    assert stream.finish() == ""


def test_a_stream_holds_back_what_is_no_whole_character() -> None:
    made = ByteCoder()
    stream = made.stream()
    assert [stream.push(token) for token in made.encode("é云")] == ["", "é", "", "", "云"]
    assert stream.push(1 + 0xE4) == ""
    assert stream.push(1 + ord("a")) == "\ufffda"
    assert stream.push(1 + 0xE4) == ""
    assert stream.finish() == "\ufffd"


@each_coder
def test_the_state_leaves_as_plain_values_and_comes_back(kind: str) -> None:
    made = coder(kind).with_special(["<new>"])
    state = made.state()
    facts, texts = json.loads(json.dumps([state.facts, state.texts]))
    again = restore_coder(CoderState(facts, texts, {name: each.copy() for name, each in state.arrays.items()}))
    assert type(again) is type(made)
    assert again.state().hash() == state.hash() != coder(kind).state().hash()
    assert (again.size, again.end, again.special) == (made.size, made.end, made.special)
    assert again.encode(" ".join(TEXTS)).tolist() == made.encode(" ".join(TEXTS)).tolist()


@each_coder
def test_special_tokens_stand_behind_the_others_and_are_never_read_from_a_text(kind: str) -> None:
    before = coder(kind)
    after = before.with_special(["<tool>", "<user>", "<tool>"])
    new = [name for name in ("<tool>", "<user>") if name not in before.special]
    assert [after.special[name] for name in new] == list(range(before.size, before.size + len(new)))
    assert after.size == before.size + len(new)
    assert after.decode([after.special["<tool>"], *after.encode("<tool> hi <user>"), after.end]) == "<tool> hi <user>"
    assert after.encode("<tool>").tolist() == before.encode("<tool>").tolist()


def test_own_coders_end_documents_with_token_0() -> None:
    assert [coder(kind).end for kind in ("bytes", "characters", "bpe")] == [0, 0, 0]
    assert {type(coder(kind)) for kind in KINDS} == set(CODERS) - {ChatCoder}  # which is made of one of them


def test_bytes_are_those_of_utf_8() -> None:
    text = "".join(TEXTS)
    assert coder("bytes").encode(text).tolist() == [1 + byte for byte in text.encode()]


@settings(deadline=None)
@given(st.lists(st.text(alphabet="aé云梯👩", max_size=20)), st.text(alphabet="abé云梯攻👩🚀", max_size=30))
def test_characters_seen_twice_are_tokens_and_others_bytes(texts: list[str], text: str) -> None:
    made = CharacterCoder.fit(texts)
    whole = "".join(texts)
    known = sorted({each for each in whole if whole.count(each) >= 2 and ord(each) > 127})
    expected: list[int] = []
    for each in text:
        expected += [257 + known.index(each)] if each in known else [1 + byte for byte in each.encode()]
    assert made.encode(text).tolist() == expected
    assert made.size == 257 + len(known)


def reference_words(text: str) -> list[str]:
    """The rules of `words_in`, character by character."""
    import unicodedata

    def kind(letter: str) -> str:
        if letter in "\r\n":
            return "line"
        if letter.isspace():
            return "space"
        code = ord(letter)
        if 0x3040 <= code <= 0x30FF or 0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF:
            return "ideograph"
        return {"L": "letter", "M": "letter", "N": "digit"}.get(unicodedata.category(letter)[0], "mark")

    runs: list[tuple[str, str]] = []
    for letter in text:
        if runs and runs[-1][0] == kind(letter):
            runs[-1] = (runs[-1][0], runs[-1][1] + letter)
        else:
            runs.append((kind(letter), letter))
    words: list[str] = []
    before, taken = "", ""
    for place, (what, run) in enumerate(runs):
        longest = 2 if what == "digit" else 32
        parts = [run[start : start + longest] for start in range(0, len(run), longest)]
        follows = runs[place + 1][0] if place + 1 < len(runs) else ""
        if what == "mark" and run in ("'", "’") and before == "letter" == follows:
            taken, parts = run, []
        elif what == "space" and follows in ("letter", "mark"):
            taken, parts[-1] = parts[-1][-1], parts[-1][:-1]
        elif taken:
            parts[0], taken = taken + parts[0], ""
        words += [part for part in parts if part]
        before = what
    return words


@given(ALL | st.text(alphabet="ab'’ 1é云，\n\u3000.", max_size=120))
@settings(max_examples=300, deadline=None)
@example("it's ' o'clock 'tis rock'n'roll' ''' a''b")
@example("    x  12345 --  云AI 3天 " + "a" * 70 + " " * 40 + "." * 33)
def test_words_are_cut_by_the_class_of_their_characters(text: str) -> None:
    astral = any(0x20000 <= ord(each) <= 0x3FFFF for each in text)
    words = words_in(pa.array([text, text], pa.large_string()))
    found = words.words.to_pylist()
    assert "".join(found) == text + text
    assert words.offsets.tolist() == [0, len(found) // 2, len(found)]
    if not astral:
        assert found[: len(found) // 2] == reference_words(text)


def test_pairs_are_joined_where_they_are_common() -> None:
    made = coder("bpe")
    pieces = [made.decode([token]) for token in made.encode("the old man's 云梯")]
    assert " old" in pieces
    assert "'s" in pieces
    assert "云梯" in pieces
    assert len(made.encode(" ".join(TEXTS))) < len(" ".join(TEXTS).encode()) / 2


@given(st.lists(ALL, min_size=1, max_size=4))
@settings(deadline=None)
def test_words_looked_up_together_are_those_looked_up_alone(texts: list[str]) -> None:
    from tokenizers import Tokenizer

    made = coder("bpe")
    alone = Tokenizer.from_str(made.state().texts["tokenizer"])
    array = pa.array([text.replace("\x00", "") for text in texts] * 2, pa.large_string())
    words = words_in(array).words.to_pylist()
    expected = [token for word in words for token in alone.encode(word).ids]
    assert made.encode_all(array).values.tolist() == expected
    assert made.encode("".join(texts) + "\n\x00").tolist()[:-2] == made.encode("".join(texts) + "\n").tolist()[:-1]


def test_the_same_texts_give_the_same_pairs_whatever_their_chunks() -> None:
    chunks = pa.chunked_array([pa.array(part, pa.string()) for part in (TEXTS[:5], [], TEXTS[5:])])
    states = [
        PairCoder.fit(texts, 300, seed=3).state()
        for texts in (TEXTS, chunks, Texts(pa.array(TEXTS, pa.large_string())))
    ]
    assert len({state.hash() for state in states}) == 1
    assert len({state.texts["tokenizer"] for state in states}) == 1


def test_of_many_texts_a_part_drawn_by_the_seed_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 60)
    monkeypatch.setattr("yunti.data.tokenisers.pairs.SAMPLE_BYTES", 300)
    first, again, other = (PairCoder.fit(TEXTS, 400, seed=seed).state().hash() for seed in (1, 1, 2))
    assert first == again != other


def test_fewer_pairs_than_asked_for_are_no_error() -> None:
    made = PairCoder.fit(["ab"], 4096, seed=0)
    assert made.size == 257
    assert made.decode(made.encode("ab云")) == "ab云"
    assert PairCoder.fit([], 512, seed=0).size == 257


def test_little_time_makes_a_smaller_vocabulary_of_less_text() -> None:
    random = np.random.default_rng(0)
    kinds = np.array(["".join(random.choice(list("etaoinshrdlu"), 6)) for _ in range(20_000)])
    words = kinds[(20_000 * random.random(1_500_000) ** 3).astype(int)]
    texts = pa.array([" ".join(words[start : start + 200]) for start in range(0, len(words), 200)], pa.large_string())
    hurried, _ = learn_coder(texts, 0, seconds=0.0)
    unhurried, reason = learn_coder(texts, 0)
    assert hurried.size < unhurried.size == suggest(texts).size
    assert reason == suggest(texts).reason
    assert hurried.state().hash() == learn_coder(texts, 0, seconds=1.0)[0].state().hash()
    for coder in (hurried, unhurried):
        assert coder.decode(coder.encode("云 12-34")) == "云 12-34"
    assert [every_nth(texts, seconds) for seconds in (100.0, 1.0, 0.5)] == [1, 8, 16]


@pytest.mark.parametrize("text", ["云" * 500_000, "line of words\n" * 100_000, "word " * 300_000, "é" * 700_000])
def test_a_long_text_is_cut_between_characters_where_a_line_or_word_ends(text: str) -> None:
    found = list(blocks(["short", text, "short"]))
    pieces = [piece for block in found for piece in block.texts.to_pylist()]
    assert "".join(pieces) == "short" + text + "short"
    assert all(block.texts.nbytes <= BLOCK_BYTES + 64 for block in found)
    assert sum(int(block.ends.sum()) for block in found) == 3
    assert [block.done for block in found] == sorted(block.done for block in found)
    assert found[-1].done == 1.0
    inner = pieces[1]
    assert inner.endswith("\n") or pieces[2].startswith(" ") or " " not in text
    for kind in ("bytes", "characters", "bpe"):
        made = coder(kind)
        together = made.encode_all(["short", text, "short"])
        assert len(together) == 3
        assert made.decode(together.values) == "short" + text + "short"
        assert together.lengths[0] == together.lengths[2] == len(made.encode("short"))


def test_surrogates_and_nulls_over_bytes_are_no_characters() -> None:
    assert ByteCoder().decode(ByteCoder().encode("a\ud800b")) == "a?b"
    letters, offsets = pa.py_buffer(b"abcdef"), pa.py_buffer(np.array([0, 3, 6]))
    array = pa.LargeStringArray.from_buffers(2, offsets, letters, pa.py_buffer(b"\x02"))
    assert ByteCoder().encode_all(array).lengths.tolist() == [0, 3]


def test_a_slice_of_an_array_is_coded_as_its_texts() -> None:
    array = pa.array(TEXTS, pa.large_string()).slice(7, 9)
    for kind in KINDS:
        made = coder(kind)
        found = made.encode_all(array)
        assert [made.decode(found.row(row).astype(int)) for row in range(9)] == TEXTS[7:16]


def test_tokens_of_another_coder_are_refused() -> None:
    with pytest.raises(OptionError, match="tokens: each must be 0 to 256, but 257 is among them"):
        ByteCoder().decode([1, 257])
    with pytest.raises(OptionError, match="but -1 is among them"):
        ByteCoder().decode(np.array([-1]))


def test_a_folder_codes_as_the_package_but_loses_nothing(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    made = FolderCoder.read(write_folder(tmp_path / "small"))
    theirs = Tokenizer.from_str(folder_json())
    text = " The old man didn't go."
    assert made.encode(text).tolist() == theirs.encode(text, add_special_tokens=False).ids
    assert made.end == theirs.token_to_id("<|end|>")
    assert made.special == {"<|end|>": made.end, "<user>": theirs.token_to_id("<user>")}
    assert made.decode(made.encode("e\u0301   <|end|>")) == "e\u0301   <|end|>"
    assert made.size == theirs.get_vocab_size()
    assert made.describe() == f"byte-level BPE of the pretrained model small: {made.size:,} tokens"


@cache
def sentencepiece_json() -> str:
    """BPE as Llama 2 has it: spaces are written as a mark, and letters that are not known as their bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(ENGLISH, trainer)
    learned = json.loads(tokenizer.to_str())
    learned["added_tokens"] = learned["added_tokens"][:3]
    return json.dumps(learned)


def test_a_folder_of_sentencepiece_that_falls_back_to_bytes_loses_nothing(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    (tmp_path / "tokenizer.json").write_text(sentencepiece_json())
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    made, theirs = FolderCoder.read(tmp_path), Tokenizer.from_str(sentencepiece_json())
    for text in ("The old man didn't go.", "云梯 was 🙂 here\n\n", "<0x0A> <s>", "a  b"):
        assert made.encode(f" {text}").tolist() == theirs.encode(text, add_special_tokens=False).ids or "<s>" in text
    assert made.end == 2
    rows = ["", "▁", "a▁▁ b▁", "no mark", *TEXTS]
    coded = made.encode_all(rows)
    for place, text in enumerate(rows):
        tokens = coded.values[coded.offsets[place] : coded.offsets[place + 1]]
        assert made.decode(tokens) == text
        assert tokens.tolist() == made.encode(text).tolist()
    again = restore_coder(made.state())
    assert again.encode("a▁ b").tolist() == made.encode("a▁ b").tolist()


def test_the_token_that_a_text_begins_from_is_the_one_that_the_package_puts_there(tmp_path: Path) -> None:
    coder = FolderCoder.read(write_folder(tmp_path))
    assert coder.first == json.loads(folder_json())["post_processor"]["special_tokens"]["<|end|>"]["ids"][0]
    folder = write_folder(tmp_path, post_processor=None)
    assert FolderCoder.read(folder).first == coder.end


def test_the_end_may_be_told_by_number(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "tokenizer_config.json").unlink()
    (folder / "config.json").write_text('{"eos_token_id": [7, 9]}')
    assert FolderCoder.read(folder).end == 7


def broken_model(**changed: Any) -> dict[str, Any]:
    return {**json.loads(folder_json())["model"], **changed}


@pytest.mark.parametrize(
    ("changed", "piece"),
    [
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}}, "its model is WordPiece"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}, "its model is Unigram"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}, "token for each byte"),
        (
            {
                "pre_tokenizer": {
                    "type": "Sequence",
                    "pretokenizers": [
                        {"type": "WhitespaceSplit"},
                        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
                    ],
                }
            },
            "does not",
        ),
    ],
)
def test_a_folder_that_would_lose_something_is_refused(tmp_path: Path, changed: dict[str, Any], piece: str) -> None:
    with pytest.raises(SourceError, match="must be BPE over bytes, which every text comes back from") as caught:
        FolderCoder.read(write_folder(tmp_path, **changed))
    assert piece in str(caught.value)


def test_a_folder_without_a_tokeniser_or_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"tokenizer\.json: it must be a file of JSON, but it is not there"):
        FolderCoder.read(tmp_path)
    (write_folder(tmp_path) / "tokenizer_config.json").unlink()
    with pytest.raises(SourceError, match="eos_token"):
        FolderCoder.read(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(SourceError, match="must be a file of JSON, but JSONDecodeError"):
        FolderCoder.read(tmp_path)


def test_little_text_of_few_letters_is_coded_by_characters() -> None:
    found = suggest(ENGLISH)
    assert (found.kind, found.size) == ("characters", 0)
    assert found.reason == (
        "characters as tokens: 364 B of text with 30 distinct characters are too little to learn more tokens from"
    )
    with speaking("zh"):
        assert told(found.reason) == "以字符为词元：364 B 文本只有 30 个不同字符，不足以学习更多词元"


def test_much_text_or_many_characters_are_coded_by_pairs() -> None:
    many = suggest(["".join(map(chr, range(0x4E00, 0x4E00 + 600))) * 100])
    assert (many.kind, many.size) == ("bpe", 2048)
    much = suggest(["some more words\n" * 400_000])
    assert (much.kind, much.size) == ("bpe", vocabulary_for(6.4e6))
    assert many.reason == (
        "byte-level BPE of 2,048 tokens: 600 characters beyond ASCII are seen 100 times in 176 KiB of text, and each "
        "should be a token"
    )
    assert much.reason == (
        "byte-level BPE of 2,048 tokens: in 6 MiB of text about as many can be expected 100 times each"
    )
    with speaking("zh"):
        assert told(many.reason).startswith(
            "2,048 个词元的字节级 BPE：176 KiB 文本中，ASCII 之外有 600 个字符出现了 100 次"
        )
        assert told(much.reason) == "2,048 个词元的字节级 BPE：6 MiB 文本中，约有这么多词元可望各出现 100 次"


@each_coder
def test_a_coder_describes_itself_in_both_languages(kind: str) -> None:
    said = coder(kind).describe()
    with speaking("zh"):
        assert "个词元" in told(said)


def test_vocabularies_grow_with_the_text_and_stay_powers_of_two() -> None:
    sizes = [vocabulary_for(10**power) for power in range(12)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (512, 32_768)
    assert all(size & (size - 1) == 0 for size in sizes)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(OptionError, match="'bqe' is none; did you mean 'bpe'"):
        fit_coder("bqe", TEXTS, 0, 0)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="'x' is none; use the version that wrote it"):
        restore_coder(CoderState({"kind": "x"}))
