"""Every trial, alignment and barrier says on what it was computed."""

import platform
from dataclasses import replace

import pytest
import torch

from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.tables.schemas import read_table
from tests.work.plans import carry_out, compare_all, plan

HERE = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
SOFTWARE = f"torch {torch.__version__}"


def column(files, table, name):
    return set(read_table(files, "s", table).column(name).to_pylist())


def test_the_tables_name_hardware_software_and_execution(tmp_path):
    wanted, files = plan(epochs=1), Files(str(tmp_path))
    carry_out(wanted, files)
    compare_all(wanted, files)
    for table in ("trials", "alignments", "barriers"):
        assert column(files, table, "hardware") == {HERE}
        assert column(files, table, "software") == {SOFTWARE}
    for table in ("trials", "barriers"):
        assert column(files, table, "execution") == {"plain"}


class Stopped(Exception):
    pass


def test_a_trial_that_was_resumed_on_another_machine_names_both(tmp_path):
    wanted, files = plan(epochs=3), Files(str(tmp_path))
    store, trial = TrialStore(files), next(iter(wanted.trials))

    def stop(level, step):
        if store.read_resume(trial):
            raise Stopped

    with pytest.raises(Stopped):
        carry_out(wanted, files, report=stop)
    point = store.read_resume(trial)
    assert point.record.environment["hardware"] == HERE
    elsewhere = {**point.record.environment, "hardware": "NVIDIA A100", "steps": "captured"}
    store.write_resume(trial, replace(point, record=replace(point.record, environment=elsewhere)))
    carry_out(wanted, files)
    found = store.record(trial, 0).environment
    assert found["hardware"] == f"NVIDIA A100; {HERE}"
    assert found["steps"] == "captured; plain"
    assert found["software"] == SOFTWARE
    other = next(key for key in wanted.trials if key != trial)
    assert store.record(other, 0).environment["hardware"] == HERE
