"""The work of a run: everything that a sweep asks for, minus what the store has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from raysweep.plan.barriers_left import BarriersLeft
from raysweep.plan.desired import Desired
from raysweep.plan.done import Done, levels_left
from raysweep.plan.identity import AlignmentJob, Trial
from raysweep.plan.lost import Lost, lost_by
from raysweep.store.divergence import Divergence

UNFIT = (
    "alignments and barriers are computed again, because checkpoints or permutations that they were computed "
    "from have been replaced by others"
)


@dataclass(frozen=True)
class Todo:
    """Desired minus done.

    `recomputed` counts the finished levels that are computed once more, apart from those that are `outdated`
    (see `Done`). The alignments and barriers in `unfit` have results, but from other checkpoints or
    permutations. `levels` counts the levels that are left of each trial; of one without an entry all are.
    Trials that have `diverged` are not repeated, and neither is what requires them, which `lost` lists: its
    kind, its id and in words why.
    """

    trials: list[Trial]
    alignments: list[AlignmentJob]
    barriers: BarriersLeft
    recomputed: int
    diverged: dict[str, Divergence] = field(default_factory=dict)
    lost: Lost = field(default_factory=Lost.nothing)
    unfit: frozenset[str] = frozenset()
    outdated: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.trials or self.alignments or self.barriers)

    def counts(self) -> dict[str, int]:
        """Return the numbers of trials, alignments, barriers and measurements that are left."""
        return {
            "trials": len(self.trials),
            "alignments": len(self.alignments),
            "barriers": self.barriers.risks,
            "measures": self.barriers.measured().total(),
        }

    def stages(self) -> dict[str, int]:
        """Return the number of jobs that each stage of a run has left; stages without work are left out."""
        stages = {
            "training": len(self.trials),
            "alignments": len(self.alignments),
            "barriers": len(self.barriers),
        }
        return {stage: count for stage, count in stages.items() if count}


def todo(wanted: Desired, present: Done) -> Todo:
    """Return the work still to do, in the order of the plan.

    An alignment that is missing is work even where all its barriers are done, because its row belongs to the
    tables.
    """
    levels = {key: count for key in wanted.trials if (count := levels_left(wanted, present, key))}
    trials = {key: wanted.trials[key] for key in levels}
    alignments = {key: job for key, job in wanted.alignments.items() if key not in present.alignments}
    barriers = BarriersLeft.of(wanted.barriers, present.candidates, present.barriers, present.measures)
    lost = lost_by(wanted, present, trials, alignments, barriers) if present.diverged else Lost.nothing()
    gone = lost.few.keys() | present.diverged.keys()
    return Todo(
        trials=[each for key, each in trials.items() if key not in gone],
        alignments=[job for key, job in alignments.items() if key not in gone],
        barriers=barriers.without(lost.barriers) if lost else barriers,
        recomputed=len(present.stale.keys() - present.outdated.keys()),
        diverged=present.diverged,
        lost=lost,
        unfit=present.unfit,
        outdated=present.outdated,
        levels=levels,
    )
