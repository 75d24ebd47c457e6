"""The headers of the sweep files of the paper's size have the costs of their plans (`tests.generated`)."""

import pytest

from tests.sweeps.headers import FILES, renewed


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_costs_are_those_of_the_plan(path):
    assert path.read_text() == renewed(path)
