"""The engine: schedules, plans, pace, batches, augmentation, optimisers, and the loop itself."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yunti.data.encode import Encoder, Reading, Stream
from yunti.data.table import Examples, Images, Numbers, Table
from yunti.errors import RungError
from yunti.models.blueprint import Blueprint, Design
from yunti.models.contract import Estimator, Parts, Size, Watch
from yunti.models.layers import Fused, Head
from yunti.models.network import Network
from yunti.models.recipe import Augment, Recipe
from yunti.specs import ColumnSpec, Spec, TaskSpec
from yunti.training import laying, train
from yunti.training.augment import augmented, mirror_keeps_answers
from yunti.training.batches import Batches, steps_per_epoch
from yunti.training.config import Steps, plan_steps
from yunti.training.group import ALONE
from yunti.training.laying import shortened
from yunti.training.optimisers import Muon, optimisers_for, orthogonal
from yunti.training.pace import Memory, Pace
from yunti.training.pilot import Pilot
from yunti.training.schedules import Course, cosine, linear, wsd

RECIPE = Recipe(batch=32, epochs=10, learning_rate=1e-2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("YUNTI_CACHE", str(tmp_path / "cache"))


@given(st.floats(0, 1), st.floats(0.01, 0.4), st.floats(0.1, 0.6))
def test_schedules_stay_between_zero_and_one(done, warmup, decay):
    for factor in (wsd(done, warmup, decay), linear(done, warmup), cosine(done, warmup)):
        assert -1e-9 <= factor <= 1 + 1e-9


@pytest.mark.parametrize("schedule", ["wsd", "linear", "cosine"])
def test_a_course_rises_to_one_and_falls_to_nearly_zero(schedule):
    course = Course(replace(RECIPE, schedule=schedule, warmup=0.1), 200)
    factors = [course.factor(step) for step in range(200)]
    peak = int(np.argmax(factors))
    assert factors[peak] == pytest.approx(1, abs=0.02)
    assert factors[0] < 0.1
    assert factors[-1] < 0.02
    assert all(b <= a + 1e-9 for a, b in zip(factors[peak:-1], factors[peak + 1 :], strict=True))


def test_landing_falls_from_where_it_stands_and_ends_early():
    course = Course(RECIPE, 1000)
    height = course.factor(300)
    course.land(300, 50)
    assert course.total == 350
    factors = [course.factor(step) for step in range(300, 350)]
    assert factors[0] <= height
    assert factors[-1] == pytest.approx(0.01, abs=0.005)
    assert course.descends(310)


def test_the_whole_recipe_is_planned_where_it_fits():
    steps = plan_steps(RECIPE, 1000, 200, Pace(0.01, 1e-5, 1e-5), float("inf"), None)
    assert steps.total == 310
    assert steps.rows == 1000
    assert steps.judged == 200
    assert steps.share == 1


@given(st.integers(100, 10**6), st.floats(1.0, 1000.0), st.floats(1e-4, 0.5))
def test_what_is_planned_fits_the_time_or_is_refused(rows, seconds, step_seconds):
    pace = Pace(step_seconds, step_seconds / 100, step_seconds / 200)
    try:
        steps = plan_steps(RECIPE, rows, rows // 10, pace, seconds, None)
    except RungError as error:
        assert "must fit the time" in str(error)
        return
    spent = steps.rows * pace.encode_seconds + steps.total * step_seconds
    assert spent <= seconds
    assert steps.rows <= max(rows, 1)
    assert steps.share in [2 ** (-quarters / 4) for quarters in range(128)]


def test_less_than_an_epoch_encodes_only_the_rows_it_sees():
    steps = plan_steps(RECIPE, 1_000_000, 1000, Pace(0.1, 1e-5, 1e-6), 60, None)
    assert steps.rows == steps.total * RECIPE.batch < 1_000_000
    assert "of the training rows" in steps.reason


def test_a_slow_reader_is_given_fewer_rows():
    steps = plan_steps(RECIPE, 50_000, 100, Pace(0.001, 1e-6, 0.01), 100, None)
    assert steps.rows * 0.01 < 60
    assert steps.total > steps.rows / RECIPE.batch


def test_an_earlier_plan_is_taken_again_while_it_still_holds():
    pace = Pace(0.01, 1e-5, 1e-5)
    shrunk = plan_steps(RECIPE, 10_000, 100, pace, 20, None)
    assert shrunk.share < 1
    assert plan_steps(RECIPE, 10_000, 100, pace, 16.5, shrunk.share).total == shrunk.total
    assert plan_steps(RECIPE, 10_000, 100, pace, 4, shrunk.share).total < shrunk.total


@pytest.mark.parametrize(
    ("share", "width", "sentence"),
    [
        (1.0, 0.71, "narrowed to 71% of its width to fit the time"),
        (0.5, 1.0, "shortened to 50.0% of its recipe to fit the time: 1,200 steps"),
        (0.5, 0.71, "shortened to 50.0% of its recipe at 71% of its width to fit the time: 1,200 steps"),
    ],
)
def test_only_what_the_time_took_is_told(share, width, sentence):
    assert shortened(Steps(1200, 10, 1000, 100, 10, share, ""), width) == sentence


def test_the_pace_is_remembered_on_disk_and_damage_is_passed_over(tmp_path):
    memory = Memory({"rung": "mlp"})
    assert memory.pace is None
    memory.remember(Pace(0.1, 0.2, 0.3), 100.0, 0.5)
    again = Memory({"rung": "mlp"})
    assert again.pace == Pace(0.1, 0.2, 0.3)
    assert again.share_for(110.0) == 0.5
    assert again.share_for(300.0) is None
    assert Memory({"rung": "convnet"}).pace is None
    again.forget_plans(Pace(1.0, 0.2, 0.3))
    assert Memory({"rung": "mlp"}).share_for(100.0) is None
    (tmp_path / "cache" / "pace.json").write_text("no json")
    assert Memory({"rung": "mlp"}).pace is None


@given(st.integers(1, 300), st.integers(1, 64), st.booleans())
def test_an_epoch_holds_every_row_at_most_once_and_nearly_all(rows, batch, bucketed):
    random = np.random.default_rng(0)
    lengths = random.integers(1, 50, rows) if bucketed else None
    batches = Batches(rows, batch, lengths, 0, "net")
    seen = np.concatenate([batches.at(step) for step in range(steps_per_epoch(rows, batch))])
    assert len(set(seen.tolist())) == len(seen)
    assert len(seen) > rows - max(1, batch / 2) or rows < batch


def test_rows_of_like_length_stand_together():
    random = np.random.default_rng(0)
    lengths = random.integers(1, 1000, 3200)
    batches = Batches(3200, 32, lengths, 0, "net")
    spreads = [np.ptp(lengths[batches.at(step)]) for step in range(100)]
    assert np.mean(spreads) < 100


IMAGE = Stream("image.0", "image", "i", width=1, length=9, breadth=9, mean=(7.0,), deviation=(1.0,))
SOUND = Stream("audio.0", "audio", "a", width=12, length=30)
TEXT = Stream("text.0", "text", "t", width=50, length=20)


def random_at(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_wish_for_nothing_changes_nothing():
    batch = {
        "image.0": torch.randint(0, 255, (4, 9, 9, 1), dtype=torch.uint8),
        "audio.0": torch.randn(4, 30, 12),
        "audio.0.mask": torch.ones(4, 30, dtype=torch.bool),
        "text.0": torch.randint(2, 50, (4, 20)),
    }
    same = augmented(batch, [IMAGE, SOUND, TEXT], Augment(), random_at())
    assert all(torch.equal(same[name], batch[name]) for name in batch)


def test_pictures_move_by_no_more_than_their_share():
    pixels = torch.zeros(200, 9, 9, 1, dtype=torch.uint8)
    pixels[:, 4, 4] = 255
    moved = augmented({"image.0": pixels}, [IMAGE], Augment(shift=0.2), random_at())["image.0"]
    places = moved[..., 0].nonzero()
    assert len(places) == 200
    assert places[:, 1:].min() == 2
    assert places[:, 1:].max() == 6
    assert len(places[:, 1:].unique(dim=0)) == 25


def test_half_of_the_pictures_are_mirrored():
    pixels = torch.zeros(400, 9, 9, 1, dtype=torch.uint8)
    pixels[:, :, 0] = 9
    moved = augmented({"image.0": pixels}, [IMAGE], Augment(mirror=True), random_at())["image.0"]
    assert 150 < int((moved[:, 0, 8, 0] == 9).sum()) < 250


def test_an_erased_square_is_grey():
    pixels = torch.full((50, 9, 9, 1), 200, dtype=torch.uint8)
    moved = augmented({"image.0": pixels}, [IMAGE], Augment(erase=0.34), random_at())["image.0"]
    grey = (moved == 7).flatten(1).sum(dim=1)
    assert grey.max() == 9
    assert grey.min() >= 1
    assert set(moved.unique().tolist()) == {7, 200}


def test_sounds_are_masked_rolled_and_stretched_within_their_length():
    mask = torch.arange(30)[None] < torch.tensor([[30], [20], [1], [0]])
    batch = {"audio.0": torch.randn(4, 30, 12) * mask[..., None], "audio.0.mask": mask}
    wish = Augment(mask=0.3, warp=0.2, tilt=0.3, stretch=0.2, noise=0.1)
    changed = augmented(batch, [SOUND], wish, random_at())
    steps, there = changed["audio.0"], changed["audio.0.mask"]
    assert steps.shape == (4, 30, 12)
    assert torch.isfinite(steps).all()
    assert (steps[~there] == 0).all()
    assert there[2].sum() >= 1
    assert there[3].sum() == 0
    assert 15 <= int(there[1].sum()) <= 26


def test_hidden_tokens_become_unknown_and_padding_stays():
    tokens = torch.full((10, 40), 5)
    tokens[:, 30:] = 0
    changed = augmented({"text.0": tokens}, [TEXT], Augment(drop=0.3), random_at())["text.0"]
    assert (changed[:, 30:] == 0).all()
    assert 40 < int((changed == 1).sum()) < 140


def test_arrows_may_not_be_mirrored_and_discs_may():
    random = np.random.default_rng(0)
    target = random.integers(0, 2, 400)
    arrows = random.integers(0, 60, (400, 12, 12, 1)).astype(np.uint8)
    arrows[target == 0, 3:9, 1:3] = 255
    arrows[target == 1, 3:9, 9:11] = 255
    assert not mirror_keeps_answers(arrows, target, 2)
    bars = random.integers(0, 60, (400, 12, 12, 1)).astype(np.uint8)
    bars[target == 0, 1:3] = 255
    bars[target == 1, 9:11] = 255
    assert mirror_keeps_answers(bars, target, 2)


def test_orthogonal_updates_have_singular_values_near_one():
    for shape in ((8, 30), (30, 8), (16, 20)):
        matrix = torch.randn(shape, generator=random_at())
        found = orthogonal(matrix)
        values = torch.linalg.svdvals(found)
        assert values.min() > 0.5
        assert values.max() < 1.3
        narrow = orthogonal(matrix.bfloat16())
        assert narrow.dtype == torch.bfloat16
        assert torch.nn.functional.cosine_similarity(narrow.float().flatten(), found.flatten(), dim=0) > 0.995


def test_both_ways_to_an_orthogonal_matrix_are_the_same(monkeypatch):
    matrix, found = torch.randn(12, 50, generator=random_at()), []
    for wide in (1, 100):
        monkeypatch.setattr("yunti.training.optimisers._WIDE", wide)
        found.append(orthogonal(matrix))
    torch.testing.assert_close(*found, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("products", [torch.float32, torch.bfloat16])
def test_muon_agrees_with_torch_on_matrices(products):
    start = torch.randn(12, 20, generator=random_at())
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    one = Muon([{"params": [ours], "lr": 0.01, "weight_decay": 0.1}], products=products)
    other = torch.optim.Muon([theirs], lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(5):
        ours.grad = torch.randn(12, 20, generator=random_at(step))
        theirs.grad = ours.grad.clone()
        one.step()
        other.step()
    # torch computes in bfloat16
    assert (ours - theirs).abs().max() < 0.05 * (ours - start).abs().max()


def test_matrices_decay_biases_do_not_and_rates_follow_names():
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
    (optimiser,) = optimisers_for(module, replace(RECIPE, rates=(("bias", 0.1),)))
    found = {(group["weight_decay"], round(group["peak"], 6)) for group in optimiser.param_groups}
    assert found == {(RECIPE.weight_decay, 0.01), (0.0, 0.01), (0.0, 0.001)}
    made = optimisers_for(module, replace(RECIPE, optimiser="muon"))
    assert [type(each).__name__ for each in made] == ["AdamW", "Muon"]


def examples(rows: int, seed: int = 0, classes: int = 3) -> Examples:
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, (rows, 3)).astype(np.float32)
    target = (np.digitize(values[:, 0] + 0.3 * values[:, 1], [-0.4, 0.4])).astype(np.int32)
    table = Table({f"x{place}": Numbers(values[:, place]) for place in range(3)})
    return Examples(table, target, np.arange(rows, dtype=np.int64))


def small_network(recipe: Recipe = RECIPE, seed: int = 0, module=None) -> Network:
    columns = tuple(ColumnSpec(f"x{place}", "number") for place in range(3))
    task = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b", "c"))

    def assemble(shape, reader, outputs):
        from yunti.models.inputs import TablePart

        part = TablePart(reader, 4)
        return Fused([part], (module or Head)(part.width, 16, outputs, 0.1))

    blueprint = Blueprint(
        "small", lambda spec: Encoder(spec.columns, Reading()), lambda spec, reader, size: Design({}, recipe), assemble
    )
    return Network(Spec(columns, task, 600, seed), blueprint)


def test_the_loop_learns_tells_and_keeps_the_best_weights():
    network = small_network()
    told = []
    valid = examples(200, seed=1)
    train(network, examples(600), valid, Watch(report=lambda fraction, numbers: told.append((fraction, numbers))))
    accuracy = (network.predict(valid.table).argmax(axis=1) == valid.target).mean()
    assert accuracy > 0.9
    judged = [numbers["valid"] for _, numbers in told if "valid" in numbers]
    assert max(judged) == pytest.approx(accuracy, abs=0.02)
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    assert told[-1][0] == 1
    assert {"loss", "step", "epoch", "learning_rate", "valid"} <= set(told[-2][1])
    assert network.train_flops > 0
    assert "stopped" not in network.plan
    assert float(torch.tensor(1e-40) * 1) > 0  # denormal numbers are flushed only while training
    assert network.plan["steps"]["value"] == 190


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    rows, valid = examples(300), examples(100, seed=1)

    def answers(seed):
        network = small_network(replace(RECIPE, epochs=3), seed)
        train(network, rows, valid, Watch())
        return network.predict(valid.table)

    np.testing.assert_array_equal(answers(1), answers(1))
    assert not np.array_equal(answers(1), answers(2))


def test_a_short_time_shrinks_the_plan_and_the_deadline_holds():
    network = small_network(replace(RECIPE, epochs=100_000, batch=8))
    began = time.monotonic()
    train(network, examples(600), examples(100, seed=1), Watch(began + 3))
    assert time.monotonic() - began < 3.2
    assert network.plan["steps"]["value"] < 100_000 * 75
    assert "epochs that suit" in network.plan["steps"]["reason"]


def test_a_machine_that_turns_slow_ends_early_with_a_sentence():
    network = small_network(replace(RECIPE, epochs=40))
    loss = network.loss

    def slow(batch, target, forward=None):
        time.sleep(0.02 if network.plan.get("steps") else 0)
        return loss(batch, target, forward)

    network.loss = slow
    began = time.monotonic()
    train(network, examples(600), examples(100, seed=1), Watch(began + 4))
    assert time.monotonic() - began < 4.2
    assert "slower than planned" in network.plan["stopped"]
    assert Memory({"rung": "nothing"}).pace is None


def test_no_time_at_all_is_an_honest_refusal():
    with pytest.raises(RungError, match="must fit the time"):
        train(small_network(), examples(600), examples(100, seed=1), Watch(time.monotonic() + 0.1))


class Breaks(Head):
    """A head whose answer is no number for some calls in training."""

    calls = 0
    bad = (20,)

    def forward(self, rows):
        made = super().forward(rows)
        if self.training:
            type(self).calls += 1
            if type(self).calls in self.bad:
                return made * float("nan")
        return made


def test_a_loss_that_is_no_number_is_rescued_once():
    Breaks.calls, Breaks.bad = 0, (40,)
    network = small_network(module=Breaks)
    valid = examples(200, seed=1)
    train(network, examples(600), valid, Watch())
    assert "halved" in network.plan["rescued"]
    assert (network.predict(valid.table).argmax(axis=1) == valid.target).mean() > 0.85


def test_a_loss_that_stays_no_number_is_an_error():
    Breaks.calls, Breaks.bad = 0, range(20, 10_000)
    with pytest.raises(RungError, match="diverged"):
        train(small_network(module=Breaks), examples(600), examples(100, seed=1), Watch())


def test_training_ends_early_where_nothing_gets_better():
    network = small_network(replace(RECIPE, epochs=400, patience=0.1))
    random = np.random.default_rng(0)
    rows = replace(examples(200), target=random.integers(0, 3, 200).astype(np.int32))
    valid = replace(examples(400, seed=1), target=random.integers(0, 3, 400).astype(np.int32))
    train(network, rows, valid, Watch())
    assert network.plan["steps_taken"] < network.plan["steps"]["value"]
    assert "nothing better" in network.plan["ended"]


def test_estimators_fit_themselves():
    class Own(Estimator):
        parameters, train_flops, plan = 1, 0.0, {}

        def fit(self, train, valid, watch):
            self.seen = len(train), len(valid), watch.left

        def refit(self, rows, watch):
            self.seen = len(rows), 0, watch.left

        def predict(self, table):
            return np.zeros(len(table))

        def parts(self):
            return Parts()

        def restore(self, parts):
            pass

    model = Own(small_network().spec)
    train(model, examples(10), examples(5), Watch())
    assert model.seen == (10, 5, float("inf"))


def test_pictures_that_are_mapped_and_read_only_can_be_trained_on():
    pixels = np.zeros((60, 6, 6, 1), dtype=np.uint8)
    pixels[::2, :3] = 255
    pixels.setflags(write=False)
    table = Table({"i": Images(pixels, np.ones(60, dtype=bool))})
    rows = Examples(table, np.arange(60, dtype=np.int32) % 2, np.arange(60, dtype=np.int64))
    from yunti.ladders.prediction.mlp import RUNG
    from yunti.models.contract import Size

    task = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b"))
    model = RUNG.build(Spec((ColumnSpec("i", "image", shape=(6, 6, 1)),), task, 60), Size(0.1))
    train(model, rows, rows, Watch(time.monotonic() + 5))
    assert (model.predict(table).argmax(axis=1) == rows.target).all()


@pytest.mark.parametrize(("seconds_for_all", "stops"), [(0.0, False), (50.0, False), (200.0, True)])
def test_the_clock_keeps_the_time_for_predicting_all_validation_rows(seconds_for_all, stops):
    steps = plan_steps(RECIPE, 1000, 200, Pace(0.01, 1e-5, 1e-5), 100, None)
    judge = SimpleNamespace(seconds_for_all=seconds_for_all, since_best=0)
    pilot = Pilot(Course(RECIPE, steps.total), judge, RECIPE, steps, Watch(time.monotonic() + 100), ALONE)
    assert pilot.ask_clock(5, None).stop is stops


def test_where_trying_a_narrower_network_took_the_time_the_first_plan_stands(monkeypatch):
    def plan(total, share, fits=True):
        return laying.Plan(Steps(total, 1, 1, 0, 1, share, ""), Pace(1.0, 1.0, 1.0), (1, ""), fits=fits)

    plans = iter([plan(35, 0.2), plan(41, 0.22), plan(1, 0.001, fits=False)])
    network = SimpleNamespace(size=Size(1.0), blueprint=SimpleNamespace(on_base=False))
    network.resize = lambda size: setattr(network, "size", size)
    monkeypatch.setattr(laying, "_plan", lambda *_: next(plans))
    monkeypatch.setattr(laying, "_smaller", lambda dial, _plan: dial / 2)
    chosen = laying._choose(SimpleNamespace(network=network), (100, 10), Watch(), None)
    assert (chosen.steps.total, chosen.fits, network.size.dial) == (35, True, 1.0)
