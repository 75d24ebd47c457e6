"""What cannot be done because a training has diverged on which it depends."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from raysweep.plan.barrier_table import Barriers
from raysweep.plan.barriers_left import BarriersLeft
from raysweep.plan.desired import Desired
from raysweep.plan.done import Done
from raysweep.plan.identity import AlignmentJob, Trial
from raysweep.plan.lacking import Input, Lacking


def inputs_of(wanted: Desired, each: Trial | AlignmentJob) -> Iterator[Input]:
    """Yield what must be there before a trial or an alignment can be begun."""
    if isinstance(each, Trial):
        extent = wanted.extents[each.trial_id]
        for required in extent.requires:
            yield from ((required, level) for level in wanted.extents[required].levels)
        yield from (found.alignment_id for found in extent.mask_permutations.values())
    else:
        yield from ((network.trial_id, network.level) for network in each.networks)


@dataclass(frozen=True)
class Lost:
    """What requires diverged trainings: `few` has trials and alignments, by id, and `barriers` are places."""

    few: Mapping[str, tuple[str, str]]
    barriers: np.ndarray
    lacking: Lacking

    @classmethod
    def nothing(cls) -> "Lost":
        return cls({}, np.empty(0, np.int32), Lacking(Barriers([], [], [], []), {}))

    def __len__(self) -> int:
        return len(self.few) + len(self.barriers)

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        """Yield the kind and the id of each, and in words which trainings it requires."""
        yield from ((kind, key, why) for key, (kind, why) in self.few.items())
        yield from (("barrier", key, why) for key, why in self.lacking.of(self.barriers))


def lost_by(
    wanted: Desired,
    present: Done,
    trials: Mapping[str, Trial],
    alignments: Mapping[str, AlignmentJob],
    barriers: BarriersLeft,
) -> Lost:
    """Return which of these require diverged trainings."""

    @cache
    def of_required(name: str) -> str:
        required = wanted.trials.get(name) or wanted.alignments.get(name)
        return words(required) if required else ""

    def words(each: Trial | AlignmentJob) -> str:
        return " and ".join(dict.fromkeys(filter(None, map(why, inputs_of(wanted, each)))))

    def why(required: Input) -> str:
        """Say why an input will never be there; nothing of others."""
        if required in present.alignments or required in present.records:
            return ""
        kind, name = ("alignment", required) if isinstance(required, str) else ("trial", required[0])
        if name in present.diverged:
            return f"{kind} {name}, which diverged"
        deeper = of_required(name)
        return f"{kind} {name}, which requires {deeper}" if deeper else ""

    few = {key: ("trial", words(each)) for key, each in trials.items() if key not in present.diverged}
    few |= {key: ("alignment", words(job)) for key, job in alignments.items()}
    inputs: list[Input] = [(key, level) for key in trials for level in wanted.extents[key].levels]
    lost = {each: said for each in [*inputs, *alignments] if (said := why(each))}
    lacking = Lacking(barriers.barriers, lost)
    few = {key: (kind, said) for key, (kind, said) in few.items() if said}
    return Lost(few, lacking.among(barriers.places), lacking)
