"""Pretrained language models on the ladder: scored as they are, with adapters, and with all weights learning."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM, BertConfig, BertModel

from borrowed import CONFIGS, LINES, SMALL, bases, built, examples, write_base
from yunti.data.table import Table, Texts
from yunti.data.tokenisers import FolderCoder
from yunti.errors import BundleError, RungError
from yunti.ladders.find import find_rung
from yunti.models.causal import CausalLanguage, places_in
from yunti.models.contract import Watch
from yunti.models.generation import write
from yunti.models.hub import load_causal
from yunti.models.lora import Adapted
from yunti.models.network import Network
from yunti.models.sampling import Sampling
from yunti.models.settings import settings_from
from yunti.tasks.language import bits_per_byte
from yunti.training import train


def trained(name: str, kind: str) -> Any:
    model = built(name, bases()[kind])
    settings = [] if name == "pretrained" else [("training.epochs", 6), ("training.batch", 8), ("model.context", 32)]
    train(model, examples(40), examples(10, seed=1), Watch(time.monotonic() + 60), settings_from(settings))
    return model


def nats_by_transformers(model: Any, coder: FolderCoder, text: str) -> float:
    tokens = torch.tensor([[0, *coder.encode(text).tolist()]])  # <s> before it, and no end
    with torch.inference_mode():
        logs = model(tokens).logits[0, :-1].log_softmax(1)
    return -float(logs.gather(1, tokens[0, 1:, None]).sum())


@pytest.fixture(scope="module", params=[*CONFIGS])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module", params=["pretrained", "lora", "finetuned"])
def made(request: pytest.FixtureRequest, kind: str) -> tuple[str, str, Any]:
    return request.param, kind, trained(request.param, kind)


def test_what_a_text_costs_is_what_transformers_computes(kind: str) -> None:
    model, base = trained("pretrained", kind), bases()[kind]
    texts = ["the cat sat", "云梯很高, 🙂", "x" * 30]
    costs = model.predict(Table({"text": Texts(pa.array(texts, pa.large_string()))}))
    plain, coder = AutoModelForCausalLM.from_pretrained(base).eval(), FolderCoder.read(Path(base))
    assert costs[:, 0] == pytest.approx([nats_by_transformers(plain, coder, text) for text in texts], rel=1e-5)
    assert costs[:, 1].tolist() == [len(text.encode()) for text in texts]
    assert model.parameters == model.train_flops == 0


def test_a_long_text_is_read_in_windows_with_half_a_context_before_each_token() -> None:
    model, base = trained("pretrained", "llama"), bases()["llama"]
    text = ". ".join(LINES * 6)
    plain, coder = AutoModelForCausalLM.from_pretrained(base).eval(), FolderCoder.read(Path(base))
    tokens = [0, *coder.encode(text).tolist()]
    assert len(tokens) > 64 + 32
    nats, begin, seen = 0.0, 0, 1
    while seen < len(tokens):
        window = torch.tensor([tokens[begin : begin + 65]])
        with torch.inference_mode():
            logs = plain(window[:, :-1]).logits[0].log_softmax(1)
        taken = -logs.gather(1, window[0, 1:, None])[:, 0]
        nats += float(taken[seen - begin - 1 :].sum())
        begin, seen = begin + 32, begin + window.shape[1]
    assert model.predict(Table({"text": Texts(pa.array([text], pa.large_string()))}))[0, 0] == pytest.approx(
        nats, rel=1e-5
    )


def test_the_state_leaves_and_comes_back(made: tuple[str, str, Any]) -> None:
    name, _, model = made
    copy = built(name, None)
    copy.restore(model.parts())
    held = examples(4, seed=3)
    np.testing.assert_array_equal(copy.predict(held.table), model.predict(held.table))
    sampling = Sampling(max_tokens=80, seed=4)  # more than the model reads at once
    written = "".join(write(copy.writer, "the", sampling))
    assert written == "".join(write(model.writer, "the", sampling))
    np.testing.assert_allclose(copy.predict(held.table), model.predict(held.table), rtol=1e-5)


def test_what_is_learned_helps_and_only_that_is_stored(made: tuple[str, str, Any]) -> None:
    name, kind, model = made
    held = examples(10, seed=2)
    before = bits_per_byte(held.target, trained("pretrained", kind).predict(held.table))
    after = bits_per_byte(held.target, model.predict(held.table))
    stored = sum(each.size for each in model.parts().arrays.values())
    plain = load_causal(Path(bases()[kind]))
    whole = sum(each.numel() for each in plain.parameters())
    if name == "pretrained":
        assert (after, stored) == (before, 0)
        return
    assert after < before - 0.2
    assert stored == model.parameters
    assert (stored == whole) == (name == "finetuned")
    language = model.module.language
    moved = [
        not torch.equal(value, dict(plain.named_parameters())[weight])
        for weight, value in language.model.named_parameters()
        if weight in dict(plain.named_parameters())
    ]
    assert all(moved) if name == "finetuned" else not any(moved)
    if name == "lora":
        adapted = [each for each in language.modules() if isinstance(each, Adapted)]
        assert len(adapted) == (8 if kind == "gpt2" else 14)
        assert all(float(each.up.detach().abs().sum()) > 0 for each in adapted)


def test_a_step_gives_the_logits_of_reading_it_all(made: tuple[str, str, Any]) -> None:
    _, _, model = made
    language = model.module.eval().language
    tokens = torch.randint(2, 280, (2, 70), generator=torch.Generator().manual_seed(0))
    reading, held = language.begin(tokens[:, :50]), 50
    for place in range(50, 69):
        with torch.inference_mode():
            got = reading.step(tokens[:, place])
            held = held + 1 if held < 64 else 33
            wanted = language({"tokens": tokens[:, place + 1 - held : place + 1]})[:, -1]
        assert torch.allclose(got, wanted, atol=1e-4)


def test_documents_in_one_row_know_nothing_of_each_other(kind: str) -> None:
    language = CausalLanguage(load_causal(Path(bases()[kind])), first=0, end=1).eval()
    tokens = torch.randint(2, 280, (1, 20), generator=torch.Generator().manual_seed(0))
    documents = torch.tensor([[3] * 7 + [4] * 13])
    assert language.packs
    assert torch.allclose(language.states(tokens, documents)[:, 7:], language.states(tokens[:, 7:]), atol=1e-5)
    assert places_in(documents)[0, [0, 6, 7, 19]].tolist() == [0, 6, 0, 12]


def test_documents_that_cannot_be_kept_apart_get_windows_of_their_own() -> None:
    model = built("lora", bases()["gpt2"])
    model.prepare(examples(5))
    packed = model.pack(examples(5))
    model.module.language.packs = False
    alone = model.pack(examples(5))
    rows = alone.table.packed("tokens").arrays(np.arange(len(alone)))
    whole = packed.table.packed("tokens").arrays(np.arange(len(packed)))
    assert set(whole) == {"", ".document"}
    assert set(rows) == {"", ".scored"}
    coder = model.reader.coder
    assert rows[".scored"].sum() == sum(
        len(coder.encode(each)) + 1 for each in examples(5).table["text"].values.to_pylist()
    )
    batch = model.batch(model.encode(alone.table), np.arange(2))
    losses = model.module.train()(batch)
    first = {name: each[:1] for name, each in batch.items()}
    assert losses.isfinite().all()
    assert model.module(first).item() != losses.item()


def test_a_base_that_is_gone_or_changed_is_told_in_a_sentence(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    model = built("pretrained", str(base))
    train(model, examples(5), examples(2), Watch(time.monotonic() + 60))
    parts = model.parts()
    other = AutoModelForCausalLM.from_config(CONFIGS["llama"])
    other.save_pretrained(base)
    with pytest.raises(BundleError, match="must be those it was made with, but they are others"):
        built("pretrained", None).restore(parts)
    (base / "config.json").unlink()
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"must be at .*base, but it is not there; bring it back"):
        built("pretrained", None).restore(parts)


def test_a_model_all_of_whose_weights_learned_needs_no_base(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", "gpt2")
    model = built("finetuned", str(base))
    train(model, examples(5), examples(2), Watch(time.monotonic() + 60), settings_from([("training.epochs", 1)]))
    base.rename(tmp_path / "elsewhere")
    copy = built("finetuned", None)
    copy.restore(model.parts())
    np.testing.assert_array_equal(copy.predict(examples(2).table), model.predict(examples(2).table))


def test_what_cannot_serve_is_told_in_a_clause(tmp_path: Path) -> None:
    rung = find_rung("language", "lora")
    reason = lambda place: rung.unfit_for(built("lora", place).spec)  # noqa: E731
    assert reason(None) == "no pretrained model was given: use --pretrained FOLDER"
    assert reason(str(tmp_path / "none")) == f"the folder {tmp_path / 'none'} does not exist"
    encoder = tmp_path / "encoder"
    BertModel(BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)).save_pretrained(
        encoder
    )
    assert reason(str(encoder)) == "the pretrained model does not write: BertModel is no causal language model"
    base = write_base(tmp_path / "base")
    assert reason(str(base)) is None
    assert all(
        find_rung("language", name).unfit_for(built(name, str(base)).spec) is None
        for name in ("pretrained", "finetuned")
    )
    learned = json.loads((base / "tokenizer.json").read_text())
    learned["model"]["byte_fallback"] = True
    (base / "tokenizer.json").write_text(json.dumps(learned))
    import os

    os.utime(base / "tokenizer.json", ns=(1, 1))
    assert "would lose parts of texts" in reason(str(base))
    (base / "tokenizer.json").unlink()
    assert reason(str(base)) == f"{base} has no tokenizer.json, by which the pretrained model reads texts"
    (base / "model.safetensors").unlink()
    assert "no .safetensors file" in reason(str(base))


def test_a_model_that_would_be_scored_wrongly_is_refused() -> None:
    from transformers import GPTJConfig

    config = GPTJConfig(n_embd=32, n_layer=1, n_head=2, n_positions=64, rotary_dim=8, **SMALL)
    model = AutoModelForCausalLM.from_config(config).eval()
    CausalLanguage(model, 0, 1)
    model.lm_head.bias.data.fill_(1).mul_(torch.arange(300))
    with pytest.raises(RungError, match="GPTJForCausalLM is none: its logits are more than a product of its states"):
        CausalLanguage(model, 0, 1)
    encoder = AutoModelForCausalLM.from_config(
        BertConfig(vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    )
    with pytest.raises(RungError, match="BertLMHeadModel is none: it reads what comes after a token too"):
        CausalLanguage(encoder.eval(), 0, 1)


def test_capped_and_scaled_logits_are_those_of_the_model() -> None:
    from transformers import CohereConfig, Gemma2Config, GraniteConfig

    sizes = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 16, **SMALL,
    }  # fmt: skip
    tokens = torch.arange(2, 12)[None]
    configs = (
        Gemma2Config(final_logit_softcapping=2.0, **sizes),
        CohereConfig(**sizes),
        GraniteConfig(logits_scaling=3.0, **sizes),
    )
    for config in configs:
        model = AutoModelForCausalLM.from_config(config).eval()
        language = CausalLanguage(model, 0, 1).eval()
        with torch.inference_mode():
            assert torch.allclose(language({"tokens": tokens}), model(tokens).logits, atol=1e-4)


def test_it_is_scored_only_where_there_is_time_for_it() -> None:
    model = built("pretrained", bases()["gpt2"])
    with pytest.raises(RungError, match="scoring the validation texts must fit the time"):
        train(model, examples(5), examples(2), Watch(time.monotonic() - 1))


def test_a_network_of_adapters_is_a_network() -> None:
    assert isinstance(built("lora", bases()["gpt2"]), Network)
