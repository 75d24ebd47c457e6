"""What cannot be done because a training has diverged on which it depends."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from raysweep.plan.desired import Desired
from raysweep.plan.done import Done
from raysweep.plan.identity import AlignmentJob, BarrierJob, Trial

Input = tuple[str, int] | str  # a level of a trial, or an alignment


def inputs_of(wanted: Desired, each: Trial | AlignmentJob | BarrierJob) -> Iterator[Input]:
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


def lost_by(
    wanted: Desired,
    present: Done,
    trials: Mapping[str, Trial],
    alignments: Mapping[str, AlignmentJob],
    barriers: Iterable[BarrierJob],
) -> dict[str, tuple[str, str]]:
    """Return which of these require diverged trainings, by id: their kind, and in words which trainings."""

    @cache
    def of_required(name: str) -> str:
        required = wanted.trials.get(name) or wanted.alignments.get(name)
        return words(required) if required else ""

    def words(each: Trial | AlignmentJob | BarrierJob) -> str:
        found = []
        for required in inputs_of(wanted, each):
            if required in present.alignments or required in present.records:
                continue
            kind, name = ("alignment", required) if isinstance(required, str) else ("trial", required[0])
            if name in present.diverged:
                found.append(f"{kind} {name}, which diverged")
            elif deeper := of_required(name):
                found.append(f"{kind} {name}, which requires {deeper}")
        return " and ".join(dict.fromkeys(found))

    lost = {key: ("trial", words(each)) for key, each in trials.items() if key not in present.diverged}
    lost |= {key: ("alignment", words(job)) for key, job in alignments.items()}
    lost |= {job.barrier_id: ("barrier", why) for job in barriers if (why := words(job))}
    return {key: (kind, why) for key, (kind, why) in lost.items() if why}
