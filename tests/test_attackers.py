"""Files under a root that somebody else wrote: no code runs, names stay inside, sizes are checked."""

import hashlib
import io
import json
import os
import pickle
import shutil
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save

from analysis.width_scaling import analyse
from raysweep.commands.gc import garbage
from raysweep.commands.status import status_lines
from raysweep.errors import UserError
from raysweep.plan.record import read_record
from raysweep.store import parquet
from raysweep.store.files import CorruptObject, Files
from raysweep.store.records import LevelRecord
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check, load_sweep
from raysweep.tables.schemas import read_table, schema
from tests.verified import problems
from tests.work.plans import carry_out, compare_all, plan


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the attacker ran')",))


@pytest.fixture
def no_unpickling(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("something was unpickled")

    for name in ("Unpickler", "_Unpickler"):  # libraries derive classes from them
        monkeypatch.setattr(pickle, name, type(name, (getattr(pickle, name),), {"load": refuse}))
    for name in ("load", "loads"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(torch.serialization, "load", refuse)
    monkeypatch.setattr(np, "load", refuse)


@pytest.mark.slow
def test_nothing_is_unpickled_on_the_whole_read_path(tmp_path, no_unpickling):
    """Train, prune, align, compare, publish, read the tables, verify, list the garbage."""
    wanted = plan(prune={"levels": 1, "rewind": "5st", "branches": ["transport"]}, epochs=1)
    files = Files(str(tmp_path))
    carry_out(wanted, files)
    compare_all(wanted, files)
    assert list(problems(files)) == []
    assert list(status_lines(files))
    assert garbage(files) == {}
    assert "mlp" in analyse(tmp_path / "sweeps" / "s")


def test_a_pickle_in_the_place_of_an_object_is_damage(tmp_path):
    wanted = plan(epochs=1)
    files = Files(str(tmp_path))
    carry_out(wanted, files)
    compare_all(wanted, files)
    for path in [*tmp_path.rglob("*.safetensors"), *tmp_path.glob("results/*/*/*"), *tmp_path.rglob("done")]:
        path.write_bytes(pickle.dumps(Evil()))
    for path in tmp_path.rglob("*.parquet"):
        path.write_bytes(pickle.dumps(Evil()))
    said = list(problems(files))
    assert len(said) >= len(list(tmp_path.rglob("*.parquet")))
    carry_out(wanted, files)  # computed again
    compare_all(wanted, files)
    assert list(problems(files)) == []


@pytest.fixture(scope="module")
def done_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    wanted = plan(epochs=1)
    carry_out(wanted, Files(str(root)))
    compare_all(wanted, Files(str(root)))
    return wanted, root


@pytest.fixture
def finished(done_once, tmp_path):
    """A finished sweep that may be damaged, and its files."""
    shutil.copytree(done_once[1], tmp_path / "root")
    return done_once[0], Files(str(tmp_path / "root"))


def committed(tmp_path, content):
    """A store whose only checkpoint is this content, with the right checksum."""
    files = Files(str(tmp_path))
    files.put("trials/t/level_000/step_00000001.safetensors", content)
    store = TrialStore(files)
    store.commit("t", 0, LevelRecord(1, checkpoints={1: hashlib.sha256(content).hexdigest()}))
    return store


def header(shape, end):
    said = json.dumps({"weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}).encode()
    return struct.pack("<Q", len(said)) + said


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**62) + b"{}",
        header([2**40], 2**42),
        header([2**31, 2**31], 16) + bytes(16),
        header([4], 16) + bytes(8),
    ],
    ids=["a header of 4 EB", "a tensor of 4 TB", "a shape beyond its bytes", "bytes that are missing"],
)
def test_sizes_are_checked_before_memory_is_taken(content, tmp_path):
    with pytest.raises(CorruptObject):
        committed(tmp_path, content).read_checkpoint("t", 0, 1)


def test_a_mask_larger_than_its_bits(tmp_path):
    bits = {"bits/weight": torch.zeros(1, dtype=torch.uint8), "shape/weight": torch.tensor([2**40])}
    files = Files(str(tmp_path))
    store = TrialStore(files)
    content = save(bits)
    files.put("trials/t/level_001/mask.safetensors", content)
    store.commit("t", 1, LevelRecord(1, mask=hashlib.sha256(content).hexdigest()))
    with pytest.raises(CorruptObject, match="shape"):
        store.read_mask("t", 1)


@pytest.mark.parametrize("name", ["../../outside", "/etc/outside"])
def test_names_in_results_stay_inside_the_root(name, tmp_path):
    with pytest.raises(ValueError, match="leaves the root"):
        ResultStore(Files(str(tmp_path / "root"))).read(name)
    with pytest.raises((ValueError, CorruptObject), match=r"leaves the root|/root/trials//etc"):
        TrialStore(Files(str(tmp_path / "root"))).read_checkpoint(name, 0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch outside']",
        "name: ../../outside\ntrain: {dataset: digits}",
        "name: s\ntrain: {dataset: digits, data_root: [1]}",
    ],
)
def test_a_sweep_file_runs_nothing_and_names_stay_inside(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"sweep\.yaml"):
        load_sweep(str(path))
    assert not (tmp_path / "outside").exists()


def test_a_sweep_file_whose_aliases_explode(tmp_path):
    """Nine lines that stand for a billion values."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    path = tmp_path / "sweep.yaml"
    path.write_text("\n".join(["name: s", *lines, "train: {dataset: digits, width: *a8}"]))
    with pytest.raises(UserError, match=r"sweep\.yaml"):
        load_sweep(str(path))


def test_a_sweep_file_with_an_alias_of_itself(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("name: s\ntrain: {dataset: digits, width: &a [1, *a]}")
    with pytest.raises(UserError, match="100000 values"):
        load_sweep(str(path))


DEEP = b"[" * 1_000


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"no JSON", b'{"steps": []}', DEEP])
def test_a_record_with_the_right_checksum_that_is_none_is_damage(content, finished):
    wanted, files = finished
    (trial,) = list(wanted.trials)[:1]
    files.put_checked(f"trials/{trial}/level_000/done", content)
    assert any("not a record" in problem for problem in problems(files))
    assert "trials 1/2" in status_lines(files)[0]
    carry_out(wanted, files)
    compare_all(wanted, files)
    assert list(problems(files)) == []


@pytest.mark.parametrize("content", [b"", b"{}", DEEP, struct.pack("<Q", 2**62), save({})])
def test_a_resume_point_that_is_none_is_not_used(content, tmp_path):
    files = Files(str(tmp_path))
    for name in ("resume", "starts"):
        files.put_checked(f"trials/t/{name}", content)
    store = TrialStore(files)
    assert store.read_resume("t") is None
    assert [store.note_start("t", [1], node).nodes for node in ("one", "two")] == [["one"], ["one", "two"]]


@pytest.mark.parametrize("kind", ["alignments", "barriers"])
def test_a_result_with_the_right_checksum_that_is_none_is_damage(kind, finished):
    wanted, files = finished
    for name in files.list(f"results/{kind}"):
        files.put_checked(name, b"no Parquet")
    assert any("is not Parquet" in problem for problem in problems(files))
    assert f"{kind} 0/" in status_lines(files)[0]
    garbage(files)
    carry_out(wanted, files)
    compare_all(wanted, files)
    assert list(problems(files)) == []


@pytest.mark.parametrize("content", [b"", b"{}", DEEP, b"no Parquet", "other columns", "other extents"])
def test_a_record_of_a_sweep_that_is_none_is_one_message(content, finished):
    wanted, files = finished
    record = read_record(files, "s").rows
    if isinstance(content, str):
        damaged = pa.array(["[[1]]"] * len(record)) if content == "other extents" else record.column("id")
        name = "extent" if content == "other extents" else "other"
        columns = {**{each: record.column(each) for each in record.column_names}, name: damaged}
        buffer = io.BytesIO()
        pq.write_table(pa.table(columns), buffer)
        content = buffer.getvalue()
    files.put_checked("sweeps/s/record", content)
    assert "raysweep run" in status_lines(files)[0]
    assert any("sweeps/s/record" in problem for problem in problems(files))
    carry_out(wanted, files)
    compare_all(wanted, files)
    assert list(problems(files)) == []


def test_what_a_stored_sweep_file_says_is_neither_read_nor_run(finished):
    _, files = finished
    before = status_lines(files)
    files.put("sweeps/s/sweep.yaml", b"name: s\ntrain: {dataset: digits, model: 'os:abort'}")
    assert (status_lines(files), garbage(files)) == (before, {})
    (problem,) = problems(files)
    assert "sweep.yaml: is not what was run" in problem


def test_an_object_that_is_too_large_is_not_read(finished):
    """A file with holes, as large as one likes."""
    wanted, files = finished
    for name in files.list(""):
        os.truncate(files.directory / name, 2**40)
    assert list(problems(files))
    assert "more than" in status_lines(files)[0]
    carry_out(wanted, files)
    compare_all(wanted, files)
    assert list(problems(files)) == []


def test_a_table_that_unpacks_to_more_than_it_may_is_not_read(finished, monkeypatch):
    """Any number of equal values take a few bytes."""
    monkeypatch.setattr(parquet, "MOST_BYTES", 10**7)
    _, files = finished
    (name, *_) = files.list("sweeps/s/failures")
    row = {"id": "0", "what": "x" * 1000, "error": "", "attempts": 1, "node": "", "time": 0.0}
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row] * 20_000, schema("failures")), buffer)
    assert len(buffer.getvalue()) < 10**5
    files.put(name, buffer.getvalue())
    with pytest.raises(CorruptObject, match="unpacks to more"):
        read_table(files, "s", "failures")


@pytest.mark.parametrize(
    "train",
    [
        {"replicates": 10**9},
        {"width": 10**12},
        {"epochs": 10**12},
        {key: [1] * 100 for key in ("width", "epochs", "batch_size", "threads", "learning_rate", "depth")},
        {"preset": [1]},
    ],
)
def test_a_sweep_of_a_size_that_nobody_means_is_refused(train):
    with pytest.raises(UserError):
        check("sweep.yaml", {"name": "s", "train": {"dataset": "digits", "width": 4, "epochs": 1, **train}})
