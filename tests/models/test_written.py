import pytest
import torch
from torch import nn

from raysweep.models.written import Written


@pytest.mark.versions
def test_calls_and_what_they_write_are_counted():
    """Flattening is a view; outputs of dense layers count as calls alone."""
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 6 * 6, 5))
    images = torch.zeros(2, 1, 8, 8)
    with torch.no_grad(), Written() as written:
        network(images)
    assert written.calls == 3
    assert written.values == 2 * (2 * 3 * 6 * 6)
