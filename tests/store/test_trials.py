import threading

import pytest
import torch

from raysweep.store.files import CorruptObject, Files
from raysweep.store.records import LevelRecord
from raysweep.store.resume import ResumePoint
from raysweep.store.trials import TrialStore

STATE = {"weight": torch.arange(4.0)}


def test_what_another_driver_removes_meanwhile_is_not_there(tmp_path):
    """On object storage two drivers may work: one ends a trial while the other takes it up."""
    store, over = TrialStore(Files(str(tmp_path))), threading.Event()

    def remove():
        while not over.is_set():
            TrialStore(Files(str(tmp_path))).drop_resume("t")

    other = threading.Thread(target=remove)
    other.start()
    try:
        for step in range(200):
            assert store.note_start("t", [step], "node").nodes == ["node"]
            assert store.note_start("t", [step], "node").nodes in (["node"], ["node", "node"])
            store.write_resume("t", ResumePoint(0, step, LevelRecord(9), STATE, {}))
            found = store.read_resume("t")
            assert found is None or found.step == step
    finally:
        over.set()
        other.join()


def test_attempts_are_those_of_the_run_and_nodes_those_at_the_step(tmp_path):
    store = TrialStore(Files(str(tmp_path)))
    for run, step in (("first", 0), ("second", 0), ("second", 0), ("second", 50)):
        starts = store.note_start("t", [run, step], f"node of {run}")
    assert (starts.attempts, starts.nodes) == (3, ["node of second"])
    assert store.starts("t", "second") == starts
    assert store.starts("t", "first") is None


def test_a_step_that_was_not_asked_for_is_no_damage(tmp_path):
    store = TrialStore(Files(str(tmp_path)))
    record = LevelRecord(3, checkpoints={3: store.write_checkpoint("t", 0, 3, STATE)})
    store.commit("t", 0, record)
    with pytest.raises(CorruptObject, match="does not name it"):
        store.read_checkpoint("t", 0, 2)
    assert store.record("t", 0) == record


def test_a_level_that_was_committed_anew_meanwhile_stays(tmp_path):
    """A reader that finds other bits than those of the record that it knows has no say in the new one."""
    store = TrialStore(Files(str(tmp_path)))
    old = LevelRecord(3, checkpoints={3: store.write_checkpoint("t", 0, 3, STATE)})
    store.commit("t", 0, old)
    other = {name: tensor + 1 for name, tensor in STATE.items()}
    new = LevelRecord(3, checkpoints={3: store.write_checkpoint("t", 0, 3, other)})
    store.commit("t", 0, new)
    with pytest.raises(CorruptObject):
        store._verified("trials/t/level_000/step_00000003.safetensors", old.checkpoints[3])
    assert store.record("t", 0) == new


def test_tensors_that_share_memory_are_read_back_under_all_their_names(tmp_path):
    """As tied parameters and views do; safetensors alone refuses them."""
    store, whole = TrialStore(Files(str(tmp_path))), torch.arange(12.0)
    state = {"one": whole, "same": whole, "part": whole[4:8], "turned": whole.view(3, 4).t()}
    written = store.write_checkpoint("a", 0, 0, state)
    store.commit("a", 0, LevelRecord(0, checkpoints={0: written}))
    point = ResumePoint(0, 1, LevelRecord(1), state, {"momentum_buffer/one": whole})
    store.write_resume("a", point)
    found = [store.read_checkpoint("a", 0, 0), store.read_resume("a").state]
    for each in found:
        assert each.keys() == state.keys()
        assert all(torch.equal(each[name], tensor) for name, tensor in state.items())


def test_in_a_bucket_a_configuration_that_is_lost_is_noted_until_it_is_restored(storage):
    """Listings there leave out empty objects."""
    store = TrialStore(Files("s3://bucket/lost"))
    store.note_lost_config("t")
    assert store.lost_configs() == ["t"]
    store.restore_config("t", {"trial_id": "t"})
    assert store.has_config("t")
    assert store.lost_configs() == []
