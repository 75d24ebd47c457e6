import time

import torch

from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.work import system_use
from raysweep.work.system_use import SystemUse


def test_samples_tell_of_this_process(monkeypatch):
    use, held, before = SystemUse("cpu"), torch.ones(2**24), time.time()
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    use.look(2)  # too early
    monkeypatch.setattr(system_use, "EVERY", 0.0)
    use.look(2)
    assert use.taken(1) == []  # which was found finished
    first, second = use.taken(2)
    assert first["cpu_utilization_percentage"] > 0 <= second["cpu_utilization_percentage"]
    assert first["memory_megabytes"] > held.nbytes / 2**20
    assert before <= first["time"] <= second["time"] <= time.time()
    assert len(use.taken(2)) == 1


def test_samples_come_back_and_damage_is_none(tmp_path):
    files, samples = Files(str(tmp_path)), [{"time": 1.5, "memory_megabytes": 3.0}]
    store = TrialStore(files)
    assert store.read_system_use("t", 0) == []
    store.write_system_use("t", 0, samples)
    assert store.read_system_use("t", 0) == samples
    files.put("trials/t/level_000/system", b"damaged")
    assert store.read_system_use("t", 0) == []
