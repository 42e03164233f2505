"""Parts of networks against independent computations: closed forms, loops, torch's and scikit-learn's own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.signal import stft
from sklearn.metrics import log_loss
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from yunti.data.encode import Stream
from yunti.data.spectrogram import log_mel, mel_filters
from yunti.data.table import Ragged
from yunti.models.attention import Block, waves
from yunti.models.flops import _recurrent
from yunti.models.inputs import SummaryPart
from yunti.models.layers import Members, NumberEmbedding, masked_max, masked_mean
from yunti.models.objective import Answers, class_weights, skewness
from yunti.models.padding import pad
from yunti.models.recurrent import Memory, folded, reversal
from yunti.specs import TaskSpec
from yunti.training.laying import threads_for

CLASSES = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b", "c"))


def summing_to_one(probabilities: np.ndarray) -> np.ndarray:
    """In float64, as scikit-learn asks for sums that are 1 to its precision."""
    wide = probabilities.astype(np.float64)
    return wide / wide.sum(axis=1, keepdims=True)


def test_piecewise_linear_encoding_follows_its_formula():
    edges = np.array([[0, 1, 3, 3], [-1, 0, 2, 5]], dtype=np.float32)
    layer = NumberEmbedding(edges, 3)
    numbers = torch.tensor([[2.0, 7.0], [-4.0, 1.0], [0.5, -0.5], [9.0, 2.5]])
    made = layer(numbers)

    def bins(value, row):
        distinct = [edge for place, edge in enumerate(row) if place == 0 or edge > row[place - 1]]
        found = []
        for place, (low, high) in enumerate(pairwise(distinct)):
            part = (value - low) / (high - low)
            part = part if place == 0 else max(part, 0)
            found.append(part if place == len(distinct) - 2 else min(part, 1))
        return found + [0.0] * (len(row) - len(distinct))

    for row in range(4):
        for column in range(2):
            encoded = torch.tensor(bins(float(numbers[row, column]), edges[column].tolist()))
            wanted = encoded @ layer.weight[column] + layer.bias[column]
            torch.testing.assert_close(made[row, column, 1:], wanted)
            assert made[row, column, 0] == numbers[row, column]


def test_members_are_networks_of_their_own_with_shared_layers():
    members = Members(5, [7, 6], 3, 2, dropout=0.5).eval()
    rows = torch.randn(4, 5)
    made = members(rows)
    assert made.shape == (4, 3, 2)
    for member in range(3):
        hidden = rows * members.scaling[member]
        for layer in members.layers:
            hidden = torch.relu(layer(hidden))
        torch.testing.assert_close(made[:, member], hidden @ members.head[member] + members.offset[member])


def test_masked_mean_and_maximum_agree_with_loops():
    steps, lengths = torch.randn(4, 6, 3), (6, 3, 1, 0)
    mask = torch.arange(6)[None] < torch.tensor(lengths)[:, None]
    for row, length in enumerate(lengths):
        part = steps[row, :length]
        mean = part.mean(dim=0) if length else torch.zeros(3)
        highest = part.amax(dim=0) if length else torch.zeros(3)
        torch.testing.assert_close(masked_mean(steps, mask)[row], mean)
        torch.testing.assert_close(masked_max(steps, mask)[row], highest)


def test_padding_lays_rows_side_by_side():
    values = np.arange(20, dtype=np.float32).reshape(10, 2)
    padded, mask = pad(Ragged(values, np.array([2, 5, 5, 9])), np.array([2, 0, 1]))
    assert padded.shape == (3, 16, 2)
    assert mask.sum(axis=1).tolist() == [4, 3, 0]
    np.testing.assert_array_equal(padded[0, :4], values[5:9])
    np.testing.assert_array_equal(padded[1, :3], values[2:5])
    assert (padded[~mask] == 0).all()


def test_reversal_turns_the_real_steps_only():
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    assert reversal(mask).tolist() == [[2, 1, 0, 3], [0, 1, 2, 3]]


def test_folding_lays_neighbours_end_to_end():
    steps, mask = torch.arange(10.0).reshape(1, 5, 2), torch.tensor([[True, True, True, False, False]])
    wide, there = folded(steps, mask, 2)
    assert wide[0, 0].tolist() == [0, 1, 2, 3]
    assert there.tolist() == [[True, True, False]]


def test_recurrence_agrees_with_torchs_two_way_lstm_on_packed_rows():
    stream = Stream("sequence.0", "sequence", "s", width=2, length=6)
    part = Memory(stream, front=3, width=4, layers=1, dropout=0.0).eval()
    steps, lengths = torch.randn(3, 6, 2), torch.tensor([6, 4, 1])
    mask = torch.arange(6)[None] < lengths[:, None]
    theirs = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    state = dict(part.forwards[0].named_parameters())
    state |= {f"{name}_reverse": value for name, value in part.backwards[0].named_parameters()}
    theirs.load_state_dict({name: value.detach() for name, value in state.items()})
    front = part.front({"sequence.0": steps, "sequence.0.mask": mask})
    packed = nn.utils.rnn.pack_padded_sequence(front, lengths, batch_first=True)
    wanted, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True, total_length=6)
    made = part({"sequence.0": steps, "sequence.0.mask": mask})
    torch.testing.assert_close(made[:, 8:16], masked_mean(wanted, mask), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(made[:, 16:], masked_max(wanted, mask), atol=1e-5, rtol=1e-4)


def test_attention_agrees_with_torchs_own():
    block = Block(16, 2, 0.0).eval()
    nn.init.normal_(block.out.weight)
    tokens, there = torch.randn(2, 5, 16), torch.tensor([[True] * 5, [True, True, True, False, False]])
    theirs = nn.MultiheadAttention(16, 2, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": block.queries_keys_values.weight.detach(),
            "in_proj_bias": block.queries_keys_values.bias.detach(),
            "out_proj.weight": block.out.weight.detach(),
            "out_proj.bias": block.out.bias.detach(),
        }
    )
    normal = block.before_attention(tokens)
    wanted, _ = theirs(normal, normal, normal, key_padding_mask=~there)
    made = block(tokens, there[:, None, None])  # the layers after attention begin as nothing
    torch.testing.assert_close(made, tokens + wanted, atol=1e-5, rtol=1e-4)


def test_places_are_the_waves_of_the_paper():
    made = waves(7, 6)
    for place in range(7):
        for pair in range(3):
            angle = place / 10_000 ** (2 * pair / 6)
            assert made[place, 2 * pair] == pytest.approx(np.sin(angle), abs=1e-5)
            assert made[place, 2 * pair + 1] == pytest.approx(np.cos(angle), abs=1e-5)


def test_summary_agrees_with_numpy():
    stream = Stream("sequence.0", "sequence", "s", width=2, length=8)
    part = SummaryPart(stream, 14)
    nn.init.eye_(part.layer.weight)
    nn.init.zeros_(part.layer.bias)
    steps = torch.rand(1, 8, 2)
    mask = torch.ones(1, 8, dtype=torch.bool)
    made = part({"sequence.0": steps, "sequence.0.mask": mask})[0].detach().numpy()
    row = steps[0].numpy()
    np.testing.assert_allclose(made[:2], row.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(made[2:4], row.std(axis=0), rtol=1e-3)
    np.testing.assert_allclose(made[4:6], row.max(axis=0), rtol=1e-5)
    np.testing.assert_allclose(made[6:], row.reshape(4, 2, 2).mean(axis=1).ravel(), rtol=1e-4)


def test_the_power_spectrum_agrees_with_scipy():
    random = np.random.default_rng(0)
    samples = random.integers(-8000, 8000, (2000, 1)).astype(np.int16)
    frames = log_mel(Ragged(samples, np.array([0, 2000])), 8000, 12, 0.01).values.astype(np.float64)
    wave = samples[:, 0] / 32768
    cut = np.stack([wave[start : start + 200] for start in range(0, 1801, 80)])
    power = np.abs(np.fft.rfft(cut * np.hanning(200), 256)) ** 2
    _, _, spectrum = stft(wave, 8000, np.hanning(200), 200, 120, 256, boundary=None, padded=False, scaling="spectrum")
    np.testing.assert_allclose(np.abs(spectrum.T) ** 2 * np.hanning(200).sum() ** 2, power, rtol=1e-6, atol=1e-9)
    logs = np.log(power @ mel_filters(8000, 256, 12))
    logs -= 0.7 * logs.mean(axis=0) + 0.3 * logs.mean()
    np.testing.assert_allclose(frames, logs / logs.std(), atol=5e-3)


def test_cross_entropy_is_scikit_learns_and_members_are_averaged():
    objective = Answers(CLASSES)
    outputs, target = torch.randn(20, 1, 3), torch.randint(0, 3, (20,))
    probabilities = objective.decode(outputs.numpy())
    wanted = log_loss(target.numpy(), summing_to_one(probabilities), labels=[0, 1, 2])
    assert float(objective.loss(outputs, target)) == pytest.approx(wanted, rel=1e-4)
    several = torch.randn(20, 4, 3)
    apart = [float(objective.loss(several[:, [member]], target)) for member in range(4)]
    assert float(objective.loss(several, target)) == pytest.approx(np.mean(apart), rel=1e-5)
    np.testing.assert_allclose(
        objective.decode(several.numpy()), torch.softmax(several, dim=2).mean(dim=1).numpy(), atol=1e-6
    )


def test_temperature_brings_overconfident_probabilities_back():
    random = np.random.default_rng(0)
    logits = random.normal(0, 1, (4000, 3))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = np.array([random.choice(3, p=row) for row in honest])
    sharp = honest**2 / (honest**2).sum(axis=1, keepdims=True)
    objective = Answers(CLASSES)
    objective.calibrate(sharp.astype(np.float32), target)
    assert objective.temperature == pytest.approx(2.0, rel=0.1)
    calibrated = objective.decode(np.log(sharp)[:, None].astype(np.float32))
    assert log_loss(target, summing_to_one(calibrated)) < log_loss(target, sharp)
    np.testing.assert_array_equal(calibrated.argmax(axis=1), sharp.argmax(axis=1))
    objective = Answers(CLASSES)
    objective.calibrate(sharp[:50].astype(np.float32), target[:50])
    assert objective.temperature == 1


def test_class_weights_make_rare_classes_count_alike():
    target = np.array([0] * 90 + [1] * 10)
    assert class_weights(target, 2, "accuracy") is None
    weights = class_weights(target, 2, "balanced_accuracy")
    assert float(weights[1] / weights[0]) == pytest.approx(9)
    assert float((weights[target]).mean()) == pytest.approx(1)
    weights = class_weights(target, 2, "macro_f1")
    assert float(weights[1] / weights[0]) == pytest.approx(3)


@pytest.mark.parametrize("heavy", [False, True])
def test_values_come_back_in_their_own_unit(heavy):
    random = np.random.default_rng(0)
    values = random.lognormal(3, 1.5, 2000) if heavy else random.normal(100, 20, 2000)
    objective = Answers(TaskSpec("regression", "y", "rmse", "lower"))
    objective.fit(values)
    encoded = objective.encode(values)
    assert abs(encoded.mean()) < 1e-3
    assert encoded.std() == pytest.approx(1, rel=1e-3)
    np.testing.assert_allclose(objective.decode(encoded[:, None, None]), values, rtol=1e-3)
    assert (skewness(values) > 4) == heavy
    far = objective.decode(np.full((1, 1, 1), 1e6, dtype=np.float32))[0]
    assert far <= values.max() + 0.06 * np.ptp(values)
    copy = Answers(objective.task)
    copy.restore(objective.facts())
    np.testing.assert_array_equal(copy.decode(encoded[:, None, None]), objective.decode(encoded[:, None, None]))


def test_loss_of_values_is_squared_or_absolute_by_the_metric():
    outputs, target = torch.randn(9, 2, 1), torch.randn(9)
    for metric, power in (("rmse", 2), ("r2", 2), ("mae", 1)):
        loss = Answers(TaskSpec("regression", "y", metric, "lower")).loss(outputs, target)
        wanted = (outputs[..., 0] - target[:, None]).abs() ** power
        torch.testing.assert_close(loss, wanted.mean())


def test_flops_of_a_recurrent_layer_agree_with_its_formula():
    layer = nn.LSTM(24, 16, batch_first=True)
    steps = torch.randn(4, 10, 24)
    with FlopCounterMode(display=False, custom_mapping=_recurrent()) as counter:
        layer(steps)
    formula = 2 * 4 * 10 * 4 * 16 * (24 + 16)
    assert counter.get_total_flops() == pytest.approx(formula, rel=0.1)
    with FlopCounterMode(display=False, custom_mapping=_recurrent()) as counter:
        layer(steps)[0].sum().backward()
    assert counter.get_total_flops() == pytest.approx(3 * formula, rel=0.15)


def test_small_steps_run_on_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_for(1e6) == 1
    assert threads_for(1e10) == 3
