"""Which files a name of `train.imports` stands for, their ids, and what tables of them may say."""

import hashlib
import json
import os

import pytest

from raysweep.commands.load_all import load_one
from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.plan.import_files import content_digest, files_of_name, import_files
from raysweep.sweep.load import check
from tests.readmes import marked


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYSWEEP_CACHE", str(tmp_path / "cache"))
    for name in ("run_10.pt", "run_2.pt", "b/last.ckpt", "a/last.ckpt", "notes.txt", ".hidden.pt"):
        (tmp_path / "nets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "nets" / name).write_text(name)
    return tmp_path / "nets"


def sharded(folder, **shards):
    folder.mkdir()
    for shard, content in shards.items():
        (folder / f"{shard}.safetensors").write_text(content)
    names = {f"{shard}.weight": f"{shard}.safetensors" for shard in shards}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    return str(folder / "model.safetensors.index.json")


def names(train, **more):
    return check("test", {"name": "s", "train": {"dataset": "digits", "width": 8, **train}, **more})


def test_folders_and_patterns_stand_for_their_files_in_the_order_of_their_numbers(folder):
    runs = ["nets/run_2.pt", "nets/run_10.pt"]
    assert files_of_name("nets") == files_of_name("nets/run_*.pt") == runs
    assert files_of_name("nets/*/last.ckpt") == ["nets/a/last.ckpt", "nets/b/last.ckpt"]
    assert files_of_name("nets/[ab]") == ["nets/a/last.ckpt", "nets/b/last.ckpt"]  # folders
    assert files_of_name("nets/**/*.ckpt") == ["nets/a/last.ckpt", "nets/b/last.ckpt"]
    assert [file.name for file in import_files(("nets/run_10.pt", "nets/a"))] == [runs[1], "nets/a/last.ckpt"]
    (folder / "[x].pt").write_text("a name that looks like a pattern")
    assert files_of_name("nets/[x].pt") == ["nets/[x].pt"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nets/*.safetensors", r"nets/\*\.safetensors matches no file"),
        ("empty", r"empty holds no file that ends in \.safetensors, \.pt"),
        ("outer", r"outer holds no file that ends in .*; its folders do: outer/\*"),
        ("missing.pt", "missing.pt: No such file"),
    ],
)
def test_a_name_without_files_is_an_error_that_names_it(folder, name, said):
    (folder.parent / "empty").mkdir()
    (folder.parent / "outer" / "inner").mkdir(parents=True)
    (folder.parent / "outer" / "inner" / "last.ckpt").touch()
    with pytest.raises(UserError, match=f"train.imports: {said}"):
        import_files((name,))


def test_an_index_of_shards_is_one_network(folder):
    index = sharded(folder / "large", one="1", two="2")
    assert files_of_name(str(folder / "large")) == [index]
    before = content_digest(index)
    (folder / "large" / "two.safetensors").write_text("22")
    assert content_digest(index) != before
    for wrong in ({"weight_map": {"a": "../../secret"}}, {"weight_map": {}}, {"other": 1}, []):
        (folder / "large" / "model.safetensors.index.json").write_text(json.dumps(wrong))
        with pytest.raises(UserError, match=r"index\.json is not an index of shards: expected a weight_map"):
            import_files((index,))


def test_a_digest_is_that_of_the_content_and_is_found_once(folder):
    path = folder / "run_2.pt"
    assert content_digest(str(path)) == hashlib.sha256(b"run_2.pt").hexdigest()
    stamp = path.stat()
    path.write_text("RUN_2.PT")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert content_digest(str(path)) == hashlib.sha256(b"run_2.pt").hexdigest()  # by size and time
    assert content_digest(str(path), known=False) == hashlib.sha256(b"RUN_2.PT").hexdigest()


def test_a_folder_has_the_ids_of_its_files_and_so_has_a_table(folder):
    listed = desired(names({"imports": ["nets/run_2.pt", "nets/run_10.pt"]}))
    assert list(desired(names({"imports": "nets"})).trials) == list(listed.trials)
    table = desired(names({"imports": [{"files": "nets"}]}))
    assert list(table.trials) == list(listed.trials)
    assert list(table.barriers) == list(listed.barriers)


def test_what_is_stated_of_a_training_changes_groups_and_no_ids(folder):
    plain = desired(names({"imports": [{"files": "nets"}]}))
    stated = desired(names({"imports": [{"files": "nets", "learning_rate": 0.05, "epochs": 20}]}))
    assert list(stated.trials) == list(plain.trials)
    assert list(stated.barriers) == list(plain.barriers)
    groups = [{trial.setting for trial in each.trials.values()} for each in (plain, stated)]
    assert len(groups[0]) == len(groups[1]) == 1
    assert groups[0] != groups[1]
    settings = next(iter(stated.trials.values())).settings()
    assert (settings["learning_rate"], settings["epochs"], settings["momentum"]) == (0.05, 20, None)
    under = desired(names({"imports": [{"files": "nets", "under": "ema"}]}))
    assert not set(under.trials) & set(plain.trials)


def test_a_resolved_file_asks_for_the_same(folder):
    tables = [{"files": ["nets/a"], "width": 4, "epochs": 3}, {"files": "nets/b", "milestones": [1]}]
    sweep = names({"imports": tables, "schedule": "milestones", "optimiser": "sgd"} | {"milestones": [2]})
    again = check("again", sweep.resolved)
    assert again.imports == sweep.imports
    assert again.text == sweep.text
    assert list(desired(again).trials) == list(desired(sweep).trials)


@pytest.mark.parametrize(
    ("imports", "said"),
    [
        ([{"files": "a", "lr": 0.1}], "unknown key train.lr: did you mean 'learning_rate'?"),
        ([{"width": 4}], "expected a file, folder or pattern; a list of these; or a list of tables"),
        (["a", {"files": "b"}], "expected a file, folder or pattern"),
        (3, "train.imports = 3: expected a file, folder or pattern"),
        ([{"files": "a", "width": [4, 8]}], "have one configuration, so give no lists of values"),
        ([{"files": "a"}, {"files": "b"}], "two tables say the same of their networks"),
    ],
)
def test_tables_are_checked(imports, said):
    with pytest.raises(UserError) as caught:
        names({"imports": imports})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("train", "compare", "said"),
    [
        ({}, {"trajectory": {}}, "imported networks have no checkpoints along training"),
        ({"half": "replicate"}, {}, "train.half = replicate: of imported networks give 0 or 1"),
    ],
)
def test_what_is_not_known_of_imported_networks_is_refused(folder, train, compare, said):
    with pytest.raises(UserError, match=said):
        desired(names({"imports": "nets", **train}, compare=compare))


def test_every_imported_network_is_compared_with_those_of_other_widths(folder):
    """They have no seeds in common, whatever their places in the lists of files."""
    tables = [{"files": f"nets/{name}", "width": width} for name, width in (("a", 4), ("b", 8))]
    wanted = desired(
        names({"imports": tables, "width": None}, compare={"across": ["widths"], "kinds": ["unaligned"]})
    )
    assert len(wanted.barriers) == 1


def test_the_documented_tables_are_two_settings(folder):
    text = marked("sweeps", "tables of imports").text
    (folder.parent / "mine.yaml").write_text(text)
    for name in ("narrow/a.pt", "narrow/b.pt", "wide/seed_1.pt", "wide/seed_2.pt"):
        (folder.parent / name).parent.mkdir(exist_ok=True)
        (folder.parent / name).write_text(name)
    trials = load_one("mine.yaml", None).trials.values()
    stated = [[trial.settings()[key] for key in ("width", "epochs", "optimiser")] for trial in trials]
    assert stated == [[16, 20, None]] * 2 + [[64, None, "adamw"]] * 2
    assert len({trial.setting for trial in trials}) == 2


def test_one_content_has_one_setting(folder):
    tables = [{"files": "nets/a", "epochs": 1}, {"files": "nets/a", "epochs": 2}]
    with pytest.raises(UserError, match=r"nets/a/last.ckpt and nets/a/last.ckpt have the same content"):
        desired(names({"imports": tables}))
