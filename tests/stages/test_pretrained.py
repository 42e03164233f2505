"""Pretrained models of many makes: what is read of their folders, and what each needs to be read and to learn."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from yunti.cli.app import run
from yunti.data.table import Table
from yunti.errors import RungError
from yunti.ladders.prediction import finetuned, lora, pretrained
from yunti.models.contract import Size, Watch
from yunti.models.flops import counting
from yunti.models.hub import folder_of
from yunti.models.lora import Adapted, linear_sizes, turn
from yunti.models.pretrained.base import built_from, open_base
from yunti.models.pretrained.intake import TextIntake
from yunti.models.recipe import Augment
from yunti.models.settings import settings_from
from yunti.training import laying, train
from yunti.training.group import ALONE
from yunti.training.laying import lay_out
from yunti.training.optimisers import optimisers_for

bases = pytest.importorskip("bases")
ROWS = {"text": bases.reviews, "image": bases.pictures, "audio": bases.sounds}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def prepared(rung, folder, kind, rows=60):
    network = rung.build(bases.spec_of(kind, folder, rows), Size())
    network.prepare(ROWS[kind](rows))
    return network


def restored(rung, network, kind):
    copy = rung.build(bases.spec_of(kind, None, 60), Size())
    copy.restore(network.parts())
    return copy


def joined(folder, kind):
    """Put a model's extractor where transformers 5 saves it beside a tokeniser."""
    old = folder / "preprocessor_config.json"
    (folder / "processor_config.json").write_text(
        json.dumps({"processor_class": "Any", kind: json.loads(old.read_text())})
    )
    old.unlink()
    return folder


@pytest.mark.parametrize("name", ["picture", "wave", "whisper"])
@pytest.mark.parametrize("is_joined", [False, True], ids=["alone", "joined"])
def test_a_restored_model_is_stored_again_with_all_its_files(name, is_joined, tmp_path):
    kind = "image" if name == "picture" else "audio"
    folder = getattr(bases, f"{name}_base")(tmp_path)
    if name == "picture":
        wishes = {
            "image_mean": [0.9, 0.8, 0.7],
            "image_std": [0.1, 0.2, 0.3],
            "image_processor_type": "ViTImageProcessor",
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(wishes))
    if is_joined:
        joined(folder, "image_processor" if kind == "image" else "feature_extractor")
    network = prepared(finetuned.RUNG, folder, kind)
    rows = ROWS[kind](20, seed=1).table
    answers = network.predict(rows)
    once = restored(finetuned.RUNG, network, kind)
    shutil.rmtree(folder)
    twice = restored(finetuned.RUNG, once, kind)
    assert once.parts().facts["reader"]["files"] == network.parts().facts["reader"]["files"]
    np.testing.assert_allclose(twice.predict(rows), answers, atol=1e-6)


def test_a_joined_extractor_says_what_pictures_and_sounds_are_read_like(tmp_path):
    folder = bases.picture_base(tmp_path / "picture")
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": {"image_mean": [0.9, 0.8, 0.7]}}))
    assert open_base(str(folder)).intake.mean == (0.9, 0.8, 0.7)
    sound = open_base(str(joined(bases.wave_base(tmp_path / "wave"), "feature_extractor")))
    assert sound.intake._rate == 2 * bases.RATE
    assert built_from(sound.files(), "anywhere").intake._rate == 2 * bases.RATE


@pytest.mark.filterwarnings("ignore:Support for mismatched")  # WavLM, of its own masks
@pytest.mark.parametrize(
    ("name", "kind"),
    [("t5", "text"), ("t5 encoder", "text"), ("gpt2", "text"), ("wavlm", "audio"), ("siglip", "image")],
)
def test_adapters_learn_whatever_layers_a_model_has(name, kind, tmp_path):
    folder = bases.other_base(tmp_path, name)
    network = prepared(lora.RUNG, folder, kind)
    rows = ROWS[kind](20, seed=1)
    network.module.eval()
    before = network.predict(rows.table)
    plain = dict(open_base(str(folder)).load().named_parameters())
    batch = network.batch(network.encode(rows.table), np.arange(20))
    target = torch.from_numpy(network.objective.encode(rows.target))
    adapted = {name: each for name, each in network.module.parts[-1].base.named_modules() if isinstance(each, Adapted)}
    assert len(adapted) >= 4
    learning = torch.optim.SGD([each for each in network.module.parameters() if each.requires_grad], lr=0.5)
    for _ in range(2):
        learning.zero_grad()
        network.loss(batch, target).backward()
        learning.step()
    assert all(float(each.up.detach().abs().sum()) > 0 for each in adapted.values())
    assert all(each.down.grad is not None for each in adapted.values())
    answers = network.predict(rows.table)
    assert np.abs(answers - before).max() > 1e-3
    kept = {each.partition(".base.")[2] for each in network.module.state_dict() if ".base." in each}
    assert kept == {f"{name}.{part}" for name in adapted for part in ("up", "down")}
    if name == "gpt2":
        assert all(torch.equal(each.base.weight, plain[f"{layer}.weight"].T) for layer, each in adapted.items())


def test_the_rank_of_adapters_is_derived_from_layers_that_lie_the_other_way_too(tmp_path):
    base = open_base(str(bases.other_base(tmp_path, "gpt2")))
    loaded = base.load()
    sizes = linear_sizes(base.skeleton)
    assert sizes == [4 * 32, 2 * 32, 5 * 32, 5 * 32]
    turn(loaded)
    assert sizes == linear_sizes(loaded)


def test_a_network_of_convolutions_gets_no_adapters_but_learns_whole(tmp_path):
    folder = bases.other_base(tmp_path, "resnet")
    spec = bases.spec_of("image", folder, 60)
    reason = f"the model in {folder} has no linear layers, beside which adapters stand: it is made of convolutions"
    assert lora.RUNG.unfit_for(spec) == reason
    assert finetuned.RUNG.unfit_for(spec) is None
    assert prepared(finetuned.RUNG, folder, "image").parameters > 1000
    with pytest.raises(RungError, match="must have linear layers"):
        prepared(lora.RUNG, folder, "image")
    (folder / "model.safetensors").write_bytes(b"broken")
    assert lora.RUNG.unfit_for(spec) is None  # what is wrong with it is told when it is loaded


def without(folder, *parts):
    """Take weights out of a model's file."""
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: each for name, each in weights.items() if not any(part in name for part in parts)},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    return folder


def test_weights_that_are_missing_are_one_sentence_where_they_are_used(tmp_path, tmp_path_factory):
    folder = bases.text_base(tmp_path_factory.mktemp("text"))
    whole = open_base(str(folder)).load()
    idle = open_base(str(without(folder, "pooler"))).load()
    assert torch.equal(idle.embeddings.word_embeddings.weight, whole.embeddings.word_embeddings.weight)
    with pytest.raises(
        RungError, match=r"must hold all its weights, but 2 are missing, such as encoder\.layer\.0.*query"
    ):
        open_base(str(without(folder, "query"))).load()
    heard = bases.whisper_base(tmp_path / "whisper")
    open_base(str(without(heard, "decoder"))).load()
    with pytest.raises(RungError, match=r"but 1 are missing, such as encoder\.conv2\.bias"):
        open_base(str(without(heard, "encoder.conv2.bias"))).load()


def test_weights_that_are_broken_or_of_another_shape_are_one_sentence(tmp_path):
    folder = bases.text_base(tmp_path)
    file = folder / "model.safetensors"
    weights = load_file(file)
    save_file({**weights, "embeddings.LayerNorm.weight": torch.ones(5)}, file, {"format": "pt"})
    with pytest.raises(RungError, match="must be a model that transformers can read"):
        open_base(str(folder)).load()
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(RungError, match="must be a model that transformers can read"):
        open_base(str(folder)).load()


@pytest.mark.parametrize("lacks", ["config.json", "model.safetensors", "model-00002-of-00002.safetensors"])
def test_a_part_of_a_model_that_the_hub_gave_before_is_not_taken_for_it(lacks, tmp_path, monkeypatch):
    whole, part = bases.picture_base(tmp_path / "whole"), tmp_path / "part"
    if "-of-" in lacks:
        (whole / "model.safetensors").rename(whole / "model-00001-of-00002.safetensors")
        (whole / lacks).write_bytes(b"")
        index = {"weight_map": {"one": "model-00001-of-00002.safetensors", "two": lacks}}
        (whole / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copytree(whole, part)
    (part / lacks).unlink()
    given = {True: part, False: whole}
    download = lambda _place, allow_patterns, local_files_only: str(given[local_files_only])  # noqa: E731
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert folder_of("some/model") == whole
    given[False] = part
    with pytest.raises(RungError, match=r"model that the hub has, but what it has lacks config\.json or weights"):
        folder_of("some/model")


def test_a_model_that_is_nowhere_is_told_before_anything_is_trained(tmp_path, capsys, monkeypatch):
    def nowhere(_place, allow_patterns, local_files_only):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", nowhere)
    out = tmp_path / "run"
    assert run(["climb", "sample:packages", "--pretrained", "nosuch", "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert "--pretrained nosuch: it must be a folder or a model that the hub has, but there is no such folder" in told
    assert not out.exists()


@pytest.mark.parametrize("text", [None, "{", "[]", '{"vocab_size": 13}'])
def test_a_configuration_that_is_missing_or_broken_is_one_sentence(text, tmp_path):
    folder = bases.text_base(tmp_path)
    (folder / "config.json").unlink()
    if text is not None:
        (folder / "config.json").write_text(text)
    with pytest.raises(RungError, match="must be a model that transformers can read"):
        open_base(str(folder))


def test_an_encoder_saved_alone_answers_as_transformers_does(tmp_path):
    folder = bases.other_base(tmp_path, "t5 encoder")
    base = open_base(str(folder))
    tokens = torch.randint(5, 13, (3, 7), generator=torch.Generator().manual_seed(0))
    plain = transformers.T5EncoderModel.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = plain(tokens).last_hidden_state.mean(dim=1)
        got = base.intake.read(base.load(), tokens, torch.ones(3, 7, dtype=torch.bool))
    torch.testing.assert_close(got, expected)
    assert base.parameters == sum(each.numel() for each in plain.encoder.parameters())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["grey", "oblong"])
def test_grey_and_oblong_pictures_are_read_as_their_model_wants_them(name, channels, tmp_path):
    folder = bases.other_base(tmp_path, name)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5], "image_std": None}))
    base = open_base(str(folder))
    pixels = torch.randint(0, 255, (2, 8, 16, channels), generator=torch.Generator().manual_seed(0))
    model = base.load()
    with torch.no_grad():
        got = base.intake.read(model, pixels, None)
        colours = pixels.expand(-1, -1, -1, 3).permute(0, 3, 1, 2) / 255
        if name == "grey":
            colours = (colours * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
            colours = torch.nn.functional.interpolate(colours, (16, 16), mode="bilinear", antialias=True)
        deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        deviation = deviation.mean() if name == "grey" else deviation
        expected = model(pixel_values=(colours - 0.5) / deviation).last_hidden_state.mean(dim=1)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    network = prepared(finetuned.RUNG, folder, "image")
    assert network.reader.streams[0].mean == (127.5,)


def test_pictures_of_other_channels_are_one_sentence(tmp_path):
    with pytest.raises(RungError, match="but it reads pictures of 5 channels, where one or three are known"):
        open_base(str(bases.other_base(tmp_path, "many")))


def test_a_model_that_does_not_tell_its_width_is_one_sentence(tmp_path):
    folder = bases.other_base(tmp_path, "mobilenet")
    with pytest.raises(RungError, match="must tell how wide its vectors are, but it has no hidden_size"):
        prepared(pretrained.RUNG, folder, "image")


@pytest.mark.parametrize("name", ["swin", "beit"])
def test_no_layer_is_left_out_at_random(name, tmp_path):
    network = prepared(finetuned.RUNG, bases.other_base(tmp_path, name), "image")
    base = network.module.parts[-1].base
    assert not any(type(each).__name__.endswith("DropPath") and each.drop_prob for each in base.modules())
    batch = network.batch(network.encode(bases.pictures(20).table), np.arange(20))
    base.train()
    with torch.no_grad():
        assert torch.equal(network.module.parts[-1](batch), network.module.parts[-1](batch))


def test_a_frozen_model_reads_on_the_device_and_its_vectors_come_back(tmp_path, monkeypatch):
    spec = replace(bases.spec_of("text", bases.text_base(tmp_path), 60), device="meta")  # one that every machine has
    reader = pretrained.RUNG.build(spec, Size()).reader
    seen = set()

    def read(self, base, values, mask):
        seen.update({values.device.type, mask.device.type, *(each.device.type for each in base.parameters())})
        return torch.ones(len(values), 32)

    monkeypatch.setattr(TextIntake, "read", read)
    rows = bases.reviews(60).table
    reader.fit(rows)
    assert reader.encode(rows)["features.0"].shape == (60, 32)
    assert seen == {"meta"}


def test_the_weights_that_are_told_are_those_that_rows_pass_through(tmp_path, tmp_path_factory):
    folder = bases.whisper_base(tmp_path)
    network = prepared(lora.RUNG, folder, "audio")
    base = network.reader.base
    loaded = base.load()
    assert base.skeleton.embed_positions.weight.shape == (1500, 32)
    assert len(loaded.embed_positions.weight) < 100
    assert network.plan["base_parameters"] == sum(each.numel() for each in loaded.parameters())
    read = open_base(str(bases.text_base(tmp_path_factory.mktemp("text"))))
    used = [each for name, each in read.load().named_parameters() if "pooler" not in name]
    assert read.parameters == sum(each.numel() for each in used)


def test_a_tokeniser_that_cannot_stand_in_a_bundle_is_told_before_the_training(tmp_path, monkeypatch):
    folder = bases.text_base(tmp_path)
    kind = type(open_base(str(folder)).intake.tokeniser)
    monkeypatch.setattr(kind, "save_pretrained", lambda _self, to: (to / "spiece.model").write_bytes(b"\xff\xfe"))
    with pytest.raises(RungError, match="its tokeniser must be text to stand in a bundle, but it is not; use the rung"):
        prepared(finetuned.RUNG, folder, "text")
    assert prepared(lora.RUNG, folder, "text").parameters > 0


@pytest.mark.parametrize("rung", [lora.RUNG, finetuned.RUNG], ids=lambda rung: rung.name)
def test_a_learning_rate_that_is_set_is_the_base_s_and_what_is_new_keeps_its_own(rung, tmp_path):
    folder = bases.text_base(tmp_path)

    def peaks(*chosen):
        network = rung.build(bases.spec_of("text", folder, 60), Size())
        network.settings = settings_from(chosen)
        network.prepare(bases.reviews(60))
        (optimiser,) = optimisers_for(network.module, network.recipe)
        names = {id(each): name for name, each in network.module.named_parameters()}
        found = {names[id(each)]: group["peak"] for group in optimiser.param_groups for each in group["params"]}
        return [{round(each, 9) for name, each in found.items() if (".base." in name) == old} for old in (True, False)]

    base, new = peaks(("training.learning_rate", 0.002))
    assert base == {0.002}
    assert new == {0.001}
    rates = ("training.rates", [[".base.", 1.0], ["", 3.0]])
    base, new = peaks(("training.learning_rate", 0.002), rates)
    assert new == {0.006}


def test_rates_that_are_tried_together_are_trained_with_together(tmp_path):
    network = lora.RUNG.build(bases.spec_of("text", bases.text_base(tmp_path), 60), Size())
    network.settings = settings_from([("engine.rate_check", True), ("training.epochs", 1)])
    rows = bases.reviews(60)
    network.prepare(rows)
    before = network.recipe
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laying, "checked_rate", lambda *_: (2 * before.learning_rate, "tried"))
        lay_out(network, rows, rows.take(slice(0, 20)), Watch(), ALONE)
    assert network.recipe.learning_rate == 2 * before.learning_rate
    assert network.recipe.rates == before.rates


@pytest.mark.parametrize("rung", [pretrained.RUNG, lora.RUNG, finetuned.RUNG], ids=lambda rung: rung.name)
def test_no_change_to_rows_is_claimed_that_reaches_none(rung, tmp_path, tmp_path_factory):
    for kind, base in (
        ("text", bases.text_base(tmp_path)),
        ("audio", bases.wave_base(tmp_path_factory.mktemp("wave"))),
    ):
        network = prepared(rung, base, kind)
        assert network.recipe.augment == Augment()
        assert not any(network.plan["augment"].values())
        assert "reason" not in network.plan["augment"]
    folder = bases.picture_base(tmp_path_factory.mktemp("picture"))
    network = prepared(rung, folder, "image")
    reached = {name for name, value in asdict(network.recipe.augment).items() if value}
    assert reached == (set() if rung is pretrained.RUNG else {"shift", "mirror"})
    rows = bases.reviews(60)  # texts that the model of pictures does not read are changed as ever
    both = replace(rows, table=Table({**rows.table.columns, **bases.pictures(60).table.columns}))
    spec = bases.spec_of("image", folder, 60)
    network = rung.build(replace(spec, columns=(*spec.columns, *bases.spec_of("text", None, 60).columns)), Size())
    network.prepare(both)
    assert network.recipe.augment.drop > 0
    assert network.recipe.augment.mask == network.recipe.augment.stretch == 0


def test_what_a_frozen_model_computes_on_the_rows_is_counted_once(tmp_path, tmp_path_factory):
    rows, valid = bases.pictures(60), bases.pictures(20, seed=1)
    folder = bases.picture_base(tmp_path)
    base = open_base(str(folder))
    pixels = torch.zeros(1, 3, 16, 16)
    with counting() as counter:
        base.load()(pixel_values=pixels)
    network = pretrained.RUNG.build(bases.spec_of("image", folder, 60), Size())
    train(network, rows, valid, Watch(), settings_from([("training.epochs", 1)]))
    assert network.reader.flops == 80 * counter.get_total_flops()
    head = network.train_flops - network.reader.flops
    with counting() as counter:
        network.outputs_of(network.encode(rows.table))
    assert head == pytest.approx(3 * counter.get_total_flops(), rel=0.2)  # there and back; nothing before learns
    copy = restored(pretrained.RUNG, network, "image")
    assert copy.train_flops == network.train_flops
    texts = bases.reviews(60)
    reader = pretrained.RUNG.build(
        bases.spec_of("text", bases.text_base(tmp_path_factory.mktemp("text")), 60), Size()
    ).reader
    reader.fit(texts.table)
    reader.encode(texts.table)
    once = reader.flops
    reader.encode(texts.table)
    assert reader.flops == once > 0
