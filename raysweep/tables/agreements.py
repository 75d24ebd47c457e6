"""The comparison of two permutations that are made of committed alignments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raysweep.plan.identity import AgreementJob
from raysweep.store.results import ResultStore

if TYPE_CHECKING:  # imports torch, which tables without agreements do not need
    from raysweep.plan.permutations import CommittedPermutations

KEPT_BYTES = 2**28  # of committed objects: agreements come in the order of their ids, not of the objects


@dataclass(frozen=True)
class Agreement:
    """The share of all hidden units on which two permutations agree, and the same share by layer group."""

    share: float
    groups: dict[str, float]


class Agreements:
    """Compares permutations; `objects` names the object in which each finished alignment lies."""

    def __init__(self, results: ResultStore, objects: Mapping[str, str]) -> None:
        self._results, self._objects = results, objects
        self._permutations: CommittedPermutations | None = None

    def of(self, job: AgreementJob) -> Agreement:
        """Compare the two permutations of a job. Raises `CorruptObject` for a damaged object."""
        reader = self._reader()
        permutation = reader.read(job.permutation, self._objects)
        against = reader.read(job.against, self._objects) if job.against else None
        groups = permutation.agreement(against) if against else permutation.fixed_points()
        return Agreement(permutation.share_of_fixed_points(against), groups)

    def objects(self, job: AgreementJob) -> list[str] | None:
        """Return the objects that a job reads, or None where an alignment is not done."""
        applied = [job.permutation, *([job.against] if job.against else [])]
        names = [self._objects.get(each) for one in applied for each in one.alignments]
        found = [name for name in names if name is not None]
        return found if len(found) == len(names) else None

    def _reader(self) -> "CommittedPermutations":
        from raysweep.plan.permutations import CommittedPermutations

        if self._permutations is None:
            self._permutations = CommittedPermutations(self._results, KEPT_BYTES)
        return self._permutations
