"""A training that was stopped in the middle goes on to the same bits, and never from another's checkpoint."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from small import (
    RECIPE,
    assert_equal_bits,
    interrupt,
    number_network,
    number_rows,
    picture_network,
    picture_rows,
    settings,
    wait_for_writers,
)
from yunti.models.contract import Watch
from yunti.models.recipe import Augment
from yunti.training import checkpoint, train

EACH_STEP = settings(engine__checkpoint_seconds=0.0)
NUMBERS, NUMBERS_VALID = number_rows(128), number_rows(60, 1)
PICTURES, PICTURES_VALID = picture_rows(96), picture_rows(45, 1)


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YUNTI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def dropping():
    return number_network(dropout=0.3)


def averaging():
    return number_network(replace(RECIPE, average=0.9), dropout=0.1)


def muon():
    return number_network(replace(RECIPE, optimiser="muon"))


def stochastic():
    return number_network(replace(RECIPE, optimiser="sgd", augment=Augment(mixup=0.4)))


def convolving():
    augment = Augment(shift=0.2, erase=0.2, mixup=0.3)
    return picture_network(replace(RECIPE, optimiser="muon", average=0.8, augment=augment))


def told(network):
    """The plan as JSON gives it, without the memory that was free at that moment."""
    return json.loads(json.dumps({name: value for name, value in network.plan.items() if name != "micro_batch"}))


CASES = {
    "dropout": (dropping, NUMBERS, NUMBERS_VALID),
    "average": (averaging, NUMBERS, NUMBERS_VALID),
    "muon": (muon, NUMBERS, NUMBERS_VALID),
    "sgd and mixup": (stochastic, NUMBERS, NUMBERS_VALID),
    "channels last and augmentation": (convolving, PICTURES, PICTURES_VALID),
}


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_training_goes_on_to_the_same_bits_and_the_same_history(name, tmp_path):
    build, rows, valid = CASES[name]
    whole = build()
    train(whole, rows, valid, Watch(), EACH_STEP, tmp_path / "whole" / "kept")
    total = whole.plan["steps_taken"]
    for steps in (1, 3, total - 1):
        home = tmp_path / f"{steps}" / "kept"
        interrupt(build(), rows, valid, EACH_STEP, home, steps)
        said = []
        again = build()
        train(again, rows, valid, Watch(say=said.append), EACH_STEP, home)
        assert said == [f"it goes on from its checkpoint of step {steps} of {total}"]
        assert_equal_bits(again, whole)
        assert again.history == whole.history
        assert told(again) == told(whole)
        assert again.train_flops == whole.train_flops
        assert again.objective.temperature == whole.objective.temperature
        assert (home.parent / "history.jsonl").read_text() == (tmp_path / "whole" / "history.jsonl").read_text()


def test_stopping_again_and_again_changes_nothing(tmp_path):
    whole = averaging()
    train(whole, NUMBERS, NUMBERS_VALID, Watch(), EACH_STEP)
    for _ in range(3):
        interrupt(averaging(), NUMBERS, NUMBERS_VALID, EACH_STEP, tmp_path / "kept", 2)
    again, said = averaging(), []
    train(again, NUMBERS, NUMBERS_VALID, Watch(say=said.append), EACH_STEP, tmp_path / "kept")
    assert "of step 6 of 8" in said[0]
    assert_equal_bits(again, whole)
    assert again.history == whole.history


def test_an_interrupt_out_of_a_report_goes_on_to_the_same_bits(tmp_path):
    def report(_fraction, numbers):
        if "valid" in numbers and numbers["step"] >= 4:
            raise KeyboardInterrupt

    whole, again = dropping(), dropping()
    train(whole, NUMBERS, NUMBERS_VALID, Watch(), EACH_STEP)
    with pytest.raises(KeyboardInterrupt):
        train(dropping(), NUMBERS, NUMBERS_VALID, Watch(report=report), EACH_STEP, tmp_path / "kept")
    wait_for_writers()
    train(again, NUMBERS, NUMBERS_VALID, Watch(), EACH_STEP, tmp_path / "kept")
    assert_equal_bits(again, whole)
    assert again.history == whole.history


def test_a_training_that_is_through_is_not_trained_again(tmp_path):
    first, again = dropping(), dropping()
    train(first, NUMBERS, NUMBERS_VALID, Watch(), EACH_STEP, tmp_path / "kept")
    said = []
    train(again, NUMBERS, NUMBERS_VALID, Watch(say=said.append), EACH_STEP, tmp_path / "kept")
    assert said == ["it goes on from its checkpoint of step 8 of 8"]
    assert_equal_bits(again, first)


def test_a_checkpoint_that_is_written_slowly_holds_nothing_of_later_steps(tmp_path, monkeypatch):
    content = checkpoint.checkpoint_bytes

    def slowly(snapshot):
        time.sleep(0.05)
        return content(snapshot)

    monkeypatch.setattr(checkpoint, "checkpoint_bytes", slowly)
    train(dropping(), NUMBERS, NUMBERS_VALID, Watch(), EACH_STEP, tmp_path / "kept")
    saved = [checkpoint.open_checkpoint(path) for path in sorted((tmp_path / "kept").iterdir())]
    assert [(each.facts["step"], each.facts["history"][-1]["step"]) for each in saved] == [(7, 7), (8, 8)]


def other_seed():
    return number_network(seed=1), EACH_STEP, NUMBERS, NUMBERS_VALID


def other_settings():
    given = settings(engine__checkpoint_seconds=0.0, training__clip=2.0)
    return number_network(), given, NUMBERS, NUMBERS_VALID


def other_rows():
    return number_network(), EACH_STEP, number_rows(128, 5), NUMBERS_VALID


def other_validation_rows():
    return number_network(), EACH_STEP, NUMBERS, number_rows(60, 6)


@pytest.mark.parametrize("other", [other_seed, other_settings, other_rows, other_validation_rows])
def test_no_training_goes_on_from_anothers_checkpoint(other, tmp_path):
    interrupt(number_network(), NUMBERS, NUMBERS_VALID, EACH_STEP, tmp_path / "kept", 5)
    network, given, rows, valid = other()
    said = []
    train(network, rows, valid, Watch(say=said.append), given, tmp_path / "kept")
    alone = other()[0]
    train(alone, rows, valid, Watch(), given)
    assert not any("goes on" in sentence for sentence in said)
    assert_equal_bits(network, alone)


def test_a_damaged_checkpoint_costs_one_step_and_a_sentence(tmp_path):
    whole = averaging()
    train(whole, NUMBERS, NUMBERS_VALID, Watch(), EACH_STEP)
    interrupt(averaging(), NUMBERS, NUMBERS_VALID, EACH_STEP, tmp_path / "kept", 5)
    newest = max((tmp_path / "kept").iterdir())
    newest.write_bytes(newest.read_bytes()[:-7])
    again, said = averaging(), []
    train(again, NUMBERS, NUMBERS_VALID, Watch(say=said.append), EACH_STEP, tmp_path / "kept")
    assert "the one before, of step 4, is taken" in said[0]
    assert "of step 4 of 8" in said[1]
    assert_equal_bits(again, whole)
    assert again.history == whole.history


def test_the_same_seed_after_other_draws_still_gives_the_same_bits(tmp_path):
    whole, again = dropping(), dropping()
    train(whole, NUMBERS, NUMBERS_VALID, Watch(), EACH_STEP)
    interrupt(dropping(), NUMBERS, NUMBERS_VALID, EACH_STEP, tmp_path / "kept", 4)
    np.random.default_rng(3).normal()
    np.random.seed(3)
    train(again, NUMBERS, NUMBERS_VALID, Watch(), EACH_STEP, tmp_path / "kept")
    assert_equal_bits(again, whole)


def test_the_history_of_a_training_is_json_lines_beside_its_checkpoints(tmp_path):
    network = number_network()
    train(network, NUMBERS, NUMBERS_VALID, Watch(), EACH_STEP, tmp_path / "kept")
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert lines == network.history
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert any("valid" in line for line in lines)
