"""Interpolation weights; every row is non-negative and sums to one."""

import numpy as np


def pair_grid(alphas: int) -> np.ndarray:
    """Return rows (1 - alpha, alpha) for evenly spaced alphas, both ends included.

    Shape (alphas, 2). Raises `ValueError` unless `alphas` is odd and at least 3: the midpoint belongs to it.
    """
    if alphas < 3 or alphas % 2 == 0:
        raise ValueError(
            f"alphas = {alphas}: must be odd and at least 3, so that the midpoint is on the grid"
        )
    alpha = np.arange(alphas) / (alphas - 1)
    return np.stack([1 - alpha, alpha], axis=1)


def simplex_grid(subdivisions: int) -> np.ndarray:
    """Return all (i, j, k) / subdivisions that sum to one, shape ((s + 1)(s + 2) / 2, 3).

    Raises `ValueError` unless `subdivisions` is a positive multiple of 6: a multiple of 3 has the barycentre
    on the grid, and a multiple of 2 the midpoints of the edges.
    """
    if subdivisions <= 0 or subdivisions % 6:
        raise ValueError(f"subdivisions = {subdivisions}: must be a positive multiple of 6")
    points = [
        (subdivisions - j - k, j, k) for j in range(subdivisions + 1) for k in range(subdivisions + 1 - j)
    ]
    return np.array(points) / subdivisions


def mean_grid(networks: int) -> np.ndarray:
    """Return the one row of equal weights, shape (1, networks)."""
    return np.full((1, networks), 1 / networks)
