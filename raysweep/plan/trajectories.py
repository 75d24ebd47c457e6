"""Permutations along training: found at some checkpoints of two runs and applied at others."""

from itertools import combinations

from raysweep.choices import choose
from raysweep.errors import UserError
from raysweep.plan.applied_permutations import Hybrid, Move
from raysweep.plan.comparisons import Comparisons
from raysweep.plan.identity import AlignmentJob, Network, Trial, make_stacked
from raysweep.plan.probes import layers_of_groups
from raysweep.plan.trials import Extent, Family, Trials
from raysweep.sweep.schema import Sections, Trajectory
from raysweep.training.moment import Moment
from raysweep.vocabulary import BY_WEIGHTS

Runs = tuple[Trial, Trial]
Layers = tuple[tuple[str, ...], ...]  # the groups of hidden units in each


class Trajectories:
    """Adds the comparisons along the trajectories of all pairs of a family."""

    def __init__(self, sections: Sections, trials: Trials, comparisons: Comparisons) -> None:
        assert sections.compare.trajectory is not None
        self._wanted: Trajectory = sections.compare.trajectory
        self._align, self._kinds = sections.align, sections.compare.kinds
        self._trials, self._comparisons = trials, comparisons

    def compare(self, family: Family) -> None:
        """Add them. Raises `UserError` for a moment at which there is no checkpoint."""
        extent = self._trials.extents[family.dense[0].trial_id]
        points = _steps("points", self._wanted.points, extent)
        found = _steps("permutations", self._wanted.permutations, extent)
        for runs in combinations(sorted(family.dense, key=lambda trial: trial.trial_id), 2):
            if "unaligned" in self._kinds:
                for point in points:
                    self._comparisons.unaligned(runs[0].group, _at(runs, point))
            for method in self._align.methods:
                moves = {step: self._move(method, runs, step) for step in found}
                self._pair(method, runs, moves, points)
                self._hybrids(method, runs, moves, extent)
                if method in BY_WEIGHTS:
                    for size in self._wanted.stacks:
                        self._stack(method, runs, found[-size:], points, moves)

    def _move(self, method: str, runs: Runs, step: int) -> Move:
        pair = _at(runs, step)
        return self._comparisons.toward_first(method, runs[0].group, pair)

    def _pair(self, method: str, runs: Runs, moves: dict[int, Move], points: list[int]) -> None:
        last = max(moves)
        for step, move in moves.items():
            for point in points:
                self._comparisons.direct(runs[0].group, _at(runs, point), method, move)
            self._comparisons.agree("trajectory", method, runs[0].group, _at(runs, step), move, moves[last])

    def _stack(
        self, method: str, runs: Runs, steps: list[int], points: list[int], moves: dict[int, Move]
    ) -> None:
        ones, others = zip(*(_at(runs, step) for step in reversed(steps)), strict=True)
        made = make_stacked(
            method, runs[0].group, ones, others, self._align, self._comparisons.version(runs[0].group)
        )
        job: AlignmentJob = self._comparisons.alignments.setdefault(made.alignment_id, made)
        move = job.toward(ones[0])
        for point in points:
            self._comparisons.add("pair", "stacked", method, runs[0].group, _at(runs, point), (None, move))
        self._comparisons.agree("stacked", method, runs[0].group, (*ones, *others), move, moves[steps[-1]])

    def _hybrids(self, method: str, runs: Runs, moves: dict[int, Move], extent: Extent) -> None:
        if not self._wanted.hybrids:
            return
        early = self._wanted.early
        step = min(moves) if early is None else early.step(extent.per_epoch)
        if step not in moves:
            raise UserError(
                f"compare.trajectory.early = {early}: is not among compare.trajectory.permutations"
            )
        layers = layers_of_groups(self._trials.model(runs[0]))
        for direction in self._wanted.hybrids:
            for number, chosen in _layers(direction, layers).items():
                groups = tuple(group for layer in chosen for group in layer)
                move = Hybrid(moves[step], moves[max(moves)], groups)
                self._comparisons.add(
                    "pair",
                    "hybrid",
                    method,
                    runs[0].group,
                    _at(runs, extent.total),
                    (None, move),
                    hybrid=(direction, number),
                )


def _layers(direction: str, layers: Layers) -> dict[int, Layers]:
    """The layers with the early permutation, by their number, or by the place of the one in or out."""
    count = len(layers)
    early = {
        "bottom_up": {n: layers[:n] for n in range(count + 1)},
        "top_down": {n: layers[count - n :] for n in range(count + 1)},
        "one_in": {n: layers[n : n + 1] for n in range(count)},
        "one_out": {n: (*layers[:n], *layers[n + 1 :]) for n in range(count)},
    }
    return choose("hybrid", direction, early)


def _at(runs: Runs, step: int) -> tuple[Network, Network]:
    return Network(runs[0].trial_id, 0, step), Network(runs[1].trial_id, 0, step)


def _steps(key: str, moments: list[Moment] | None, extent: Extent) -> list[int]:
    """The steps of these moments (all checkpoints unless given), and the end."""
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
