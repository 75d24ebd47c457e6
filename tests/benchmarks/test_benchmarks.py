"""The benchmarks work: each figure is taken once, at a small size, and nothing is said of how large it is."""

import inspect
import sys
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch

from raysweep.accelerator import compiling
from raysweep.cluster.pool_worker import PoolWorker
from tests.benchmarks import __main__ as command
from tests.benchmarks import (
    accelerator,
    accelerator_alignment,
    accelerator_barriers,
    accelerator_training,
)
from tests.benchmarks.networks import convolutional, noise, resident
from tests.benchmarks.records import Record
from tests.benchmarks.watched import WatchedWorker

pytestmark = pytest.mark.slow

IN_PROCESS = ("training", "alignment", "barriers", "accelerator", "coverage", "symmetries")


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    torch.set_deterministic_debug_mode("default")


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    """Nothing is compiled, in no process, because that takes minutes."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    compiling.lacking.cache_clear()
    yield
    compiling.lacking.cache_clear()


def test_the_command_prints_and_writes_every_figure(tmp_path, monkeypatch, capsys, threads):
    out = tmp_path / "found.parquet"
    monkeypatch.setattr(sys, "argv", ["benchmarks", *IN_PROCESS, "--quick", "--out", str(out)])
    command.main()
    table = pq.read_table(out)
    rows = table.to_pylist()
    assert {row["benchmark"] for row in rows} == set(IN_PROCESS) - {"accelerator"}
    assert all(row["median"] > 0 for row in rows)
    assert table.schema.metadata[b"cores"].decode().isdigit()
    said = capsys.readouterr().out
    assert all(f"{row['benchmark']}: {row['name']}: " in said for row in rows)


def test_an_unknown_name_is_answered_with_those_there_are(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "trainig"])
    with pytest.raises(SystemExit):
        command.main()
    assert "no benchmark trainig; there are training, alignment" in capsys.readouterr().err


def test_a_goal_bounds_the_ratio_to_a_floor():
    slow = Record("r", "s", [4.0, 9.0, 3.0], goal=2, floor=[2.0, 3.0, 2.0])
    assert slow.ratio == 2
    assert slow.reached
    assert not Record("r", "s", [4.0], goal=3).reached
    assert Record("r", "epochs/s", [3.0], goal=1.4, floor=[2.0], least=True).reached
    assert Record("r", "s", [4.0]).reached is None


def test_workers_that_are_watched_begin_as_those_of_a_pool_do():
    own, theirs = (list(inspect.signature(each).parameters) for each in (WatchedWorker, PoolWorker))
    assert own == [name for name in theirs if not name.startswith("_ray")]  # which Ray adds


def vgg16(*widths):
    return [config for config in convolutional(*widths) if config.model == "vgg16"]


def test_all_parts_of_the_accelerator_benchmark_work_on_the_cpu(monkeypatch, threads, no_compiler):
    small = replace(accelerator_training.SETTINGS, batch_size=4, precision="float32", channels_last=False)
    monkeypatch.setattr(accelerator_training, "SETTINGS", small)
    monkeypatch.setattr(accelerator_training, "PACKED", 2)
    for module in (accelerator, accelerator_training, accelerator_barriers, accelerator_alignment):
        monkeypatch.setattr(module, "convolutional", vgg16)
    figures = list(accelerator.records_on(resident(noise(40)), True, (2,), 2))
    exact = [each for each in figures if {"itself", "bits", "recovered"} & {*each.name.split()}]
    assert len(exact) == 12
    assert all(each.reached for each in exact), [str(each) for each in exact if not each.reached]
