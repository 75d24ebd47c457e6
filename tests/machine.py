"""One Ray for all tests of a process that kill none of its nodes: it takes many seconds to start."""

import contextlib
import os
import time

import ray

from raysweep.cluster.session import ray_session
from tests.environment import variables
from tests.prefork import PreforkCluster
from tests.processes import ALIGNING, TRAINING, below

PATIENCE = 120  # seconds
# Heads do without Ray's processes that nothing here asks: they use processor for as long as they live.
BARE = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}


@contextlib.contextmanager
def running_ray(environment):
    """Yield the address of a Ray with four CPUs and two pretended GPUs whose processes have these variables.

    This process does not use it until it is `connected`.
    """
    with variables(environment):
        head = {"num_cpus": 4, "num_gpus": 2, **BARE}
        cluster = PreforkCluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


@contextlib.contextmanager
def connected(address):
    """Let this process use the Ray at an address while the block runs, and no longer.

    Between tests it must not: it could start no other Ray, and forked processes might hang.
    """
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    try:
        with ray_session(None):
            yield
    finally:
        ray.shutdown()
        _wait_for_the_end_of_actors()


def _wait_for_the_end_of_actors():
    """Ray ends those of a driver that has left, but not at once; the next test might take them for its."""
    deadline = time.monotonic() + PATIENCE
    while below(os.getpid(), (TRAINING, ALIGNING)):
        assert time.monotonic() < deadline, "actors of a driver that has left live on"
        time.sleep(0.2)
