"""What a notebook reads from a root is what the tables speak of."""

import pandas as pd
import pytest
import torch

from raysweep.connectivity import barrier_of
from raysweep.errors import UserError
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.plan.desired import desired
from raysweep.store.files import CorruptObject, Files
from raysweep.stored import stored_permutation, stored_state
from raysweep.sweep.load import check
from raysweep.symmetry import PermutationSpec
from tests.work.plans import BASE, carry_out, compare_all

MODEL = build(ModelConfig("mlp", BASE["width"], 3, "none", (1, 8, 8), 10))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("stored"))
    compare = {"kinds": ["unaligned", "direct", "joint"]}
    wanted = desired(check("test", {"name": "s", "train": {**BASE, "replicates": 3}, "compare": compare}))
    carry_out(wanted, Files(root))
    compare_all(wanted, Files(root))
    return root


def table(root, name):
    return pd.read_parquet(f"{root}/sweeps/s/{name}")


def barrier(digits, states):
    return barrier_of(MODEL, states, digits.test.images, digits.test.labels).loss_barrier


def test_the_barriers_of_the_tables_follow_from_what_is_stored(root, digits):
    spec = PermutationSpec.trace(MODEL, digits.test.images[:2])
    rows = table(root, "barriers").query("split == 'test'").set_index("kind")
    unaligned, direct = rows.loc["unaligned"].iloc[0], rows.loc["direct"].iloc[0]
    states = [stored_state(root, name) for name in unaligned.networks]
    assert barrier(digits, states) == pytest.approx(unaligned.loss_barrier, rel=1e-4)
    target, source = (stored_state(root, name) for name in direct.networks)
    (alignment,) = direct.alignments
    moved = spec.apply(stored_permutation(root, alignment), source)
    assert barrier(digits, [target, moved]) == pytest.approx(direct.loss_barrier, rel=1e-4)


def test_a_joint_alignment_has_a_permutation_for_each_network(root, digits):
    spec = PermutationSpec.trace(MODEL, digits.test.images[:2])
    joint = table(root, "alignments").query("joint").iloc[0]
    triple = table(root, "barriers").query("interpolation == 'simplex' and split == 'test'")
    triple = triple[triple.kind == "joint"].iloc[0]
    members = [list(joint.networks).index(name) for name in triple.networks]
    moved = [
        spec.apply(stored_permutation(root, joint.alignment_id, member), stored_state(root, name))
        for member, name in zip(members, triple.networks, strict=True)
    ]
    assert barrier(digits, moved) == pytest.approx(triple.loss_barrier, rel=1e-4)


@pytest.mark.parametrize(("joint", "member"), [(True, None), (True, 3), (False, 0)])
def test_a_member_that_does_not_fit_is_refused(root, joint, member):
    alignment = table(root, "alignments").query("joint == @joint").alignment_id.iloc[0]
    with pytest.raises(UserError, match=rf"{alignment}: member = {member}"):
        stored_permutation(root, alignment, member)


def test_what_is_not_there_is_named(root):
    with pytest.raises(UserError, match="alignment 'ffff': there is none under"):
        stored_permutation(root, "ffff")
    with pytest.raises(UserError, match="network 'a@b': expected trial_id@level@step"):
        stored_state(root, "a@b")
    trial = table(root, "trials").trial_id[0]
    with pytest.raises(CorruptObject, match="step_00000001"):
        stored_state(root, f"{trial}@0@1")
    assert all(isinstance(t, torch.Tensor) for t in stored_state(root, f"{trial}@0@0").values())
