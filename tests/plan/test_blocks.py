"""What a plan makes of networks whose hidden units lie in blocks."""

import itertools

import pytest

from raysweep.plan import versions
from raysweep.plan.desired import desired
from raysweep.sweep.load import check
from tests.plan.compared import comparisons

NUMBERS = itertools.count()
NETWORK = """
from torch import nn

def build(shape, classes, width):
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 3), nn.ReLU(), nn.Conv2d(width, width, 1{groups}), nn.ReLU(),
        nn.Conv2d(width, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, classes),
    )
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def planned(groups="", model=None, **compare):
        if model is None:
            name = f"planned_networks_{next(NUMBERS)}"
            (tmp_path / f"{name}.py").write_text(NETWORK.format(groups=groups))
            model = f"{name}:build"
        train = {
            "dataset": "digits",
            "model": model,
            "width": 8,
            "epochs": 2,
            "replicates": 3,
            "checkpoints": [1],
        }
        sections = {
            "name": "s",
            "train": train,
            "compare": {"kinds": ["unaligned", "direct", "joint"], **compare},
        }
        return model, desired(check("test", sections))

    return planned


def test_hybrids_keep_groups_together_whose_blocks_move_alike(plan):
    _, wanted = plan(", groups=2", trajectory={"hybrids": ["bottom_up", "one_out"]})
    chosen = {each.hybrid: each.permutations[1].groups for each in comparisons(wanted) if each.hybrid}
    assert chosen["bottom_up", 1] == chosen["one_out", 1] == ("0", "2")
    assert chosen["bottom_up", 2] == ("0", "2", "4")
    assert chosen["one_out", 0] == ("4",)
    assert ("bottom_up", 3) not in chosen


def test_own_networks_have_a_version_of_their_own_in_the_ids_of_alignments(plan, monkeypatch):
    """More of their symmetries may be found in time, when a stored permutation no longer fits."""
    own, before = plan(", groups=2", across=[])
    _, plain_before = plan(model="mlp")
    version = "raysweep.plan.alignments.OWN_NETWORKS_VERSION"
    monkeypatch.setattr(version, versions.OWN_NETWORKS_VERSION + 1)
    _, after = plan(model=own)
    _, plain_after = plan(model="mlp")
    assert len(before.alignments) == 4
    assert not before.alignments.keys() & after.alignments.keys()
    assert before.trials.keys() == after.trials.keys()
    assert plain_before.alignments.keys() == plain_after.alignments.keys()
    monkeypatch.setattr("raysweep.plan.alignments.ALIGNMENT_VERSION", versions.ALIGNMENT_VERSION + 1)
    _, again = plan(model="mlp")
    assert not again.alignments.keys() & plain_after.alignments.keys()
