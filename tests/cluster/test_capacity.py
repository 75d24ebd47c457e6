"""Two real nodes, one of which has a GPU (a pretended one: nothing is computed on it)."""

import time
from contextlib import closing

import pytest
import ray
from ray.util import placement_group, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysweep.cluster import nodes
from raysweep.cluster.capacity import check_needs, fitting_nodes, lacking, placements_pending, room_for, slots
from raysweep.cluster.nodes import NodeCheck
from raysweep.cluster.session import ray_session
from raysweep.cluster.suspects import Suspects
from raysweep.cluster.trainable import DEATHS, deaths, note_start
from raysweep.errors import UserError
from raysweep.plan.done import done
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.work.inputs import TrialTask
from tests.cluster.test_pool import Hooks
from tests.machine import BARE
from tests.prefork import PreforkCluster
from tests.work.plans import plan


@ray.remote
class Holder:
    """Holds resources."""

    def ready(self):
        return True


def until(condition):
    """Wait for what Ray's nodes report within a moment."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster():
    head = {"num_cpus": 4, "num_gpus": 1, **BARE}
    found = PreforkCluster(initialize_head=True, head_node_args=head)
    found.add_node(num_cpus=2)
    with ray_session(found.address):
        yield found
    found.shutdown()


def test_what_the_nodes_have_room_for(cluster):
    assert slots({"CPU": 1}) == 6
    assert slots({"CPU": 1, "GPU": 0.5}) == 2
    assert slots({"CPU": 1, "GPU": 0.6}) == 1
    assert slots({"CPU": 3}) == 1
    assert slots({"CPU": 5}) == 0  # although the cluster has six
    assert room_for({"CPU": 4, "GPU": 0}, [])
    assert not room_for({"CPU": 5}, [])


def test_room_is_counted_node_by_node(cluster):
    """Three of the four CPUs of one node are reserved, as a trial does, and both of the other are held."""
    small = next(node for node in ray.nodes() if node["Resources"]["CPU"] == 2)
    reserved = placement_group([{"CPU": 3, "GPU": 1}])
    holder = Holder.options(
        num_cpus=2, scheduling_strategy=NodeAffinitySchedulingStrategy(small["NodeID"], soft=False)
    ).remote()
    held = [(small["NodeID"], {"CPU": 2})]
    try:
        assert reserved.wait(60)
        ray.get(holder.ready.remote())
        until(lambda: ray.available_resources().get("CPU") == 1)
        assert room_for({"CPU": 1}, [])
        assert not room_for({"CPU": 2}, [])
        assert room_for({"CPU": 2}, held)
        assert not room_for({"CPU": 3}, held)  # although the cluster has three
        assert not placements_pending()
        more = placement_group([{"CPU": 2}])
        until(placements_pending)
        remove_placement_group(more)
        until(lambda: not placements_pending())
    finally:
        ray.kill(holder)
        remove_placement_group(reserved)
    until(lambda: ray.available_resources().get("CPU") == 6)
    assert room_for({"CPU": 4}, [])


def test_what_no_node_has_is_said(cluster, tmp_path):
    wanted = plan()
    work = todo(wanted, done(wanted, Files(str(tmp_path))))
    resources = wanted.sweep.sections.resources
    check_needs(resources, work)
    large = resources.model_copy(update={"trial": resources.trial.model_copy(update={"cpu": 5})})
    assert lacking(large, work) == ["resources.trial: no node has cpu = 5 and gpu = 0"]
    with pytest.raises(UserError, match=r"resources\.trial: no node has cpu = 5"):
        check_needs(large, work)


def test_nodes_that_do_not_answer_in_time_are_said(cluster, tmp_path, monkeypatch):
    files = Files(str(tmp_path))
    monkeypatch.setattr(nodes, "PATIENCE", 0)
    with pytest.raises(UserError, match="no answer within 0 seconds"), closing(NodeCheck(files)) as check:
        check.check_all()
    assert files.list("") == []


def test_a_trial_is_not_blamed_for_lost_nodes(cluster, tmp_path):
    wanted, store = plan(), TrialStore(Files(str(tmp_path)))
    task = TrialTask(next(iter(wanted.trials.values())), wanted.extents[next(iter(wanted.trials))], {})
    for _ in range(DEATHS + 1):
        store.note_start(task.trial.trial_id, ["run", 0, -1, -1], "a node that is lost")
    assert [deaths(note_start(store, task, "run")) for _ in range(DEATHS + 1)] == list(range(DEATHS + 1))


def test_a_node_is_avoided_as_long_as_another_one_is_not(cluster):
    """Both nodes have room for a process of one CPU, and one of them for a process of four."""
    suspects, needs = Suspects(Hooks()), {"CPU": 1}
    first, second = sorted(fitting_nodes(needs))
    assert suspects.elsewhere("a", first, needs, "missing")
    assert suspects.elsewhere("b", first, needs, "missing")
    assert suspects.avoided == {first}
    assert not suspects.elsewhere("a", second, needs, "missing")
    assert suspects.avoided == frozenset()
    (large,) = fitting_nodes({"CPU": 4})
    assert not suspects.elsewhere("c", large, {"CPU": 4}, "missing")
    assert suspects.avoided == frozenset()
    assert suspects.elsewhere("d", large, needs, "missing")
    assert suspects.avoided_by(needs) == {large}
    assert suspects.avoided_by({"CPU": 4}) == frozenset()  # no other node could do such work
    assert not room_for({"CPU": 4}, [], {large})
    assert not suspects.elsewhere("d", ({first, second} - {large}).pop(), needs, "missing")
    suspects.avoid(first, "can do no work")
    assert not suspects.elsewhere("a", second, needs, "missing")
    assert suspects.avoided == {first}
