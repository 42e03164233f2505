"""Rungs whose pretrained model learns on: through adapters, or with all its weights; texts, pictures and sounds."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import yunti
from small import assert_equal_bits, interrupt, settings
from yunti.climbing.events import Foreseen, RungProgress
from yunti.data.table import Ragged, Table
from yunti.errors import BundleError, RungError
from yunti.ladders.prediction import finetuned, lora, pretrained
from yunti.ladders.prediction.lora import rank_for
from yunti.models.contract import Size, Watch
from yunti.models.lora import Adapted
from yunti.models.pretrained.base import open_base
from yunti.models.pretrained.frozen import Features
from yunti.models.settings import settings_from
from yunti.specs import TaskSpec
from yunti.training import train
from yunti.training.checkpoint import Keeper
from yunti.training.flops import flops_per_row
from yunti.training.group import ALONE
from yunti.training.laying import lay_out
from yunti.training.loop import Descent
from yunti.training.measuring import sample_of, step_bytes

bases = pytest.importorskip("bases")
TUNED = (lora.RUNG, finetuned.RUNG)
ids = {"ids": lambda rung: rung.name}
SHORT = settings_from(
    [("training.epochs", "8"), ("training.learning_rate", "0.003"), ("training.rates", '[["", 1.0]]')]
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("YUNTI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One base of every kind."""
    made = {
        name: getattr(bases, f"{name}_base")(tmp_path_factory.mktemp(name))
        for name in ("text", "picture", "wave", "whisper", "spectrogram")
    }
    return {**made, "normed": bases.wave_base(tmp_path_factory.mktemp("normed"), norm="group")}


ROWS = {"text": bases.reviews, "image": bases.pictures, "audio": bases.sounds}
KIND = {"text": "text", "picture": "image"}


def prepared(rung, folder, kind="text", rows=60):
    network = rung.build(bases.spec_of(kind, folder, rows), Size())
    examples = ROWS[kind](rows)
    network.prepare(examples)
    return network, examples


def loss_of(network, examples):
    network.module.eval()
    target = torch.from_numpy(network.objective.encode(examples.target))
    with torch.no_grad():
        return network.loss(network.batch(network.encode(examples.table), np.arange(len(examples))), target)


@pytest.mark.parametrize("rung", TUNED, **ids)
@pytest.mark.parametrize("name", ["text", "picture", "wave", "normed", "whisper", "spectrogram"])
def test_texts_pictures_and_sounds_are_learned_and_the_bundle_answers_the_same(rung, name, folders):
    kind = KIND.get(name, "audio")
    spec = bases.spec_of(kind, folders[name], 90)
    assert rung.unfit_for(spec) is None
    model, valid = rung.build(spec, Size()), ROWS[kind](40, seed=1)
    train(model, ROWS[kind](90), valid, Watch(), SHORT)
    answers = model.predict(valid.table)
    assert (answers.argmax(axis=1) == valid.target).mean() > 0.85
    for row in (0, 5):  # whatever stands beside a row does not change its answer
        np.testing.assert_allclose(model.predict(valid.table.take(slice(row, row + 1)))[0], answers[row], atol=1e-5)

    parts = model.parts()
    facts = json.loads(json.dumps(parts.facts))
    copy = rung.build(replace(spec, pretrained=None), Size())
    copy.restore(replace(parts, facts=facts))
    np.testing.assert_allclose(copy.predict(valid.table), answers, atol=1e-6)
    assert copy.parameters == model.parameters
    assert copy.plan == json.loads(json.dumps(model.plan))
    assert copy.parts().arrays.keys() == parts.arrays.keys()  # a restored member of an ensemble is stored again
    assert model.plan["base_parameters"] > 5000


@pytest.mark.parametrize("name", ["text", "picture", "wave", "whisper"])
def test_before_a_step_adapters_answer_as_the_frozen_model_and_their_state_is_all_that_is_kept(name, folders):
    kind = KIND.get(name, "audio")
    network, rows = prepared(lora.RUNG, folders[name], kind)
    part = network.module.parts[-1]
    column = next(iter(network.reader.read.values()))
    frozen = Features(network.reader.base).of(rows.table[column.name], column.rate or 0)
    batch = network.batch(network.encode(rows.table), np.arange(len(rows)))
    with torch.no_grad():
        learning = part.eval()(batch).numpy()
        expected = part.norms[0](torch.from_numpy(frozen)).numpy()
    np.testing.assert_allclose(learning, expected, atol=2e-5)
    learned = {name for name, each in part.base.named_parameters() if each.requires_grad}
    kept = {each.partition(".base.")[2] for each in network.module.state_dict() if ".base." in each}
    assert kept == learned
    assert {each.rpartition(".")[2] for each in learned} == {"up", "down"}
    assert not any("pooler" in each for each in learned)


def test_adapters_learn_and_the_base_does_not_change(folders):
    network, rows = prepared(lora.RUNG, folders["text"])
    base = network.module.parts[-1].base
    before = {name: value.clone() for name, value in base.state_dict().items()}
    first = loss_of(network, rows)
    network.settings = SHORT
    material = lay_out(network, rows, rows.take(slice(0, 0)), Watch(), ALONE)
    base = network.module.parts[-1].base
    Descent(network, material, Watch(), None).run()
    changed = {name for name, value in base.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name, each in base.named_parameters() if each.requires_grad}
    unfolded = loss_of(network, rows)
    assert unfolded < 0.8 * first
    network.finish()
    network.finish()  # a second time adds nothing
    assert all(layer.is_folded for layer in base.modules() if isinstance(layer, Adapted))
    assert abs(loss_of(network, rows) - unfolded) < 1e-5


def test_all_weights_learn_slowly_what_is_new_faster_and_norms_do_not_decay(folders):
    from yunti.training.optimisers import optimisers_for

    network, rows = prepared(finetuned.RUNG, folders["text"])
    (optimiser,) = optimisers_for(network.module, network.recipe)
    names = {id(each): name for name, each in network.module.named_parameters()}
    found = {
        names[id(each)]: (group["peak"], group["weight_decay"])
        for group in optimiser.param_groups
        for each in group["params"]
    }
    query = next(name for name in found if name.endswith("query.weight"))
    norm = next(name for name in found if ".base." in name and name.endswith("LayerNorm.weight"))
    assert found[query] == (pytest.approx(5e-5), 0.01)
    assert found[norm] == (pytest.approx(5e-5), 0.0)
    assert found["head.head"] == (pytest.approx(1e-3), 0.01)
    assert network.recipe.schedule == "linear"
    adapters, _ = prepared(lora.RUNG, folders["text"])
    assert adapters.recipe.learning_rate == pytest.approx(15 * 5e-5)  # of a short run
    assert adapters.parameters < network.parameters
    # a step needs memory for the gradients of what learns, and for what passes through the base
    watch = Watch()
    fixed, each = step_bytes(adapters, sample_of(adapters, rows, watch))
    assert 12 * adapters.parameters <= fixed < 12 * network.parameters
    assert each > 4 * 32 * 6  # six words of 32 numbers


def test_the_dial_changes_what_stands_on_the_base_and_not_the_rate(folders):
    for rung in TUNED:
        whole, half = (rung.build(bases.spec_of("text", folders["text"], 60), Size(dial)) for dial in (1.0, 0.5))
        for network in (whole, half):
            network.prepare(bases.reviews(60))
        assert half.parameters < whole.parameters
        assert half.recipe.learning_rate == whole.recipe.learning_rate
        assert half.plan["base_parameters"] == whole.plan["base_parameters"]


def test_where_time_is_short_there_are_fewer_epochs_and_no_other_network(folders, monkeypatch):
    from yunti.training import laying
    from yunti.training.pace import Pace

    monkeypatch.setattr(laying, "pace_of", lambda _bench, _micro: Pace(0.2, 1e-6, 1e-6))
    network, rows = prepared(finetuned.RUNG, folders["text"], rows=400)
    lay_out(network, rows, rows.take(slice(0, 50)), Watch(time.monotonic() + 60), ALONE)
    assert network.size.dial == 1
    assert 200 <= network.plan["steps"]["value"] < 300
    assert "narrower" not in network.plan["shortened"]
    with pytest.raises(RungError, match="must fit the time"):
        lay_out(network, rows, rows.take(slice(0, 50)), Watch(time.monotonic() + 20), ALONE)


@pytest.mark.parametrize(("bits", "width", "rank"), [(10.0, 100, 16), (3.3e3, 100, 32), (7e3, 100, 64), (1e9, 100, 64)])
def test_the_rank_holds_all_answers(bits, width, rank):
    assert rank_for(bits, width) == rank


def test_adapters_without_their_base_are_one_sentence_and_a_whole_model_needs_none(folders, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(folders["text"], folder)
    rows = bases.reviews(60)
    parts, answers = {}, {}
    for rung in TUNED:
        network, _ = prepared(rung, folder)
        parts[rung.name], answers[rung.name] = network.parts(), network.predict(rows.table)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    spec = bases.spec_of("text", folder, 60)
    with pytest.raises(BundleError, match="must be those it was made with"):
        lora.RUNG.build(spec, Size()).restore(parts["lora"])
    shutil.rmtree(folder)
    with pytest.raises(BundleError, match="it is not there"):
        lora.RUNG.build(spec, Size()).restore(parts["lora"])
    whole = finetuned.RUNG.build(spec, Size())
    whole.restore(parts["finetuned"])
    np.testing.assert_allclose(whole.predict(rows.table), answers["finetuned"], atol=1e-6)
    with pytest.raises(RungError, match="--pretrained"):  # to learn anew it must begin where it began
        whole.prepare(rows)
    evil = replace(parts["finetuned"], facts=json.loads(json.dumps(parts["finetuned"].facts)))
    evil.facts["reader"]["files"]["../config.json"] = "{}"
    with pytest.raises(BundleError, match="plain names"):
        finetuned.RUNG.build(spec, Size()).restore(evil)


@pytest.mark.parametrize("rung", TUNED, **ids)
def test_a_training_goes_on_to_the_same_bits(rung, folders, tmp_path):
    spec, rows, valid = bases.spec_of("text", folders["text"], 60), bases.reviews(60), bases.reviews(30, seed=1)
    chosen = settings(training__epochs=3.0, engine__checkpoint_seconds=0.0)
    whole, again = rung.build(spec, Size()), rung.build(spec, Size())
    train(whole, rows, valid, Watch(), chosen, tmp_path / "whole" / "kept")
    interrupt(rung.build(spec, Size()), rows, valid, chosen, tmp_path / "kept", 4)
    saved, damage = Keeper(tmp_path / "kept").newest()
    assert not damage
    assert any("embeddings" in name for name in saved.tensors) == (rung is finetuned.RUNG)
    train(again, rows, valid, Watch(), chosen, tmp_path / "kept")
    assert_equal_bits(again, whole)


def test_two_columns_share_one_base_and_values_are_learned_too(folders):
    rows = bases.reviews(90)
    twice = replace(rows, table=Table({**rows.table.columns, "title": rows.table["text"]}))
    twice = replace(twice, target=(rows.target * 10.0 + 5).astype(np.float64))
    spec = bases.spec_of("text", folders["text"], 90, TaskSpec("regression", "y", "r2", "higher"))
    spec = replace(spec, columns=(*spec.columns, replace(spec.columns[0], name="title")))
    model = lora.RUNG.build(spec, Size())
    train(model, twice, twice, Watch(), SHORT)
    one = lora.RUNG.build(replace(spec, columns=spec.columns[:2]), Size())
    one.prepare(twice)
    assert model.plan["base_parameters"] == one.plan["base_parameters"]
    assert len([name for name in model.parts().arrays if name.endswith(".down")]) == len(
        [name for name in one.parts().arrays if name.endswith(".down")]
    )
    assert np.corrcoef(model.predict(twice.table), twice.target)[0, 1] > 0.9


def test_a_base_of_another_kind_or_that_cannot_be_read_is_one_sentence(folders, tmp_path):
    network = lora.RUNG.build(bases.spec_of("image", folders["text"], 60), Size())
    with pytest.raises(RungError, match="must hold text"):
        network.prepare(bases.pictures(60))
    folder = tmp_path / "odd"
    shutil.copytree(folders["text"], folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "nobody knows it", "vocab_size": 9}))
    with pytest.raises(RungError, match="that transformers can read"):
        open_base(str(folder))


def test_frozen_sounds_are_read_too(folders):
    spec = bases.spec_of("audio", folders["wave"], 90)
    assert pretrained.RUNG.unfit_for(spec) is None
    model, valid = pretrained.RUNG.build(spec, Size(0.2)), bases.sounds(40, seed=1)
    train(model, bases.sounds(90), valid, Watch())
    assert (model.predict(valid.table).argmax(axis=1) == valid.target).mean() > 0.85


@pytest.mark.parametrize("name", ["wave", "whisper", "spectrogram"])
def test_sounds_are_read_as_transformers_reads_them(name, folders):
    import transformers

    intake = open_base(str(folders[name])).intake
    random = np.random.default_rng(0)
    wave = random.integers(-9000, 9000, 4000).astype(np.int16)
    rate = 8000 if name == "wave" else 16_000
    column = Ragged(wave[:, None], np.array([0, len(wave)], dtype=np.int64))
    intake.fit(column, rate)
    got = intake.encode(column, rate)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folders[name])
    made = extractor(wave / 32768, sampling_rate=extractor.sampling_rate, return_tensors="np")
    expected = made[extractor.model_input_names[0]][0].astype(np.float32)
    values = np.asarray(got.values if isinstance(got, Ragged) else got[0], dtype=np.float32)
    if name == "whisper":
        expected = expected[:, : values.shape[1]]
    np.testing.assert_allclose(values, expected, atol=4e-3)


def test_fused_attention_is_counted(folders):
    network, rows = prepared(finetuned.RUNG, folders["text"], rows=16)
    target = torch.from_numpy(network.objective.encode(rows.target))
    batch = network.batch(network.encode(rows.table), np.arange(16))
    fused = flops_per_row(network, batch, target)
    with sdpa_kernel(SDPBackend.MATH):
        plain = flops_per_row(network, batch, target)
    steps, width = 16, 32
    assert fused - plain == 2 * steps * steps * width  # on the way back the scores are computed once more


@pytest.mark.slow
def test_a_climb_trains_them_without_pilots_goes_on_after_a_stop_and_weighs_them(folders, tmp_path, monkeypatch):
    """Checkpoints, bundles and the ensemble, each rung in a process of its own."""
    from yunti.climbing import ascent

    monkeypatch.setattr(ascent, "PILOT_SECONDS", 1.0)
    monkeypatch.setattr(ascent, "LEAST_PILOT_ROWS", 50)
    random = np.random.default_rng(0)
    words = random.choice(bases.WORDS, (4300, 9))
    merit = np.isin(words, bases.WORDS[:2]).sum(axis=1) - np.isin(words, bases.WORDS[2:4]).sum(axis=1)
    frame = pa.table({"text": [" ".join(each) for each in words], "y": np.where(merit > 0, "yes", "no")})
    names = ["constant", "lora", "finetuned", "ensemble"]
    seen, stopped = [], []

    def tell(event):
        seen.append(event)
        if isinstance(event, RungProgress) and event.name == "finetuned" and not stopped:
            stopped.append(event)
            raise KeyboardInterrupt

    asked = {"target": "y", "budget": 90, "rungs": names, "pretrained": str(folders["text"]), "out": tmp_path / "run"}
    yunti.climb(frame, tell=tell, **asked)
    assert stopped
    climb = yunti.resume(tmp_path / "run", tell=tell)
    done = {each.name: each for each in climb.record.rungs}
    assert not any(isinstance(event, Foreseen) for event in seen)
    assert climb.record.budget.spent_seconds <= 110  # two starts of a climb among them
    trained = [name for name in ("lora", "finetuned") if done[name].score is not None]
    assert trained  # the second may not be worth it after the first
    assert {done[name].status for name in {"lora", "finetuned"} - {*trained}} <= {"skipped"}
    for name in trained:
        assert done[name].score.valid > 0.75
        assert done[name].cost.train_flops > 0
        assert yunti.load(tmp_path / "run" / done[name].bundle).model.plan["base_parameters"] > 0
    assert climb.record.test is not None


def test_the_pace_is_measured_on_rows_of_usual_length(folders):
    from yunti.models.padding import row_lengths
    from yunti.training.measuring import sample_of, typical

    network, rows = prepared(lora.RUNG, folders["text"], rows=400)
    sample = sample_of(network, rows, Watch(time.monotonic() + 1e6))
    few = typical(network, sample)
    every, usual = row_lengths(sample.encoded), row_lengths(few.encoded)
    assert len(every) == 400
    assert len(usual) == 2 * network.recipe.batch
    assert usual.mean() == pytest.approx(every.mean(), rel=0.15)
    assert usual.max() <= every.max()
