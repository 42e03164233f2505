"""Conversations: read from tables, kept as texts, turned into tokens, scored on answers alone, and gone on with."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import yunti
from yunti.cli.app import run
from yunti.cli.screen import result_lines
from yunti.data.chats.layout import Layout, layout_of
from yunti.data.chats.reading import as_chats, find_chats
from yunti.data.chats.template import JinjaTemplate, Marks, restore_template
from yunti.data.chats.turns import ROLES, Turn, answer_lengths, turns_of, written
from yunti.data.read import read_raw
from yunti.data.table import Examples, Table, Texts
from yunti.data.token_file import write_tokens
from yunti.data.tokenisers import ByteCoder, ChatCoder, restore_coder
from yunti.data.windows import Passes, Windows
from yunti.errors import ColumnError, OptionError, RungError
from yunti.ladders.find import LADDERS, find_rung
from yunti.models.chatting import Conversation, remembered
from yunti.models.contract import Size, Watch
from yunti.models.sampling import Sampling
from yunti.specs import ColumnSpec, Spec, TaskSpec

CODER = ChatCoder(ByteCoder(), Marks())
SAID = [
    [Turn("system", "be brief"), Turn("user", f"what is {a} and {b}?"), Turn("assistant", f"it is {a + b}, friend")]
    for a in range(8)
    for b in range(8)
]
SPEC = Spec(
    (ColumnSpec("messages", "text", length=64, parsing={"chat": True}),),
    TaskSpec("language", "messages", "bits_per_byte", "lower"),
    rows=len(SAID),
)


def table(conversations=SAID) -> Table:
    return Table({"messages": Texts(pa.array([written(turns) for turns in conversations], pa.large_string()))})


def examples(conversations=SAID) -> Examples:
    rows = len(conversations)
    return Examples(table(conversations), np.zeros(rows), np.arange(rows))


def lines(path: Path, rows) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def messages(turns) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


TURNS = st.lists(
    st.builds(Turn, st.sampled_from(ROLES), st.text(st.characters(exclude_categories=["Cs"]) | st.just("\x1e")))
)


@settings(deadline=None)
@given(TURNS)
def test_a_conversation_comes_back_letter_by_letter(turns):
    assert turns_of(written(turns)) == turns


@settings(deadline=None)
@given(TURNS)
def test_no_text_forges_a_mark(turns):
    tokens, counts = CODER.encode_turns([turns])
    marks = [token for token in tokens.values.tolist() if not CODER.written[token]]
    assert marks == [CODER.special[each] for turn in turns for each in (f"<|{turn.role}|>", "<|over|>")]
    said = sum(len(turn.content.encode()) + 1 for turn in turns if turn.role == "assistant")
    assert counts.sum() == said


def test_the_coder_of_conversations_comes_back_from_its_state():
    back = restore_coder(CODER.state())
    assert isinstance(back, ChatCoder)
    assert back.state().hash() == CODER.state().hash()
    assert back.encode(written(SAID[0])).tolist() == CODER.encode(written(SAID[0])).tolist()


@pytest.mark.parametrize("turns", [SAID[3], [Turn("user", "a\0b <|over|> <end>"), Turn("assistant", "<end>")]])
def test_a_jinja_template_writes_as_jinja_does_and_knows_the_answers(turns):
    source = (
        "{{ bos }}{% for m in messages %}<in>{{ m['role'] }}\n{{ m['content'] }}<end>\n{% endfor %}"
        "{% if add_generation_prompt %}<in>assistant\n{% endif %}"
    )
    template = restore_template(JinjaTemplate(source, ["<in>", "<end>"], "<end>", {"bos": "B"}).facts())
    pieces = template.pieces(turns, ask=True)
    plain = "".join(f"<in>{turn.role}\n{turn.content}<end>\n" for turn in turns)
    assert "".join(piece.text for piece in pieces) == f"B{plain}<in>assistant\n"
    assert [piece.text for piece in pieces if piece.counts] == [turns[-1].content, "<end>"]
    assert sum(piece.special for piece in pieces) == 2 * len(turns) + 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{{ raise_exception('no system here') }}", "no system here"),
        ("{% for m in messages %}{{ m.content[:1] }}{% endfor %}", "every message once"),
        ("{{ messages.__class__.__mro__ }}", "chat_template"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(source, told):
    with pytest.raises(OptionError, match=told):
        JinjaTemplate(source, ["<end>"], "<end>").pieces(SAID[0])


SHAREGPT = [{"conversations": [{"from": "human", "value": "a?"}, {"from": "gpt", "value": "b"}]}]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"messages": messages(SAID[0])}], SAID[0]),
        ([{"messages": json.dumps(messages(SAID[0]))}], SAID[0]),
        (SHAREGPT, [Turn("user", "a?"), Turn("assistant", "b")]),
        (
            [{"instruction": "add", "input": "1, 1", "output": "2"}],
            [Turn("user", "add\n\n1, 1"), Turn("assistant", "2")],
        ),
        (
            [{"system": "be kind", "question": "a?", "answer": "b"}],
            [Turn("system", "be kind"), Turn("user", "a?"), Turn("assistant", "b")],
        ),
        ([{"问题": "一加一？", "回答": "二"}], [Turn("user", "一加一？"), Turn("assistant", "二")]),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_conversations_are_read_from_every_form(rows, expected, ending, tmp_path):
    path = tmp_path / f"chats.{ending}"
    if ending == "jsonl":
        lines(path, rows)
    elif ending == "json":
        path.write_text(json.dumps(rows))
    else:
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(rows), path)
    raw = read_raw(str(path), tmp_path / "work")
    layout = find_chats(raw, None)
    assert layout is not None
    found = as_chats(raw, layout, [], tmp_path)
    assert turns_of(found.arrow.column(layout.name)[0].as_py()) == expected


def test_what_is_no_conversation_is_told_with_its_row(tmp_path):
    bad = [
        [{"content": "a?"}, {"role": "assistant", "content": "b"}],
        [{"role": "tool", "content": "a?"}],
        [{"role": "user", "content": " "}, {"role": "assistant", "content": "b"}],
        [{"role": "user", "content": "a?"}],
        [{"role": "assistant", "content": "b"}],
        None,
    ]
    raw = read_raw(lines(tmp_path / "c.jsonl", [{"messages": each} for each in [*bad, *map(messages, SAID)]]), tmp_path)
    layout = find_chats(raw, None)
    assert layout is not None
    found = as_chats(raw, layout, [], tmp_path)
    assert len(found) == len(SAID)
    assert [each.row for each in found.broken] == [1, 2, 3, 4, 5, 6]
    told = ["has no role", "the role 'tool'", "has no text", "nobody answers", "nobody asks", "no list"]
    assert all(part in each.reason for part, each in zip(told, found.broken, strict=True))
    assert found.place(0)[1] == 7


def test_a_column_that_is_named_is_no_conversation(tmp_path):
    raw = read_raw(lines(tmp_path / "c.jsonl", [{"question": "a?", "answer": "b"}]), tmp_path)
    assert find_chats(raw, "answer") is None


def test_columns_of_questions_and_answers_may_be_named(tmp_path):
    row = {"ask": "a?", "number": 4, "reply": "b", "system": "be kind", "output": "what a program said", "l": ["a"]}
    raw = read_raw(lines(tmp_path / "c.jsonl", [row]), tmp_path / "work")
    assert find_chats(raw, None) is None
    layout = find_chats(raw, "reply", "ask")
    assert layout == Layout(("ask", "reply"), messages=False, system="system") == layout_of(layout.parsing)
    said = turns_of(as_chats(raw, layout, [], tmp_path).arrow.column("reply")[0].as_py())
    assert said == [Turn("system", "be kind"), Turn("user", "a?"), Turn("assistant", "b")]
    assert find_chats(raw, None, "ask").columns == ("ask", "output")  # called as answers usually are
    assert find_chats(raw, "number", "ask").columns == ("ask", "number")
    for target, prompt, error, told in (
        ("reply", "asks", ColumnError, "there is no 'asks'; did you mean 'ask'"),
        ("l", "ask", ColumnError, "it holds values of type"),
        ("ask", "ask", OptionError, "both are to stand in one"),
    ):
        with pytest.raises(error, match=told):
            find_chats(raw, target, prompt)
    lonely = read_raw(lines(tmp_path / "d.jsonl", [{"ask": "a?", "reply": "b"}]), tmp_path / "lonely")
    with pytest.raises(OptionError, match="name it with --target"):
        find_chats(lonely, None, "ask")
    with pytest.raises(OptionError, match="the task is classification"):
        yunti.look(str(tmp_path / "d.jsonl"), target="reply", prompt="ask", task="classification")


def test_a_group_that_is_no_column_is_told_with_those_that_could_be(tmp_path):
    rows = [{"question": "a?", "answer": "b", "about": "c"}]
    with pytest.raises(ColumnError, match=r"there is no 'abuot'; did you mean 'about'"):
        yunti.look(lines(tmp_path / "c.jsonl", rows), group="abuot")
    alone = [{"question": "a?", "answer": "b"}]
    with pytest.raises(ColumnError, match=r"--group q must name a column, but there is no 'q'; leave it out"):
        yunti.look(lines(tmp_path / "d.jsonl", alone), group="q")


def test_a_bundle_knows_where_the_conversations_stood(tmp_path, capsys):
    rows = [{"ask": said[1].content, "system": said[0].content, "reply": said[2].content} for said in SAID]
    source = lines(tmp_path / "c.jsonl", rows)
    done = yunti.climb(source, target="reply", prompt="ask", rungs="unigram", budget=60, out=tmp_path / "run")
    bundle = done.best
    assert bundle.chats
    asked = bundle.evaluate(source)["score"]
    without = [{name: value for name, value in row.items() if name != "system"} for row in rows]
    assert bundle.evaluate(lines(tmp_path / "d.jsonl", without))["score"] == pytest.approx(asked)
    same = [{"messages": messages(said)} for said in SAID]
    assert bundle.evaluate(lines(tmp_path / "e.jsonl", same))["score"] == pytest.approx(asked)
    with pytest.raises(ColumnError, match="it must hold conversations"):
        bundle.evaluate(lines(tmp_path / "f.jsonl", [{"reply": "b"}]))
    one = lines(tmp_path / "g.jsonl", rows[:1])
    alone = bundle.evaluate(one)
    assert (alone["rows"], alone["low"], alone["high"]) == (1, None, None)  # one row has no interval
    capsys.readouterr()
    assert run(["evaluate", str(bundle.path), one]) == 0
    assert f"{alone['score']:.3f} on 1 row\n" in capsys.readouterr().out
    assert run(["chat", str(bundle.path), "--prompt", " "]) == 2
    assert "a question must say something" in capsys.readouterr().err
    assert run(["chat", str(bundle.path), "--prompt", "why?", "--max-tokens", "3"]) == 0
    assert not capsys.readouterr().err


def test_windows_and_passes_count_each_token_of_an_answer_once(tmp_path):
    texts = [written(turns) for turns in SAID[:9]]
    file = write_tokens(tmp_path, "rows", texts, CODER)
    assert file.counts is not None
    wanted = sum(len(turns[-1].content) + 1 for turns in SAID[:9])
    windows, passes = Windows(file, 48), Passes(file, 32, 16)
    counts = windows.counts(np.arange(len(windows) - 1))
    assert counts is not None
    heard = windows.take(np.arange(len(windows) - 1))[:, 1:][counts]
    assert CODER.decode(heard) == "".join(turns[-1].content for turns in SAID[:9])[: len(CODER.decode(heard))]
    assert file.counts.sum() == wanted
    some = passes.take(np.arange(len(passes)))
    assert some.scored.sum() == wanted
    assert write_tokens(tmp_path, "rows", texts, CODER).counts is not None  # the second time it is only opened


def fitted(name: str):
    rung = next(each for each in LADDERS["language"] if each.name == name)
    model = rung.build(SPEC, Size(0.25))
    if name == "gpt":
        from yunti import training

        training.train(model, examples(), examples(SAID[::4]), Watch())
    else:
        model.fit(examples(), examples(SAID[::4]), Watch())
    return model


@pytest.fixture(scope="module")
def kneser_ney():
    return fitted("kneser_ney")


@pytest.mark.parametrize("name", ["unigram", "kneser_ney"])
def test_counted_models_are_charged_for_answers_alone_given_all_before(name, request):
    model = request.getfixturevalue(name) if name == "kneser_ney" else fitted(name)
    found = model.predict(table(SAID[:5]))
    coder = model.coder
    for turns, sums in zip(SAID[:5], found, strict=True):
        before = coder.asking(turns[:-1]).tolist()
        nats = 0.0
        answer = coder.inner.encode(turns[-1].content).tolist()
        for token in answer:  # by hand: one after the other
            nats -= float(np.log(model.model.next_probabilities(np.array(before))[token]))
            before.append(token)
        said = turns[-1].content
        assert sums[0] == pytest.approx(nats, rel=1e-6)  # float32 inside
        assert sums[1:].tolist() == [len(said.encode()), len(said), len(answer), len(said.split())]


def test_a_network_is_charged_for_answers_alone_given_all_before():
    import torch

    model = fitted("gpt")
    found = model.predict(table(SAID[:5]))
    coder, module = model.writer.coder, model.module.eval()
    for turns, sums in zip(SAID[:5], found, strict=True):
        before = [coder.end, *coder.asking(turns[:-1]).tolist()]
        answer = coder.inner.encode(turns[-1].content).tolist()
        with torch.no_grad():
            logits = module.language({"tokens": torch.tensor([[*before, *answer]])})[0].float()
        logs = logits.log_softmax(-1)[len(before) - 1 : -1]
        nats = -float(logs[torch.arange(len(answer)), torch.tensor(answer)].sum())
        assert sums[0] == pytest.approx(nats, rel=0.03)  # bf16 where the processor has it
        assert sums[1:].tolist() == [len(turns[-1].content), len(turns[-1].content), len(answer), 4]


def test_only_answers_teach_a_network():
    import torch

    from yunti.models.language import Surprise

    torch.manual_seed(0)
    model = find_rung("language", "gpt").build(SPEC, Size(0.25))
    model.reader.fit(table())
    from yunti.ladders.language.gpt import assemble, design

    module = assemble(design(SPEC, model.reader, Size(0.25)).shape, model.reader, 5).train()
    assert isinstance(module, Surprise)
    tokens = torch.randint(1, 40, (2, 9))
    scored = torch.zeros(2, 8, dtype=torch.bool)
    scored[0, 5:7] = True
    loss = module({"tokens": tokens, "tokens.scored": scored})
    states = module.language.states(tokens[:, :-1])
    logs = module.language.logits(states).log_softmax(-1)
    byhand = -(logs[0, 5, tokens[0, 6]] + logs[0, 6, tokens[0, 7]]) / 2
    assert float(loss.detach()) == pytest.approx(float(byhand.detach()), rel=1e-4)


class Bounded:
    """A writer that reads 60 tokens at once."""

    context = 60

    def __init__(self, model) -> None:
        self.coder, self.begin = model.coder, model.begin


def test_the_oldest_turns_are_forgotten_first_and_the_system_never(kneser_ney):
    writer = Bounded(kneser_ney)
    turns = [Turn("system", "brief"), *(Turn(("user", "assistant")[n % 2], f"said {n}") for n in range(9))]
    tokens, dropped, cut = remembered(writer, turns, most=20)
    text = writer.coder.decode(tokens)
    assert len(tokens) <= 39
    assert dropped == 6
    assert not cut
    assert text == "briefsaid 6said 7said 8"
    assert remembered(kneser_ney, turns, most=20)[1] == 0


def test_a_conversation_remembers_an_answer_that_was_stopped(kneser_ney):
    talk = Conversation(kneser_ney, Sampling(max_tokens=40, temperature=0.5), "be brief")
    pieces = talk.ask("what is 1 and 2?")
    first = next(pieces)
    pieces.close()
    assert [turn.role for turn in talk.turns] == ["system", "user", "assistant"]
    assert talk.turns[-1].content == first
    talk.reset()
    assert len(talk.turns) == 1


def test_answers_are_counted_as_texts_are():
    texts = pa.array([written([Turn("user", "abc"), Turn("assistant", "你好 a"), Turn("assistant", "b")]), None])
    assert answer_lengths(texts.cast(pa.large_string())).tolist() == [[9, 5, 4], [0, 0, 0]]


class Typing(io.StringIO):
    """What is typed, after a Ctrl-C."""

    def readline(self, *_):
        if self.tell() or self.closed:
            return super().readline()
        self.seek(1)
        raise KeyboardInterrupt

    def __init__(self, text):
        super().__init__(f" {text}")


def test_what_divides_conversations_stays_beside_them(tmp_path):
    rows = [
        {"messages": messages(turns), "part": "test" if n % 4 == 0 else "train", "n": n} for n, turns in enumerate(SAID)
    ]
    found = yunti.look(lines(tmp_path / "c.jsonl", rows), split="part")
    assert found.data.split.test == 16
    assert [(each.name, each.role) for each in found.data.columns] == [("messages", "input"), ("part", "split")]
    apart = [lines(tmp_path / f"{name}.jsonl", rows[start::2]) for start, name in enumerate(("even", "odd"))]
    assert yunti.look(apart[0], test=apart[1]).data.split.test == 32


def test_a_climb_on_conversations_ends_in_a_bundle_that_chats(tmp_path, capsys, monkeypatch):
    rows = [{"messages": messages(turns)} for turns in SAID] + [{"messages": messages(SAID[0])}]
    source = lines(tmp_path / "chats.jsonl", [*rows, {"messages": [{"role": "user", "content": "?"}]}])
    assert run(["look", source]) == 0
    shown = capsys.readouterr().out
    assert "64 conversations of 3.0 turns" in shown
    assert "row 66: nobody answers" in shown
    climb = yunti.climb(source, budget="20s", rungs="unigram,kneser_ney", out=tmp_path / "run")
    assert climb.record.task.name == "language"
    bundle = climb.best
    assert "special tokens" in bundle.card
    path = str(bundle.path)
    screen = "\n".join(line.plain for line in result_lines(climb.record, climb.folder, 300))
    assert f"yunti chat {path}" in screen
    assert "yunti generate" not in screen
    assert run(["chat", path, "--prompt", "what is 1 and 2?", "--temperature", "0", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    asked = [{"role": "user", "content": "what is 1 and 2?"}]
    assert answer == {"role": "assistant", "content": "".join(bundle.chat(asked, temperature=0, stream=2))}
    assert "".join(bundle.generate("what is 1 and 2?", temperature=0)) == answer["content"]
    monkeypatch.setattr(sys, "stdin", Typing("what is 1 and 2?\n\n/reset\nwhat is 1 and 2?\n/exit\nno\n"))
    assert run(["chat", path, "--temperature", "0"]) == 0
    assert capsys.readouterr().out == 2 * f"{answer['content']}\n"
    assert bundle.evaluate(source)["rows"] == 65
    assert bundle.predict(source).num_rows == 66
    with pytest.raises(ColumnError, match="must hold conversations"):
        bundle.predict(pa.table({"text": ["a", "b"]}))
    with pytest.raises(OptionError, match="message 1 has no role"):
        bundle.chat([{"content": "a"}])


def test_a_model_of_texts_does_not_chat(tmp_path, capsys):
    from dataclasses import replace

    spec = replace(SPEC, columns=(ColumnSpec("messages", "text", length=64),))
    model = LADDERS["language"][0].build(spec, Size())
    texts = Table({"messages": Texts(pa.array(["to be or not to be"] * 4, pa.large_string()))})
    model.fit(Examples(texts, np.zeros(4), np.arange(4)), Examples(texts, np.zeros(4), np.arange(4)), Watch())
    with pytest.raises(RungError, match="must have learned from conversations"):
        Conversation(model, Sampling())


def test_what_the_system_says_to_all_does_not_make_conversations_alike(tmp_path):
    system = "You are a patient teacher of sums. " * 40
    rows = [
        {
            "messages": messages(
                [Turn("system", system), Turn("user", f"{a} and {b}?"), Turn("assistant", f"{a * b + a}, see")]
            )
        }
        for a in range(12)
        for b in range(12)
    ]
    found = yunti.look(lines(tmp_path / "chats.jsonl", rows)).data.split
    assert min(found.valid, found.test) >= 10


def test_a_question_that_is_too_long_keeps_its_mark_and_what_the_system_said():
    from types import SimpleNamespace

    from yunti.models.chatting import remembered

    coder = ChatCoder(ByteCoder(), Marks())
    writer = SimpleNamespace(coder=coder, context=64)
    tokens, _, cut = remembered(writer, [Turn("system", "SYS"), Turn("user", "x" * 100 + "end?")], 20)
    assert cut
    assert len(tokens) <= 43
    names = {token: name for name, token in coder.special.items()}
    said = [names[token] for token in tokens.tolist() if token in names]
    assert said == ["<|system|>", "<|over|>", "<|user|>", "<|over|>", "<|assistant|>"]
    assert coder.decode(tokens).startswith("SYSx")
    assert coder.decode(tokens).endswith("xend?")


def test_running_text_is_no_conversation_for_a_bundle_that_chats(tmp_path):
    source = lines(tmp_path / "chats.jsonl", [{"messages": messages(turns)} for turns in SAID])
    bundle = yunti.climb(source, budget="20s", rungs="unigram", out=tmp_path / "run").best
    (tmp_path / "plain.txt").write_text("It was a fine day.\n" * 50)
    for asked in (bundle.predict, bundle.evaluate):
        with pytest.raises(ColumnError, match="must hold conversations"):
            asked(str(tmp_path / "plain.txt"))
