"""Language models leave for `transformers` and come back: equal logits, equal tokens, equal bits per byte."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from borrowed import CONFIGS, LINES, bases, built, examples
from yunti.bundle.export import FILES, export_model
from yunti.cli.app import run
from yunti.data.tokenisers import ByteCoder, CharacterCoder, FolderCoder, PairCoder, TextCoder, fit_coder
from yunti.data.tokenisers.foreign import as_tokenizers
from yunti.errors import OptionError, RungError
from yunti.ladders.find import find_rung
from yunti.models import language as language_module
from yunti.models.contract import Size, Watch
from yunti.models.settings import settings_from
from yunti.training import train

TEXTS = [
    "Don't stop 'tis\r\n\r\n  x",
    "云梯日本 한국어 हिन्दी",
    "e\u0301 é İ \x00\x1f\u2028 ½٣ \ufffd",
    "👩🏽\u200d🚀 <|end|>",
    "  " * 40 + "a",
]


def logits_by_transformers(folder: Path, tokens: torch.Tensor) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        return model(tokens).logits


def hold_same(model: Any, folder: Path) -> None:
    """Hold that an exported model is the same in transformers, and back on the ladder."""
    coder, language = model.writer.coder, model.module.eval().language
    tokens = torch.randint(2, coder.size - 1, (2, 24), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(logits_by_transformers(folder, tokens), language({"tokens": tokens}), atol=1e-4)
    tokeniser = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    for text in TEXTS:
        assert tokeniser.encode(text, add_special_tokens=False) == coder.encode(text).tolist()
        assert tokeniser.decode(coder.encode(text).tolist()) == text
    assert tokeniser.eos_token_id == coder.end
    back = built("pretrained", str(folder))
    train(back, examples(3), examples(2), Watch(time.monotonic() + 60))
    held = examples(6, seed=5)
    np.testing.assert_allclose(back.predict(held.table), model.predict(held.table), rtol=1e-4)


@pytest.mark.parametrize("coder", ["bytes", "characters", "bpe"])
def test_a_gpt_is_the_same_in_transformers_and_back(
    coder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = lambda _spec, texts, _seconds: (fit_coder(coder, texts, 300, 0), "asked for")  # noqa: E731
    monkeypatch.setattr(language_module, "learned_coder", made)
    model = built("gpt", None)
    model.prepare(examples(10))
    with torch.no_grad():
        for weight in model.module.parameters():
            weight.mul_(2).add_(0.02 * torch.randn(weight.shape))  # heads and layers begin as zeros
    export_model("bundle", model, tmp_path / "out")
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == sorted(FILES)
    hold_same(model, tmp_path / "out")


@pytest.mark.parametrize("kind", [*CONFIGS])
@pytest.mark.parametrize("name", ["pretrained", "lora", "finetuned"])
def test_what_stands_on_a_pretrained_model_leaves_in_its_architecture(name: str, kind: str, tmp_path: Path) -> None:
    model = built(name, bases()[kind])
    settings = [] if name == "pretrained" else [("training.epochs", 2), ("model.context", 64)]
    train(model, examples(8), examples(2, seed=1), Watch(time.monotonic() + 60), settings_from(settings))
    folder = tmp_path / "out"
    export_model("bundle", model, folder)
    told = json.loads((folder / "config.json").read_text())
    assert told["architectures"] == [type(AutoModelForCausalLM.from_config(CONFIGS[kind])).__name__]
    hold_same(model, folder)
    assert AutoTokenizer.from_pretrained(folder).encode("the cat")[0] == 0  # <s>, as its base does


@pytest.mark.parametrize(
    "coder",
    [ByteCoder(), CharacterCoder.fit(LINES * 2), PairCoder.fit([*LINES * 9, "don't " * 9], 320, 0)],
    ids=lambda coder: coder.kind,
)
def test_a_tokeniser_is_the_same_in_the_package_tokenizers(coder: TextCoder) -> None:
    coder = coder.with_special(["<user>"])
    made = Tokenizer.from_str(json.dumps(as_tokenizers(coder)))
    made.encode_special_tokens = True
    draw = random.Random(0)
    letters = "ae tZ' ’\n\r\t12٣½.!<云梯한é\u0301\x00\u2028\u3000😀\u200dि\u0378İ"
    texts = [
        "".join(draw.choice(letters) * draw.choice([1, 1, 1, 2, 31, 32, 33, 65]) for _ in range(12)) for _ in range(300)
    ]
    texts += ["".join(chr(code) for code in draw.sample(range(0xD800), 40)) for _ in range(100)]
    for text in [*TEXTS, *texts, "a" + "'" * 33 + "b", "<user> <|end|>", ""]:
        assert made.encode(text).ids == [coder.end, *coder.encode(text).tolist()], text  # what stands before a text
    assert made.token_to_id("<user>") == coder.special["<user>"]


def test_what_cannot_leave_is_told_in_a_sentence(tmp_path: Path) -> None:
    from contract.rows import make_rows, make_spec

    counted = built("unigram", None)
    train(counted, examples(5), examples(2), Watch(time.monotonic() + 60))
    with pytest.raises(OptionError, match="only a Transformer can be exported, but this model counts"):
        export_model("bundle", counted, tmp_path / "out")
    constant = find_rung("classification", "constant").build(make_spec("number", "classification", 20), Size())
    rows = make_rows("number", "classification", 20)
    train(constant, rows, rows, Watch(time.monotonic() + 60))
    with pytest.raises(RungError, match="must be a language model"):
        export_model("bundle", constant, tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    model = built("gpt", None)
    model.prepare(examples(5))
    with pytest.raises(OptionError, match="exported to a new place, but something is there"):
        export_model("bundle", model, tmp_path / "full")
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_book_is_learned_exported_and_climbed_upon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book, out = tmp_path / "book.txt", tmp_path / "run"
    book.write_text("".join(f"{line}, number {place}.\n" for place in range(800) for line in LINES), encoding="utf-8")
    assert run(["climb", str(book), "--budget", "30s", "--rungs", "gpt", "--out", str(out)]) == 0
    assert run(["export", str(out / "models" / "gpt"), str(tmp_path / "mine")]) == 0
    assert "holds the model as transformers reads it" in capsys.readouterr().err
    assert FolderCoder.read(tmp_path / "mine").end == 0
    rungs = ["--rungs", "pretrained,lora,finetuned", "--pretrained", str(tmp_path / "mine")]
    assert run(["climb", str(book), "--budget", "100s", *rungs, "--out", str(tmp_path / "again")]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("pretrained", "lora", "finetuned"))
    assert run(["generate", str(tmp_path / "again" / "models" / "lora"), "--prompt", "the", "--max-tokens", "9"]) == 0
    assert run(["export", str(tmp_path / "again" / "models" / "lora"), str(tmp_path / "mine")]) == 2
    assert "something is there" in capsys.readouterr().err
