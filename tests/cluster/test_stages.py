"""Nothing waits for a stage to end, and trials come first."""

import pytest
import yaml

from raysweep.cluster.run import _Run
from tests.cluster import poison
from tests.inside import here

BASE = {
    "name": "tiny",
    "train": {"dataset": "digits", "epochs": 1, "batch_size": 256},
    "compare": {"kinds": ["unaligned", "direct"], "splits": ["test"], "alphas": 3},
    "analyses": [],
    "tracking": {"enabled": False},
}


@pytest.fixture
def arrivals(monkeypatch):
    """What the driver hears of, in order: (trial id, level) of levels, the kind of tiles."""
    heard = []
    level_done, landed = _Run.level_done, _Run.landed

    def hears_of_tiles(self, tiles):
        heard.extend(each.tile.what for each in tiles)
        landed(self, tiles)

    monkeypatch.setattr(_Run, "level_done", lambda self, *a: heard.append(a) or level_done(self, *a))
    monkeypatch.setattr(_Run, "landed", hears_of_tiles)
    return heard


def written(tmp_path, **sections):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({**BASE, **sections}))
    return path


def stamps(root, pattern):
    return [path.stat().st_mtime_ns for path in root.glob(pattern)]


def test_a_pair_is_aligned_while_others_train(session, tmp_path):
    """The two wide networks wait in the midst of their training until the narrow pair is aligned.

    In the store, not in what the driver hears: that a trial has ended may reach it before the alignment does.
    """
    network = {"model": "tests.cluster.poison:net", "width": [2, 3], "replicates": 2}
    room = {"workers": 3, "trial": {"cpu": 0.5}, "align": {"cpu": 2.5}}  # one process aligns
    path = written(tmp_path, train={**BASE["train"], **network}, resources=room)
    poison.switch("ResourceTrainable", 3, f"until 1 {tmp_path}/root/results/alignments/*/*")
    here("run", path, "--root", tmp_path / "root")
    first = min(stamps(tmp_path / "root", "results/alignments/*/*"))
    levels = stamps(tmp_path / "root", "trials/*/level_000/done")
    assert len(levels) == 4
    assert sum(level > first for level in levels) == 2


def test_the_pool_yields_to_a_trial_that_waits(session, arrivals, tmp_path):
    """There is room for one process at a time. Masks are transported by alignments: once the first is there
    their trials come before all other alignments and barriers that could be computed."""
    prune = {
        "levels": 1,
        "rewind": "1st",
        "branches": ["transport"],
        "transport": {"permutations": ["dense"]},
    }
    room = {"cpu": 4}
    path = written(
        tmp_path,
        train={**BASE["train"], "width": 2, "replicates": 3},
        prune=prune,
        resources={"trial": room, "align": room},
    )
    here("run", path, "--root", tmp_path / "root")
    levels = [place for place, each in enumerate(arrivals) if isinstance(each, tuple)]
    assert len(levels) > 6
    assert "alignment" in arrivals[: levels[-1]]
    assert "barrier" not in arrivals[: levels[-1]]
