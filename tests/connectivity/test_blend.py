import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.connectivity.blend import blend, blend_rows, shares


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**31))
def test_mixtures_are_weighted_sums_one_by_one_and_together(networks, seed):
    draw = np.random.default_rng(seed)
    rows = draw.dirichlet(np.ones(networks), size=4) * (draw.random((4, networks)) < 0.7)
    rows[:, -1] += 1 - rows.sum(axis=1)
    tensors = [torch.from_numpy(draw.normal(size=(3, 2))).float() for _ in range(networks)]
    together = blend_rows(torch.stack(tensors), rows)
    for row, mixed in zip(rows, together, strict=True):
        expected = sum(w * tensor.double() for w, tensor in zip(row, tensors, strict=True))
        alone = blend(tensors, shares(row), torch.empty(3, 2))
        torch.testing.assert_close(alone.double(), expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(mixed, alone)


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**31))
def test_equal_tensors_and_single_ones_come_out_as_they_are(networks, seed):
    draw = np.random.default_rng(seed)
    row = draw.dirichlet(np.ones(networks))
    tensors = [torch.from_numpy(draw.normal(size=50)).float() for _ in range(networks)]
    same = [tensors[0]] * networks
    assert torch.equal(blend(same, shares(row), torch.empty(50)), tensors[0])
    assert torch.equal(blend_rows(torch.stack(same), row[None])[0], tensors[0])
    for place, tensor in enumerate(tensors):
        corner = np.eye(networks)[place]
        assert torch.equal(blend(tensors, shares(corner), torch.empty(50)), tensor)


def test_only_a_line_goes_past_its_ends():
    ends = [torch.zeros(2), torch.ones(2)]
    assert blend(ends, shares(np.array([-0.5, 1.5])), torch.empty(2)).tolist() == [1.5, 1.5]
    assert shares(np.array([[-0.5, 1.5], [2.0, -1.0], [0.5, 0.5]])).shape == (3, 2)
    for rows in ([1.0, -1.0, 1.0], [[1.0, -1.0, 1.0], [0.0, 0.5, 0.5]]):
        with pytest.raises(ValueError, match="must not be negative"):
            shares(np.array(rows))
