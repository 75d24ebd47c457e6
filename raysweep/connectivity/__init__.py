"""Risk along lines and over simplices of networks, and the barriers on them."""

from raysweep.connectivity.barrier import Barrier, Curve, barrier, curve
from raysweep.connectivity.grids import mean_grid, pair_grid, simplex_grid

__all__ = ["Barrier", "Curve", "barrier", "curve", "mean_grid", "pair_grid", "simplex_grid"]
