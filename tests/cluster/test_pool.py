"""The pool on a real Ray: an actor that dies, and a job that cannot be computed."""

import math
import time
from dataclasses import replace

import pytest
import ray

from raysweep.cluster import pool as pool_module
from raysweep.cluster.pool import Pool
from raysweep.cluster.suspects import Suspects
from raysweep.plan.desired import desired
from raysweep.store.files import Files
from raysweep.sweep.load import check
from raysweep.version import CodeDiffers, driver
from raysweep.work.environment_faults import due_to_node
from raysweep.work.tile import Tile, TileWorker
from tests.store.committed import committed
from tests.work.plans import carry_out


class Jobs:
    """A source with these jobs, in tiles of four at most."""

    def __init__(self, wanted, jobs=None):
        self.wanted, self.jobs = wanted, list(jobs or wanted.alignments.values())

    @property
    def tiles(self):
        return -(-len(self.jobs) // 4)

    def take(self, workers, lap, before, used):
        jobs, self.jobs = self.jobs[:4], self.jobs[4:]
        return Tile(tuple(jobs), self.wanted.trials) if jobs else None

    def landed(self, tiles):
        pass


def work_off(pool):
    """Do all that the pool's source has; returns the failures."""
    while pool.busy:
        pool.turn(1.0)
    pool.close()
    return pool.failures


class Hooks:
    """A listener that calls a function once, at the first progress."""

    def __init__(self, first=lambda: None):
        self.first, self.done, self.failures, self.curves = first, 0, [], []

    def stage(self, name, total):
        pass

    def advance(self, stage, jobs):
        if not self.done:
            self.first()
        self.done += jobs

    def evaluated(self, trial_id, curve):
        self.curves.append((trial_id, curve))

    def stepped(self, steps):
        pass

    def failed(self, failure):
        self.failures.append(failure)

    def waits(self, reason):
        pass


@pytest.fixture
def trained_sweep(tmp_path):
    train = {"dataset": "digits", "width": 4, "epochs": 1, "replicates": 4}
    wanted = desired(check("test", {"name": "s", "train": train}))
    carry_out(wanted, Files(str(tmp_path)), align=False)
    return wanted, tmp_path


def with_resources(wanted, **resources):
    changed = wanted.sweep.sections.resources.model_copy(update=resources)
    return wanted.sweep.sections.model_copy(update={"resources": changed})


def test_killed_actor_loses_nothing(session, trained_sweep):
    wanted, root = trained_sweep
    hooks = Hooks(first=lambda: ray.kill(pool._workers[0].actor))
    pool = Pool(str(root), wanted.sweep.sections, Jobs(wanted), hooks, Suspects(hooks))
    assert work_off(pool) == []
    assert hooks.done == 6
    rows = committed(Files(str(root)), "alignments")
    assert {key for (key,) in rows} == set(wanted.alignments)


def test_workers_without_work_end(session, trained_sweep, monkeypatch):
    """All of them, while the run goes on: an autoscaler may want their nodes."""
    monkeypatch.setattr(pool_module, "IDLE", 0.0)
    wanted, root = trained_sweep
    pool = Pool(str(root), wanted.sweep.sections, Jobs(wanted), Hooks(), Suspects(Hooks()))
    while pool.busy:
        pool.turn(1.0)
    deadline = time.monotonic() + 60
    while ray.available_resources().get("CPU") != ray.cluster_resources()["CPU"]:
        assert time.monotonic() < deadline
        pool.turn(0)
        time.sleep(0.1)


class Singles(Jobs):
    """Tiles of one job."""

    @property
    def tiles(self):
        return len(self.jobs)

    def take(self, workers, lap, before, used):
        return Tile((self.jobs.pop(),), self.wanted.trials) if self.jobs else None


def test_actors_that_a_lost_node_had_idle_cost_no_attempts(session, trained_sweep, monkeypatch):
    monkeypatch.setattr(pool_module, "ATTEMPTS", 2)  # so few actors would use them up
    monkeypatch.setattr(pool_module, "IDLE", math.inf)  # none ends, however long the other one takes
    wanted, root = trained_sweep
    *jobs, last = list(wanted.alignments.values())[:3]
    source = Singles(wanted, jobs)
    pool = Pool(str(root), with_resources(wanted, workers=2), source, Hooks(), Suspects(Hooks()))
    while pool.busy or any(worker.starting for worker in pool._workers):
        pool.turn(1.0)
    actors = [worker.actor for worker in pool._workers]
    assert len(actors) == pool_module.ATTEMPTS
    nodes = [{**node, "Alive": False} for node in ray.nodes()]
    for actor in actors:
        ray.kill(actor)
    source.jobs.append(last)
    with monkeypatch.context() as change:
        change.setattr(ray, "nodes", lambda: nodes)
        while len(pool._workers) == len(actors):
            pool.turn(1.0)
    assert not work_off(pool)
    assert len(committed(Files(str(root)), "alignments")) == 3


def test_poison_ends_in_failures_and_the_rest_goes_on(session, trained_sweep):
    wanted, root = trained_sweep
    broken = next(iter(wanted.trials))
    checkpoint = max((root / "trials" / broken / "level_000").glob("step_*.safetensors"))
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(content)
    failures = work_off(Pool(str(root), wanted.sweep.sections, Jobs(wanted), Hooks(), Suspects(Hooks())))
    touching = {
        u.alignment_id
        for u in wanted.alignments.values()
        if broken in {network.trial_id for network in u.networks}
    }
    assert {failure.id for failure in failures} == touching
    assert all("checksum" in failure.error for failure in failures)
    assert {key for (key,) in committed(Files(str(root)), "alignments")} == set(wanted.alignments) - touching


def test_a_worker_with_other_code_does_not_work(trained_sweep):
    """It says so of the tile, and not when it starts: the driver then knows the node, and avoids it."""
    wanted, root = trained_sweep
    job = next(iter(wanted.alignments.values()))
    tile = Tile((job,), wanted.trials, driver=replace(driver(), code="other"))
    with pytest.raises(CodeDiffers) as raised:
        TileWorker(str(root), wanted.sweep.sections).run(tile)
    assert due_to_node(raised.value)
