from raysweep.commands.gc import garbage, summary
from raysweep.store.files import Files
from raysweep.store.lock import shared_root_lock
from raysweep.tables.publishing import write_sweep
from tests.inside import here
from tests.work.plans import carry_out, compare_all, plan


def test_what_no_sweep_asks_for_is_listed(tmp_path):
    files = Files(str(tmp_path))
    for wanted in (plan(replicates=3), plan(replicates=2)):  # the second is the sweep as it is now
        carry_out(wanted, files)
        compare_all(wanted, files)
    found = garbage(files)
    assert len({name.split("/")[1] for name in found if name.startswith("trials/")}) == 1
    assert sum(name.startswith("results/alignments") for name in found) == 2
    assert summary(found).startswith("1 trials and ")
    for name in found:
        files.delete(name)
    assert garbage(files) == {}
    carry_out(wanted, files)
    assert files.list("tmp") == []


def test_an_object_is_kept_while_one_of_its_rows_is_wanted(tmp_path):
    files, wide, narrow = Files(str(tmp_path)), plan(replicates=3), plan(replicates=2)
    carry_out(wide, files)
    compare_all(wide, files)  # all barriers in one object
    write_sweep(files, narrow.sweep)
    found = garbage(files)
    assert not any(name.startswith("results/barriers") for name in found)
    assert any(name.startswith("trials/") for name in found)


def test_logs_stay_while_their_sweep_is_there(tmp_path):
    files, wanted = Files(str(tmp_path)), plan(replicates=2)
    write_sweep(files, wanted.sweep)
    for sweep in (wanted.sweep.name, "gone"):
        files.put(f"logs/{sweep}/20260101T000000Z-0.log", b"")
    assert list(garbage(files)) == ["logs/gone/20260101T000000Z-0.log"]


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
