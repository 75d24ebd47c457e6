import numpy as np
import pytest
import torch
from torch.nn import functional

from raysweep.connectivity import Curve, Mending, barrier, curve, mean_grid, pair_grid, risk, simplex_grid
from raysweep.models.build import build
from raysweep.models.flat import FlatNetwork
from raysweep.models.initialise import initialised
from raysweep.training.evaluation import Risk
from tests.conftest import mlp


def plain_risk(state, split):
    model = build(mlp()).eval()
    model.load_state_dict(state)
    with torch.no_grad():
        logits = model(split.images)
    loss = functional.cross_entropy(logits, split.labels).item()
    return Risk(loss, (logits.argmax(1) != split.labels).double().mean().item())


@pytest.mark.parametrize(("count", "grid"), [(2, pair_grid(5)), (3, simplex_grid(6))])
def test_barrier_agrees_with_brute_force(digits, trained, count, grid):
    states = trained[:count]
    ends = [plain_risk(state, digits.test) for state in states]
    measured = curve(FlatNetwork(build(mlp())), states, grid, digits.test)
    result = barrier(measured)
    for found, plain in zip(measured.ends, ends, strict=True):
        assert (found.loss, found.error) == pytest.approx((plain.loss, plain.error), abs=1e-5)
    excess = []
    for row in grid:
        mixed = {n: sum(w * s[n] for w, s in zip(row.tolist(), states, strict=True)) for n in states[0]}
        risk = plain_risk(mixed, digits.test)
        excess.append(
            (
                risk.loss - sum(w * e.loss for w, e in zip(row, ends, strict=True)),
                risk.error - sum(w * e.error for w, e in zip(row, ends, strict=True)),
            )
        )
    losses, errors = np.array(excess).T
    assert result.loss_barrier == pytest.approx(losses.max(), abs=1e-5)
    assert result.error_barrier == pytest.approx(errors.max(), abs=1e-9)
    centre = np.flatnonzero(np.isclose(grid, 1 / count).all(axis=1)).item()
    assert result.loss_centre == pytest.approx(losses[centre], abs=1e-5)
    assert result.error_weights == tuple(grid[errors.argmax()])


def test_a_line_may_go_past_its_ends(digits, trained):
    grid = np.array([[1.2, -0.2], [1.0, 0.0], [0.0, 1.0], [-0.5, 1.5]])
    found = curve(FlatNetwork(build(mlp())), trained[:2], grid, digits.test)
    for row, loss in zip(grid.tolist(), found.loss, strict=True):
        mixed = {n: row[0] * tensor + row[1] * trained[1][n] for n, tensor in trained[0].items()}
        assert loss == pytest.approx(plain_risk(mixed, digits.test).loss, rel=1e-4)


def test_known_ends_are_not_measured_again(digits, trained):
    network, known = FlatNetwork(build(mlp())), [Risk(7.0, 0.5), Risk(8.0, 0.25)]
    found = curve(network, trained[:2], pair_grid(3), digits.test, end=known.__getitem__)
    assert found.ends == tuple(known)
    assert found.loss[[0, 2]].tolist() == [7.0, 8.0]
    assert found.error[[0, 2]].tolist() == [0.5, 0.25]


def test_the_risk_of_a_network_is_that_of_an_end(digits):
    """Also with recomputed statistics, which the network then holds."""
    states = [initialised(mlp(norm="batch"), "pytorch", seed).state_dict() for seed in range(2)]
    network = FlatNetwork(build(mlp(norm="batch")))
    for images in (None, digits.train.images[:300]):
        ends = curve(network, states, pair_grid(3), digits.test, Mending(images)).ends
        assert tuple(risk(network, state, digits.test, Mending(images)) for state in states) == ends


def test_grids():
    assert len(pair_grid(25)) == 25
    assert (pair_grid(25)[12] == 0.5).all()
    grid = simplex_grid(12)
    assert len(grid) == 91
    assert np.allclose(grid.sum(axis=1), 1)
    assert np.isclose(grid, 1 / 3).all(axis=1).sum() == 1
    assert pair_grid(3).tolist() == [[1, 0], [0.5, 0.5], [0, 1]]
    assert sorted((6 * simplex_grid(6)).round().tolist()) == [
        [i, j, 6 - i - j] for i in range(7) for j in range(7 - i)
    ]
    assert mean_grid(4).tolist() == [[0.25] * 4]


@pytest.mark.parametrize("alphas", [10, 2, 1, -1])
def test_a_line_without_a_midpoint_is_refused(alphas):
    with pytest.raises(ValueError, match=f"alphas = {alphas}: must be odd and at least 3"):
        pair_grid(alphas)


@pytest.mark.parametrize("subdivisions", [0, -6, 3, 4, 7])
def test_a_simplex_without_its_barycentre_or_midpoints_is_refused(subdivisions):
    with pytest.raises(ValueError, match=f"subdivisions = {subdivisions}: must be a positive multiple of 6"):
        simplex_grid(subdivisions)


def test_a_barrier_is_the_excess_over_the_interpolated_risks():
    """By hand: the ends are interpolated with the weights of each point; loss and error are kept apart."""
    weights = np.array([[1, 0], [0.75, 0.25], [0.5, 0.5], [0, 1]])
    ends = (Risk(1.0, 0.5), Risk(3.0, 0.1))
    found = barrier(Curve(weights, np.array([1.0, 3.5, 3.0, 3.0]), np.array([0.5, 0.4, 0.5, 0.1]), ends))
    assert (found.loss_barrier, found.loss_centre) == (2.0, 1.0)
    assert found.loss_weights == (0.75, 0.25)
    assert (found.error_barrier, found.error_centre) == pytest.approx((0.2, 0.2))
    assert found.error_weights == (0.5, 0.5)


def test_the_centre_is_the_point_nearest_to_equal_weights():
    weights = np.array([[1, 0], [0.75, 0.25], [0.375, 0.625], [0, 1]])
    found = barrier(Curve(weights, np.array([0.0, 3.0, 1.0, 0.0]), np.zeros(4), (Risk(0, 0), Risk(0, 0))))
    assert (found.loss_barrier, found.loss_centre) == (3.0, 1.0)
