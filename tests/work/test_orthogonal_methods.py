"""Alignments with rotations: stored, read back, applied to folded networks, and merged as what they are."""

import pytest
import torch

import raysweep
from raysweep.connectivity import barrier_of, pair_grid
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.permutations import CommittedPermutations
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.symmetry import Permutation
from raysweep.tables.schemas import read_table
from raysweep.work.data import rotated_spec
from raysweep.work.networks import Networks
from tests.work.plans import BASE, carry_out, compare_all


def test_rotations_are_kept_and_networks_compared_in_folded_form(tmp_path):
    train = {**BASE, "model": "vit", "depth": 1, "norm": "layer", "width": 4, "replicates": 2, "epochs": 1}
    align, compare = (
        {"methods": ["orthogonal_matching"]},
        {"kinds": ["direct"], "splits": ["test"], "alphas": 3},
    )
    wanted = desired(check("test", {"name": "s", "train": train, "align": align, "compare": compare}))
    files = Files(str(tmp_path / "runs"))
    carry_out(wanted, files)
    compare_all(wanted, files)
    objects, store, results = done(wanted, files).alignments, TrialStore(files), ResultStore(files)
    networks, committed = Networks(store, wanted.sweep.sections, 0), CommittedPermutations(results, 10**6)
    rows = read_table(files, "s", "barriers", ["barrier_id", "loss_barrier"]).to_pylist()
    barriers = {row["barrier_id"]: row["loss_barrier"] for row in rows}
    for job in wanted.barriers.values():
        comparison = job.comparison
        config, data = networks.architecture_and_data(wanted.trials[comparison.networks[0].trial_id])
        spec, states, net = rotated_spec(config), [], build(config).eval()
        images = data.test.images[:100]
        for network, move in zip(comparison.networks, comparison.permutations, strict=True):
            state = store.read_checkpoint(network.trial_id, network.level, network.step)
            permutation = committed.read(move, objects) if move else Permutation.identity(spec.sizes)
            assert move is None or permutation.rotations.keys() == spec.rotations.keys()
            states.append(spec.apply(permutation, spec.folded(state)))
            outputs = [torch.func.functional_call(net, each, (images,)) for each in (state, states[-1])]
            torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-4)
        expected = barrier_of(net, states, data.test.images, data.test.labels, pair_grid(3)).loss_barrier
        assert barriers[job.barrier_id] == pytest.approx(expected, abs=1e-4)


def test_networks_are_merged_in_folded_form():
    one, other = (build_vit(seed) for seed in range(2))
    images = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = one(images).argmax(dim=1)
    merged = raysweep.merge([one, other], images, labels, method="orthogonal_matching")
    weights = merged.model.state_dict()
    assert torch.equal(weights["norm.norm.weight"], torch.ones(8))
    assert merged.permutations[1].rotations


def build_vit(seed):
    model = build(ModelConfig("vit", 8, 1, "layer", (1, 8, 8), 10), seed)
    with torch.no_grad():
        model.norm.norm.weight += 1
    return model.eval()
