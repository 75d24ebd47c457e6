"""Barriers of a plan against a plain evaluation from what the store holds."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from raysweep.models.build import build
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.identity import data_config
from raysweep.sweep.load import check
from raysweep.sweep.plan import desired
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.work.data import model_config, resident
from tests.store.committed import committed
from tests.work.plans import BASE, carry_out, compare_all

KINDS = {"kinds": ["direct", "via", "joint"], "subdivisions": 6, "alphas": 5, "splits": ["test"]}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    files = Files(str(tmp_path_factory.mktemp("compared")))
    wanted = desired(check("test", {"name": "s", "train": {**BASE, "replicates": 3}, "compare": KINDS}))
    carry_out(wanted, files)
    compare_all(wanted, files)
    return wanted, files


def permutation(row, move):
    """As the row of an alignment has it, toward the network that the move names."""
    prefix = "" if move.member is None else f"{move.member}/"
    indices = {
        name.removeprefix(prefix): torch.tensor(units)
        for name, units in zip(row["groups"], row["permutations"], strict=True)
        if name.startswith(prefix)
    }
    found = Permutation(indices)
    return found.inverse() if move.inverse else found


@pytest.mark.parametrize(
    ("kind", "interpolation"),
    [("direct", "pair"), ("via", "pair"), ("joint", "pair"), ("via", "simplex"), ("joint", "simplex")],
)
def test_barriers_agree_with_brute_force(compared, kind, interpolation):
    wanted, files = compared
    units = [u for u in wanted.barriers.values() if (u.kind, u.interpolation) == (kind, interpolation)]
    rows, alignments = committed(files, "barriers"), committed(files, "alignments")
    training = wanted.sweep.trainings[0]
    data = resident(data_config(training, 0), None, False, "unit")
    model = build(model_config(training, data)).eval()
    spec = PermutationSpec.trace(model, torch.zeros(2, 1, 8, 8))

    def loss(state):
        model.load_state_dict(state)
        with torch.no_grad():
            return functional.cross_entropy(model(data.test.images), data.test.labels).item()

    for unit in units[:2]:
        still = [TrialStore(files).read_checkpoint(n.trial_id, n.level, n.step) for n in unit.networks]
        moved = [
            spec.apply(permutation(alignments[move.alignment_id,], move), state) if move else state
            for state, move in zip(still, unit.moves, strict=True)
        ]
        ends = np.array([loss(state) for state in still])
        row = rows[unit.barrier_id, "test"]
        excess = []
        for weights in np.array(row["curve_weights"]):
            mixed = zip(weights, moved, strict=True)
            parts = [{name: w * tensor for name, tensor in state.items()} for w, state in mixed]
            mixture = {name: sum(part[name] for part in parts) for name in still[0]}
            excess.append(loss(mixture) - weights @ ends)
        assert row["loss_barrier"] == pytest.approx(max(excess), abs=1e-5)
        assert len(excess) == {"pair": 5, "simplex": 28}[interpolation]
