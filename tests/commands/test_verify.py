"""`raysweep verify` finds every kind of damage, and the next run heals it."""

import errno
import re
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysweep.commands import verify
from raysweep.commands.plan import plan_table
from raysweep.commands.verify import RESTORED, Verification
from raysweep.plan.done import done
from raysweep.plan.record import finished as finished_of
from raysweep.plan.recording import recording
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.resume import ResumePoint
from raysweep.store.trials import LOST, TrialStore
from raysweep.tables.publishing import publish_tables
from tests.verified import problems, remarks
from tests.work.plans import carry_out, compare_all, contents, plan


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    wanted = plan(prune={"levels": 1, "rewind": "5st"})
    carry_out(wanted, Files(str(root)))
    compare_all(wanted, Files(str(root)))
    return wanted, root


@pytest.fixture
def root(finished, tmp_path):
    shutil.copytree(finished[1], tmp_path / "root")
    return tmp_path / "root"


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-3])


def duplicate(path):
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table]), path)


def rename_column(path):
    table = pq.read_table(path)
    pq.write_table(table.rename_columns(["other", *table.column_names[1:]]), path)


DAMAGES = {
    "a flipped bit in a checkpoint": (
        "trials/*/level_000/step_*.safetensors",
        flip,
        "trains the level again",
    ),
    "a truncated mask": ("trials/*/level_001/mask.safetensors", truncate, "trains the level again"),
    "a checkpoint that is gone": (
        "trials/*/level_000/step_*.safetensors",
        lambda path: path.unlink(),
        "trains the level again",
    ),
    "a flipped bit in a record": ("trials/*/level_000/done", flip, "checksum"),
    "a truncated alignment": ("results/alignments/*/*", truncate, "checksum"),
    "a flipped bit in a barrier": ("results/barriers/*/*", flip, "checksum"),
    "a table with rows twice": ("sweeps/s/barriers/*.parquet", duplicate, "was published"),
    "a table with other columns": ("sweeps/s/trials/*.parquet", rename_column, "was published"),
    "a table that is not Parquet": ("sweeps/s/curves/*.parquet", truncate, "was published"),
    "a part of a table that is gone": ("sweeps/s/barriers/*.parquet", lambda path: path.unlink(), "missing"),
    "a record that is damaged": ("sweeps/s/record", flip, "writes it again"),
    "a sweep file that was edited": ("sweeps/s/sweep.yaml", flip, "is not what was run"),
    "failures that are not Parquet": ("sweeps/s/failures/*.parquet", truncate, "was published"),
}


def test_a_finished_root_has_no_problems(root):
    assert list(problems(Files(str(root)))) == []


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_healed(name, finished, root):
    pattern, damage, words = DAMAGES[name]
    damage(max(root.glob(pattern), key=lambda path: path.stat().st_size))
    assert any(words in problem for problem in problems(Files(str(root))))
    carry_out(finished[0], Files(str(root)))
    compare_all(finished[0], Files(str(root)))
    assert list(problems(Files(str(root)))) == []
    assert contents(root) == contents(finished[1])


def test_a_level_is_named_that_started_from_other_bits(finished, root):
    wanted, files = finished[0], Files(str(root))
    store = TrialStore(files)
    chain = next(trial for trial in wanted.trials.values() if trial.prune)
    record = store.record(chain.parent, 0)
    other = store.write_checkpoint(chain.parent, 0, 5, store.read_checkpoint(chain.parent, 0, 0))
    store.commit(chain.parent, 0, replace(record, checkpoints={**record.checkpoints, 5: other}))
    words = (
        f"such as level 1 of trial {chain.trial_id} from {chain.parent}@0@5; raysweep run trains them again"
    )
    assert any(words in problem for problem in problems(files))
    assert words.split(";")[0] in plan_table(wanted, todo(wanted, done(wanted, files)))


def test_every_flipped_bit_of_a_table_is_found(root):
    path = max(root.glob("sweeps/s/barriers/*.parquet"))
    content = path.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 8)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert any("was published" in problem for problem in problems(Files(str(root)))), place


class ReadOnly(Files):
    """A root that can only be read (permissions do not hold for the user of a container)."""

    def put(self, name, content=b""):
        raise OSError(errno.EROFS, "Read-only file system")

    delete = put


def test_a_driver_that_died_before_it_published_is_noticed(root):
    """Every file of the tables is intact, but the rows of what was computed last are not there."""
    store = ResultStore(Files(str(root)))
    (name,) = Files(str(root)).list("results/barriers")
    rows = store.read(name).to_pylist()
    for path in (root / name, *root.glob("sweeps/s/*/*.parquet"), root / "sweeps/s/published.json"):
        path.unlink()
    wanted = plan(prune={"levels": 1, "rewind": "5st"})
    publish_tables(Files(str(root)), wanted, done(wanted, Files(str(root))), [])
    store.commit("barriers", "a" * 20, rows)
    (problem,) = problems(Files(str(root)))
    assert re.search(r"the table barriers lacks \d+ rows that are done; raysweep run publishes", problem)


def test_a_root_that_can_only_be_read_is_verified(root):
    flip(max(root.glob("trials/*/level_000/step_*.safetensors")))
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert any("checksum" in problem for problem in problems(ReadOnly(str(root))))
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_what_is_missing_and_left_over_is_said(root):
    (root / "tmp" / "leftover").write_bytes(b"half")
    next(root.glob("results/barriers/*/*")).unlink()
    found = list(problems(Files(str(root))))
    assert any("leftover: left behind" in problem for problem in found)
    assert any("barriers in the tables are no longer done" in problem for problem in found)


def test_what_no_run_has_done_yet_is_no_problem(root, monkeypatch):
    files, more = Files(str(root)), plan(prune={"levels": 1, "rewind": "5st"}, replicates=3)
    with recording(files, more):
        publish_tables(files, more, done(more, files), [])
    looked = []
    monkeypatch.setattr(verify, "finished", lambda *both: looked.append(both) or finished_of(*both))
    verification = Verification(files)
    assert not list(verification.problems())
    said = list(verification.remarks())
    assert any(re.fullmatch(r"sweep s: 2 trials are not done yet; .*", remark) for remark in said)
    assert len(looked) == 1  # of a large sweep this takes minutes


@pytest.mark.parametrize("what", ["config.json", "resume", "starts"])
def test_what_an_unfinished_trial_needs_is_read_too(what, finished, root):
    files, trial = Files(str(root)), next(iter(finished[0].trials))
    store = TrialStore(files)
    store.note_start(trial, [0], "node")
    store.write_resume(
        trial, ResumePoint(0, 1, store.record(trial, 0), store.read_checkpoint(trial, 0, 5), {})
    )
    assert list(problems(files)) == []
    path = root / "trials" / trial / what
    path.write_bytes(path.read_bytes().replace(b"trial_id", b"triel_id")[:-1])
    (problem,) = problems(files)
    assert str(path) in problem


@pytest.mark.parametrize("damage", [truncate, lambda path: path.unlink()])
def test_a_configuration_that_is_lost_is_written_again_by_a_run_with_nothing_to_do(damage, finished, root):
    wanted, files = finished[0], Files(str(root))
    path = root / "trials" / min(wanted.trials) / "config.json"
    before = path.read_bytes()
    damage(path)
    (problem,) = problems(files)
    assert problem == f"{path}: is missing, or not this trial's; {RESTORED}"
    with recording(files, wanted):
        assert path.read_bytes() == before
    assert list(problems(files)) == files.list(LOST) == []


def test_a_damaged_provenance_is_named_and_files_of_others_are_passed_over(root):
    """Such as what a copy of a folder left there."""
    (path,) = (root / "provenance").iterdir()
    path.write_text("{damaged")
    other = next(root.glob("trials/*")) / "level_000 (copy)" / "done"
    other.parent.mkdir()
    other.write_bytes(b"")
    assert [str(path) in problem for problem in problems(Files(str(root)))].count(True) == 1
    assert not list(remarks(Files(str(root))))
