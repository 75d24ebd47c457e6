"""Weight matching by monomial matrices: permutations of units together with their scales and signs.

Scales are brought to a canonical form first: that of the least sum of squared weights, which is unique and is
reached by rescaling one group after the other (equi-normalisation, Stock et al. 2019, arXiv 1902.10416).
Signs are matched with the permutation: two units are as similar as they are under the better one of the two
signs.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import torch

from raysweep.alignment.assignments import assignment
from raysweep.alignment.products import Similarities, State
from raysweep.alignment.weight_matching import Alignment, check_spec, matched_spec, objective, weight_matching
from raysweep.models.given import Network, as_floats, state_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.scaling import Factors, Scaling, by_unit, scaled_state

ROUNDS = 1000  # of rescaling, at most; a network of ten layers needs a few dozen
CONVERGED = 1e-10  # the largest logarithm of a factor in the last round
TOLERANCE = 1e-12  # relative: by more than this a step must raise the objective


def monomial_matching(
    scaled_spec: PermutationSpec, target: Network, source: Network, seed: int = 0, *, order: str = "random"
) -> Alignment:
    """Find the permutation, scales and signs of units that bring the source close to the target.

    `scaled_spec` has `scalings` (`PermutationSpec.with_scalings`); units of a group without scaling are only
    permuted. The objective is the inner product of the weights in their canonical scales, in float64. `seed`
    and `order` are those of `weight_matching`, which is what remains where no group has a scaling. Raises
    `ValueError` for states that do not fit the spec.
    """
    check_spec(scaled_spec)
    spec, target, source = scaled_spec, state_of(target, "target"), state_of(source, "source")
    matched = matched_spec(spec)
    for state in (target, source):
        matched.check_state(state)
    target, source = as_floats(target, matched.axes), as_floats(source, matched.axes)
    ones, others = canonical_scales(spec, target), canonical_scales(spec, source)
    goal, start = (
        scaled_state(s, spec.axes, spec.scalings, f) for s, f in ((target, ones), (source, others))
    )
    found = weight_matching(spec, goal, start, seed, order=order)
    if any(scaling.sign for scaling in spec.scalings.values()):
        found = _with_signs(replace(matched, scalings=_of(spec, matched)), goal, start, found)
    identity = Permutation.identity(spec.sizes)
    into, out_of = (replace(identity, factors=factors) for factors in (others, ones))
    whole = out_of.inverse().compose(found.permutation.compose(into))
    return replace(found, permutation=whole)


def canonical_scales(spec: PermutationSpec, state: State) -> dict[str, torch.Tensor]:
    """Return the positive factors, by group, under which the sum of the squares of the weights is smallest.

    In float64, shape (units,). A unit without incoming or outgoing weights has a factor of 1.
    """
    scalings = {g: scaling for g, scaling in _of(spec, matched_spec(spec)).items() if scaling.positive}
    names = {name for scaling in scalings.values() for name, _ in scaling.exponents}
    squares = {name: state[name].detach().double().square() for name in names}
    factors = {group: torch.ones(spec.sizes[group], dtype=torch.float64) for group in scalings}
    for _ in range(ROUNDS):
        largest = 0.0
        for group, scaling in scalings.items():
            step = _balancing(spec, squares, group, scaling)
            factors[group] *= step
            squares = scaled_state(squares, spec.axes, {group: scaling}, {group: step.square()})
            largest = max(largest, float(step.log().abs().max()))
        if largest < CONVERGED:
            break
    return factors


def _of(spec: PermutationSpec, matched: PermutationSpec) -> dict[str, Scaling]:
    """Return the scalings as they act on the matched parameters."""
    return {
        group: replace(
            scaling, exponents={w: e for w, e in scaling.exponents.items() if w[0] in matched.axes}
        )
        for group, scaling in spec.scalings.items()
    }


def _balancing(
    spec: PermutationSpec, squares: Mapping[str, torch.Tensor], group: str, scaling: Scaling
) -> torch.Tensor:
    """Return d that minimises d^2 a + b / d^2, where a and b are the squares of the weights that d multiplies
    and divides."""
    sums = {1: torch.zeros(spec.sizes[group], dtype=torch.float64)}
    sums[-1] = sums[1].clone()
    for (name, dimension), exponent in scaling.exponents.items():
        sums[exponent] += by_unit(squares[name], spec.axes[name], dimension, group).cpu()
    step = (sums[-1] / sums[1]) ** 0.25
    return torch.where(step.isfinite() & (step > 0), step, torch.ones_like(step))


class _SignedAscent:
    """Coordinate ascent over the permutations and signs of one group at a time; groups in blocks keep theirs.

    Signs belong to the units of the source in their own order, and are applied to its weights.
    """

    def __init__(self, spec: PermutationSpec, target: State, source: State) -> None:
        self._spec, self._target, self._source = spec, target, source
        inside = {group for each in spec.blocks for group in each.groups}
        self._groups = [group for group in spec.sizes if group not in inside]
        self._signed = {group for group, scaling in spec.scalings.items() if scaling.sign}
        self.signs: Factors = {}
        self.indices: dict[str, torch.Tensor] = {}
        self.solved = 0

    def begin(self, indices: Mapping[str, torch.Tensor]) -> None:
        """Begin at a permutation, with all signs positive."""
        self.indices = dict(indices)
        self._set({g: torch.ones(self._spec.sizes[g], dtype=torch.float64) for g in self._signed})

    def forward(self) -> None:
        """Solve each group once, by the weights whose other axes are settled; this finds a copy exactly."""
        settled = set(self._spec.sizes) - set(self._groups)
        for group in self._groups:
            self._take(group, settled)
            settled.add(group)

    def ascend(self) -> float:
        """Solve one group after the other until the objective no longer rises; return it."""
        reached = self._objective()
        tolerance = TOLERANCE * sum(float(self._source[n].double().norm()) ** 2 for n in self._spec.axes)
        risen = True
        while risen:
            risen = False
            for group in self._groups:
                before = self.indices[group], self.signs
                self._take(group)
                value = self._objective()
                if value > reached + tolerance:
                    reached, risen = value, True
                else:
                    self.indices[group] = before[0]
                    self._set(before[1])
        return reached

    def _take(self, group: str, settled: Collection[str] | None = None) -> None:
        """Match the units of a group, by all their weights or by those whose other axes are settled."""
        self.solved += 1
        same = self._similarity(group, self._products, settled)
        if group not in self._signed:
            self.indices[group] = assignment(same)
            return
        flipped = {**self.signs, group: -self.signs[group]}
        turned = self._similarity(group, self._products_of(self._with(flipped)), settled)
        new = assignment(torch.maximum(same, turned))
        rows = torch.arange(len(new))
        minus = new[turned[rows, new] > same[rows, new]]
        self.indices[group] = new
        if len(minus):
            signs = self.signs[group].clone()
            signs[minus] *= -1
            self._set({**self.signs, group: signs})

    def _similarity(
        self, group: str, products: Similarities, settled: Collection[str] | None
    ) -> torch.Tensor:
        if settled is None:
            return products.of(group, self.indices).cpu()
        return products.given(group, self.indices, settled).cpu()

    def _set(self, signs: Factors) -> None:
        self.signs = dict(signs)
        self._state = self._with(self.signs)
        self._products = self._products_of(self._state)

    def _with(self, signs: Factors) -> State:
        return scaled_state(self._source, self._spec.axes, self._spec.scalings, signs)

    def _products_of(self, state: State) -> Similarities:
        return Similarities((self._spec, self._spec), [self._target], [state])

    def _objective(self) -> float:
        moved = self._spec.apply(Permutation(self.indices), self._state)
        return objective(self._target, moved, self._spec.axes)


def _with_signs(spec: PermutationSpec, target: State, source: State, unsigned: Alignment) -> Alignment:
    """Ascend from a permutation without signs, and from a forward pass with them; return the better end."""
    ascent, found, solved = _SignedAscent(spec, target, source), [], unsigned.iterations
    for forward in (False, True):
        ascent.begin(unsigned.permutation.indices)
        if forward:
            ascent.forward()
        found.append((ascent.ascend(), dict(ascent.indices), ascent.signs))
    reached, indices, signs = max(found, key=lambda each: each[0])
    factors = {group: sign[indices[group]] for group, sign in signs.items()}
    iterations = solved + ascent.solved
    return Alignment(Permutation(indices, factors), reached, unsigned.objective_identity, iterations)
