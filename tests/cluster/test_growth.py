"""A cluster grows with the backlog, and what was asked for is given back."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.cluster import growth
from raysweep.cluster import pool as pool_module
from raysweep.cluster.capacity import living_nodes
from raysweep.cluster.growth import MOST, WORTH, more_workers
from raysweep.cluster.pool import Pool
from raysweep.cluster.session import ray_session
from raysweep.cluster.suspects import Suspects
from raysweep.plan.desired import desired
from raysweep.store.files import Files
from raysweep.sweep.load import check
from tests.cluster.growing import growing_cluster
from tests.cluster.test_pool import Hooks, Singles
from tests.store.committed import committed
from tests.work.plans import carry_out

NODES = 2


@pytest.mark.parametrize(
    ("seconds", "jobs", "fitting", "more"),
    [
        (960, 392, 4, 4),  # 240 s of work on one node of four: twice as many workers
        (960, 392, 12, 4),
        (960, 392, 16, 0),
        (30, 10_000, 4, 0),  # it would be done before a node is there
        (10**6, 10_000, 4, 4),  # the number doubles at a time
        (10**6, 10_000, 1000, MOST),
        (10**6, 5, 4, 1),  # no more workers than jobs
        (10**6, 10_000, 0, 1),
        (0, 10_000, 4, 0),  # nobody knows yet how long they take
    ],
)
def test_a_backlog_deserves_workers(seconds, jobs, fitting, more):
    assert more_workers(seconds, jobs, fitting) == more


@given(st.floats(0, 1e7), st.integers(0, 10**7), st.integers(0, 10**4))
def test_each_worker_that_is_asked_for_has_work(seconds, jobs, fitting):
    more = more_workers(seconds, jobs, fitting)
    assert 0 <= more <= MOST
    if more:
        assert (fitting + more) * WORTH <= seconds
        assert fitting + more <= jobs


class Backlog(Singles):
    """Jobs that would take hours, and that are held back until all nodes are there."""

    @property
    def ready(self):
        return len(self.jobs)

    @property
    def seconds(self):
        return 1e6 * self.ready

    def take(self, *which):
        return super().take(*which) if len(living_nodes()) > NODES else None


@pytest.fixture
def cluster():
    with growing_cluster(NODES) as address, ray_session(address):
        yield address


@pytest.fixture
def pairs(tmp_path):
    train = {"dataset": "digits", "width": 2, "epochs": 1, "replicates": 5}
    wanted = desired(check("test", {"name": "s", "train": train}))
    carry_out(wanted, Files(str(tmp_path)), align=False)
    return wanted


def test_nodes_are_added_for_a_backlog(pairs, cluster, tmp_path, monkeypatch):
    """By Ray's autoscaler, from none to as many as there can be; then nothing is asked for any more."""
    monkeypatch.setattr(growth, "HOLD", 0.0)
    monkeypatch.setattr(pool_module, "IDLE", 0.0)
    source = Backlog(pairs)
    pool = Pool(str(tmp_path), pairs.sweep.sections, source, Hooks(), Suspects(Hooks()), may_grow=True)
    deadline = time.monotonic() + 120
    most = 0
    while pool.busy:
        assert time.monotonic() < deadline
        pool.turn(0.5)
        most = max(most, len(pool._workers))
    assert pool.failures == []
    assert {key for (key,) in committed(Files(str(tmp_path)), "alignments")} == set(pairs.alignments)
    assert most > NODES
