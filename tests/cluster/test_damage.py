"""Objects that are damaged while a run is at work: it is redone or reported, never averaged into a result."""

import os
import signal

import pandas as pd
import pytest
import yaml

from raysweep.cluster.run import _Run
from raysweep.store.files import Files
from tests.faults import DAMAGED
from tests.inside import carried_out, here
from tests.processes import TRAINING, below
from tests.test_run import same, tables
from tests.verified import problems

SWEEP = {
    "name": "tiny",
    "train": {
        "dataset": "digits",
        "width": [2, 3],
        "epochs": 40,
        "batch_size": 256,
        "replicates": 3,
        "checkpoints": [],
    },
    "compare": {"kinds": ["unaligned", "direct"], "splits": ["test"], "alphas": 3},
    "resources": {"workers": 2, "resume_seconds": 0, "tile_seconds": 0.001},  # one job in each object
    "analyses": [],
    "tracking": {"enabled": False},
}


def flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def truncated(content):
    return content[: len(content) // 2]


class Damager:
    """Damages, before anybody reads them, the first checkpoint, alignment and resume point that it hears of
    by flipping a bit, and the second ones by truncating them."""

    def __init__(self, files):
        self.files, self.done = files, {kind: [] for kind in DAMAGED}

    def damage(self, kind, name):
        done = self.done[kind]
        if len(done) < DAMAGED[kind] and name not in done:
            self.files.put(name, (flipped, truncated)[len(done)](self.files.get(name)))
            done.append(name)

    def level_done(self, trial_id, level):
        self.damage("checkpoint", max(self.files.list(f"trials/{trial_id}/level_{level:03d}/")[1:]))

    def resume_points(self):
        """Stop the processes that train, damage a new resume point, and kill them."""
        done = self.done["resume point"]
        if len(done) == DAMAGED["resume point"]:
            return
        points = [name for name in self.files.list("trials") if name.endswith("/resume")]
        if set(points) <= set(done):
            return
        found = below(os.getpid(), TRAINING)
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        for name in set(points) - set(done):
            if self.files.exists(name):
                self.damage("resume point", name)
        for pid in found:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def damage(monkeypatch):
    """Let a damager see a run's news first."""

    def watch(damager):
        level_done, landed, turn = _Run.level_done, _Run.landed, _Run.turn

        def hear_level(run, trial_id, level):
            damager.level_done(trial_id, level)
            level_done(run, trial_id, level)

        def hear_tiles(run, tiles):
            for each in tiles:
                if each.tile.what == "alignment":
                    damager.damage("alignment", each.name)
            landed(run, tiles)

        def hear_turn(run, waiting):
            damager.resume_points()
            turn(run, waiting)

        for name, heard in (("level_done", hear_level), ("landed", hear_tiles), ("turn", hear_turn)):
            monkeypatch.setattr(_Run, name, heard)

    return watch


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "tiny.yaml"
    path.write_text(yaml.safe_dump(SWEEP))
    return path


@pytest.fixture(scope="module")
def expected(path, tmp_path_factory):
    return tables(carried_out(path, tmp_path_factory.mktemp("calm")))


def test_damage_in_the_middle_of_a_run(session, path, expected, damage, monkeypatch, tmp_path):
    root = str(tmp_path / "root")
    damager = Damager(Files(root))
    damage(damager)
    here("run", path, "--root", root, code=1)
    monkeypatch.undo()
    assert {kind: len(names) for kind, names in damager.done.items()} == DAMAGED
    failures = pd.read_parquet(f"{root}/sweeps/tiny/failures")
    assert failures[failures.attempts > 0].error.str.contains("checksum").all()
    for table in ("alignments", "barriers"):
        found = tables(root)[table]
        assert len(found) < len(expected[table])
        assert set(map(tuple, found.astype(str).values)) <= set(
            map(tuple, expected[table].astype(str).values)
        )
    here("run", path, "--root", root)
    assert same(tables(root), expected)
    assert not list(problems(Files(root)))
