"""Alignments by permutation, scale and sign: stored, read back and applied as what they are."""

import pytest
import torch

from raysweep.models.build import build
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.permutations import CommittedPermutations
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.work.data import spec_of
from raysweep.work.networks import Networks
from tests.work.plans import BASE, carry_out

NETWORK = """
from math import prod
from torch import nn

def tanh(shape, classes, width):
    layers = [nn.Flatten(), nn.Linear(prod(shape), width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, classes))
"""


@pytest.mark.parametrize("model", ["mlp", "monomial_networks:tanh"])
def test_scales_and_signs_are_kept_and_leave_the_functions_of_networks(model, tmp_path, monkeypatch):
    (tmp_path / "monomial_networks.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    train = {**BASE, "model": model, "width": 4, "replicates": 3, "epochs": 1}
    text = {"name": "s", "train": train, "align": {"methods": ["monomial_matching"]}}
    wanted = desired(check("test", {**text, "compare": {"kinds": ["direct", "via"]}}))
    files = Files(str(tmp_path / "runs"))
    carry_out(wanted, files)
    objects, store = done(wanted, files).alignments, TrialStore(files)
    networks = Networks(store, wanted.sweep.sections, 0)
    committed, factors = CommittedPermutations(ResultStore(files), 10**6), []
    for job in wanted.barriers.values():
        for network, move in zip(job.comparison.networks, job.comparison.permutations, strict=True):
            if move is None:
                continue
            permutation = committed.read(move, objects)
            config, data = networks.architecture_and_data(wanted.trials[network.trial_id])
            state = store.read_checkpoint(network.trial_id, network.level, network.step)
            moved = spec_of(config, permutation).apply(permutation, state)
            images, net = data.test.images[:50], build(config).eval()
            outputs = [torch.func.functional_call(net, each, (images,)) for each in (state, moved)]
            torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-4)
            factors += [each for group in permutation.factors.values() for each in group.tolist()]
    assert factors
    signs = {abs(each) for each in factors} == {1.0} and min(factors) < 0
    assert signs if ":" in model else min(factors) > 0
