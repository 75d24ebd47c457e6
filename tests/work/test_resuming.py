"""Alignments that take long go on from their resume points, with the bits of undisturbed ones."""

import importlib
import shutil
from pathlib import Path

import pytest

from raysweep.cluster.run import run_sweep
from raysweep.commands.gc import UNKNOWN, garbage
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.recording import record_sweep
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.resume_points import ResumePoints
from raysweep.sweep.load import check
from raysweep.work import resuming
from raysweep.work.tile import Tile, TileWorker
from tests.verified import problems
from tests.work.plans import BASE, carry_out, compare_all, killed_before

pytestmark = pytest.mark.fast

learned = importlib.import_module("raysweep.alignment.learned")
LEARNED = {"steps": 40, "batch_size": 8, "examples": 50, "rounds": 2, "candidates": 10}
SECTIONS = {
    "name": "s",
    "train": {**BASE, "epochs": 1},
    "align": {"methods": ["learned"], "learned": LEARNED},
    "compare": {"kinds": ["direct"]},
    "resources": {"resume_seconds": 0},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root, wanted = tmp_path_factory.mktemp("trained"), desired(check("test", SECTIONS))
    carry_out(wanted, Files(str(root)), align=False)
    return wanted, root


@pytest.fixture
def files(trained, tmp_path):
    shutil.copytree(trained[1], tmp_path / "root")
    return Files(str(tmp_path / "root"))


def align(wanted, files):
    """Carry out the one alignment as a worker does."""
    worker = TileWorker(files.root, wanted.sweep.sections)
    worker.run(Tile(tuple(wanted.alignments.values()), wanted.trials))


def stored(files):
    (name,) = files.list("results/alignments")
    (row,) = ResultStore(files).read(name).to_pylist()
    return {key: value for key, value in row.items() if key != "seconds"}


OWN = """
import torch
from raysweep.symmetry import Permutation

def long(spec, states, progress):
    if not progress.found:
        progress.note(lambda: {"half": torch.arange(3)})
        raise KeyboardInterrupt
    assert progress.found["half"].tolist() == [0, 1, 2]
    return [Permutation.identity(spec.sizes)] * len(states)
"""


def test_a_function_of_the_users_own_goes_on_too(files, tmp_path, monkeypatch):
    (tmp_path / "own_long.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    wanted = desired(check("test", SECTIONS | {"align": {"methods": ["own_long:long"]}}))
    with pytest.raises(KeyboardInterrupt):
        align(wanted, files)
    assert ResumePoints(files).ids() == list(wanted.alignments)
    align(wanted, files)
    assert stored(files)["groups"]
    assert ResumePoints(files).ids() == []


def killed(wanted, files):
    """Align in a process that dies before its second resume point is in place."""
    assert killed_before(4, Path(files.root), lambda: align(wanted, files))
    assert ResumePoints(files).ids() == list(wanted.alignments)


def test_a_killed_worker_leaves_a_point_from_which_the_next_one_goes_on(
    trained, files, tmp_path, monkeypatch
):
    wanted, root = trained
    undisturbed = Files(str(shutil.copytree(root, tmp_path / "undisturbed")))
    align(wanted, undisturbed)
    for _ in range(2):
        killed(wanted, files)
    monkeypatch.setattr(learned, "_start", None)  # which only an alignment from the start calls
    align(wanted, files)
    assert stored(files) == stored(undisturbed)
    assert ResumePoints(files).ids() == []


def test_on_other_hardware_an_alignment_starts_again(trained, files, monkeypatch):
    """Its bits are those of one kind of machine."""
    wanted, _ = trained
    killed(wanted, files)
    here = resuming.environment("cpu")
    monkeypatch.setattr(resuming, "environment", lambda device: {**here, "hardware": "another"})
    monkeypatch.setattr(learned, "_start", None)
    with pytest.raises(TypeError, match="not callable"):
        align(wanted, files)


def test_points_that_nobody_needs_are_removed(trained, files):
    wanted, _ = trained
    record_sweep(files, wanted)
    killed(wanted, files)
    points, (alignment_id,) = ResumePoints(files), wanted.alignments
    points.write("unknown", "origin", {})
    assert {name: each.reason for name, each in garbage(files).items()} == {"resume/unknown": UNKNOWN}
    points.drop("unknown")
    align(wanted, files)
    compare_all(wanted, files)
    points.write(alignment_id, "origin", {})  # by a process that was killed before it could remove it
    assert garbage(files)[f"resume/{alignment_id}"].reason == "the alignment is done"
    present = done(wanted, files)
    run_sweep(files, wanted, present, todo(wanted, present), None, None)  # with nothing to do
    assert points.ids() == []


def test_a_damaged_point_is_named_and_not_used(trained, files):
    wanted, _ = trained
    killed(wanted, files)
    (name,) = files.list("resume")
    files.put(name, files.get(name)[:-1])
    assert f"{files.where(name)}: is damaged; raysweep run starts the alignment again" in problems(files)
    align(wanted, files)
    assert not files.list("resume")
