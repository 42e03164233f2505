"""The language ladder: rungs that count, a decoder in the engine, and writing with either."""

from __future__ import annotations

import csv
import io
import json
import time

import numpy as np
import pyarrow as pa
import pytest
import torch

import yunti
from yunti.cli.app import run
from yunti.data.copies import find_copies
from yunti.data.table import Examples, Table, Texts
from yunti.errors import RungError
from yunti.ladders.find import find_rung
from yunti.models.contract import Size, Watch
from yunti.models.generation import write, write_all
from yunti.models.sampling import Sampling
from yunti.records import ClimbRecord
from yunti.specs import ColumnSpec, Spec
from yunti.storing import from_json
from yunti.tasks.language import bits_per_byte
from yunti.tasks.task import infer_task
from yunti.training import refit, train

LINES = ["the cat sat on the mat", "the dog sat on the log", "云梯很高", "a cat and a dog sat"]


def examples(rows, seed=0):
    random = np.random.default_rng(seed)
    texts = [". ".join(random.choice(LINES, 12)) for _ in range(rows)]
    return Examples(Table({"text": Texts(pa.array(texts, pa.large_string()))}), np.zeros(rows), np.arange(rows))


def built(name, rows):
    spec = Spec((ColumnSpec("text", "text", length=250),), infer_task("language", "text"), rows)
    return find_rung("language", name).build(spec, Size(0.25))


@pytest.fixture(scope="module", params=["unigram", "kneser_ney", "lstm", "gpt"])
def trained(request):
    model, rows = built(request.param, 60), examples(60)
    train(model, rows, examples(20, seed=1), Watch(time.monotonic() + 60))
    return request.param, model


def test_texts_cost_what_their_tokens_cost_and_training_helps(trained):
    name, model = trained
    held = examples(20, seed=2)
    costs = model.predict(held.table)
    texts = held.table["text"].values.to_pylist()
    assert costs.shape == (20, 5)
    assert costs[:, 1].tolist() == [len(text.encode()) for text in texts]
    assert costs[:, 2].tolist() == [len(text) for text in texts]
    assert bits_per_byte(held.target, costs) < {"unigram": 4.6, "kneser_ney": 0.5, "lstm": 4.0, "gpt": 4.0}[name]
    alone = model.predict(held.table.take(slice(3, 4)))
    np.testing.assert_allclose(alone, costs[3:4], rtol=1e-4)  # whatever stands beside it


def test_the_state_leaves_and_comes_back(trained):
    name, model = trained
    copy = built(name, 60)
    copy.restore(model.parts())
    held = examples(5, seed=3)
    np.testing.assert_array_equal(copy.predict(held.table), model.predict(held.table))
    sampling = Sampling(max_tokens=20, seed=4)
    assert "".join(write(copy.writer, "the", sampling)) == "".join(write(model.writer, "the", sampling))


def test_a_trained_rung_writes_and_the_probabilities_are_those_it_scores_with(trained):
    _, model = trained
    writer = model.writer
    writing, nats = writer.begin(writer.coder.encode("")), 0.0
    for token in writer.coder.encode("the cat"):
        logits = writing.logits().astype(np.float64)
        nats += np.logaddexp.reduce(logits) - logits[token]
        writing.push(int(token))
    table = Table({"text": Texts(pa.array(["the cat"], pa.large_string()))})
    assert nats == pytest.approx(model.predict(table)[0, 0], rel=1e-4)


@pytest.mark.parametrize("name", ["lstm", "gpt"])
def test_documents_in_one_window_do_not_know_of_each_other(name):
    model, rows = built(name, 12), examples(12)
    model.prepare(rows)
    packed = model.pack(rows).table.packed("tokens")
    window = packed.arrays(np.arange(len(packed)))
    tokens, documents = (torch.from_numpy(window[part]) for part in ("", ".document"))
    row = next(place for place, each in enumerate(documents) if each[0] != each[40])
    second = int((documents[row] == documents[row, 0]).sum())
    reads = model.module.eval().language.states
    with torch.no_grad():
        for parameter in model.module.parameters():  # some begin as zeros, through which nothing would leak
            parameter.normal_(std=0.1)
        together = reads(tokens[row : row + 1, :-1], documents[row : row + 1])
        last = second + int((documents[row] == documents[row, second]).sum())
        alone = reads(tokens[row : row + 1, second:last])
        leaking = reads(tokens[row : row + 1, :-1])
    torch.testing.assert_close(together[:, second:last], alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(leaking[:, second:last], alone, atol=1e-3)


def test_it_is_trained_anew_on_more_texts(trained):
    name, model = trained
    before = model.parts()
    more = examples(80)
    refit(model, more, Watch(time.monotonic() + 30))
    assert bits_per_byte(more.target, model.predict(more.table)) < 4.6
    model.restore(before)
    assert name in ("unigram", "kneser_ney", "lstm", "gpt")


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_many_prompts_are_written_as_one_by_one(trained, temperature):
    _, model = trained
    prompts = ["the cat sat on", "a", "", "the dog", "a cat and a dog sat. " * 12, "云", "the " * 40, "the dog"]
    sampling = Sampling(max_tokens=50, temperature=temperature, seed=5, stop=("log",))
    told: list[float] = []
    together = write_all(model.writer, prompts, sampling, told.append)
    alone = ["".join(write(model.writer, prompt, sampling, place)) for place, prompt in enumerate(prompts)]
    assert [each.text for each in together] == alone
    assert [each.prompt for each in together] == prompts
    assert told == sorted(told)
    assert told[-1] == 1
    assert all(0 < each.tokens <= 50 and each.seconds > 0 and each.decode_per_second > 0 for each in together)


def test_texts_end_where_they_are_when_the_time_is_over(trained):
    _, model = trained
    found = write_all(model.writer, ["the", "a"], Sampling(), until=time.monotonic())
    assert [each.text for each in found] == ["", ""]


def test_writing_ends_before_a_text_that_stops_it():
    model = built("kneser_ney", 60)
    train(model, examples(60), examples(20, seed=1), Watch(time.monotonic() + 15))
    whole = "".join(write(model.writer, "the cat", Sampling(max_tokens=60, temperature=0)))
    assert " dog" in whole
    pieces = [*write(model.writer, "the cat", Sampling(max_tokens=60, temperature=0, stop=(" dog",)))]
    assert "".join(pieces) == whole[: whole.index(" dog")]


def test_a_book_is_climbed_and_its_bundle_writes(tmp_path, capsys, monkeypatch):
    book, out = tmp_path / "book.txt", tmp_path / "run"
    book.write_text("".join(f"{line}, number {place}.\n" for place in range(400) for line in LINES), encoding="utf-8")
    code = run(["climb", str(book), "--budget", "90s", "--rungs", "unigram,kneser_ney", "--out", str(out)])
    assert code == 0
    assert "bits per byte" in capsys.readouterr().out
    arguments = ["generate", str(out / "models" / "kneser_ney"), "--prompt", "the", "--max-tokens", "30", "--seed", "1"]
    assert run(arguments) == 0
    first = capsys.readouterr().out
    assert first.startswith("the")
    assert run(arguments) == 0
    assert capsys.readouterr().out == first
    the_files_of_prompts(out / "models" / "kneser_ney", tmp_path, capsys, monkeypatch)
    copied = from_json(ClimbRecord, (out / "climb.json").read_text()).copied
    assert copied is not None
    assert (copied.rung, copied.searched) == ("kneser_ney", 1.0)
    assert 0 <= copied.copied_runs <= copied.runs
    assert copied.runs > 0 < copied.held_runs
    assert len(copied.longest) > 20
    assert copied.longest in book.read_text(encoding="utf-8")
    page = (out / "report.html").read_text()
    assert "Whether it copies" in page
    assert f"{copied.copied_runs:,} of {copied.runs:,} generated runs of 20 words" in page


def the_files_of_prompts(bundle, folder, capsys, monkeypatch):
    """What holds for prompts of files, of standard input, and for the forms of what is written."""
    prompts, usual = folder / "prompts.txt", ["--max-tokens", "20", "--temperature", "0"]
    prompts.write_text("the cat\n\na cat and\n", encoding="utf-8")
    by_line = ["generate", str(bundle), "--prompts", str(prompts), *usual]
    assert run(by_line) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = yunti.load(bundle).generate_all(["the cat", "a cat and"], max_tokens=20, temperature=0)
    assert rows == [
        {"prompt": prompt, "text": text} for prompt, text in zip(["the cat", "a cat and"], expected, strict=True)
    ]
    for ending in (".jsonl", ".csv", ".txt"):
        assert run([*by_line, "--out", str(folder / f"texts{ending}")]) == 0
        assert "2 texts were written to" in capsys.readouterr().err
    assert [json.loads(line) for line in (folder / "texts.jsonl").read_text().splitlines()] == rows
    with (folder / "texts.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == rows
    lines = [(each["prompt"] + each["text"]).replace("\n", "\\n") for each in rows]
    assert (folder / "texts.txt").read_text().splitlines() == lines
    assert run([*by_line, "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert [each["text"] for each in numbers] == expected
    assert {"tokens", "seconds", "prefill_per_second", "decode_per_second"} < set(numbers[0])
    monkeypatch.setattr("sys.stdin", io.StringIO("the cat\n"))
    for arguments in (["--prompt", "-"], ["--prompt", "the cat", "--stream"]):
        assert run(["generate", str(bundle), *arguments, *usual]) == 0
        assert capsys.readouterr().out == "the cat" + expected[0] + "\n"


def test_n_grams_recite_what_they_counted_and_frequencies_do_not():
    rows, found = examples(60), {}
    for name in ("unigram", "kneser_ney"):
        model = built(name, 60)
        train(model, rows, examples(20, seed=1), Watch(time.monotonic() + 60))
        written = write_all(model.writer, ["the "] * 4, Sampling(temperature=1, max_tokens=200))
        found[name] = find_copies([[each.text for each in written]], rows.table["text"].values)
    assert found["unigram"].shares[0].copied_spans == 0
    assert len(found["kneser_ney"].longest) > len(found["unigram"].longest) + 10


def test_a_model_that_answers_does_not_write():
    from contract.rows import make_spec

    model = find_rung("classification", "constant").build(make_spec("number", "classification", 10), Size())
    with pytest.raises(RungError, match="must be a language model, but this one is for classification"):
        _ = model.writer
