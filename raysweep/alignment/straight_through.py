"""The straight-through estimator: permutations by weight matching against copies that a loss trains.

Sources: Ainsworth et al. 2023 (Git Re-Basin, arXiv 2209.04836), section 3.3, for two networks, and Ito et al.
2025 (STE-MM, PMLR 267:26611) for more. Each network but the first has a copy of the first one's weights; it
is matched to its copy, and the gradient of a mixture's loss with respect to the permuted network goes
straight through to the copy.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import nn

from raysweep.alignment.descent import Descent
from raysweep.alignment.mixture_loss import batches, for_mixtures, mixture_loss, smallest_batch
from raysweep.alignment.progress import Progress, Tensors, named, part, stored_permutations, tensors_of
from raysweep.alignment.relaxed import mixed
from raysweep.alignment.weight_matching import check_spec, matched_spec, weight_matching
from raysweep.choices import choose
from raysweep.digest import seed_for
from raysweep.models.given import Network, architecture, states_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.training.answering import check_answers
from raysweep.training.optimiser import plain

State = Mapping[str, torch.Tensor]
_Adam = plain(torch.optim.Adam)

POINTS: dict[
    str, Callable[[int, torch.Generator], torch.Tensor]
] = {  # weights of the n networks in a mixture
    "centre": lambda count, generator: torch.ones(count),
    "random": lambda count, generator: torch.rand(count, generator=generator),
}


@torch.enable_grad()
def straight_through(
    spec: PermutationSpec,
    states: Sequence[Network],
    seed: int,
    models: Sequence[nn.Module],
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    point: str = "centre",
    steps: int = 200,
    batch_size: int = 256,
    learning_rate: float = 0.001,
    progress: Progress | None = None,
) -> list[Permutation]:
    """Return a permutation of each of n networks of one architecture, the identity of the first.

    The trained loss is the cross-entropy, on batches of training examples, at the `centre` of the networks or
    at a `random` point between them. `images` and `labels` have the shapes (examples, ...). The
    seed draws batches, points and the orders of layers. BatchNorm uses the statistics of each batch. With
    `progress`, steps that another process has noted are not taken again, and the result has the same bits.
    Raises `ValueError` for an unknown point, for fewer than two networks and for labels without a class.
    """
    check_spec(spec)
    states = states_of(states, "states")
    if len(states) < 2:
        raise ValueError(f"{len(states)} networks: matching requires at least two")
    if not spec.sizes:
        return [Permutation({})] * len(states)
    draw, generator = choose("point", point, POINTS), torch.Generator().manual_seed(seed)
    matched, model = matched_spec(spec), for_mixtures(architecture(models))
    check_answers(model, images, labels)
    first, others = states[0], states[1:]
    copies = [{n: first[n].detach().clone().requires_grad_() for n in matched.axes} for _ in others]
    trained = {f"{member}/{name}": each for member, copy in enumerate(copies) for name, each in copy.items()}
    progress, optimiser = progress or Progress(), _Adam(trained.values(), lr=learning_rate)
    descent = Descent(trained, optimiser, generator, part(progress.found, "descent"))
    found = stored_permutations(progress.found, spec.sizes)
    unknown: list[Permutation | None] = [None] * len(others)
    smallest = smallest_batch(model)
    data = batches(images, labels, batch_size, seed_for("batches", seed), descent.step, smallest)
    while descent.step < steps:
        step = partial(seed_for, "straight through", seed, descent.step)
        ones = zip(copies, others, found or unknown, strict=True)
        found = [
            weight_matching(matched, copy, state, step(member), start=start).permutation
            for member, (copy, state, start) in enumerate(ones)
        ]
        pairs = zip(found, others, copies, strict=True)
        moved = [first, *(_straight_through(spec.apply(each, state), copy) for each, state, copy in pairs)]
        weights = draw(len(states), generator)
        descent.take(mixture_loss(model, mixed(moved, (weights / weights.sum()).tolist()), next(data)))
        progress.note(partial(_state, descent, found))
    identity = Permutation.identity(spec.sizes)
    return [identity, *(found or [identity] * len(others))]


def _state(descent: Descent, found: Sequence[Permutation]) -> Tensors:
    return named("descent", descent.state()) | tensors_of(found)


def _straight_through(moved: State, copy: State) -> dict[str, torch.Tensor]:
    """Return the permuted network; gradients with respect to it are those of the copy."""
    return {**moved, **{name: moved[name] + (tensor - tensor.detach()) for name, tensor in copy.items()}}
