"""Checkpoints: written whole or not at all, the last two kept, damage noticed wherever it is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from yunti.training.checkpoint import KEPT, Keeper, Snapshot, checkpoint_bytes, open_checkpoint

FEW = with_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool)


def snapshot(value: float = 1.0) -> Snapshot:
    made = Snapshot(facts={"step": value, "history": [{"loss": 0.1}], "notes": {}})
    made.put("module", {"weight": torch.full((3, 4), value), "count": torch.tensor(int(value))}, None)
    made.put("random", {"state": torch.arange(7, dtype=torch.uint8)}, ["a", 1, 0.5])
    return made


def written(folder: Path, *steps: int) -> Keeper:
    keeper = Keeper(folder)
    for step in steps:
        keeper.save(step, snapshot(step))
        keeper.wait()
        assert keeper.trouble == ""
    return keeper


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def file_of(folder: Path, step: int) -> Path:
    return folder / f"step-{step:09d}.safetensors"


def found_step(keeper: Keeper) -> float | None:
    found, _ = keeper.newest()
    return None if found is None else found.facts["step"]


def assert_same(one: Snapshot, other: Snapshot) -> None:
    assert one.facts == other.facts
    assert list(one.tensors) == list(other.tensors) or sorted(one.tensors) == sorted(other.tensors)
    for name, value in one.tensors.items():
        again = other.tensors[name]
        assert (again.dtype, again.shape) == (value.dtype, value.shape), name
        assert torch.equal(again, value), name


def test_the_last_two_are_kept_and_the_newest_is_found(tmp_path):
    keeper = written(tmp_path, 5, 10, 200)
    assert KEPT == 2
    assert names(tmp_path) == ["step-000000010.safetensors", "step-000000200.safetensors"]
    found, sentence = keeper.newest()
    assert sentence == ""
    assert_same(found, snapshot(200))


def test_an_empty_folder_or_none_holds_no_checkpoint_and_no_damage(tmp_path):
    assert Keeper(tmp_path).newest() == (None, "")
    assert Keeper(tmp_path / "none").newest() == (None, "")
    assert not (tmp_path / "none").exists()


def test_what_was_put_is_a_copy_and_is_given_back_by_its_name():
    weight = torch.zeros(3)
    made = Snapshot()
    made.put("module", {"a/b": weight}, {"best": 1})
    made.put("module.2", {"a": torch.ones(1)})
    weight += 1
    assert torch.equal(made.tensors_of("module")["a/b"], torch.zeros(3))
    assert list(made.tensors_of("module")) == ["a/b"]
    assert made.facts == {"module": {"best": 1}}
    assert made.tensors_of("mod") == {}


@given(st.sampled_from(KINDS), st.lists(st.integers(0, 4), max_size=4), st.integers(0, 99))
@FEW
def test_tensors_of_every_kind_and_shape_come_back_bit_by_bit(tmp_path, kind, shape, seed):
    value = (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 100).to(kind)
    made = Snapshot()
    made.put("a", {"value": value})
    path = tmp_path / "one.safetensors"
    path.write_bytes(checkpoint_bytes(made))
    assert_same(open_checkpoint(path), made)


@pytest.mark.parametrize(
    "value",
    [
        torch.randn(5, 3, 2, 4).contiguous(memory_format=torch.channels_last),
        torch.randn(4, 6)[:, ::2],
        torch.randn(4, 6).T,
        torch.tensor([float("nan"), float("inf"), -0.0, 1e-42]),
        torch.zeros(2, 0, 3),
        torch.nn.Parameter(torch.randn(3)),
    ],
    ids=["channels last", "every other", "transposed", "odd numbers", "empty", "parameter"],
)
def test_tensors_come_back_however_they_lie_in_memory(tmp_path, value):
    made = Snapshot()
    made.put("a", {"value": value})
    path = tmp_path / "one.safetensors"
    path.write_bytes(checkpoint_bytes(made))
    again = open_checkpoint(path).tensors["a/value"]
    assert again.contiguous().numpy().tobytes() == value.detach().contiguous().numpy().tobytes()
    assert again.shape == value.shape


def test_facts_come_back_with_every_bit_of_their_numbers(tmp_path):
    facts = {
        "loss": 0.1 + 0.2,
        "tiny": 5e-324,
        "none": None,
        "words": "β – “”",
        "list": [1, [2.5, "x"]],
        "large": 2**60,
    }
    path = tmp_path / "one.safetensors"
    path.write_bytes(checkpoint_bytes(Snapshot({"a": torch.ones(1)}, facts)))
    assert open_checkpoint(path).facts == facts


CONTENT = checkpoint_bytes(snapshot(20))
HEADER = 8 + int.from_bytes(CONTENT[:8], "little")


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
@FEW
def test_one_altered_byte_is_noticed_or_means_the_same(tmp_path, place, change):
    altered = bytearray(CONTENT)
    altered[place] ^= change
    path = tmp_path / "one.safetensors"
    path.write_bytes(altered)
    try:
        again = open_checkpoint(path)
    except ValueError as error:
        assert "cut off" in str(error) or "cannot be read" in str(error) or "not what was written" in str(error)
        return
    assert place < HEADER  # one kind of white space for another in the header
    assert_same(again, snapshot(20))


@given(st.integers(HEADER, len(CONTENT) - 1), st.integers(1, 255))
@FEW
def test_one_altered_byte_of_a_tensor_is_always_noticed(tmp_path, place, change):
    altered = bytearray(CONTENT)
    altered[place] ^= change
    path = tmp_path / "one.safetensors"
    path.write_bytes(altered)
    with pytest.raises(ValueError, match="not what was written"):
        open_checkpoint(path)


@given(st.integers(0, len(CONTENT) - 1))
@FEW
def test_every_cut_is_noticed_and_the_one_before_is_taken(tmp_path, length):
    keeper = written(tmp_path / str(length), 10, 20)
    file_of(keeper.folder, 20).write_bytes(CONTENT[:length])
    found, sentence = keeper.newest()
    assert_same(found, snapshot(10))
    assert sentence.startswith("step-000000020.safetensors is damaged (it ")
    assert sentence.endswith("the one before, of step 10, is taken")


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 64, b"\x02" + b"\0" * 7 + b"{}", CONTENT + b"x"])
def test_what_is_no_checkpoint_is_passed_over(tmp_path, content):
    keeper = written(tmp_path, 10, 20)
    file_of(tmp_path, 20).write_bytes(content)
    assert found_step(keeper) == 10


def test_where_none_is_whole_the_training_begins_anew_with_a_sentence(tmp_path):
    keeper = written(tmp_path, 10, 20)
    for step in (10, 20):
        file_of(tmp_path, step).write_bytes(b"")
    found, sentence = keeper.newest()
    assert found is None
    assert sentence == (
        "step-000000020.safetensors is damaged (it is cut off) and "
        "step-000000010.safetensors is damaged (it is cut off): the training begins anew"
    )


def test_a_file_that_was_being_written_is_never_taken(tmp_path):
    keeper = written(tmp_path, 10)
    (tmp_path / "step-000000020.tmp").write_bytes(CONTENT)
    (tmp_path / "step-20.safetensors.part").write_bytes(CONTENT)
    (tmp_path / "another.safetensors").write_bytes(CONTENT)
    assert found_step(keeper) == 10


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_full_disk_leaves_the_earlier_one_whole_and_says_so(tmp_path, monkeypatch, call):
    keeper = written(tmp_path, 10, 20)

    def full(*_args, **_named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os if call == "fsync" else Path, call, full)
        keeper.save(30, snapshot(30))
        keeper.wait()
    assert keeper.trouble == (
        "the checkpoint of step 30 could not be written: the disk is full; the one of step 20 is whole"
    )
    assert names(tmp_path) == ["step-000000010.safetensors", "step-000000020.safetensors"]
    assert found_step(keeper) == 20
    keeper.save(40, snapshot(40))
    keeper.wait()
    assert keeper.trouble == ""
    assert found_step(keeper) == 40


def test_an_earlier_checkpoint_stands_until_the_next_is_whole(tmp_path, monkeypatch):
    keeper = written(tmp_path, 10, 20)
    seen = []
    flush = os.fsync

    def looking(handle):
        seen.append(names(tmp_path))
        flush(handle)

    monkeypatch.setattr(os, "fsync", looking)
    keeper.save(30, snapshot(30))
    keeper.wait()
    assert seen[0] == ["step-000000010.safetensors", "step-000000020.safetensors", "step-000000030.tmp"]
    assert len(seen) == 2  # the file, then its folder
    assert names(tmp_path) == ["step-000000020.safetensors", "step-000000030.safetensors"]


def test_clearing_removes_checkpoints_and_the_folder_but_nothing_else(tmp_path):
    keeper = written(tmp_path / "kept", 10, 20)
    keeper.clear()
    assert not (tmp_path / "kept").exists()
    keeper.clear()
    keeper = written(tmp_path / "kept", 10)
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    keeper.clear()
    assert names(tmp_path / "kept") == ["notes.txt"]
