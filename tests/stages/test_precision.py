"""Which numbers a device computes in and why, what is remembered of its speed, and a process's place among others."""

from __future__ import annotations

import json

import pytest
import torch

from yunti.devices import Place, place_of
from yunti.training import precision
from yunti.training.precision import Precision, choose_precision, peak_flops


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("YUNTI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "peaks.json"


def speeds(monkeypatch, fast, exact, knows=True):
    monkeypatch.setattr(precision, "_has_bf16", lambda: knows)
    monkeypatch.setattr(precision, "peak_flops", lambda _device, name: fast if name == "bf16" else exact)


@pytest.mark.parametrize(
    ("fast", "exact", "name"),
    [(4e11, 1e11, "bf16"), (1.31e11, 1e11, "bf16"), (1.29e11, 1e11, "fp32"), (1e10, 1e11, "fp32")],
)
def test_a_processor_takes_bf16_only_where_it_is_clearly_faster(monkeypatch, fast, exact, name):
    speeds(monkeypatch, fast, exact)
    chosen = choose_precision("cpu")
    assert chosen.name == name
    assert chosen.reason == f"bf16 products run at {fast / 1e9:,.0f} GFLOP/s here, fp32 ones at {exact / 1e9:,.0f}"


def test_a_processor_without_bf16_is_not_even_timed(monkeypatch):
    speeds(monkeypatch, 1e12, 1e11, knows=False)
    monkeypatch.setattr(precision, "peak_flops", None)
    assert choose_precision("cpu") == Precision("fp32", "this processor has no bf16 instructions", "cpu")


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps"])
def test_what_was_asked_for_is_taken_everywhere(monkeypatch, name, device):
    monkeypatch.setattr(precision, "peak_flops", None)
    assert choose_precision(device, name) == Precision(name, "asked for", device)


@pytest.mark.parametrize(("major", "name"), [(7, "fp16"), (8, "bf16"), (9, "bf16")])
def test_a_gpu_takes_what_it_has_units_for(monkeypatch, major, name):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (major, 0))
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda _name: None)
    assert choose_precision("cuda:1").name == name


def test_another_device_keeps_fp32():
    assert choose_precision("mps") == Precision("fp32", "bf16 was not measured on mps", "mps")


def test_every_reason_is_a_clause(monkeypatch):
    reasons = [choose_precision("mps").reason, choose_precision("cpu", "bf16").reason]
    for knows in (True, False):
        speeds(monkeypatch, 2e11, 1e11, knows)
        reasons.append(choose_precision("cpu").reason)
    for major in (7, 8):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device, major=major: (major, 0))
        reasons.append(choose_precision("cuda").reason)
    for reason in reasons:
        assert len(reason.split()) > 1
        assert reason[0] == reason[0].lower()
        assert not reason.endswith(".")
        assert "\n" not in reason


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_products_are_computed_in_what_was_chosen(name, dtype):
    chosen = choose_precision("cpu", name)
    with chosen.autocast():
        made = torch.ones(4, 4) @ torch.ones(4, 4)
    assert made.dtype == dtype
    assert chosen.needs_scaling == (name == "fp16")


def counted(monkeypatch, value=5e10):
    calls = []
    monkeypatch.setattr(precision, "_measure", lambda *given: calls.append(given) or value)
    return calls


def test_a_peak_is_measured_once_and_remembered(monkeypatch, own_cache):
    calls = counted(monkeypatch)
    assert [peak_flops("cpu", "fp32") for _ in range(3)] == [5e10] * 3
    assert calls == [("cpu", torch.float32, 1024)]
    peak_flops("cpu", "bf16")
    assert [dtype for _, dtype, _ in calls] == [torch.float32, torch.bfloat16]
    kept = json.loads(own_cache.read_text())
    assert len(kept) == 2
    assert all(torch.__version__ in key and value == 5e10 for key, value in kept.items())


@pytest.mark.parametrize("content", ["", "no json", "[1, 2]", '{"other": 1}', "{", "null"])
def test_a_damaged_cache_is_passed_over_and_mended(monkeypatch, own_cache, content):
    own_cache.parent.mkdir()
    own_cache.write_text(content)
    calls = counted(monkeypatch)
    assert peak_flops("cpu", "fp32") == 5e10
    assert peak_flops("cpu", "fp32") == 5e10
    assert len(calls) == 1


def test_a_remembered_value_that_is_no_number_is_measured_anew(monkeypatch, own_cache):
    calls = counted(monkeypatch)
    peak_flops("cpu", "fp32")
    own_cache.write_text(json.dumps(dict.fromkeys(json.loads(own_cache.read_text()), "fast")))
    assert peak_flops("cpu", "fp32") == 5e10
    assert len(calls) == 2


def test_a_cache_that_cannot_be_written_costs_a_measurement_only(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("YUNTI_CACHE", str(tmp_path / "file" / "cache"))
    calls = counted(monkeypatch)
    assert [peak_flops("cpu", "fp32") for _ in range(2)] == [5e10, 5e10]
    assert len(calls) == 2


def test_a_measured_peak_is_that_of_a_product_and_the_threads_stay(monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.setitem(precision._SIDE, "cpu", 256)
    assert 1e8 < peak_flops("cpu", "fp32") < 1e14
    assert torch.get_num_threads() == threads


ALONE = Place(0, 1, 0, "127.0.0.1", 29500)
TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "node3", "MASTER_PORT": "1234"}
SRUN = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1", "SLURM_STEP_NODELIST": "gpu[03-05,09]"}
BATCH_SCRIPT = {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_NODELIST": "gpu[03-04]"}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, ALONE),
        (TORCHRUN, Place(5, 8, 1, "node3", 1234)),
        ({**TORCHRUN, "WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}, Place(0, 1, 0, "node3", 1234)),
        ({**TORCHRUN, "LOCAL_WORLD_SIZE": "4"}, Place(5, 8, 1, "node3", 1234, 4)),
        ({name: TORCHRUN[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}, Place(5, 8, 1)),
        ({"RANK": "5", "WORLD_SIZE": "8"}, ALONE),
        ({"MASTER_ADDR": "node3", "MASTER_PORT": "1234"}, ALONE),
        (SRUN, Place(5, 8, 1, "gpu03")),
        ({**SRUN, "SLURM_STEP_TASKS_PER_NODE": "2(x3),4"}, Place(5, 8, 1, "gpu03", beside=4)),
        ({**SRUN, "MASTER_ADDR": "head", "MASTER_PORT": "77"}, Place(5, 8, 1, "head", 77)),
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, ALONE),
        (BATCH_SCRIPT, ALONE),
        ({**BATCH_SCRIPT, **TORCHRUN}, Place(5, 8, 1, "node3", 1234)),
        ({**SRUN, **TORCHRUN}, Place(5, 8, 1, "node3", 1234)),
    ],
)
def test_the_place_of_a_process_is_read_from_its_environment(environment, place):
    assert place_of(environment) == place


@pytest.mark.parametrize(
    ("nodes", "host"),
    [("gpu1", "gpu1"), ("gpu[03-05,09],cpu1", "gpu03"), ("a,b", "a"), ("n-1-[7,9]", "n-1-7"), ("", "127.0.0.1")],
)
def test_the_first_machine_of_a_list_is_the_host(nodes, host):
    assert place_of({**SRUN, "SLURM_STEP_NODELIST": nodes}).host == host
