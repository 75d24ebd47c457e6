"""However many pairs and tiles a network is in, it runs once, as long as what it gave can be kept."""

import pytest

from raysweep.alignment.activations import Recorder
from raysweep.plan.desired import desired
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.sweep.load import check
from raysweep.work.tile import Tile, TileWorker
from tests.work.plans import BASE, carry_out

NETWORKS, CHUNKS = 4, 3  # of 500 of 1397 training images


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    train = {**BASE, "epochs": 1, "replicates": NETWORKS}
    sections = {"name": "s", "train": train, "align": {"methods": ["activation_matching"]}}
    wanted = desired(check("test", {**sections, "compare": {"kinds": ["direct"]}}))
    files = Files(str(tmp_path_factory.mktemp("root")))
    carry_out(wanted, files, align=False)
    return wanted, files


def rows(trained, cache_mb, count, monkeypatch):
    """Align in tiles of so many pairs; returns the rows, and how often a network ran on a chunk."""
    wanted, files = trained
    ran, run = [], Recorder.values
    monkeypatch.setattr(Recorder, "values", lambda *given: ran.append(given) or run(*given))
    sections = wanted.sweep.sections
    resources = sections.resources.model_copy(update={"cache_mb": cache_mb})
    worker = TileWorker(files.root, sections.model_copy(update={"resources": resources}))
    units, found = list(wanted.alignments.values()), {}
    for start in range(0, len(units), count):
        place, _ = worker.run(Tile(tuple(units[start : start + count]), wanted.trials))
        for row in ResultStore(files).read(place).to_pylist():
            found[row.pop("alignment_id")] = {key: row[key] for key in row if key != "seconds"}
    return found, len(ran)


def test_networks_run_once_and_the_bits_are_those_of_running_again(trained, monkeypatch):
    kept, passes = rows(trained, 100, 1, monkeypatch)
    assert passes == NETWORKS * CHUNKS
    again, more = rows(trained, 0, 1, monkeypatch)
    assert more == NETWORKS * (NETWORKS - 1) * CHUNKS
    assert kept == again == rows(trained, 100, len(kept), monkeypatch)[0]
    assert len(kept) == NETWORKS * (NETWORKS - 1) / 2
