"""What a plan compares, without the ids."""

from raysweep.plan.identity import Comparison
from raysweep.plan.plan import Desired


def comparisons(wanted: Desired) -> list[Comparison]:
    return [job.comparison for job in wanted.barriers.values()]
