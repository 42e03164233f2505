"""Conversations for pretrained language models: their own template or plain words, answers alone learned, and chats."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import yunti
from borrowed import bases
from yunti.cli.app import run
from yunti.data.chats.foreign import coder_in, template_of
from yunti.data.chats.template import JinjaTemplate, Lines, restore_template
from yunti.data.chats.turns import Turn, written
from yunti.data.table import Examples, Table, Texts
from yunti.data.tokenisers import ChatCoder, FolderCoder, restore_coder
from yunti.errors import SourceError
from yunti.ladders.find import find_rung
from yunti.models.contract import Size, Watch
from yunti.models.settings import settings_from
from yunti.specs import ColumnSpec, Spec
from yunti.tasks.language import bits_per_byte
from yunti.tasks.task import infer_task
from yunti.training import train

OWN = (
    "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML = (  # as many models have it: nothing stands before, and the system speaks first
    "{% if messages[0].role != 'system' %}<|im_start|>system\nx<|im_end|>\n{% endif %}"
    + OWN.removeprefix("{{ bos_token }}")
)
TALK = [Turn("user", "a cat?"), Turn("assistant", "a dog"), Turn("user", "a mat?"), Turn("assistant", "云梯")]
SAID = [
    [Turn("user", f"where sat the {who}?"), Turn("assistant", f"the {who} sat on the {where}")]
    for who, where in (("cat", "mat"), ("dog", "log"))
    for _ in range(30)
]


@pytest.fixture(scope="module")
def with_template(tmp_path_factory) -> Path:
    """A model whose tokeniser has marks of its own, one of which ends its texts as well."""
    folder = tmp_path_factory.mktemp("bases") / "own"
    shutil.copytree(bases()["llama"], folder)
    learned = json.loads((folder / "tokenizer.json").read_text())
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    free = max(learned["model"]["vocab"].values()) + 1
    marks = [
        {"id": free + place, "content": name, **plain} for place, name in enumerate(["<|im_start|>", "<|im_end|>"])
    ]
    (folder / "tokenizer.json").write_text(json.dumps({**learned, "added_tokens": [*learned["added_tokens"], *marks]}))
    told = {
        "eos_token": "<|im_end|>", "bos_token": "<s>", "chat_template": OWN,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return folder


def folder_of(kind: str, with_template: Path) -> Path:
    if kind == "lines":
        return Path(bases()["gpt2"])
    folder = with_template.parent / kind
    if not folder.is_dir():
        shutil.copytree(with_template, folder)
        (folder / "chat_template.jinja").write_text(CHATML)
    return folder


def examples(conversations=SAID) -> Examples:
    texts = pa.array([written(turns) for turns in conversations], pa.large_string())
    return Examples(Table({"text": Texts(texts)}), np.zeros(len(texts)), np.arange(len(texts)))


def trained(name: str, folder: Path):
    column = ColumnSpec("text", "text", length=60, parsing={"chat": True})
    spec = Spec((column,), infer_task("language", "text"), len(SAID), pretrained=str(folder))
    rung = find_rung("language", name)
    assert rung.unfit_for(spec) is None
    model = rung.build(spec, Size())
    settings = [] if name == "pretrained" else [("training.epochs", 8), ("training.batch", 8), ("model.context", 64)]
    train(model, examples(), examples(SAID[:20]), Watch(time.monotonic() + 100), settings_from(settings))
    return model


@pytest.mark.parametrize("kind", ["own", "chatml", "lines"])
def test_the_tokens_of_a_conversation_are_those_of_transformers_and_answers_alone_count(kind, with_template):
    folder = folder_of(kind, with_template)
    coder = coder_in(folder, chats=True)
    assert isinstance(coder, ChatCoder)
    tokens, counts = coder.encode_turns([TALK])
    answers, at = ["a dog", "云梯"], 0
    for part in "".join("1" if each else "0" for each in counts).replace("01", "0 1").replace("10", "1 0").split():
        some, at = tokens.values[at : at + len(part)], at + len(part)
        if part[0] == "1":
            assert coder.decode(some) == answers.pop(0)
            assert int(some[-1]) in coder.ends
    assert not answers
    if kind != "lines":
        foreign = AutoTokenizer.from_pretrained(folder)
        messages = [{"role": each.role, "content": each.content} for each in TALK]
        wanted = foreign.apply_chat_template(messages, tokenize=True, return_dict=False)
        assert coder.special["<s>" if kind == "own" else "<|im_start|>"] == coder.first
        assert [coder.first, *tokens.values.tolist()] == wanted
        asked = foreign.apply_chat_template(messages[:1], add_generation_prompt=True, return_dict=False)
        assert [coder.first, *coder.asking(TALK[:1]).tolist()] == asked
    assert coder.end not in tokens.values  # it keeps conversations apart
    again = restore_coder(coder.state())
    assert again.encode_turns([TALK])[0].values.tolist() == tokens.values.tolist()
    assert (again.first, again.end, again.ends) == (coder.first, coder.end, coder.ends)


@pytest.mark.parametrize("kind", ["own", "chatml", "lines"])
def test_what_answers_cost_is_what_transformers_computes(kind, with_template):
    folder = folder_of(kind, with_template)
    model = trained("pretrained", folder)
    coder = coder_in(folder, chats=True)
    tokens, counts = coder.encode_turns([TALK])
    row = torch.tensor([[coder.first, *tokens.values.tolist()]])
    with torch.inference_mode():
        logs = AutoModelForCausalLM.from_pretrained(folder).eval()(row).logits[0, :-1].log_softmax(1)
    nats = -logs.gather(1, row[0, 1:, None])[:, 0].numpy()
    said = counts & np.array([len(coder.pieces[token]) > 0 for token in tokens.values])
    costs = model.predict(examples([TALK]).table)[0]
    assert costs[0] == pytest.approx(float(nats[said].sum()), rel=1e-4)
    assert costs[1] == len("a dog云梯".encode())


@pytest.mark.parametrize(("name", "kind"), [("lora", "own"), ("finetuned", "lines"), ("lora", "lines")])
def test_a_model_learns_to_answer_and_comes_back(name, kind, with_template):
    folder = folder_of(kind, with_template)
    before, model = trained("pretrained", folder), trained(name, folder)
    held = examples(SAID[:20])
    assert bits_per_byte(held.target, model.predict(held.table)) < 0.6 * bits_per_byte(
        held.target, before.predict(held.table)
    )
    copy = find_rung("language", name).build(model.spec, Size())
    copy.restore(model.parts())
    np.testing.assert_array_equal(copy.predict(held.table), model.predict(held.table))
    assert isinstance(copy.writer.coder, ChatCoder)


def test_a_climb_on_conversations_with_a_pretrained_model_chats_and_is_exported(tmp_path, capsys, with_template):
    rows = [{"messages": [{"role": each.role, "content": each.content} for each in turns]} for turns in SAID]
    # rows must differ, or they would be one conversation
    for place, row in enumerate(rows):
        row["messages"][0]["content"] += f" {place}"
    source = tmp_path / "chats.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    climb = yunti.climb(
        str(source),
        budget="60s",
        rungs="unigram,lora",
        pretrained=str(folder_of("chatml", with_template)),
        out=tmp_path / "run",
    )
    statuses = {each.name: (each.status, each.reason) for each in climb.record.rungs}
    assert statuses["lora"][0] == "done", statuses
    bundle = climb.model("lora")
    asked = [{"role": "user", "content": "where sat the cat? 7"}]
    answer = "".join(bundle.chat(asked, temperature=0, max_tokens=20))
    path = str(bundle.path)
    assert (
        run(["chat", path, "--prompt", asked[0]["content"], "--temperature", "0", "--max-tokens", "20", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["content"] == answer
    assert run(["export", path, str(tmp_path / "out")]) == 0
    foreign = AutoTokenizer.from_pretrained(tmp_path / "out")
    tokens = foreign.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=False)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    made = model.generate(tokens, max_new_tokens=20, do_sample=False)[0, tokens.shape[1] :]
    assert foreign.decode(made, skip_special_tokens=True) == answer


def test_a_template_without_an_end_of_answers_is_told_in_a_sentence(tmp_path, with_template):
    folder = tmp_path / "base"
    shutil.copytree(with_template, folder)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    with pytest.raises(SourceError, match="a special token must end every answer"):
        coder_in(folder, chats=True)
    column = ColumnSpec("text", "text", length=60, parsing={"chat": True})
    spec = Spec((column,), infer_task("language", "text"), 60, pretrained=str(folder))
    assert "chat template" in (find_rung("language", "lora").unfit_for(spec) or "")


def test_templates_may_mark_answers_and_ask_for_tools(with_template):
    source = OWN.replace("{{ m.content }}", "{%- generation %}{{ m.content }}{% endgeneration %}")
    source = "{% if tools is not none %}{{ raise_exception('no tools') }}{% endif %}" + source
    special = FolderCoder.read(with_template).special
    plain, marked = (JinjaTemplate(each, [*special], "<|im_end|>", {"bos_token": "<s>"}) for each in (OWN, source))
    written = ["".join(piece.text for piece in each.pieces(TALK)) for each in (plain, marked)]
    assert written[0].replace("\n", "") == written[1].replace("\n", "")


def test_a_template_that_ends_only_the_last_answer_is_refused(tmp_path, with_template):
    folder = tmp_path / "base"
    shutil.copytree(with_template, folder)
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{{ eos_token }}"
    )
    with pytest.raises(SourceError, match="a special token must end every answer"):
        coder_in(folder, chats=True)


def test_templates_are_found_and_told_again(with_template):
    coder = FolderCoder.read(with_template)
    own = template_of(with_template, coder)
    assert isinstance(own, JinjaTemplate)
    assert own.ends == ("<|im_end|>",)
    assert restore_template(own.facts()).pieces(TALK) == own.pieces(TALK)
    lines = Lines("</s>")
    assert restore_template(lines.facts()).pieces(TALK, ask=True) == lines.pieces(TALK, ask=True)
    same = JinjaTemplate(lines.jinja(), ["</s>"], "</s>")
    for turns, ask in ((TALK, False), (TALK[:1], True)):
        texts = ["".join(piece.text for piece in each.pieces(turns, ask)) for each in (lines, same)]
        assert texts[0] == texts[1]
