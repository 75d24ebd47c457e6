"""A result knows its inputs: what was computed from other bits than those that are stored is not done."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from raysweep.commands.plan import plan_table
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.todo import UNFIT, todo
from raysweep.store.files import Files
from raysweep.store.inputs import split_input
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.tables.schemas import read_table
from tests.store.committed import committed
from tests.store.replaced import replace_checkpoints, rewrite
from tests.verified import problems, remarks
from tests.work.plans import BASE, carry_out, compare_all

pytestmark = pytest.mark.versions
TRAIN = {**BASE, "width": 4, "epochs": 1, "replicates": 3}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    sections = {"name": "s", "train": TRAIN, "compare": {"kinds": ["unaligned", "direct", "via"]}}
    wanted = desired(check("test", sections))
    carry_out(wanted, Files(str(root)))
    compare_all(wanted, Files(str(root)))
    return wanted, root


@pytest.fixture
def found(finished, tmp_path):
    shutil.copytree(finished[1], tmp_path / "root")
    return finished[0], Files(str(tmp_path / "root"))


def left(wanted, files):
    work = todo(wanted, done(wanted, files))
    assert not work.trials
    return {job.alignment_id for job in work.alignments} | {job.barrier_id for job in work.barriers}


def using(wanted, trial_id):
    """The alignments and barriers that are computed from a trial's networks, also by a permutation."""
    aligned = {
        key for key, job in wanted.alignments.items() if trial_id in {n.trial_id for n in job.networks}
    }
    return aligned | {
        key
        for key, job in wanted.barriers.items()
        if trial_id in {n.trial_id for n in job.networks} or aligned & set(job.comparison.alignments)
    }


def risks(files):
    rows = read_table(files, "s", "barriers", ["barrier_id", "split", "loss_centre"]).to_pylist()
    return {(row["barrier_id"], row["split"]): row["loss_centre"] for row in rows}


def test_every_row_names_what_it_was_computed_from(found):
    wanted, files = found
    store, alignments = TrialStore(files), committed(files, "alignments")
    checksums = {
        f"{trial_id}@0@{step}": checksum
        for trial_id in wanted.trials
        for step, checksum in store.record(trial_id, 0).checkpoints.items()
    }
    rows = {key[0]: row for kind in ("alignments", "barriers") for key, row in committed(files, kind).items()}
    for identity, job in {**wanted.alignments, **wanted.barriers}.items():
        inputs = dict(map(split_input, rows[identity]["inputs"]))
        names = {str(network) for network in job.networks}
        used = set(job.comparison.alignments) if identity in wanted.barriers else set()
        assert inputs.keys() == names | used
        assert all(checksums[name].startswith(inputs[name]) for name in names)
        assert all(alignments[name,]["digest"] == inputs[name] for name in used)


def test_what_was_computed_from_other_weights_is_computed_again(found):
    """As when a trial is trained again on a machine with other vector instructions."""
    wanted, files = found
    trial_id, before = next(iter(wanted.trials)), risks(files)
    replace_checkpoints(files, trial_id)
    assert left(wanted, files) <= using(wanted, trial_id)
    direct = {key for key in using(wanted, trial_id) if key in left(wanted, files)}
    assert f"{len(direct)} {UNFIT}" in plan_table(wanted, todo(wanted, done(wanted, files)))
    said = [line for line in problems(files) if "raysweep run computes them again" in line]
    assert len(said) == 1
    assert f"the weights of {trial_id}@0@" in said[0]
    assert "2 alignments (such as " in said[0]
    carry_out(wanted, files)
    again = left(wanted, files)  # and where a permutation has changed too
    assert direct & wanted.barriers.keys() <= again <= using(wanted, trial_id) & wanted.barriers.keys()
    compare_all(wanted, files)
    assert left(wanted, files) == set()
    assert list(problems(files)) == []
    after = risks(files)
    changed = {key[0] for key in after if after[key] != before[key]}
    assert changed
    assert changed <= using(wanted, trial_id)


def test_other_permutations_have_their_barriers_computed_again(found):
    wanted, files = found
    chosen = next(iter(wanted.alignments))

    def reverse(row):
        changed = [units[::-1] for units in row["permutations"]]
        return row | ({"permutations": changed, "digest": "other"} if row["alignment_id"] == chosen else {})

    rewrite(files, "alignments", reverse)
    used = {key for key, job in wanted.barriers.items() if chosen in job.comparison.alignments}
    assert used
    assert left(wanted, files) == used
    assert any(f"the permutation of the alignment {chosen} is" in line for line in problems(files))


def test_the_same_bits_again_and_weights_that_are_not_there_contradict_nothing(found):
    wanted, files = found
    trial_id = next(iter(wanted.trials))
    replace_checkpoints(files, trial_id, change=lambda state: state)
    assert left(wanted, files) == set()
    files.delete(f"trials/{trial_id}/level_000/done")
    work = todo(wanted, done(wanted, files))
    assert [trial.trial_id for trial in work.trials] == [trial_id]
    assert not work.alignments
    assert not work.barriers
    carry_out(wanted, files)
    assert left(wanted, files) == set()


def test_rows_of_earlier_versions_are_taken_as_they_are_and_this_is_said_once(found):
    wanted, files = found
    for kind in ("alignments", "barriers"):
        for name in files.list(f"results/{kind}"):
            table = pq.read_table(pa.BufferReader(files.get_checked(name)))
            sink = pa.BufferOutputStream()
            pq.write_table(
                table.drop_columns([c for c in table.column_names if c in ("inputs", "digest")]), sink
            )
            files.put_checked(name, sink.getvalue().to_pybytes())
    assert list(remarks(files)) != []
    replace_checkpoints(files, next(iter(wanted.trials)))
    assert left(wanted, files) == set()
    (line,) = remarks(files)
    assert (
        f"{len(wanted.alignments)} rows of alignments and {2 * len(wanted.barriers)} rows of barriers" in line
    )


def test_of_two_rows_the_fitting_one_is_published_whatever_its_object_is_called(found):
    """The row that does not fit any more lies in the last object by name."""
    wanted, files = found
    expected = risks(files)
    name, *_ = files.list("results/barriers")
    rows = [
        row | {"loss_centre": -1.0, "inputs": [text[:-1] + "z" for text in row["inputs"]]}
        for row in ResultStore(files).read(name).to_pylist()
    ]
    ResultStore(files).commit("barriers", "f" * 20, rows)
    compare_all(wanted, files)
    assert risks(files) == expected
    assert len(files.list("results/barriers")) == 2


def test_a_level_that_is_trained_again_never_keeps_checkpoints_of_another_training(found):
    """The stored training had other bits, and a checkpoint that no sweep asks for any more."""
    wanted, files = found
    store, trial_id = TrialStore(files), next(iter(wanted.trials))
    truth = store.record(trial_id, 0)
    replace_checkpoints(files, trial_id, extra_step=3)
    asked = sections_with_checkpoint("2st")
    assert asked.trials.keys() == wanted.trials.keys()
    carry_out(asked, files)
    record = store.record(trial_id, 0)
    assert {2, 3} <= record.checkpoints.keys()
    assert all(record.checkpoints[step] == sha for step, sha in truth.checkpoints.items())
    assert all(torch.isfinite(v).all() for v in store.read_checkpoint(trial_id, 0, 3).values())
    assert any(
        f"trial {trial_id}, level 0: was trained again to other weights" in line for line in remarks(files)
    )
    assert left(wanted, files) == set()


def sections_with_checkpoint(step):
    train = {**TRAIN, "checkpoints": [step]}
    return desired(
        check("test", {"name": "s", "train": train, "compare": {"kinds": ["unaligned", "direct", "via"]}})
    )
