"""Risk along lines and over simplices of networks, and the barriers on them.

`barrier_of` and `curve_of` take state dicts; `curve` and `barrier` are their parts, for networks whose risks
are known already. Sources: Sharma et al. 2024 (arXiv 2404.06498) for the definitions, Jordan et al. 2023
(REPAIR, arXiv 2211.08403) for the statistics of BatchNorm.
"""

from raysweep.connectivity.barrier import Barrier, Curve, barrier, curve
from raysweep.connectivity.between import barrier_of, curve_of
from raysweep.connectivity.grids import mean_grid, pair_grid, simplex_grid
from raysweep.connectivity.statistics import has_batchnorm, recompute_statistics

__all__ = [
    "Barrier",
    "Curve",
    "barrier",
    "barrier_of",
    "curve",
    "curve_of",
    "has_batchnorm",
    "mean_grid",
    "pair_grid",
    "recompute_statistics",
    "simplex_grid",
]
