"""How often the 95 % intervals of the analyses hold the true mean: the share, of as many samples of networks.

Simulated: each network has an effect on all its comparisons, each pair of networks and each comparison one of
their own with half the standard deviation. The effects are normal, lognormal (of a normal with standard
deviation 0.5; skewness 1.75) or exponential (skewness 2), with mean zero.

Trained: digits MLPs of width 64, of which random sets are taken; the truth is the mean over all of them. A
set of n among N networks varies less around it than networks drawn anew, by sqrt(1 - n / N); its error is
divided by this, and no set is more than half of them. Barriers have 7 alphas, on the test set.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from analysis.statistics.jackknife import Interval, Members, interval, ratio
from raysweep.alignment import joint_matching, weight_matching
from raysweep.connectivity import barrier, curve, pair_grid, risk
from raysweep.data import DataConfig, load_arrays
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.symmetry import Permutation, PermutationSpec
from tests.benchmarks.networks import State, resident, trained
from tests.benchmarks.records import Record

NETWORKS = (4, 6, 8, 16)
LEAST = 0.93
OWN = 0.5  # standard deviation of the effects of pairs and of comparisons; those of networks have 1
CYCLES = 24  # drawn of each length, as by `compare.paths`
STEPS = 660  # 30 epochs of 64 images
ALPHAS = 7

Comparisons = Sequence[tuple[int, ...]]  # the networks of each; the first two are compared
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def pairs(n: int) -> Comparisons:
    return list(itertools.combinations(range(n), 2))


def through_a_third(n: int) -> Comparisons:
    return [(*pair, other) for pair in pairs(n) for other in range(n) if other not in pair]


def cycles(n: int) -> Comparisons:
    """Some cycles of five networks (of four, three), in any order."""
    found = list(itertools.combinations(range(n), min(5, n - 1)))
    chosen = np.random.default_rng(n).permutation(len(found))[:CYCLES]
    return [found[place] for place in sorted(chosen)]


STRUCTURES = {"pairs": pairs, "via": through_a_third, "joint of three": through_a_third, "cycles": cycles}
EFFECTS: dict[str, Draw] = {
    "normal": lambda draw, shape: draw.standard_normal(shape),
    "lognormal": lambda draw, shape: _standard(draw.lognormal(0, 0.5, shape), np.exp(0.125), np.exp(0.25)),
    "exponential": lambda draw, shape: draw.exponential(1, shape) - 1,
}


def _standard(values: np.ndarray, mean: float, square: float) -> np.ndarray:
    """Lognormal values with mean 0 and variance 1; `square` is the mean of the squares over that squared."""
    return (values / mean - 1) / np.sqrt(square - 1)


def simulated(
    comparisons: Comparisons, n: int, together: bool, effects: Draw, draw: np.random.Generator
) -> np.ndarray:
    """Return a value per comparison, with mean 0; `together`: those of the same networks share an effect."""
    index = np.array(comparisons)
    ends = tuple(index[:, :2].T)
    key = np.sort(index) if together else index
    of = np.unique(key, axis=0, return_inverse=True)[1].ravel()
    own = effects(draw, (len(index),))[of] + effects(draw, (n, n))[ends]
    return effects(draw, (n,))[index].sum(axis=1) + OWN * own


def names(comparisons: Comparisons) -> Members:
    return [[str(network) for network in networks] for networks in comparisons]


def holds(found: Interval, truth: float) -> bool:
    return found.low <= truth <= found.high


def of_simulations(quick: bool) -> Iterator[Record]:
    samples = 5 if quick else 2000
    for (structure, make), (kind, effects) in itertools.product(STRUCTURES.items(), EFFECTS.items()):
        for n in NETWORKS[:2] if quick else NETWORKS:
            draw, comparisons = np.random.default_rng(n), make(n)
            members = names(comparisons)
            sample = partial(simulated, comparisons, n, structure == "joint of three", effects, draw)
            held = [holds(interval(sample(), members), 0) for _ in range(samples)]
            yield _record(f"{structure}, {kind} effects", n, held)


def _record(name: str, n: int, held: Sequence[bool]) -> Record:
    note = f"{len(held)} samples"
    return Record(f"{name}, {n} networks", "share", [float(np.mean(held))], LEAST, note, least=True)


class Trained:
    """Networks and what is measured of them: test barriers by comparison, fixed points by cycle of three."""

    def __init__(self, width: int, count: int, few: int, steps: int) -> None:
        """Pairs and cycles are of `count` networks, triples of the first `few` of them."""
        self.count, self.few = count, few
        config = ModelConfig("mlp", width, 3, "none", (1, 8, 8), 10)
        data = resident(load_arrays(DataConfig("digits")))
        self.states = [trained(config, data, 64, seed, steps) for seed in range(count)]
        self.network, self.split = FlatNetwork(build(config)), data.test
        self.spec = PermutationSpec.trace(build(config), torch.zeros(2, 1, 8, 8))
        with torch.no_grad():
            self.ends = [risk(self.network, state, self.split) for state in self.states]
        aligned = {(i, j): self._align(i, j) for i, j in pairs(count)}
        self.permutations = aligned | {(j, i): found.inverse() for (i, j), found in aligned.items()}

    def _align(self, i: int, j: int) -> Permutation:
        return weight_matching(self.spec, self.states[i], self.states[j], 0).permutation

    def _barriers(self, i: int, one: State, j: int, other: State) -> tuple[float, float]:
        """Risks of the ends are those of the networks as they are: a permutation changes no function."""
        whole = curve(
            self.network,
            [one, other],
            pair_grid(ALPHAS),
            self.split,
            end=(self.ends[i], self.ends[j]).__getitem__,
        )
        found = barrier(whole)
        return found.error_barrier, found.loss_barrier

    def _moved(self, network: int, reference: int) -> State:
        if network == reference:
            return self.states[network]
        return self.spec.apply(self.permutations[reference, network], self.states[network])

    def direct(self) -> dict[tuple[int, ...], tuple[float, float]]:
        """Error and loss barriers by pair."""
        return {(i, j): self._barriers(i, self.states[i], j, self._moved(j, i)) for i, j in pairs(self.count)}

    def via(self) -> dict[tuple[int, ...], tuple[float, float]]:
        """Error and loss barriers by pair and reference."""
        return {
            (i, j, k): self._barriers(i, self._moved(i, k), j, self._moved(j, k))
            for i, j, k in through_a_third(self.few)
        }

    def joint(self) -> dict[tuple[int, ...], tuple[float, float]]:
        """Error and loss barriers by pair and the third network that they were aligned with."""
        found = {}
        for three in itertools.combinations(range(self.few), 3):
            parts = joint_matching(self.spec, [self.states[each] for each in three], 0).permutations
            each = zip(parts, three, strict=True)
            moved = [self.spec.apply(part, self.states[network]) for part, network in each]
            for a, b, c in through_a_third(3):
                found[three[a], three[b], three[c]] = self._barriers(three[a], moved[a], three[b], moved[b])
        return found

    def cycles(self) -> dict[tuple[int, ...], tuple[float, float]]:
        """The share of fixed points, twice, by cycle of three."""
        found = {}
        for i, j, k in itertools.combinations(range(self.count), 3):
            back = self.permutations[j, k].compose(self.permutations[k, i])
            share = self.permutations[i, j].compose(back).share_of_fixed_points()
            found[i, j, k] = (share, share)
        return found


def of_trained(quick: bool) -> Iterator[Record]:
    networks = Trained(*(8, 8, 8, 60) if quick else (64, 64, 20, STEPS))
    with torch.no_grad():
        direct, via, joint = networks.direct(), networks.via(), networks.joint()
    error: dict[str, dict[tuple[int, ...], float]] = {
        "error barrier, direct": {key: value[0] for key, value in direct.items()},
        "error barrier, via a third": {key: value[0] for key, value in via.items()},
        "error barrier, joint of three": {key: value[0] for key, value in joint.items()},
        "fixed points of cycles of three": {key: value[0] for key, value in networks.cycles().items()},
    }
    for name, values in error.items():
        yield from _of_sets(f"trained: {name}", values, None, quick)
    above, below = ({key: value[1] for key, value in each.items()} for each in (joint, via))
    yield from _of_sets("trained: loss barrier, joint as a multiple of via", above, below, quick)


Values = dict[tuple[int, ...], float]


def _of_sets(name: str, values: Values, below: Values | None, quick: bool) -> Iterator[Record]:
    """Coverage of the mean of `values`, or of its ratio to that of `below`, by number of networks."""
    there = 1 + max(max(key) for key in values)
    whole = float(np.mean(list(values.values())))
    truth = whole / float(np.mean(list(below.values()))) if below else whole
    for n in (n for n in NETWORKS if n <= there / 2):
        draw, held = np.random.default_rng(n), []
        for _ in range(10 if quick else 1000):
            chosen = frozenset(draw.permutation(there)[:n].tolist())
            sample = _within(values, chosen)
            found = ratio(sample, _within(below, chosen)) if below else interval(*sample)
            apart = (truth - found.mean) / np.sqrt(1 - n / there)
            held.append(holds(found, found.mean + apart))
        yield _record(name, n, held)


def _within(values: Values, chosen: frozenset[int]) -> tuple[list[float], Members]:
    keys = [key for key in values if chosen.issuperset(key)]
    return [values[key] for key in keys], names(keys)


def records(quick: bool) -> Iterator[Record]:
    torch.set_num_threads(1)
    yield from of_simulations(quick)
    yield from of_trained(quick)
