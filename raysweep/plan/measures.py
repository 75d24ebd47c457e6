"""Measurements of barriers and their ids.

A measurement has an id of its own, which chains on that of its barrier. So a barrier's id does not depend on
its measures, and adding a measure to a finished sweep computes that measure alone.
"""

from raysweep.digest import canonical, digest_of
from raysweep.plan.identity import Measure, Measurement
from raysweep.plan.versions import MEASURE_VERSION
from raysweep.registry import is_own
from raysweep.sweep.compare import Compare
from raysweep.sweep.measures import MEASURES


def measures_of(compare: Compare) -> list[Measure]:
    """Return the measures that a sweep asks for. Raises `UserError` for a user's function without a file."""
    return [_measure(name) for name in compare.measures]


def measurement(measure: Measure, barrier_id: str) -> Measurement:
    """Return the measurement of a barrier."""
    return Measurement(digest_of(f"{measure.how[:-1]},{canonical(barrier_id)}]"), measure)


def _measure(name: str) -> Measure:
    source = MEASURES.own_function(name).digest() if is_own(name) else None
    how = {"measure": name, **({"source": source} if source else {})}
    return Measure(name, source, canonical(["measure", MEASURE_VERSION, how]))
