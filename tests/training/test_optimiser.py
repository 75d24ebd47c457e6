"""The optimisers of torch that a sweep names."""

from types import SimpleNamespace

import pytest
import torch

from raysweep.training.optimiser import make_optimiser
from raysweep.training.registry import OPTIMISERS

CAPTURED = [name for name in OPTIMISERS if OPTIMISERS[name].captured]


@pytest.mark.parametrize("name", CAPTURED)
def test_torch_lets_a_graph_hold_the_steps_that_are_captured(name, monkeypatch):
    """Torch is made to believe that its current stream, of a GPU, is being captured."""
    model = torch.nn.Linear(3, 2)
    settings = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.1}
    optimiser = make_optimiser(model, name, settings, {})
    model(torch.ones(1, 3)).sum().backward()
    before = [weights.clone() for weights in model.parameters()]
    gpu, capturing = SimpleNamespace(type="cuda"), SimpleNamespace(is_capturing=lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: gpu)
    monkeypatch.setattr(torch.accelerator, "current_stream", lambda: capturing)
    optimiser.step()
    assert all(not torch.equal(*each) for each in zip(before, model.parameters(), strict=True))
