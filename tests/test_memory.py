"""A node without memory, on a Ray that takes any use of memory for too much."""

import pytest
import ray
from ray.cluster_utils import Cluster

from raysweep.cluster.pool import Pool
from raysweep.cluster.suspects import Suspects
from tests.cluster.test_pool import Hooks, Jobs, trained_sweep, work_off  # noqa: F401  (fixture)
from tests.machine import BARE

pytestmark = pytest.mark.slow


@pytest.fixture
def scarce():
    limits = {"memory_usage_threshold": 0.001, "memory_monitor_refresh_ms": 50}
    # Ray that is started locally makes this process demand tokens of every other Ray that it joins later.
    head = {"num_cpus": 1, **BARE, "_system_config": limits}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address)
    yield
    ray.shutdown()
    cluster.shutdown()


def test_an_actor_that_is_killed_for_memory_is_a_lost_one(scarce, trained_sweep):  # noqa: F811
    wanted, root = trained_sweep
    jobs = list(wanted.alignments.values())[:1]
    (failure,) = work_off(
        Pool(str(root), wanted.sweep.sections, Jobs(wanted, jobs), Hooks(), Suspects(Hooks()))
    )
    assert failure.id == jobs[0].alignment_id
    assert failure.attempts == 3
    assert "memory" in failure.error
