"""raysweep/README.md: the table of operations is the registry's."""

from pathlib import Path

import pytest
import torch
from torch import nn

from raysweep.errors import SpecError
from raysweep.symmetry.modules import MODULES
from raysweep.symmetry.operations import OPERATIONS
from raysweep.symmetry.reference import REFUSED, REFUSED_LAYERS, RULES, describe
from tests.symmetry.checks import traced

README = (Path(__file__).parent.parent.parent / "raysweep" / "README.md").read_text()


def test_the_readme_has_the_table():
    _, _, rest = README.partition("<!-- operations -->\n")
    assert rest.startswith(describe() + "<!-- end of operations -->\n")


def test_every_operation_has_one_rule():
    names = [name for rule in RULES for name in rule.names]
    assert sorted(names) == sorted(OPERATIONS)
    assert {operation for operation, _ in MODULES.values()} <= set(names)


def test_what_is_called_refused_is_not_in_the_registries():
    assert not {*REFUSED} & {*OPERATIONS}
    assert not {getattr(nn, name) for name in REFUSED_LAYERS} & {*MODULES}


@pytest.mark.parametrize("name", ["softmax", "cumsum", "sort"])
def test_what_is_called_refused_is_refused(name):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x):
            hidden = getattr(torch, name)(self.first(x), dim=1)
            return self.last(hidden if isinstance(hidden, torch.Tensor) else hidden[0])

    with pytest.raises(SpecError, match=rf"operation {name} \({name}\) is not understood"):
        traced(Network(), (4,))
