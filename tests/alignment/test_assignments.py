"""Assignments are exact: their sum is that of another solver, however many of them are best."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from raysweep.alignment.assignments import assignment, assignment_of_blocks


def similarity(kind, rows, columns, seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    kinds = {
        "distinct": drawn,
        "integers": drawn.round(),
        "zeros": torch.zeros_like(drawn),
        "units without weights": drawn * (torch.rand(rows, 1, generator=generator) < 0.5),
        "rank one": drawn[:, :1] * drawn[:1],
    }
    return kinds[kind].to(dtype)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["distinct", "integers", "zeros", "units without weights", "rank one"]),
    rows=st.integers(1, 30),
    more=st.integers(0, 10),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_sum_is_largest(kind, rows, more, seed, dtype):
    given = similarity(kind, rows, rows + more, seed, dtype)
    found = assignment(given)
    assert len(set(found.tolist())) == rows
    best = linear_sum_assignment(given.double().numpy(), maximize=True)
    reached = given.double()[torch.arange(rows), found].sum().item()
    assert reached == pytest.approx(given.double().numpy()[best].sum(), abs=1e-9)


def test_units_in_blocks_are_those_of_free_ones_in_a_single_block():
    given = similarity("distinct", 12, 12, 0, torch.float64)
    assert torch.equal(assignment_of_blocks({"g": given}, 1)["g"], assignment(given))


def test_values_that_are_not_finite_are_refused():
    given = torch.zeros(3, 3)
    given[1, 2] = torch.nan
    with pytest.raises(ValueError, match="not all finite"):
        assignment(given)
