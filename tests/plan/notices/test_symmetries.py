"""A plan refuses the networks that a run would refuse."""

import pytest
from typer.testing import CliRunner

from raysweep.cli import app
from raysweep.errors import SpecError

NETWORKS = """
from math import prod
from torch import nn

def plain(shape, classes, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), width), nn.ReLU(), nn.Linear(width, classes))

def silent(shape, classes, width):
    '''No hidden unit reaches 100.'''
    layers = [nn.Flatten(), nn.Linear(prod(shape), width), nn.Hardtanh(100, 101)]
    return nn.Sequential(*layers, nn.Linear(width, classes))
"""

SWEEP = """
name: planned
train: {{dataset: digits, model: "symmetry_plans:{model}", width: 4, epochs: 1}}
"""


@pytest.mark.parametrize("model", ["plain", "silent"])
def test_a_network_whose_symmetries_cannot_be_proved_is_refused(model, tmp_path, monkeypatch):
    (tmp_path / "symmetry_plans.py").write_text(NETWORKS)
    (tmp_path / "sweep.yaml").write_text(SWEEP.format(model=model))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    found = CliRunner().invoke(app, ["plan", "sweep.yaml"])
    assert "digests: sweep" in found.output
    if model == "plain":
        assert found.exit_code == 0
    else:
        assert isinstance(found.exception, SpecError)
        assert str(found.exception).startswith("train.model = symmetry_plans:silent, norm none: group ")
