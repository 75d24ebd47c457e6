"""Permutations along training: found at some checkpoints of two runs and applied at others."""

from itertools import combinations

from raysweep.choices import choose
from raysweep.errors import UserError
from raysweep.plan.alignments import make_agreement, make_stacked
from raysweep.plan.applied_permutations import FoundPermutation, HybridPermutation
from raysweep.plan.comparisons import Comparisons
from raysweep.plan.identity import Comparison, Network, Trial
from raysweep.plan.layer_groups import layers_of_groups
from raysweep.plan.trials import Extent, Family, Trials
from raysweep.sweep.compare import Trajectory
from raysweep.sweep.methods import able
from raysweep.sweep.schema import Sections
from raysweep.training.moment import Moment
from raysweep.vocabulary import AgreementKind, Branch, HybridLayers, Interpolation, Kind

Runs = tuple[Trial, Trial]
Layers = tuple[tuple[str, ...], ...]  # the layer groups in each
Found = dict[int, FoundPermutation]  # by the step at which it was found


class Trajectories:
    """Adds the comparisons along the trajectories of all pairs of a family."""

    def __init__(self, sections: Sections, trials: Trials, comparisons: Comparisons) -> None:
        assert sections.compare.trajectory is not None
        self._asked: Trajectory = sections.compare.trajectory
        self._align, self._kinds = sections.align, sections.compare.kinds
        self._trials, self._comparisons = trials, comparisons

    def compare(self, family: Family) -> None:
        """Add them.

        Raises `UserError` for a moment at which there is no checkpoint, for stacks of more checkpoints than
        there are, and for imported networks.
        """
        if family.dense[0].branch == Branch.IMPORTED:
            raise UserError("compare.trajectory: imported networks have no checkpoints along training")
        extent = self._trials.extents[family.dense[0].trial_id]
        points = _steps("points", self._asked.points, extent)
        steps = _steps("permutations", self._asked.permutations, extent)
        if too_many := [size for size in self._asked.stacks if size > len(steps)]:
            raise UserError(
                f"compare.trajectory.stacks = {too_many[0]}: permutations are found at {len(steps)} "
                "checkpoints"
            )
        for runs in combinations(sorted(family.dense, key=lambda trial: trial.trial_id), 2):
            if Kind.UNALIGNED in self._kinds:
                for point in points:
                    self._comparisons.unaligned(runs[0].setting, _at(runs, point))
            for method in self._align.methods:
                found = {step: self._found(method, runs, step) for step in steps}
                self._pair(method, runs, found, points)
                self._hybrids(method, runs, found, extent)
                if method in able("stacks"):
                    for size in self._asked.stacks:
                        self._stack(method, runs, steps[-size:], points, found)

    def _found(self, method: str, runs: Runs, step: int) -> FoundPermutation:
        return self._comparisons.toward_first(method, runs[0].setting, _at(runs, step))

    def _pair(self, method: str, runs: Runs, found: Found, points: list[int]) -> None:
        setting, last = runs[0].setting, found[max(found)]
        for step, permutation in found.items():
            for point in points:
                self._comparisons.direct(setting, _at(runs, point), method, permutation)
            self._agree(AgreementKind.TRAJECTORY, method, setting, _at(runs, step), permutation, last)

    def _stack(self, method: str, runs: Runs, steps: list[int], points: list[int], found: Found) -> None:
        setting = runs[0].setting
        ones, others = zip(*(_at(runs, step) for step in reversed(steps)), strict=True)
        version = self._comparisons.version(setting)
        job = self._comparisons.align(make_stacked(method, setting, ones, others, self._align, version))
        permutation = job.toward(ones[0])
        for point in points:
            self._comparisons.add(
                Comparison(
                    Interpolation.PAIR, Kind.STACKED, method, setting, _at(runs, point), (None, permutation)
                )
            )
        networks = (*ones, *others)
        self._agree(AgreementKind.STACKED, method, setting, networks, permutation, found[steps[-1]])

    def _agree(
        self,
        kind: AgreementKind,
        method: str,
        setting: str,
        networks: tuple[Network, ...],
        permutation: FoundPermutation,
        against: FoundPermutation,
    ) -> None:
        self._comparisons.agree(make_agreement(kind, method, setting, networks, permutation, against))

    def _hybrids(self, method: str, runs: Runs, found: Found, extent: Extent) -> None:
        if not self._asked.hybrids:
            return
        early = self._asked.early
        step = min(found) if early is None else early.step(extent.per_epoch)
        if step not in found:
            raise UserError(
                f"compare.trajectory.early = {early}: is not among compare.trajectory.permutations"
            )
        ends, layers = _at(runs, extent.total), layers_of_groups(self._trials.model(runs[0]))
        for direction in self._asked.hybrids:
            for number, chosen in _layers(direction, layers).items():
                groups = tuple(group for layer in chosen for group in layer)
                mixed = HybridPermutation(found[step], found[max(found)], groups)
                self._comparisons.add(
                    Comparison(
                        Interpolation.PAIR,
                        Kind.HYBRID,
                        method,
                        runs[0].setting,
                        ends,
                        (None, mixed),
                        hybrid=(direction, number),
                    )
                )


def _layers(direction: str, layers: Layers) -> dict[int, Layers]:
    """The layers with the early permutation, by their number, or by the position of the single layer."""
    count = len(layers)
    early = {
        HybridLayers.BOTTOM_UP: {n: layers[:n] for n in range(count + 1)},
        HybridLayers.TOP_DOWN: {n: layers[count - n :] for n in range(count + 1)},
        HybridLayers.ONE_IN: {n: layers[n : n + 1] for n in range(count)},
        HybridLayers.ONE_OUT: {n: (*layers[:n], *layers[n + 1 :]) for n in range(count)},
    }
    return choose("hybrid", direction, early)


def _at(runs: Runs, step: int) -> tuple[Network, Network]:
    return Network(runs[0].trial_id, 0, step), Network(runs[1].trial_id, 0, step)


def _steps(key: str, moments: list[Moment] | None, extent: Extent) -> list[int]:
    """The steps of these moments, or of all checkpoints where none are given, and the end."""
    if moments is None:
        return list(extent.checkpoints)
    steps = {extent.total}
    for moment in moments:
        step = moment.step(extent.per_epoch)
        if step not in extent.checkpoints:
            there = ", ".join(f"{each}st" for each in extent.checkpoints)
            raise UserError(
                f"compare.trajectory.{key} = {moment}: is step {step}, and train.checkpoints has no such "
                f"checkpoint; there are {there}"
            )
        steps.add(step)
    return sorted(steps)
