"""Rounds of swaps of units that lower the loss of mixtures."""

from collections.abc import Iterator, Mapping, Sequence

import torch

from raysweep.alignment.learned_candidates import Candidates
from raysweep.alignment.learned_mixtures import Examples, Mixtures
from raysweep.alignment.learned_moves import Swap, carried_out, disjoint, promising
from raysweep.alignment.progress import Tensors, stored_permutations, tensors_of
from raysweep.alignment.relaxed import apply_relaxed, matrices_of
from raysweep.models.given import first_floating
from raysweep.symmetry import Permutation

FEW = 256  # examples on which all candidates are tried
FINALISTS = 8  # one of so many candidates is then tried on all examples


class Swaps:
    """Rounds of swaps, every one of which lowers the loss on some examples.

    A round tries the `candidates` that gain most to first order, on a few examples, and the best of them on
    all. Of those that lower the loss, in the order of what they gain and as far as they move different units,
    it carries out the first one, two, four and so on: as many as together lower the loss most.
    """

    def __init__(
        self,
        mixtures: Mixtures,
        start: Sequence[Permutation],
        examples: Examples,
        candidates: int,
        rounds: int,
        found: Mapping[str, torch.Tensor],
    ) -> None:
        """Begin at the permutations `start`, or go on from what `state` of another process returned."""
        self._mixtures, self._examples, self._candidates = mixtures, examples, candidates
        self._permutations = stored_permutations(found, mixtures.spec.sizes) if found else list(start)
        self._reached = mixtures.value(self._permutations, examples)
        self._left = int(found["left"]) if found else rounds
        self._members = {
            member: Candidates(mixtures, member, candidates) for member in range(1, len(mixtures.states))
        }

    def state(self) -> Tensors:
        """Return from where another process can go on."""
        return {"left": torch.tensor(self._left), **tensors_of(self._permutations)}

    def run(self) -> Iterator[list[Permutation]]:
        """Yield the permutations after each round, until no swap that was tried lowers the loss."""
        while self._left:
            before = self._reached
            for option in _first(self._lower()):
                tried = carried_out(self._mixtures.spec, self._permutations, option)
                value = self._mixtures.value(tried, self._examples)
                if value < self._reached:
                    self._reached, best = value, tried
            if self._reached == before:
                return
            self._permutations, self._left = best, self._left - 1
            yield self._permutations

    def _lower(self) -> list[Swap]:
        """Return swaps of different units that lower the loss one by one, those that gain most first."""
        mixtures = self._mixtures
        moved = mixtures.moved(self._permutations)
        swaps = promising(mixtures.spec, _gradients(mixtures, moved, self._examples), self._candidates)
        few = self._losses(moved, swaps, self._examples.first(FEW))
        best = few.argsort(stable=True)[: -(-len(swaps) // FINALISTS)]
        swaps = [swaps[place] for place in best.tolist()]
        values = self._losses(moved, swaps, self._examples)
        order = values.argsort(stable=True).tolist()
        return disjoint([swaps[place] for place in order if values[place] < self._reached])

    def _losses(
        self, moved: Sequence[dict[str, torch.Tensor]], swaps: Sequence[Swap], examples: Examples
    ) -> torch.Tensor:
        """Return the loss after each of the swaps alone, shape (swaps,)."""
        sizes, result = self._mixtures.spec.sizes, torch.empty(len(swaps))
        for member in sorted({swap.member for swap in swaps}):
            own = [place for place, swap in enumerate(swaps) if swap.member == member]
            orders = [swaps[place].order(sizes) for place in own]
            stacked = {group: torch.stack([order[group] for order in orders]) for group in sizes}
            result[own] = self._members[member].losses(moved, stacked, examples)
        return result


def _first(swaps: list[Swap]) -> Iterator[list[Swap]]:
    number = 1
    while number < 2 * len(swaps):
        yield swaps[:number]
        number *= 2


@torch.enable_grad()
def _gradients(
    mixtures: Mixtures, moved: Sequence[dict[str, torch.Tensor]], examples: Examples
) -> list[dict[str, torch.Tensor]]:
    """Return the gradient of the loss by network, from the second on, and by group: see `promising`."""
    like = first_floating(moved[0])
    identity = matrices_of(Permutation.identity(mixtures.spec.sizes), like)
    matrices = [{g: m.clone().requires_grad_() for g, m in identity.items()} for _ in moved[1:]]
    further = [apply_relaxed(mixtures.spec, m, s) for m, s in zip(matrices, moved[1:], strict=True)]
    found = torch.autograd.grad(
        mixtures.loss([moved[0], *further], examples), [m for own in matrices for m in own.values()]
    )
    each = iter(found)
    return [{group: next(each) for group in own} for own in matrices]
