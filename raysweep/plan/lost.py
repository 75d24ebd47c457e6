"""What cannot be done because a training has diverged on which it depends."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from raysweep.plan.identity import AlignmentJob, BarrierJob, Trial

if TYPE_CHECKING:
    from raysweep.plan.plan import Desired, Done

Input = tuple[str, int] | str  # a level of a trial, or an alignment


def inputs_of(wanted: "Desired", each: Trial | AlignmentJob | BarrierJob) -> Iterator[Input]:
    """Yield what must be there before a trial or a job can be begun."""
    if isinstance(each, Trial):
        extent = wanted.extents[each.trial_id]
        for required in extent.requires:
            yield from ((required, level) for level in wanted.extents[required].levels)
        yield from (found.alignment_id for found in extent.mask_permutations.values())
        return
    yield from ((network.trial_id, network.level) for network in each.networks)
    if isinstance(each, BarrierJob):
        yield from each.comparison.alignments


def lost_by(wanted: "Desired", present: "Done") -> Callable[[str], str]:
    """Return a function that says of an id which diverged trainings it requires, or an empty text."""

    @cache
    def words(identity: str) -> str:
        job = wanted.find(identity)
        if job is None:
            return ""
        found = []
        for required in inputs_of(wanted, job):
            if required in present.alignments or required in present.records:
                continue
            kind, name = ("alignment", required) if isinstance(required, str) else ("trial", required[0])
            if name in present.diverged:
                found.append(f"{kind} {name}, which diverged")
            elif deeper := words(name):
                found.append(f"{kind} {name}, which requires {deeper}")
        return " and ".join(dict.fromkeys(found))

    return words
