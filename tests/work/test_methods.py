"""A user's own method of alignment, in a file outside the package: what it gets, and what it may return."""

import hashlib
import itertools
import sys

import pytest
import torch
import yaml

from raysweep.alignment.joint import pairwise_objective
from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.plan.notices.treatment import remarks
from raysweep.plan.permutations import member_prefix
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.symmetry import Permutation
from raysweep.tables.rows import alignment_row
from raysweep.version import CodeDiffers
from raysweep.work.data import proved_spec
from raysweep.work.networks import Networks
from tests.readmes import marked
from tests.work.plans import BASE, aligner_of, carry_out

pytestmark = pytest.mark.fast

COUNT = itertools.count()
TRAIN = {**BASE, "width": 4, "replicates": 3, "epochs": 1}
OWN = """
import torch
from raysweep.symmetry import Permutation

def shuffled(spec, states, seed):
    for state in states:
        for tensor in state.values():
            tensor.zero_()  # these are copies
    return [spec.random(torch.Generator().manual_seed(seed + member)) for member, _ in enumerate(states)]

def reversed_units(spec, source, models, images, labels, similarities, groups=()):
    assert models[1](images[:5]).shape == (5, 10) and labels.shape == images.shape[:1]
    assert all(torch.equal(models[1].state_dict()[name], tensor) for name, tensor in source.items())
    assert similarities.keys() == spec.sizes.keys()
    return Permutation({
        group: torch.arange(size).flip(0) if group in groups else torch.arange(size)
        for group, size in spec.sizes.items()
    })

def drawn(target, source, spec):
    return spec.random(torch.default_generator)

def wide(spec, target, source):
    return Permutation.identity({group: size + 1 for group, size in spec.sizes.items()})

def scaled(spec, states):
    identity = Permutation.identity(spec.sizes)
    return Permutation(identity.indices, {g: torch.full((n,), 2.0) for g, n in spec.sizes.items()})

def twice(spec, states):
    return [Permutation.identity(spec.sizes)]

def nothing(states):
    return None

def fails(states):
    raise RuntimeError("no luck")

def demanding(states, patience):
    return None

def of_this_node(states):
    import a_module_that_this_node_lacks
"""


def sweep(method, kinds, options=None):
    align = {"methods": [method], **({"method_options": {method: options}} if options else {})}
    return check("test", {"name": "s", "train": TRAIN, "align": align, "compare": {"kinds": kinds}})


def test_the_options_of_the_similarities_that_a_method_gets_are_in_its_ids(own):
    def found(**options):
        align = {"methods": [f"{own}:reversed_units"], "activation_matching": options}
        sections = {"name": "s", "train": TRAIN, "align": align, "compare": {"kinds": ["direct"]}}
        return set(desired(check("test", sections)).alignments)

    assert found() == found(similarity="correlation")
    assert found().isdisjoint(found(similarity="inner_product"))
    assert found().isdisjoint(found(examples=10))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Networks of three replicates."""
    wanted = desired(check("test", {"name": "s", "train": TRAIN, "compare": {"kinds": ["direct"]}}))
    found = Files(str(tmp_path_factory.mktemp("root")))
    carry_out(wanted, found, align=False)
    return found


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of a user's, in the folder where raysweep is started."""
    name = f"own_methods_{next(COUNT)}"  # a module that was imported under a name is not looked for again
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def aligned(files, method, kinds, options=None):
    """The plan, and the rows of its alignments."""
    return carried(files, desired(sweep(method, kinds, options)))


def carried(files, wanted):
    return wanted, aligner_of(wanted, files).rows(list(wanted.alignments.values()), wanted.trials)


def found_by(row, prefix=""):
    named = zip(row["groups"], row["permutations"], strict=True)
    return Permutation({g.removeprefix(prefix): torch.tensor(p) for g, p in named if g.startswith(prefix)})


def test_networks_at_once_get_a_permutation_each_and_the_objective_is_computed(files, own):
    wanted, rows = aligned(files, f"{own}:shuffled", ["joint"])
    (job,), (row,) = wanted.alignments.values(), rows
    states = [TrialStore(files).read_checkpoint(n.trial_id, n.level, n.step) for n in job.networks]
    networks = Networks(TrialStore(files), wanted.sweep.sections, 0)
    spec = proved_spec(networks.architecture_and_data(wanted.trials[job.target.trial_id])[0])
    permutations = [found_by(row, member_prefix(member)) for member in range(3)]
    assert row["objective"] == pytest.approx(pairwise_objective(spec, states, permutations, spec.axes))
    assert row["objective"] != row["objective_identity"]
    assert row["iterations"] is None
    again = aligned(files, f"{own}:shuffled", ["joint"])[1][0]
    assert row["permutations"] == again["permutations"]


def test_of_a_pair_what_both_permutations_do_to_the_second_counts(files, own):
    _, rows = aligned(files, f"{own}:shuffled", ["direct"])
    assert len(rows) == 3
    for row in rows:
        assert row["objective"] != row["objective_identity"]
        found_by(row)


def test_options_are_passed_on_and_belong_to_the_ids(files, own):
    method = f"{own}:reversed_units"
    groups = list(found_by(aligned(files, method, ["direct"])[1][0]).indices)
    wanted, rows = aligned(files, method, ["direct"], {"groups": groups[:1]})
    assert all(row["permutations"][0] == [3, 2, 1, 0] for row in rows)
    assert all(row["permutations"][1] == [0, 1, 2, 3] for row in rows)
    assert wanted.alignments.keys() != desired(sweep(method, ["direct"])).alignments.keys()
    row = alignment_row(wanted, next(iter(wanted.alignments.values())))
    assert row["method"] == method
    assert row["options"] == f'{{"groups":["{groups[0]}"]}}'
    assert row["kernel"] is None
    assert row["source_digest"] == hashlib.sha256(OWN.encode()).hexdigest()


def test_another_text_of_the_file_is_another_method(files, own, tmp_path):
    method = f"{own}:shuffled"
    wanted = desired(sweep(method, ["direct"]))
    with (tmp_path / f"{own}.py").open("a") as file:
        file.write("# changed\n")
    now = desired(sweep(method, ["direct"]))
    assert not wanted.alignments.keys() & now.alignments.keys()
    aligner = aligner_of(wanted, files)
    with pytest.raises(CodeDiffers, match="the file on this node is not the one"):
        aligner.rows(list(wanted.alignments.values()), wanted.trials)


def test_global_generators_are_seeded_while_it_runs(files, own):
    one, again = (aligned(files, f"{own}:drawn", ["direct"])[1] for _ in range(2))
    assert [row["permutations"] for row in one] == [row["permutations"] for row in again]


def test_what_a_node_lacks_is_no_fault_of_the_method(files, own):
    """Such a job is tried on another node."""
    with pytest.raises(ModuleNotFoundError, match="a_module_that_this_node_lacks"):
        aligned(files, f"{own}:of_this_node", ["direct"])


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("wide", "wide'.*does not fit the network: group .* has 5 units"),
        ("twice", "returns list of 1; expected a Permutation, or a list of 2 Permutations"),
        ("scaled", "scaled': only permutations are stored, without factors"),
        ("nothing", "nothing' returns NoneType; expected"),
        ("fails", "fails' fails: RuntimeError: no luck"),
    ],
)
def test_what_does_not_fit_is_named(files, own, function, said):
    with pytest.raises(ValueError, match=said):
        aligned(files, f"{own}:{function}", ["direct"])


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        ("demanding", None, "requires 'patience', which is neither among its options nor"),
        ("nothing", {"patience": 3}, "nothing.patience: .* has no such option"),
        ("nothing", {"states": 3}, "nothing.states: .* is given this argument by raysweep"),
        ("absent", None, "has no 'absent'"),
    ],
)
def test_what_cannot_be_called_is_refused_before_anything_is_trained(own, function, options, said):
    with pytest.raises(UserError, match=said):
        desired(sweep(f"{own}:{function}", ["direct"], options))


def test_a_method_of_pairs_aligns_no_more_networks(own):
    wanted = desired(sweep(f"{own}:drawn", ["direct", "joint"]))
    assert {job.comparison.kind for job in wanted.barriers.values()} == {"direct"}
    (line,) = remarks(wanted)
    assert line == f"{own}:drawn: aligns two networks alone, so nothing is aligned jointly by it"


def test_the_example_of_the_documentation_aligns(files, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(marked("sweeps", "own methods").text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    asked = yaml.safe_load(marked("sweeps", "own methods file").text)
    wanted, rows = carried(files, desired(check("test", {"name": "s", "train": TRAIN, **asked})))
    monkeypatch.delitem(sys.modules, "mine")
    methods = [wanted.alignments[row["alignment_id"]].method for row in rows]
    assert sorted(methods) == sorted(["weight_matching", "mine:star"] * 4 + ["mine:greedy"] * 3)
    by_weights = [row for row, method in zip(rows, methods, strict=True) if method != "mine:greedy"]
    assert all(row["objective"] > row["objective_identity"] for row in by_weights)


def test_options_of_a_method_that_is_not_asked_for_are_refused():
    with pytest.raises(UserError, match="method_options: mine:align is not a module:function among methods"):
        check("test", {"name": "s", "train": TRAIN, "align": {"method_options": {"mine:align": {}}}})
