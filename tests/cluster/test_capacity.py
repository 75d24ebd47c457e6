"""Two real nodes, one of which has a GPU (a pretended one: nothing is computed on it)."""

import pytest
import ray
from ray.cluster_utils import Cluster

from raysweep.cluster import nodes
from raysweep.cluster.capacity import check_needs, lacking, places, room_for
from raysweep.cluster.nodes import check_nodes
from raysweep.cluster.session import ray_session
from raysweep.cluster.trials import DEATHS, _count_deaths
from raysweep.errors import UserError
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.plan import done, todo
from raysweep.work.inputs import TrialTask
from tests.work.plans import plan


@pytest.fixture(scope="module")
def cluster():
    head = {"num_cpus": 4, "num_gpus": 1, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=head)
    found.add_node(num_cpus=2)
    with ray_session(found.address):
        yield found
    found.shutdown()


def test_what_the_nodes_have_room_for(cluster):
    assert places({"CPU": 1}) == 6
    assert places({"CPU": 1, "GPU": 0.5}) == 2
    assert places({"CPU": 1, "GPU": 0.6}) == 1
    assert places({"CPU": 3}) == 1
    assert places({"CPU": 5}) == 0  # although the cluster has six
    assert room_for({"CPU": 4, "GPU": 0}, [])
    assert not room_for({"CPU": 5}, [])
    small = next(node["NodeID"] for node in ray.nodes() if node["Resources"]["CPU"] == 2)
    assert room_for({"CPU": 5}, [(small, {"CPU": 3})])


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
    monkeypatch.setattr(nodes, "PATIENCE", 0)
    with pytest.raises(UserError, match="did not answer within 0 seconds"):
        check_nodes(Files(str(tmp_path)))
    assert Files(str(tmp_path)).list("") == []


def test_a_trial_is_not_blamed_for_lost_nodes(cluster, tmp_path):
    wanted, store = plan(), TrialStore(Files(str(tmp_path)))
    task = TrialTask(next(iter(wanted.trials.values())), wanted.cursors[next(iter(wanted.trials))], {})
    for _ in range(DEATHS + 1):
        store.note_start(task.trial.trial_id, ["run", 0, -1, -1], "a node that is lost")
    for _ in range(DEATHS):
        _count_deaths(store, task, "run")
    with pytest.raises(RuntimeError, match="3 times at the same step"):
        _count_deaths(store, task, "run")
