"""Deep and large rungs on real pictures, and the rung that stands on a pretrained model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from yunti.data.table import Examples, Images, Table
from yunti.errors import BundleError, RungError
from yunti.ladders.prediction import convnet, pretrained
from yunti.models.contract import Size, Watch
from yunti.specs import ColumnSpec, Spec, TaskSpec
from yunti.training import train

bases = pytest.importorskip("bases")
reviews = bases.reviews


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("YUNTI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def text_base(tmp_path_factory):
    return bases.text_base(tmp_path_factory.mktemp("bert"))


def review_spec(place, rows: int = 120) -> Spec:
    return bases.spec_of("text", place, rows)


def test_a_head_on_frozen_text_features_learns_and_the_bundle_holds_no_base_weights(text_base):
    spec = review_spec(text_base)
    assert pretrained.RUNG.unfit_for(spec) is None
    model = pretrained.RUNG.build(spec, Size())
    valid = reviews(60, seed=1)
    train(model, reviews(120), valid, Watch())
    predictions = model.predict(valid.table)
    assert (predictions.argmax(axis=1) == valid.target).mean() > 0.9

    parts = model.parts()
    facts = json.loads(json.dumps(parts.facts))
    assert not any("embeddings" in name for name in parts.arrays)
    assert len(facts["reader"]["weights_sha256"]) == 64
    copy = pretrained.RUNG.build(replace(spec, pretrained=None), Size())
    copy.restore(replace(parts, facts=facts))
    np.testing.assert_allclose(copy.predict(valid.table), predictions, atol=1e-6)


def test_a_base_that_is_gone_or_changed_is_one_sentence(text_base, tmp_path):
    import shutil

    folder = tmp_path / "base"
    shutil.copytree(text_base, folder)
    spec = review_spec(folder)
    model = pretrained.RUNG.build(spec, Size(0.1))
    model.prepare(reviews(60))
    parts = model.parts()
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BundleError, match="must be those it was made with"):
        pretrained.RUNG.build(spec, Size(0.1)).restore(parts)
    shutil.rmtree(folder)
    with pytest.raises(BundleError, match="it is not there"):
        pretrained.RUNG.build(spec, Size(0.1)).restore(parts)


def test_why_no_pretrained_model_can_serve(text_base, tmp_path):
    def reason(place):
        return pretrained.RUNG.unfit_for(review_spec(place))

    assert "use --pretrained" in reason(None)
    assert "does not exist" in reason(tmp_path / "nothing")
    assert "no config.json" in reason(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert "no .safetensors file" in reason(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert "neither text nor pictures nor sounds" in reason(tmp_path)
    for mark, kind in (("num_channels", "image"), ("num_mel_bins", "audio")):
        (tmp_path / "config.json").write_text(json.dumps({mark: 3, "vocab_size": 9} if kind == "audio" else {mark: 3}))
        assert f"reads {kind} columns" in reason(tmp_path)
    (tmp_path / "config.json").write_text("no json")
    assert "is not JSON" in reason(tmp_path)
    assert reason("organisation/name") is None
    only_numbers = replace(review_spec(text_base), columns=(ColumnSpec("stars", "number"),))
    assert "reads text columns" in pretrained.RUNG.unfit_for(only_numbers)


def test_a_hub_name_that_cannot_be_had_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = pretrained.RUNG.build(review_spec("nobody/nothing-of-this-name"), Size())
    with pytest.raises(RungError, match="a model that the hub has"):
        model.prepare(reviews(60))


def test_convolutions_read_handwritten_digits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images * 15.9).astype(np.uint8)[..., None]
    order = np.random.default_rng(0).permutation(len(pixels))[:900]
    target = digits.target.astype(np.int32)

    def examples(rows):
        table = Table({"i": Images(pixels[rows], np.ones(len(rows), dtype=bool))})
        return Examples(table, target[rows], rows.astype(np.int64))

    task = TaskSpec("classification", "digit", "accuracy", "higher", tuple("0123456789"))
    spec = Spec((ColumnSpec("i", "image", shape=(8, 8, 1)),), task, 600)
    model = convnet.RUNG.build(spec, Size(0.5))
    train(model, examples(order[:600]), examples(order[600:750]), Watch())
    test = examples(order[750:])
    assert (model.predict(test.table).argmax(axis=1) == test.target).mean() >= 0.93
