"""Pretrained models of many makes: what is read of their folders, and what each needs to be read and to learn."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from yunti.ladders.prediction import finetuned
from yunti.models.contract import Size
from yunti.models.pretrained.base import built_from, open_base

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
