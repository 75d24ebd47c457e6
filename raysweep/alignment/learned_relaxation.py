"""Relaxed permutations of n networks, trained together on the loss of random mixtures."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from raysweep.alignment.learned_mixtures import Examples, Mixtures
from raysweep.alignment.relaxed import apply_relaxed, harden, matrices_of, relaxed
from raysweep.symmetry import Permutation

SINKHORN = 10  # normalisations of rows and columns
EVERY = 25  # steps after which the permutations are hardened


def trained(
    mixtures: Mixtures,
    start: Sequence[Permutation],
    examples: Examples,
    generator: torch.Generator,
    steps: int,
    batch_size: int,
    learning_rate: float,
    temperature: float,
) -> Iterator[list[Permutation]]:
    """Yield hardened permutations while those of all networks but the first are trained, see `learned`.

    Each step has a batch and a point of its own: half-way from one of the points of the mixtures to one that
    is drawn uniformly from the simplex. Mixtures near a single network say nothing about permutations.
    """
    like = next(iter(mixtures.states[0].values()))
    logits = [
        {g: (m / temperature).requires_grad_() for g, m in matrices_of(permutation, like).items()}
        for permutation in start[1:]
    ]
    optimiser = torch.optim.Adam([each for own in logits for each in own.values()], lr=learning_rate)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = learning_rate * (1 - step / steps)
        matrices = [relaxed(mixtures.spec, own, 1.0, SINKHORN) for own in logits]
        moved = [
            apply_relaxed(mixtures.spec, own, state)
            for own, state in zip(matrices, mixtures.states[1:], strict=True)
        ]
        batch = examples.chosen(torch.randint(len(examples), (batch_size,), generator=generator))
        point = (mixtures.weights[step % len(mixtures.weights)] + _uniform(len(start), generator)) / 2
        optimiser.zero_grad()
        mixtures.loss([mixtures.states[0], *moved], batch, point[None]).backward()
        optimiser.step()
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            yield [start[0], *(harden(mixtures.spec, own) for own in logits)]


def _uniform(networks: int, generator: torch.Generator) -> np.ndarray:
    drawn = torch.empty(networks, dtype=torch.float64).exponential_(generator=generator).numpy()
    uniform: np.ndarray = drawn / drawn.sum()
    return uniform
