"""Measures of a sweep: what is there is not computed again, and no id of a barrier depends on them."""

import hashlib
import itertools
import shutil

import numpy as np
import pytest
from pandas import read_parquet

from raysweep.commands.gc import garbage
from raysweep.commands.status import status_lines
from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.notices.treatment import remarks
from raysweep.plan.recording import record_sweep
from raysweep.plan.todo import todo
from raysweep.registry import Entry
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.sweep.load import check
from raysweep.sweep.measures import MEASURES
from raysweep.sweep.reference import reference
from raysweep.version import CodeDiffers
from tests.readmes import marked
from tests.verified import problems
from tests.work.plans import BASE, carry_out, compare_all

COUNT = itertools.count()
COMPARE = {"kinds": ["unaligned", "direct"], "alphas": 5, "statistics": ["kept", "repaired"]}
MARGIN = marked("sweeps", "measure").text  # the example of the README


def planned(*measures, **compare):
    sections = {"name": "s", "train": BASE, "compare": {**COMPARE, "measures": list(measures), **compare}}
    return desired(check("test", sections))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("measured")
    carry_out(planned(), Files(str(root)))
    return root


@pytest.fixture
def root(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "root")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A user's measure, in a file beside the package."""
    name = f"my_measures_{next(COUNT)}"
    (tmp_path / f"{name}.py").write_text(MARGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def table(root, name):
    return read_parquet(root / "sweeps" / "s" / name)


def objects(files, kind):
    return ResultStore(files).stamps(kind)


def test_ids_of_barriers_do_not_depend_on_measures():
    assert list(planned("ensemble").barriers) == list(planned().barriers)
    one, two = planned("ensemble").measurements, planned("disagreement", "ensemble").measurements
    assert set(one) < set(two)
    assert len(two) == 2 * len(planned().barriers)
    assert planned().measurements == {}


def test_a_measure_that_is_added_later_alone_is_computed(root):
    """The risks and the measures that are there keep their objects and bits."""
    files, names = Files(str(root)), list(MEASURES)
    compare_all(planned(), files)
    barriers, before = table(root, "barriers"), objects(files, "barriers")
    assert len(table(root, "measures")) == 0
    compare_all(planned("calibrated_loss"), files)
    first = objects(files, "measures")
    work = todo(planned(*names), done(planned(*names), files))
    assert all(not job.risks and len(job.measurements) == len(names) - 1 for job in work.barriers)
    left = work.counts()
    assert left == {"trials": 0, "alignments": 0, "barriers": 0, "measures": 4 * len(work.barriers)}
    assert work.stages() == {"barriers": len(work.barriers)}
    compare_all(planned(*names), files)
    assert not todo(planned(*names), done(planned(*names), files))
    assert objects(files, "barriers") == before
    assert first.items() < objects(files, "measures").items()
    assert table(root, "barriers").equals(barriers)
    assert list(problems(files)) == []
    assert garbage(files) == {}
    assert f"measures {5 * len(barriers) // 2}/{5 * len(barriers) // 2}" in status_lines(files)[0]


def test_measures_that_are_asked_for_at_once_are_those_that_are_added_later(root, tmp_path):
    """Also those of a part of the jobs, and whether or not risks are computed in the same pass."""
    apart, together = (Files(str(shutil.copytree(root, tmp_path / name))) for name in ("apart", "together"))
    for names in ((), ("ensemble",), ("disagreement", "ensemble", "feature_connectivity")):
        compare_all(planned(*names), apart)
    compare_all(planned(*names), together)
    columns = ["measure_id", "barrier_id", "measure", "split", "part", "largest", "centre", "ends", "values"]
    one, other = (
        table(tmp_path / name, "measures")[columns].sort_values(columns[:5]).to_dict("records")
        for name in ("apart", "together")
    )
    assert [_plain(row) for row in one] == [_plain(row) for row in other]
    parts = table(tmp_path / "together", "measures").groupby("measure").part.unique()
    assert set(parts["ensemble"]) == {"loss", "error"}
    assert len(set(parts["feature_connectivity"])) == 3
    risks = [
        table(tmp_path / name, "barriers")[["loss_barrier", "error_barrier"]]
        for name in ("apart", "together")
    ]
    assert risks[0].equals(risks[1])


def _plain(row):
    return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in row.items()}


def test_a_measure_of_the_users_own(root, mine):
    """Its file is part of the id and is stored; a worker with another one refuses."""
    files, wanted = Files(str(root)), planned(f"{mine}:margin")
    compare_all(wanted, files)
    rows = table(root, "measures")
    assert set(rows.measure) == {f"{mine}:margin"}
    assert set(rows.source_digest) == {hashlib.sha256(MARGIN.encode()).hexdigest()}
    assert len(rows) == 2 * len(wanted.barriers)
    np.testing.assert_allclose(rows.centre_excess, rows.centre - rows.ends.map(np.mean), atol=1e-6)
    assert (root / "sources").exists()
    file = root.parent / f"{mine}.py"
    file.write_text(MARGIN + "# changed\n")
    changed = planned(f"{mine}:margin")
    assert not set(changed.measurements) & set(wanted.measurements)
    with pytest.raises(UserError, match="has changed since this command read it"):
        record_sweep(files, wanted)


def test_a_measure_that_cannot_be_called_is_refused_by_the_plan(mine, tmp_path):
    (tmp_path / f"{mine}.py").write_text("def of_weights(states):\n    return 0\n")
    with pytest.raises(
        UserError, match=r"of_weights' requires 'states', which .* offers \(logits, end_logits"
    ):
        planned(f"{mine}:of_weights")


FAULTY = """
import torch

def of_classes(logits):
    return logits.mean(0)

def of_column(logits):
    return logits[:, 99].mean()

def of_hidden_units(features, end_features, labels):
    (layer, units), *_ = features.items()
    return (units[labels == 0].mean(0) - end_features[layer][0].mean(0)).norm()

def of_layers(features):
    return features["none"].mean()

def undefined(logits):
    return float("nan")

def of_test_set(logits):
    return (logits[:, 0] * torch.ones(400)).mean()
"""


def test_measures_are_tried_by_the_plan(mine, tmp_path):
    (tmp_path / f"{mine}.py").write_text(FAULTY)
    with pytest.raises(UserError, match=r"of 1397 examples: measure .*of_classes' returns Tensor; it must"):
        planned(f"{mine}:of_classes")
    with pytest.raises(UserError, match="of_column' fails: IndexError: index 99 is out of bounds"):
        planned(f"{mine}:of_column")
    with pytest.raises(UserError, match=r"units of 256 examples: .*of_layers' fails: KeyError: 'none'"):
        planned(f"{mine}:of_layers")
    planned(f"{mine}:of_hidden_units", f"{mine}:undefined")
    planned(f"{mine}:of_test_set", splits=["test"])  # it knows how many examples there are
    with pytest.raises(UserError, match="of_test_set' fails: RuntimeError"):
        planned(f"{mine}:of_test_set")


def test_a_measure_without_a_number_is_remarked(mine, tmp_path):
    (tmp_path / f"{mine}.py").write_text(FAULTY)
    assert remarks(planned(f"{mine}:undefined", f"{mine}:of_hidden_units")) == [
        f"{mine}:undefined: gives NaN on random logits; NaN is stored, and its excess is undefined"
    ]


def test_another_file_on_a_node_is_refused(root, mine):
    wanted = planned(f"{mine}:margin")
    (root.parent / f"{mine}.py").write_text(MARGIN + "# changed\n")
    with pytest.raises(CodeDiffers, match=f"measure '{mine}:margin': the file on this node"):
        compare_all(wanted, Files(str(root)))


def largest_logit(logits):
    return logits.max()


def test_a_new_entry_is_all_that_a_measure_needs(root, monkeypatch):
    entry = Entry(f"{__name__}:largest_logit", "Novel words.")
    monkeypatch.setitem(MEASURES.entries, "novel", entry)
    assert "| `compare.measures` | `novel` | Novel words. |" in reference()
    wanted, files = planned("novel", splits=["test"]), Files(str(root))
    compare_all(wanted, files)
    assert len(table(root, "measures")) == len(wanted.barriers)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("calibrated_los", "compare.measures.*did you mean 'calibrated_loss'"),
        ("nowhere:margin", "measure 'nowhere:margin': there is no module 'nowhere'"),
    ],
)
def test_an_unknown_measure_is_an_error(name, message):
    with pytest.raises(UserError, match=message):
        planned(name)
