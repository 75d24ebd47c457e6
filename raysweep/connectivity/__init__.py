"""Risk along lines and over simplices of networks, and the barriers on them.

`barrier_of` and `curve_of` take state dicts. `curve`, `risk` and `barrier` are their steps, for networks that
are the ends of several curves. Sources: Sharma et al. 2024 (arXiv 2404.06498) for the definitions, Jordan et
al. 2023 (REPAIR, arXiv 2211.08403) for the statistics of BatchNorm and of hidden units.
"""

from raysweep.connectivity.barrier import Barrier, Curve, barrier, curve, execution, risk
from raysweep.connectivity.between import barrier_of, curve_of
from raysweep.connectivity.folding import mixed_state
from raysweep.connectivity.grids import mean_grid, pair_grid, simplex_grid
from raysweep.connectivity.mixtures import NOTHING, Mending
from raysweep.connectivity.statistics import (
    foreign_statistics,
    has_running_statistics,
    recompute_statistics,
)

__all__ = [
    "NOTHING",
    "Barrier",
    "Curve",
    "Mending",
    "barrier",
    "barrier_of",
    "curve",
    "curve_of",
    "execution",
    "foreign_statistics",
    "has_running_statistics",
    "mean_grid",
    "mixed_state",
    "pair_grid",
    "recompute_statistics",
    "risk",
    "simplex_grid",
]
