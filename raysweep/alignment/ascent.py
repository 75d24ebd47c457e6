"""Coordinate ascent: one group's assignment at a time, by the linear or the cosine kernel."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import torch

from raysweep.alignment.assignments import Norms, assignment, assignment_inside, assignment_of_blocks
from raysweep.alignment.products import Indices, Similarities
from raysweep.choices import check_names, choose
from raysweep.symmetry import PermutationSpec
from raysweep.symmetry.axes import Blocks, Shared, groups_of, segments

Order = Callable[[list[str], torch.Generator], list[str]]


def _shuffled(groups: list[str], generator: torch.Generator) -> list[str]:
    return [groups[index] for index in torch.randperm(len(groups), generator=generator).tolist()]


ORDERS: dict[str, Order] = {  # of the groups in a sweep
    "random": _shuffled,
    "forward": lambda groups, _: groups,
    "backward": lambda groups, _: groups[::-1],
}
# Tolerances are relative to the scale, the largest value that the objective can have, as are rounding errors.
# Relative to the objective they could be smaller than rounding, because the objective may be near zero.
TOLERANCE = 1e-12  # a step must raise the objective, in float64, by more than this
CERTAIN = 1e-5  # a gain in float32 above this is beyond rounding, and is not computed again in float64
SWEEPS = 50  # at most, with the cosine kernel, whose objective may fall and rise for ever


@dataclass(frozen=True)
class Reached:
    """Where an ascent ended: indices by group, the objective, and the number of assignments solved."""

    indices: Indices
    objective: float
    iterations: int


@dataclass(frozen=True)
class Ascent:
    """The inputs of an ascent for two networks (or two lists of checkpoints), and the algorithms.

    `products` are the gains of the `objective`, which is in float64: <A, P[B]>, whose `scale` is |A||B|, or
    minus a squared distance. `spec` holds the matched parameters alone, and only `groups` move. Similarities
    are formed where the states are, and come to the CPU, where assignments are solved and permutations lie.
    """

    products: Similarities
    spec: PermutationSpec
    groups: Collection[str]
    order: str
    objective: Callable[[Indices], float]
    scale: float

    def __post_init__(self) -> None:
        check_names("order", [self.order], ORDERS)

    def linear(self, start: Indices, generator: torch.Generator) -> Reached:
        """Solve groups until no neighbour of a group has changed since; every step raises the objective.

        A group in blocks is solved inside its blocks; after the first group of the blocks, all their groups
        are solved at once, together with the order of the blocks.
        """
        neighbours, blocks = neighbours_of(self.spec), self._blocks()
        indices, iterations = dict(start), 0
        stale: set[str | Blocks] = {*self.groups, *blocks.values()}

        def changed(groups: Iterable[str]) -> set[str | Blocks]:
            reached = set().union(*(neighbours[group] for group in groups)) & set(self.groups)
            partly = {each for each in blocks.values() if not reached.isdisjoint(each.groups)}
            return reached | partly

        while stale:
            for group in self._visits(generator):
                if group in stale:
                    stale.discard(group)
                    iterations += 1
                    similarity = self.products.of(group, indices).cpu()
                    new = self._assigned(group, similarity, indices)
                    if self._gains(group, similarity, indices, new, group in neighbours[group]):
                        indices[group] = new
                        stale |= changed([group])
                if blocks.get(group) in stale:
                    own = blocks[group]
                    stale.discard(own)
                    iterations += 1
                    moved = self._blocks_moved(own, indices)
                    if moved is not None:
                        indices |= moved
                        stale |= changed(own.groups) | {own, *own.groups}
        return Reached(indices, self.objective(indices), iterations)

    def _blocks_moved(self, own: Blocks, indices: dict[str, torch.Tensor]) -> dict[str, torch.Tensor] | None:
        """Match blocks and the units in them, for all groups at once; None if the objective does not rise."""
        now = {group: indices[group] for group in own.groups}
        similar, couplings = self.products.uncoupled(own, indices), self.products.couplings(own, indices)
        new = assignment_of_blocks(similar, own.count, couplings, now)
        if all(torch.equal(new[group], now[group]) for group in own.groups):
            return None
        change = self.objective(indices | new) - self.objective(indices)
        return new if change > TOLERANCE * self.scale else None

    def _blocks(self) -> dict[str, Blocks]:
        """Return, by the first group of each, the blocks that may move because all their groups may."""
        return {each.groups[0]: each for each in self.spec.blocks if set(each.groups) <= set(self.groups)}

    def _assigned(self, group: str, similarity: torch.Tensor, indices: Indices) -> torch.Tensor:
        """Return the best matching of the units of one group while the blocks keep their order."""
        count = next((each.count for each in self.spec.blocks if group in each.groups), None)
        return assignment_inside(similarity, count, indices[group]) if count else assignment(similarity)

    def linear_twice(self, start: Indices, generator: torch.Generator) -> Reached:
        """Ascend from `start`, and again from a forward pass if that begins higher than the first ends.

        The forward pass solves each group once, by the weights whose other axes are settled already. It finds
        a permuted copy of a network exactly. An ascent from the identity, for which the later layers are
        noise at first, may stop at a local maximum in narrow networks.
        """
        reached = self.linear(start, generator)
        indices, settled = dict(start), set(self.spec.sizes) - set(self.groups)
        blocks = self._blocks()
        for group in self.spec.sizes:
            if group in blocks:
                own = blocks[group]
                given = {each: self.products.given(each, indices, settled) for each in own.groups}
                indices |= assignment_of_blocks(given, own.count, self.products.couplings(own, indices))
                settled |= set(own.groups)
            elif group not in settled:
                similarity = self.products.given(group, indices, settled).cpu()
                indices[group] = self._assigned(group, similarity, indices)
                settled.add(group)
        iterations = reached.iterations + len(self.groups)
        if self.objective(indices) <= reached.objective:
            return Reached(reached.indices, reached.objective, iterations)
        again = self.linear(indices, generator)
        return Reached(again.indices, again.objective, iterations + again.iterations)

    def _gains(
        self, group: str, similarity: torch.Tensor, indices: Indices, new: torch.Tensor, twice: bool
    ) -> bool:
        """Whether a step raises the objective; in float64, unless float32 is accurate enough to tell.

        `twice` says that the group lies along two axes of one parameter, so that the similarity is not the
        whole change.
        """
        rows = (new != indices[group]).nonzero().squeeze(1)
        if not len(rows):
            return False
        if twice:
            change = self.objective({**indices, group: new}) - self.objective(indices)
            return change > TOLERANCE * self.scale
        old, new = indices[group][rows], new[rows]
        estimate = similarity[rows, new] - similarity[rows, old]
        if estimate.double().sum().item() > CERTAIN * self.scale:
            return True
        return self.products.gain(group, indices, rows, old, new) > TOLERANCE * self.scale

    def cosine(self, start: Indices, generator: torch.Generator) -> Reached:
        """Solve all groups in at most `SWEEPS` sweeps and return the best iterate.

        The objective is the sum, over groups and units, of the cosine between the weight vectors of matched
        units; such a vector concatenates all weights of the unit. The objective may fall, because a step that
        raises the cosines of one group may lower those of another.
        """
        norms, blocks = {group: self.products.norms(group) for group in self.groups}, self._blocks()
        indices = dict(start)
        best, iterations = Reached(start, self._cosines(norms, indices), 0), 0
        for _ in range(SWEEPS):
            changed = False
            for group in self._visits(generator):
                if group in norms:
                    iterations += 1
                    if group in blocks:
                        new = self._cosines_of_blocks(blocks[group], norms, indices)
                    else:
                        similarity = _scaled(self.products.of(group, indices), *norms[group]).cpu()
                        new = {group: self._assigned(group, similarity, indices)}
                    changed |= any(not torch.equal(new[each], indices[each]) for each in new)
                    indices |= new
            if not changed:
                break
            value = self._cosines(norms, indices)
            if value > best.objective:
                best = Reached(dict(indices), value, 0)
        return Reached(best.indices, best.objective, iterations)

    def _cosines_of_blocks(self, own: Blocks, norms: Norms, indices: Indices) -> dict[str, torch.Tensor]:
        return assignment_of_blocks(
            self.products.uncoupled(own, indices),
            own.count,
            self.products.couplings(own, indices),
            {group: indices[group] for group in own.groups},
            {group: (_positive(norms[group][0]), _positive(norms[group][1])) for group in own.groups},
        )

    def cosines(self, indices: Indices) -> float:
        """Return the objective of the cosine kernel."""
        return self._cosines({group: self.products.norms(group) for group in self.groups}, indices)

    def _cosines(self, norms: Norms, indices: Indices) -> float:
        value: torch.Tensor | float = 0.0
        for group, pair in norms.items():
            similarity = _scaled(self.products.of(group, indices), *pair)
            matched = indices[group][:, None].to(similarity.device, non_blocking=True)
            value = value + similarity.gather(1, matched).sum()
        return float(value)

    def _visits(self, generator: torch.Generator) -> list[str]:
        return choose("order", self.order, ORDERS)(list(self.spec.sizes), generator)


def neighbours_of(spec: PermutationSpec) -> dict[str, set[str]]:
    """Return, by group, the groups that share a parameter with it; itself if along two axes of one."""
    result: dict[str, set[str]] = {group: set() for group in spec.sizes}
    for axes in spec.axes.values():
        present = [set(groups_of(axis)) for axis in axes]
        for number, own in enumerate(present):
            others = set().union(*present[:number], *present[number + 1 :])
            for group in own:
                result[group] |= others
        for shared in (s for axis in axes for s in segments(axis) if isinstance(s, Shared)):
            result[str(shared.group)].add(shared.heads)
            result[shared.heads].add(str(shared.group))
    return result


def _scaled(similarity: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return similarity.double() / _positive(left)[:, None] / _positive(right)[None]


def _positive(norms: torch.Tensor) -> torch.Tensor:
    """Units whose weights are all zero have cosine 0."""
    return norms.clamp(min=torch.finfo(norms.dtype).tiny)
