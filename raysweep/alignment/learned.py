"""Permutations of n networks learned together on the loss of their mixtures.

Source: ours. From weight matching (Ainsworth et al. 2023, arXiv 2209.04836), or joint matching of more than
two networks, relaxed permutations are trained as in Pena et al. 2023 (Sinkhorn re-basin, arXiv 2212.12042),
but of all networks at once; then swaps of units that lower the loss are carried out one round after the
other. Training moves many units a little at a time, swaps find what its relaxation cannot tell apart.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from raysweep.alignment.joint import joint_matching
from raysweep.alignment.learned_mixtures import Examples, Mixtures, points
from raysweep.alignment.learned_relaxation import trained
from raysweep.alignment.learned_swaps import swapped
from raysweep.alignment.weight_matching import weight_matching
from raysweep.digest import seed_for
from raysweep.symmetry import Permutation, PermutationSpec

HELD_OUT = 5  # one of so many training examples decides which permutations are kept
PATIENCE = 5  # rounds of swaps without a lower loss on them

State = Mapping[str, torch.Tensor]


def learned(
    spec: PermutationSpec,
    states: Sequence[State],
    seed: int,
    models: Sequence[nn.Module],
    images: torch.Tensor,
    *,
    steps: int = 200,
    batch_size: int = 256,
    learning_rate: float = 0.3,
    temperature: float = 0.2,
    candidates: int = 256,
    rounds: int = 50,
    noise: float = 0.5,
) -> list[Permutation]:
    """Return a permutation of each of n networks of one architecture, the identity of the first.

    The first network stays as it is, because permuting all networks alike changes no mixture. `images` are
    training images, shape (examples, ...). Gaussian `noise`, a multiple of their standard deviation, is added
    to them, because networks that agree on what they know by heart may differ near it. A fifth of them, drawn
    by the seed, is held out: of all permutations that occur the ones with the lowest loss there are returned,
    so it is never above that of the start. `steps` of Adam, at a rate that falls from `learning_rate` to
    zero, train logits that begin at 1 / `temperature` for the units of the start; then come at most `rounds`
    of swaps, each of which tries so many `candidates`. Networks with BatchNorm use the statistics of each
    batch.

    Raises `ValueError` for fewer than two networks, and for fewer than two images.
    """
    if len(states) < 2 or len(images) < 2:
        raise ValueError(f"{len(states)} networks, {len(images)} images: learning requires two of each")
    start = _start(spec, states, seed)
    if not spec.sizes:
        return start
    generator = torch.Generator().manual_seed(seed_for("learned", seed))
    mixtures = Mixtures(spec, models[0], states, points(len(states)))
    examples = mixtures.examples(_noisy(images, noise, generator))
    order = torch.randperm(len(examples), generator=generator)
    division = max(1, len(examples) // HELD_OUT)
    held_out, rest = examples.chosen(order[:division]), examples.chosen(order[division:])
    best = _Best(mixtures, held_out, start)
    relaxation = trained(mixtures, start, rest, generator, steps, batch_size, learning_rate, temperature)
    best.follow(relaxation)
    best.follow(swapped(mixtures, best.permutations, rest, candidates, rounds), PATIENCE)
    return best.permutations


class _Best:
    """The permutations with the lowest loss on the examples that are held out."""

    def __init__(self, mixtures: Mixtures, held_out: Examples, start: list[Permutation]) -> None:
        self._mixtures, self._held_out = mixtures, held_out
        self.permutations, self._loss = start, mixtures.value(start, held_out)

    def follow(self, found: Iterator[list[Permutation]], patience: int | None = None) -> None:
        """Compare permutations one after the other, until so many in turn were no better."""
        worse = 0
        for permutations in found:
            loss = self._mixtures.value(permutations, self._held_out)
            worse += 1
            if loss < self._loss:
                self.permutations, self._loss, worse = permutations, loss, 0
            if worse == patience:
                return


def _start(spec: PermutationSpec, states: Sequence[State], seed: int) -> list[Permutation]:
    identity = Permutation.identity(spec.sizes)
    if len(states) == 2:
        target, source = states
        return [identity, weight_matching(spec, target, source, seed).permutation]
    found = joint_matching(spec, states, seed).permutations
    back = found[0].inverse()
    return [identity, *(back.compose(each) for each in found[1:])]


def _noisy(images: torch.Tensor, noise: float, generator: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(images.shape, generator=generator).to(images)
    return images + noise * images.std() * drawn
