"""Corners of the engine that were wrong once: turns, recomputing, foreign checkpoints, settings from files."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from contract.rows import make_rows, make_spec
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
    weights,
)
from yunti.cli.train import read_config
from yunti.data.table import Numbers, Table, Texts
from yunti.errors import OptionError, RungError, SourceError
from yunti.models.blueprint import Turn
from yunti.models.contract import Size, Watch
from yunti.models.recipe import Augment
from yunti.models.settings import flat, settings_from
from yunti.training import refit, train
from yunti.training.checkpoint import Keeper, Snapshot
from yunti.training.feed import Feed
from yunti.training.group import ALONE
from yunti.training.laying import lay_out
from yunti.training.loop import Descent

EACH_STEP = settings(engine__checkpoint_seconds=0.0)
NUMBERS, VALID = number_rows(128), number_rows(60, 1)
NONE = VALID.take(slice(0, 0))


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YUNTI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


from stages.test_turns import TURNS, deceiving, playing, start  # noqa: E402


def by_hand(module, batches, rate, clip):
    """The same game in plain torch: every turn on gradients of its own alone."""
    parts = {turn.learns: list(getattr(module, turn.learns).parameters()) for turn in TURNS}
    made = {name: torch.optim.SGD(parameters, lr=rate) for name, parameters in parts.items()}
    for batch in batches:
        for turn in TURNS:
            module.zero_grad()
            turn.loss(module, batch, None).backward()
            nn.utils.clip_grad_norm_(parts[turn.learns], clip)
            made[turn.learns].step()


def test_every_turn_learns_from_the_gradients_of_its_own_loss_alone():
    plain = {"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0}
    descent = start(playing(learning_rate=0.05, **plain), NUMBERS)
    other = copy.deepcopy(descent.network.module)
    batches = [part.batch for step in range(descent.course.total) for part in descent.feed.at(step)]
    torch.manual_seed(5)
    descent.run()
    torch.manual_seed(5)
    by_hand(other, batches, 0.05, RECIPE.clip)
    for one, two in zip(descent.network.module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_a_game_stopped_between_two_turns_goes_on_to_the_same_bits(tmp_path):
    def tiring(module, batch, target):
        taken.append(len(batch["numbers"]))
        if len(taken) > 5:
            raise KeyboardInterrupt
        return deceiving(module, batch, target)

    taken: list[int] = []
    whole, again = playing(), playing()
    train(whole, NUMBERS, VALID, Watch(), EACH_STEP)
    with pytest.raises(KeyboardInterrupt):
        train(playing((TURNS[0], Turn(tiring, "generator"))), NUMBERS, VALID, Watch(), EACH_STEP, tmp_path / "kept")
    wait_for_writers()
    said = []
    train(again, NUMBERS, VALID, Watch(say=said.append), EACH_STEP, tmp_path / "kept")
    assert said == ["it goes on from its checkpoint of step 5 of 8"]
    assert_equal_bits(again, whole)
    assert again.history == whole.history


def test_a_turn_is_not_taken_twice_where_memory_runs_out_in_the_next():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, batch):
            return self.second(self.first(batch["numbers"]))[:, None]

    def one(module, batch, _target):
        return module.first(batch["numbers"]).mean()

    def two(module, batch, target):
        if len(target) > 16:
            raise torch.OutOfMemoryError("out of memory")
        return module.second(batch["numbers"]).mean()

    plain = {"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0}
    made = []
    for given in (settings(), settings(engine__micro_batch=16)):
        turns = (Turn(one, "first"), Turn(two, "second"))
        network = number_network(replace(RECIPE, **plain), turns=turns, assemble=lambda *_: Two())
        train(network, NUMBERS, NONE, Watch(), given)
        made.append(weights(network))
    for name, value in made[0].items():
        np.testing.assert_allclose(value, made[1][name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_a_training_that_ended_early_stays_ended(tmp_path):
    recipe = replace(RECIPE, epochs=60, patience=0.1)
    random = np.random.default_rng(0)
    rows, valid = (
        replace(each, target=random.integers(0, 3, len(each)).astype(np.int32))
        for each in (NUMBERS, number_rows(100, 1))
    )
    first, again = number_network(recipe), number_network(recipe)
    train(first, rows, valid, Watch(), EACH_STEP, tmp_path / "kept")
    if "ended" not in first.plan:  # how often it looked depends on how fast this machine is just now
        pytest.skip("it looked too seldom to lose patience")
    train(again, rows, valid, Watch(), EACH_STEP, tmp_path / "kept")
    assert again.plan["steps_taken"] == first.plan["steps_taken"]
    assert_equal_bits(again, first)


def test_checkpoints_of_another_training_do_not_push_out_new_ones(tmp_path):
    interrupt(number_network(), NUMBERS, VALID, EACH_STEP, tmp_path / "kept", 7)
    interrupt(number_network(seed=1), NUMBERS, VALID, EACH_STEP, tmp_path / "kept", 4)
    said = []
    train(number_network(seed=1), NUMBERS, VALID, Watch(say=said.append), EACH_STEP, tmp_path / "kept")
    assert said == ["it goes on from its checkpoint of step 4 of 8"]


def test_damaged_checkpoints_do_not_push_out_new_ones(tmp_path):
    interrupt(number_network(), NUMBERS, VALID, EACH_STEP, tmp_path / "kept", 7)
    for path in (tmp_path / "kept").iterdir():
        path.write_bytes(b"")
    interrupt(number_network(), NUMBERS, VALID, EACH_STEP, tmp_path / "kept", 4)
    said = []
    train(number_network(), NUMBERS, VALID, Watch(say=said.append), EACH_STEP, tmp_path / "kept")
    assert said[-1] == "it goes on from its checkpoint of step 4 of 8"


def test_no_training_goes_on_from_other_values_of_the_columns(tmp_path):
    interrupt(number_network(), NUMBERS, VALID, EACH_STEP, tmp_path / "kept", 5)
    table = Table({name: Numbers(column.values * 3 + 1) for name, column in NUMBERS.table.columns.items()})
    said = []
    train(number_network(), replace(NUMBERS, table=table), VALID, Watch(say=said.append), EACH_STEP, tmp_path / "kept")
    assert "another training" in "".join(said)


def test_no_training_goes_on_with_another_recipe(tmp_path):
    interrupt(number_network(), NUMBERS, VALID, EACH_STEP, tmp_path / "kept", 5)
    network, said = number_network(replace(RECIPE, optimiser="muon", batch=16)), []
    train(network, NUMBERS, VALID, Watch(say=said.append), EACH_STEP, tmp_path / "kept")
    assert "another training" in "".join(said)
    assert network.plan["steps_taken"] == 16


def test_history_is_the_same_where_losses_are_read_now_and_then(tmp_path, monkeypatch):
    """As on a GPU, whose steps must not wait for every loss."""
    from yunti.training import loop

    monkeypatch.setattr(loop, "_READ_EVERY", {"cpu": 4})
    whole, again = number_network(), number_network()
    train(whole, NUMBERS, VALID, Watch(), EACH_STEP)
    interrupt(number_network(), NUMBERS, VALID, EACH_STEP, tmp_path / "kept", 5)
    train(again, NUMBERS, VALID, Watch(), EACH_STEP, tmp_path / "kept")
    assert_equal_bits(again, whole)
    assert str(again.history) == str(whole.history)


def test_an_average_begins_anew_where_the_best_weights_come_back():
    recipe = replace(RECIPE, epochs=60, patience=0.1, average=0.99, schedule="constant")
    random = np.random.default_rng(0)
    rows, valid = (
        replace(each, target=random.integers(0, 3, len(each)).astype(np.int32))
        for each in (NUMBERS, number_rows(100, 1))
    )
    network = number_network(recipe)
    network.settings = EACH_STEP
    network.prepare(rows)
    descent = Descent(network, lay_out(network, rows, valid, Watch(), ALONE), Watch(), None)
    ask, apart = descent.pilot.ask_clock, []

    def asking(step, seconds):
        if descent.course.landing:
            means = descent.average.tensors()
            weighed = network.module.named_parameters()
            apart.append(max((means[name] - value).abs().max().item() for name, value in weighed))
        return ask(step, seconds)

    descent.pilot.ask_clock = asking
    descent.run()
    assert apart
    assert apart[0] < 1e-3


def test_a_second_training_keeps_the_rate_that_the_first_chose():
    rows, given = number_rows(600), settings(engine__rate_check=True)
    network = number_network(replace(RECIPE, learning_rate=1e-4))
    train(network, rows, VALID, Watch(), given)
    chosen = network.recipe.learning_rate
    assert chosen == pytest.approx(2e-4)
    refit(network, rows, Watch(), given)
    assert network.recipe.learning_rate == chosen


def test_the_rate_is_halved_twice_and_then_it_is_an_error():
    network, taken, said = number_network(replace(RECIPE, epochs=20)), [0], []
    loss = network.loss

    def breaking(batch, target, forward=None):
        value = loss(batch, target, forward)
        taken[0] += forward is not None and "steps" in network.plan
        return value * math.nan if taken[0] and taken[0] % 20 == 0 else value

    network.loss = breaking
    with pytest.raises(RungError, match="diverged"):
        train(network, number_rows(600), VALID, Watch(say=said.append), settings())
    assert len(said) == 2


def test_activations_computed_again_leave_statistics_as_they_would_be():
    made = []
    for again in (False, True):
        network = picture_network()
        train(network, picture_rows(96), picture_rows(45, 1), Watch(), settings(engine__recompute=again))
        made.append(weights(network))
    for name, value in made[0].items():
        np.testing.assert_allclose(made[1][name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_mixed_pictures_are_computed_again_as_they_were():
    recipe, losses = replace(RECIPE, epochs=3, augment=Augment(mixup=0.4)), []
    for again in (False, True):
        network = picture_network(recipe)
        train(network, picture_rows(96), picture_rows(45, 1), Watch(), settings(engine__recompute=again))
        losses.append([line["loss"] for line in network.history])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_parts_add_up_where_rare_classes_count_for_more():
    losses = []
    rows = number_rows(600)
    rows = rows.take(np.where((rows.target != 0) | (np.arange(600) % 10 == 0))[0])
    for micro in (32, 5):
        network = number_network()
        network.spec = replace(network.spec, task=replace(network.spec.task, metric="balanced_accuracy"))
        train(network, rows, NONE, Watch(), settings(engine__micro_batch=micro))
        losses.append([line["loss"] for line in network.history])
    np.testing.assert_allclose(*losses, atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("transformer", "image"), ("convnet", "image")])
def test_computing_activations_again_saves_memory(name, kind):
    from numerics.test_memory_model import measured_bytes, prepared
    from yunti.training.group import Team
    from yunti.training.precision import Precision

    needed = []
    for again in (False, True):
        network, rows = prepared(name, kind)
        Team(network.module, ALONE, Precision("fp32", "", "cpu"), recompute=again)
        needed.append(measured_bytes(network, rows))
    assert needed[1] < 0.75 * needed[0]


def test_mixing_leaves_the_masks_of_what_is_not_mixed():
    import importlib

    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["apple", "river", "stone"], random.integers(1, 40))) for _ in range(40)]
    rows = replace(
        make_rows("text", "classification", 40), table=Table({"note": Texts(pa.array(texts, pa.large_string()))})
    )
    rung = importlib.import_module("yunti.ladders.prediction.mlp").RUNG
    network = rung.build(make_spec("text", "classification", 40), Size(0.25))
    network.prepare(rows)
    target = network.objective.encode(rows.target)
    feed = Feed(network, network.encode(rows.table), target, Augment(mixup=0.5), 1000, ALONE)
    (part,) = feed.at(0)
    (key,) = [name for name in part.batch if not name.endswith(".mask")]
    assert torch.equal(part.batch[f"{key}.mask"], part.batch[key] != 0)


def snapshot(step):
    made = Snapshot(facts={"step": step})
    made.put("module", {"weight": torch.ones(2)})
    return made


def test_a_folder_that_cannot_be_made_is_trouble_and_no_error(tmp_path):
    (tmp_path / "taken").write_text("a file")
    keeper = Keeper(tmp_path / "taken" / "kept")
    keeper.save(1, snapshot(1))
    keeper.wait()
    assert "could not be written" in keeper.trouble
    assert keeper.trouble.endswith("there is none yet")


def test_a_checkpoint_that_cannot_be_read_is_passed_over(tmp_path):
    keeper = Keeper(tmp_path)
    for step in (1, 2):
        keeper.save(step, snapshot(step))
        keeper.wait()
    newest = max(tmp_path.iterdir())
    newest.unlink()
    newest.symlink_to(tmp_path / "nothing")
    found, sentence = keeper.newest()
    assert found.facts["step"] == 1
    assert "of step 1, is taken" in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            (f"training.{name}", value)
            for name in ("epochs", "learning_rate", "weight_decay", "l1")
            for value in ("nan", "inf")
        ],
        ("training.augment.shift", "nan"),
        ("engine.checkpoint_seconds", "nan"),
        ("model.dropout", "NaN"),
        ("model.dial", "Infinity"),
    ],
)
def test_what_is_no_finite_number_is_refused(name, value):
    with pytest.raises(OptionError):
        settings_from([(name, value)])


def test_a_file_of_json_may_be_indented_by_tabs(tmp_path):
    (tmp_path / "a.json").write_text('{\n\t"training": {\n\t\t"epochs": 3\n\t}\n}')
    assert read_config(str(tmp_path / "a.json")) == [("training.epochs", 3)]


@pytest.mark.parametrize("text", ["training: {epochs: 2020-13-45}", "&a {a: *a}"])
def test_a_file_that_yaml_stumbles_over_is_refused_in_one_sentence(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SourceError):
        read_config(str(tmp_path / "a.yaml"))


def test_a_shape_that_holds_names_can_be_set_from_a_file():
    given = settings_from(flat({"model": {"folds": {"text.0": 2}}}))
    assert given.shape({"folds": {"text.0": 1}}, "x") == {"folds": {"text.0": 2}}
