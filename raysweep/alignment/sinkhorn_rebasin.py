"""Sinkhorn re-basin: a relaxed permutation is trained on a loss by gradient descent.

Source: Pena et al. 2023 (arXiv 2212.12042), with the values of their code: logits start at the identity with
noise of standard deviation 0.1, and AdamW trains them at a rate of 0.1 through 20 Sinkhorn iterations.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import nn

from raysweep.alignment.descent import Descent
from raysweep.alignment.mixture_loss import Batch, batches, for_mixtures, mixture_loss, smallest_batch
from raysweep.alignment.progress import Progress
from raysweep.alignment.relaxed import apply_relaxed, harden, mixed, relaxed
from raysweep.alignment.weight_matching import check_spec, matched_spec
from raysweep.choices import choose
from raysweep.digest import seed_for
from raysweep.models.given import Network, architecture, states_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.training.answering import check_answers
from raysweep.training.optimiser import plain

NOISE = 0.1  # standard deviation of the logits at the start
ITERATIONS = 20  # of Sinkhorn's normalisations

_AdamW = plain(torch.optim.AdamW)

State = Mapping[str, torch.Tensor]
Share = Callable[[torch.Generator], float]

LOSSES: dict[str, Share | None] = {  # the share of the second network in the mixture whose loss is trained
    "l2": None,  # of no mixture
    "midpoint": lambda generator: 0.5,
    "random": lambda generator: torch.rand((), generator=generator).item(),
}


@torch.enable_grad()
def sinkhorn_rebasin(
    spec: PermutationSpec,
    states: Sequence[Network],
    seed: int,
    models: Sequence[nn.Module],
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    loss: str = "midpoint",
    steps: int = 200,
    batch_size: int = 1000,
    learning_rate: float = 0.1,
    tau: float = 1.0,
    progress: Progress | None = None,
) -> Permutation:
    """Return the permutation that brings the second of two networks close to the first.

    With the `loss` l2 the squared distance of their weights is trained, otherwise the cross-entropy on
    batches of training examples at the `midpoint` of the two, or at a `random` point between them. `images`
    and `labels` have the shapes (examples, ...). The seed draws batches, points and the noise. The
    permutation is the assignment of the logits after `steps`; it respects blocks. BatchNorm uses the
    statistics of each batch. With `progress`, steps that another process has noted are not taken again, and
    the result has the same bits. Raises `ValueError` for an unknown loss, for other than two networks
    and for labels without a class.
    """
    check_spec(spec)
    states = states_of(states, "states")
    if len(states) != 2:
        raise ValueError(f"{len(states)} networks: Sinkhorn re-basin aligns two")
    (target, source), share = states, choose("loss", loss, LOSSES)
    if not spec.sizes:
        return Permutation({})
    generator = torch.Generator().manual_seed(seed)
    like = next(iter(source.values()))
    logits = {
        group: (torch.eye(size) + NOISE * torch.randn(size, size, generator=generator))
        .to(like.device)
        .requires_grad_()
        for group, size in spec.sizes.items()
    }
    progress, optimiser = progress or Progress(), _AdamW(logits.values(), lr=learning_rate)
    descent = Descent(logits, optimiser, generator, progress.found)
    if share is None:
        distance = _distance(matched_spec(spec), target)
    else:
        model = for_mixtures(architecture(models))
        check_answers(model, images, labels)
        smallest = smallest_batch(model)
        data = batches(images, labels, batch_size, seed_for("batches", seed), descent.step, smallest)
        distance = _risk(model, target, data, share, generator)
    while descent.step < steps:
        matrices = relaxed(spec, logits, tau, ITERATIONS)
        descent.take(distance(apply_relaxed(spec, matrices, source)))
        progress.note(descent.state)
    return harden(spec, logits)


def _distance(matched: PermutationSpec, target: State) -> Callable[[State], torch.Tensor]:
    def distance(moved: State) -> torch.Tensor:
        squares = [(target[name] - moved[name]).square().sum() for name in matched.axes]
        return torch.stack(squares).sum() / sum(target[name].numel() for name in matched.axes)

    return distance


def _risk(
    model: nn.Module, target: State, data: Iterator[Batch], draw: Share, generator: torch.Generator
) -> Callable[[State], torch.Tensor]:
    def risk(moved: State) -> torch.Tensor:
        share = draw(generator)
        return mixture_loss(model, mixed([target, moved], [1 - share, share]), next(data))

    return risk
