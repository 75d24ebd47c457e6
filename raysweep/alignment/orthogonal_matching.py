"""Weight matching by orthogonal matrices where units can be rotated, and by permutations elsewhere.

Coordinate ascent of <A, P[B]>, as in `weight_matching`: the best orthogonal matrix of one group, all others
given, is the solution of a Procrustes problem in the similarities of its units (Schoenemann 1966; Zhang et
al. 2025, arXiv 2502.00264, for heads; Theus et al. 2025, arXiv 2506.22712, for residual streams). Heads are
still matched one to one: by the sum of the similarities that the best matrices of each pair of heads reach.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import torch

from raysweep.alignment.assignments import Matrices, assignment, assignment_of_blocks, by_pair
from raysweep.alignment.couplings import Coupled
from raysweep.alignment.products import Similarities, State
from raysweep.alignment.weight_matching import Alignment, check_spec, matched_spec, objective, weight_matching
from raysweep.models.given import Network, as_floats
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.axes import Axis, Blocks, Within, groups_of
from raysweep.symmetry.blocks import block_index, together

ROUNDS = 100  # over all groups, at most
TOLERANCE = 1e-6  # relative: by less than this a round must raise the objective for the last time


def orthogonal_matching(
    rotated_spec: PermutationSpec, target: Network, source: Network, seed: int = 0, *, streams: bool = True
) -> Alignment:
    """Find the permutation and rotations of units that bring the source close to the target.

    `rotated_spec` has `rotations` (`PermutationSpec.with_rotations`); units of other groups are permuted, and
    without `streams` so are those that a norm reads. The objective is the inner product of the weights of the
    `folded` networks, in float64, without the gains that are folded; it is at least that of
    `weight_matching`, which is what remains where nothing can be rotated, and whose visits `seed` orders. To
    be compared, both networks must be folded. Raises `ValueError` for states that do not fit the spec, and
    for gains that cannot be folded.
    """
    check_spec(rotated_spec)
    chosen = {g: each for g, each in rotated_spec.rotations.items() if streams or not each.behind_norms}
    spec = replace(rotated_spec, rotations=chosen)
    gains = {folding.gain for rotation in chosen.values() for folding in rotation.foldings}
    matched = {name: axes for name, axes in matched_spec(spec).axes.items() if name not in gains}
    rotations = {group: replace(each, foldings=()) for group, each in spec.rotations.items()}
    rest = PermutationSpec(matched, spec.sizes, frozenset(), spec.blocks, rotations=rotations)
    goal, start = (_double(spec.folded(state), matched) for state in (target, source))
    found = weight_matching(rest, goal, start, seed)
    if not spec.rotations:
        return found
    ascent = _Ascent(rest, goal, start)
    ends = [ascent.ascend(found.permutation), ascent.ascend(ascent.forward())]
    reached, permutation = max(ends, key=lambda end: end[0])
    return Alignment(permutation, reached, found.objective_identity, found.iterations + ascent.solved)


def _double(state: State, names: Collection[str]) -> State:
    floats = as_floats(state, names)
    return {name: floats[name].detach().double() for name in names}


class _Ascent:
    """Coordinate ascent over one group at a time, or over all groups whose blocks move together.

    The networks are folded and in float64. A step is found for the source as it has been moved so far.
    """

    def __init__(self, spec: PermutationSpec, target: State, source: State) -> None:
        self._spec, self._target, self._source = spec, target, source
        self._blocks = {each.groups: each for each in spec.blocks}
        self._moves = together(spec.sizes, spec.blocks)
        self._still = Permutation.identity(spec.sizes).indices
        self._scale = objective(source, source, spec.axes)
        self.solved = 0

    def forward(self) -> Permutation:
        """Solve each group once, by the weights whose other axes are settled; this finds a copy exactly."""
        whole, settled = self._unmoved(), set[str]()
        for groups in self._moves:
            moved = self._spec.apply(whole, self._source)
            whole = self._step(groups, moved, settled).compose(whole)
            settled |= set(groups)
        return whole

    def ascend(self, start: Permutation) -> tuple[float, Permutation]:
        """Solve one group after the other until the objective no longer rises; return it and where it is."""
        whole = start.compose(self._unmoved())
        moved = self._spec.apply(whole, self._source)
        reached = objective(self._target, moved, self._spec.axes)
        for _ in range(ROUNDS):
            before = reached
            for groups in self._moves:
                step = self._step(groups, moved)
                trial = self._spec.apply(step, moved)
                value = objective(self._target, trial, self._spec.axes)
                if value > reached:
                    reached, moved, whole = value, trial, step.compose(whole)
            if reached - before <= TOLERANCE * self._scale:
                break
        return reached, whole

    def _unmoved(self) -> Permutation:
        """Return the identity with rotations, which say that it is one of folded networks."""
        sizes, rotations = self._spec.sizes, self._spec.rotations
        blocks = {group: rotation.blocks for group, rotation in rotations.items()}
        eyes = {g: torch.eye(sizes[g] // n, dtype=torch.float64).repeat(n, 1, 1) for g, n in blocks.items()}
        return Permutation(self._still, rotations=eyes)

    def _step(
        self, groups: tuple[str, ...], moved: State, settled: Collection[str] | None = None
    ) -> Permutation:
        """Match these groups by all their weights, or by those whose other axes are settled."""
        self.solved += 1
        names = [n for n, axes in self._spec.axes.items() if any(_has(axis, groups) for axis in axes)]
        part = replace(self._spec, axes={name: self._spec.axes[name] for name in names})
        products, own = Similarities((part, part), [self._target], [moved]), self._blocks.get(groups)
        coupled = own and self._spec.rotations.keys().isdisjoint(groups)
        if settled is not None:
            similar = {group: products.given(group, self._still, settled).cpu() for group in groups}
        elif own and coupled:
            similar = {g: each.cpu() for g, each in products.uncoupled(own, self._still).items()}
        else:  # groups that are rotated are coupled as they are matched now
            similar = {group: products.of(group, self._still).cpu() for group in groups}
        if own:
            couplings = products.couplings(own, self._still) if coupled else []
            return self._step_of_blocks(own, similar, couplings)
        (group,) = groups
        if group in self._spec.rotations:
            best = self._spec.rotations[group].nearest(similar[group][None])
            return Permutation(self._still, rotations={group: best})
        return Permutation({**self._still, group: assignment(similar[group])})

    def _step_of_blocks(self, own: Blocks, similar: Matrices, couplings: Sequence[Coupled]) -> Permutation:
        """Match blocks by what the best matchings and rotations of each pair of them reach.

        A group that is rotated is replaced by one of a single unit in each block, whose similarity is that of
        the two blocks.
        """
        rotated = [group for group in own.groups if group in self._spec.rotations]
        pairs = {group: by_pair(similar[group], own.count) for group in rotated}
        best = {g: self._spec.rotations[g].nearest(pairs[g].flatten(0, 1)).view_as(pairs[g]) for g in rotated}
        worth = {group: (best[group] * pairs[group]).sum(dim=(2, 3)) for group in rotated}
        found = assignment_of_blocks({**similar, **worth}, own.count, couplings)
        indices, rotations = {**self._still, **found}, {}
        for group in rotated:
            order, size = found[group], pairs[group].shape[2]
            indices[group] = block_index(order, torch.arange(size).expand(own.count, -1))
            rotations[group] = best[group][torch.arange(own.count), order]
        return Permutation(indices, rotations=rotations)


def _has(axis: Axis | Within | None, groups: Collection[str]) -> bool:
    return any(group in groups for group in groups_of(axis))
