"""What a plan compares, without the ids."""

from raysweep.plan.desired import Desired
from raysweep.plan.identity import Comparison


def comparisons(wanted: Desired) -> list[Comparison]:
    return [job.comparison for job in wanted.barriers.values()]
