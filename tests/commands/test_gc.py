import shutil
import sys

import pytest
import yaml

from raysweep.commands.gc import UNKNOWN, collect, garbage, summary
from raysweep.commands.status import status_lines
from raysweep.digest import digest_of
from raysweep.errors import CorruptObject, UserError
from raysweep.plan.record import read_record
from raysweep.plan.recording import record_sweep
from raysweep.store.files import Files
from raysweep.store.lock import shared_root_lock
from raysweep.stored import stored_sources, stored_state
from raysweep.tables.schemas import read_table
from tests.inside import here
from tests.verified import problems
from tests.work.plans import carry_out, compare_all, plan

NETWORK = """
from torch import nn

def build(width, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))
"""


def test_what_no_sweep_asks_for_is_listed_with_who_asked_for_it(tmp_path):
    files = Files(str(tmp_path))
    for wanted in (plan(replicates=3), plan(replicates=2)):  # the second is the sweep as it is now
        carry_out(wanted, files)
        compare_all(wanted, files)
    found = garbage(files)
    assert len({name.split("/")[1] for name in found if name.startswith("trials/")}) == 1
    assert sum(name.startswith("results/alignments") for name in found) == 2
    assert {each.reason.partition(" until ")[0] for each in found.values()} == {"the sweep s asked for it"}
    assert summary(found).startswith("1 trials, ")
    files.put("trials/unknown/config.json", b"{}")
    assert garbage(files)["trials/unknown/config.json"].reason == UNKNOWN
    assert list(collect(files, delete=True))[-1].endswith("removed")
    assert garbage(files) == {}
    assert not len(read_record(files, "s").former)
    carry_out(wanted, files)
    assert files.list("tmp") == []


def test_an_object_is_kept_while_one_of_its_rows_is_wanted(tmp_path):
    files, wide, narrow = Files(str(tmp_path)), plan(replicates=3), plan(replicates=2)
    carry_out(wide, files)
    compare_all(wide, files)  # all barriers in one object
    record_sweep(files, narrow)
    found = garbage(files)
    assert not any(name.startswith("results/barriers") for name in found)
    assert any(name.startswith("trials/") for name in found)


def test_logs_stay_while_their_sweep_is_there(tmp_path):
    files, wanted = Files(str(tmp_path)), plan(replicates=2)
    record_sweep(files, wanted)
    for sweep in (wanted.sweep.name, "gone"):
        files.put(f"logs/{sweep}/20260101T000000Z-0.log", b"")
        files.put(f"index/levels/{sweep}", b"")
    assert list(garbage(files)) == ["logs/gone/20260101T000000Z-0.log", "index/levels/gone"]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The finished sweep of a network whose module lies in the folder where its user worked."""
    here = tmp_path / "user"
    here.mkdir()
    (here / "nets_of_gc.py").write_text(NETWORK)
    monkeypatch.chdir(here)
    files, wanted = Files(str(tmp_path / "root")), plan(model="nets_of_gc:build", epochs=1)
    carry_out(wanted, files)
    compare_all(wanted, files)
    yield files, wanted, here
    sys.path.remove(str(here))
    sys.modules.pop("nets_of_gc", None)


def test_what_was_recorded_counts_not_the_modules_of_today(own, tmp_path, monkeypatch):
    """A comment in a user's file, or no such file, once made all of its networks garbage."""
    files, wanted, user = own
    (line,) = status_lines(files)
    assert line == "s: trials 2/2, alignments 1/1, barriers 2/2, failures 0"
    (user / "nets_of_gc.py").write_text(f"raise SystemExit('code of the user ran')  # a comment{NETWORK}")
    sys.modules.pop("nets_of_gc")
    for _ in range(2):
        assert (status_lines(files), garbage(files), list(problems(files))) == ([line], {}, [])
        shutil.rmtree(user)
        monkeypatch.chdir(tmp_path)
        user.mkdir()
    (name,) = files.list("sources")
    assert name == "sources/{model}.py".format(**next(iter(wanted.trials.values())).sources)
    assert files.get(name) == NETWORK.encode()
    files.put(name, b"# other")
    (problem,) = problems(files)
    assert problem.endswith(f"{name}: is missing or damaged; raysweep run writes it again")


def test_an_own_network_is_built_again_from_the_root_alone(own, digits):
    files, _, user = own
    shutil.rmtree(user)
    row = read_table(files, "s", "trials").to_pylist()[0]
    (text,) = stored_sources(files.root, "s").values()
    namespace = {}
    exec(text, namespace)  # by who trusts the root
    network = namespace["build"](row["width"], 10)
    network.load_state_dict(stored_state(files.root, f"{row['trial_id']}@0@{row['steps']}"))
    wrong = network(digits.test.images).argmax(1) != digits.test.labels
    assert wrong.float().mean().item() == pytest.approx(row["test_error"])
    files.delete(files.list("sources")[0])
    with pytest.raises(CorruptObject, match="missing or damaged"):
        stored_sources(files.root, "s")


def test_a_record_holds_the_texts_behind_the_ids(own):
    files, wanted, _ = own
    rows = read_record(files, "s").wanted.to_pylist()
    assert {row["id"] for row in rows} >= {*wanted.trials, *wanted.alignments, *wanted.barriers}
    assert all(digest_of(row["identity"]) == row["id"] for row in rows if row["kind"] == "trials")
    content = files.get("sweeps/s/record")
    record_sweep(files, wanted)
    assert files.get("sweeps/s/record") == content


def test_a_root_of_an_earlier_version_is_recorded_before_anything_is_removed(own):
    files, *_ = own
    files.delete("sweeps/s/record")
    with pytest.raises(UserError, match=r"record: is missing.*raysweep plan \(or run\)"):
        list(collect(files, delete=True))
    assert "raysweep plan" in status_lines(files)[0]
    path = files.directory.parent / "s.yaml"
    path.write_bytes(files.get("sweeps/s/sweep.yaml"))
    earlier = yaml.safe_load(path.read_text())
    del earlier["resources"]  # as if its keys had been added since
    files.put("sweeps/s/sweep.yaml", yaml.safe_dump(earlier).encode())
    here("plan", path, "--root", files.root, "--set", "align.seed=1")  # another sweep than the one that ran
    assert not files.exists("sweeps/s/record")
    here("plan", path, "--root", files.root)
    assert garbage(files) == {}


def test_the_command_removes_only_when_it_is_told_to_and_never_beside_a_run(tmp_path):
    files = Files(str(tmp_path))
    for replicates in (3, 2):
        wanted = plan(replicates=replicates, epochs=1)
        carry_out(wanted, files)
        compare_all(wanted, files)
    found = garbage(files)
    here("gc", tmp_path)
    assert garbage(files) == found
    with shared_root_lock(files):
        assert "at work" in here("gc", tmp_path, "--delete", code=2)
    assert garbage(files) == found
    assert here("gc", tmp_path, "--delete").endswith("removed\n")
    assert garbage(files) == {}
    assert {path.name for path in (tmp_path / "trials").iterdir()} == set(wanted.trials)
    assert all(name.split("/")[1] in wanted.trials for name in files.list("trials"))
