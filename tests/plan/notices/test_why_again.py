"""A plan names the key that changed where work looks done."""

import io
import itertools
import re
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from raysweep.plan import versions
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.identity import trial_config
from raysweep.plan.notices.why_again import NAMED, why_again
from raysweep.plan.record import read_record
from raysweep.plan.recording import record_sweep
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.store.records import LevelRecord
from raysweep.store.results import RESULTS, ResultStore
from raysweep.store.trials import TrialStore
from raysweep.stored import stored_sources
from raysweep.sweep.load import check
from tests.store.results import commit_barriers

NUMBERS = itertools.count()
TRAIN = {"dataset": "digits", "width": 8, "epochs": 2, "replicates": 2}
NETWORK = '''
from torch import nn

class Net(nn.Sequential):
    """A network."""

    def forward(self, images):
        return super().forward(images.flatten(1))

def helper(width, classes):
    return Net(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))

def build(width, classes):
    return helper(width, classes)
'''


def plan(train=None, name="s", **sections):
    return desired(check("test", {"name": name, "train": {**TRAIN, **(train or {})}, **sections}))


def finish(files, wanted):
    """Record a sweep as if all of its trials and jobs had been carried out."""
    record_sweep(files, wanted)
    store = TrialStore(files)
    for trial_id, extent in wanted.extents.items():
        store.write_config(trial_id, trial_config(wanted.trials[trial_id]))
        steps = dict.fromkeys(extent.checkpoints, "sum")
        for level in extent.levels:
            optimisers = dict.fromkeys(extent.optimisers, "sum")
            record = LevelRecord(extent.total, checkpoints=steps, optimisers=optimisers)
            store.commit(trial_id, level, record)
    empty = dict.fromkeys(RESULTS["alignments"].names)
    rows = [{**empty, "alignment_id": identity, "digest": "d"} for identity in wanted.alignments]
    ResultStore(files).commit("alignments", next(iter(wanted.alignments)), rows)
    commit_barriers(files, wanted.barriers.values(), next(iter(wanted.barriers)))
    empty = dict.fromkeys(RESULTS["measures"].names)
    splits = wanted.sweep.sections.compare.splits
    rows = [{**empty, "measure_id": key, "split": split} for key in wanted.measurements for split in splits]
    if rows:
        ResultStore(files).commit("measures", next(iter(wanted.measurements)), rows)
    return wanted


def why(files, wanted):
    return why_again(files, wanted, todo(wanted, done(wanted, files)))


@pytest.fixture
def files(tmp_path):
    return Files(str(tmp_path))


def test_the_first_sweep_and_one_with_nothing_to_do_have_no_reasons(files):
    assert why(files, plan()) == []
    finish(files, plan())
    assert why(files, plan()) == []
    assert why(files, plan({"replicates": 3})) == []  # an extension
    assert why(files, plan({"width": [8, 9]})) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"weight_decay": 1e-3}, "train.weight_decay 0.0001 -> 0.001"),
        ({}, {"norm": "layer", "momentum": 0.5}, "train.momentum 0.9 -> 0.5; train.norm none -> layer"),
        ({}, {"fraction": 0.5}, "train.fraction None -> 0.5"),
        ({}, {"init_seed": 7}, "train.init_seed 0 -> 7"),
        ({"epochs": 3, "spawn_at": "1ep"}, {"epochs": 3, "spawn_at": "2ep"}, "train.spawn_at 1ep -> 2ep"),
    ],
)
def test_the_keys_of_train_that_changed_are_named(before, after, said, files):
    finish(files, plan(before))
    lines = why(files, plan(after))
    (line,) = (line for line in lines if " trials " in line)
    start = r"why again: trials like stored ones of the sweep s \(such as \w+\)"
    assert re.fullmatch(rf"{start} but for {said}: 2", line)


def test_pruned_chains_name_their_own_keys_and_those_of_their_dense_networks(files):
    finish(files, plan(prune={"levels": 1, "rewind": "1st"}))
    (line,) = (line for line in why(files, plan(prune={"levels": 1, "rewind": "1st", "fraction": 0.3})))
    assert line.startswith("why again: trials like")
    assert line.endswith("prune.fraction 0.2 -> 0.3: 2")
    (line,) = why(files, plan({"weight_decay": 0.1}, prune={"levels": 1, "rewind": "1st"}))[:1]
    assert line.endswith("train.weight_decay 0.0001 -> 0.1: 2")


def test_work_of_another_kind_is_not_called_the_same(files):
    finish(files, plan())
    changes = {"width": 9, "weight_decay": 0.1, "momentum": 0.1, "norm": "layer"}
    assert not any(" trials " in line for line in why(files, plan(changes)))
    assert why(files, plan(align={"methods": ["activation_matching"]})) == []


def test_settings_of_alignments_and_barriers_that_changed_are_named(files):
    finish(files, plan())
    lines = why(files, plan(align={"weight_matching": {"restarts": 2}, "seed": 1}))
    assert lines == [
        "why again: alignments like stored ones but for align.seed 0 -> 1; "
        "align.weight_matching.restarts 1 -> 2: 1"
    ]
    lines = why(files, plan(compare={"alphas": 11, "train_examples": 100}))
    assert lines == [
        "why again: barriers like stored ones but for compare.alphas 25 -> 11; "
        "compare.train_examples 10000 -> 100: 2"
    ]


def test_another_version_of_raysweep_says_why(files, monkeypatch):
    finish(files, plan())
    monkeypatch.setattr("raysweep.plan.trial_ids.TRAINING_VERSION", 41)
    monkeypatch.setattr("raysweep.plan.alignments.ALIGNMENT_VERSION", 42)
    monkeypatch.setitem(versions.REASONS["trial"], 41, "sums are exact")
    monkeypatch.setitem(versions.REASONS["alignment"], 42, "ties are broken by a coin")
    trials, *_ = why(files, plan())
    before = versions.TRAINING_VERSION
    assert f"version of a trial, {before} -> 41 (sums are exact)" in trials
    monkeypatch.undo()
    monkeypatch.setattr("raysweep.plan.alignments.ALIGNMENT_VERSION", 42)
    monkeypatch.setitem(versions.REASONS["alignment"], 42, "ties are broken by a coin")
    (alignments,) = why(files, plan())
    assert "-> 42 (ties are broken by a coin)" in alignments


def test_every_version_in_use_has_its_reason():
    words = {"CHANNELS_LAST": "trial", "CUDA": "trial", "TRAINING": "trial", "SPAWNED_CHAIN": "chain"}
    words |= {"CONSTRUCTION": "trial"}
    words |= {
        "IMPORT": "import",
        "ALIGNMENT": "alignment",
        "EMBEDDING": "embedding",
        "OWN_NETWORKS": "stacked",
        "JOINT_RESTARTS": "joint alignment",
    }
    words |= {"BARRIER": "barrier", "CUDA_BARRIER": "barrier"}
    found = {name.removesuffix("_VERSION") for name in vars(versions) if name.endswith("_VERSION")}
    settings = {"PIXELS", "ALL_VALUES", "LEARNED_ON_GPU", "FACTORS"}  # of a method
    assert found - words.keys() == {"PRUNING", "MEASURE"} | settings  # the first ones
    for name, word in words.items():
        version = getattr(versions, f"{name}_VERSION")
        assert versions.reasons(word, version - 1, version)


def test_the_function_of_the_own_network_that_changed_is_named(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"nets_of_why_{next(NUMBERS)}"
    path = tmp_path / f"{name}.py"

    def said(text):
        path.write_text(text)
        sys.modules.pop(name, None)
        (line,) = why(files, plan({"model": f"{name}:build"}))
        return line.partition(" but for ")[2].removesuffix(": 2")

    path.write_text(NETWORK)
    finish(files, plan({"model": f"{name}:build"}))
    assert said(NETWORK + "# a remark\n") == f"source of {name}.py changed in comments or layout alone"
    named = f"source of {name}.py changed in"
    assert said(NETWORK.replace("nn.ReLU()", "nn.Tanh()")) == f"{named} function helper"
    method = NETWORK.replace("flatten(1))", "flatten(1)) * 2").replace("import nn", "import nn  #")
    assert said(method) == f"{named} function Net.forward"
    assert said(f"import math{NETWORK}") == f"{named} the statements outside functions"
    files.delete(files.list("sources")[0])
    assert said(NETWORK.replace("nn.ReLU()", "nn.Tanh()")) == f"source of {name}.py changed"


OWN = """
import numpy as np
import torch

def data():
    return np.eye(4, dtype=np.float32), np.arange(4), np.eye(4, dtype=np.float32), np.arange(4)

def optimiser(parameters, learning_rate):
    return torch.optim.SGD(parameters, lr=learning_rate)

def scaling():
    return 0.0, 16.0

def method(spec):
    return spec.identity()

def measure(logits):
    return 0.0
"""
NOUNS = {
    "data": ({"train": {"dataset": "FILE:data"}}, "trials", 2),
    "optimiser": ({"train": {"optimiser": "FILE:optimiser"}}, "trials", 2),
    "scaling": ({"train": {"scaling": "FILE:scaling"}}, "trials", 2),
    "method": ({"align": {"methods": ["FILE:method"]}}, "alignments", 1),
    "measure": ({"compare": {"measures": ["FILE:measure"]}}, "measures", 2),
}


@pytest.mark.parametrize("noun", NOUNS)
def test_the_own_function_that_changed_is_named_whatever_it_stands_for(noun, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"own_of_why_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(OWN)
    sections, kind, count = NOUNS[noun]
    sections = yaml.safe_load(yaml.safe_dump(sections).replace("FILE", name))
    finish(files, plan(**sections))
    assert why(files, plan(**sections)) == []
    (tmp_path / f"{name}.py").write_text(f"{OWN}\ndef helper():\n    pass\n")
    line = why(files, plan(**sections))[0]
    assert line.startswith(f"why again: {kind} like stored ones")
    assert line.endswith(f"but for source of {name}.py changed in function helper: {count}")


def test_networks_of_another_kind_are_no_change_of_version(files, tmp_path, monkeypatch):
    """The alignments of a user's own networks have a version of their own, which is later."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"own_of_why_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(NETWORK)
    finish(files, plan({"model": f"{name}:build"}, name="own"))
    assert not any("version" in line for line in why(files, plan()))


def test_another_function_of_the_same_name_is_not_called_a_change_of_its_file(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"own_of_why_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(OWN)
    finish(files, plan())
    (line,) = why(files, plan({"optimiser": f"{name}:optimiser"}))
    assert line.endswith(f"but for train.optimiser sgd -> {name}:optimiser: 2")


def test_changes_that_no_id_notices_are_named(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = tmp_path / f"package_{next(NUMBERS)}"
    package.mkdir()
    head, tail = NETWORK.split("def build")
    contents = {"__init__": "", "nets": f"from .parts import helper\n\ndef build{tail}", "parts": head}
    for name, text in contents.items():
        (package / f"{name}.py").write_text(text)
    model = {"model": f"{package.name}.nets:build"}
    finish(files, plan(model))
    assert why(files, plan(model)) == []
    assert stored_sources(files.root, "s") == {f"{package.name}/{n}.py": t for n, t in contents.items()}
    (package / "parts.py").write_text(f"{head}# a remark")
    (line,) = why(files, plan(model))
    assert line.startswith(f"warning: {package.name}/parts.py changed since this sweep last ran")


def test_a_new_sweep_beside_another_one_is_not_called_done(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"own_of_why_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(NETWORK)
    finish(files, plan(name="other"))
    assert why(files, plan({"model": f"{name}:build"})) == []
    assert why(files, plan({"weight_decay": 0.1})) == []
    assert why(files, plan({"epochs": 3}, align={"seed": 1}, compare={"alphas": 11})) == []
    finish(files, plan())  # once it was recorded, its own changes are named
    lines = why(files, plan({"model": f"{name}:build"}))
    assert len(lines) == 1
    assert f"train.model mlp -> {name}:build" in lines[0]


def test_another_version_is_named_in_sweeps_of_other_names_too(files, monkeypatch):
    finish(files, plan(name="other"))
    monkeypatch.setattr("raysweep.plan.trial_ids.TRAINING_VERSION", 41)
    monkeypatch.setattr("raysweep.plan.alignments.ALIGNMENT_VERSION", 42)
    lines = why(files, plan())
    assert [" trials " in line or " alignments " in line for line in lines] == [True, True]
    assert all("of the sweep other" in line for line in lines if " trials " in line)


def test_many_reasons_are_cut(files):
    finish(files, plan({"width": list(range(4, 4 + NAMED + 2))}))
    lines = why(files, plan({"width": list(range(4, 4 + NAMED + 2)), "weight_decay": 0.1}))
    assert len(lines) == NAMED + 1
    assert lines[-1] == "why again: 2 more reasons"


def test_records_that_somebody_else_wrote_end_nothing(files):
    wanted = finish(files, plan())
    rows = read_record(files, "s").rows
    texts = pa.array(["[1", '["chain"]', "{}", "7"] * len(rows))[: len(rows)]
    buffer = io.BytesIO()
    pq.write_table(rows.set_column(2, "identity", texts), buffer)
    files.put_checked("sweeps/s/record", buffer.getvalue())
    assert why(files, plan({"weight_decay": 0.1}))[0].startswith("why again: cannot be told")
    assert why(files, wanted) == []


def test_of_imported_networks_the_part_of_the_file_is_named(files, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.pt").write_text(name)

    def imported(**more):
        table = {"files": [str(tmp_path / f"{name}.pt") for name in "ab"], **more}
        train = {"dataset": "digits", "width": 8, "imports": [table]}
        return desired(check("test", {"name": "s", "train": train}))

    finish(files, imported())
    assert why(files, imported(learning_rate=0.5)) == []
    line = why(files, imported(under="state_dict_ema"))[0]
    assert line.endswith("but for train.imports.under None -> state_dict_ema: 1")
