"""Permutations of n networks learned together on the loss of their mixtures.

Source: ours. From weight matching (Ainsworth et al. 2023, arXiv 2209.04836), or joint matching of more than
two networks, relaxed permutations are trained as in Pena et al. 2023 (Sinkhorn re-basin, arXiv 2212.12042),
but of all networks at once; then swaps of units that lower the loss are carried out one round after the
other. Training moves many units a little at a time, swaps find what its relaxation cannot tell apart.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from raysweep.alignment.joint import joint_matching
from raysweep.alignment.learned_mixtures import Examples, Mixtures, points
from raysweep.alignment.learned_relaxation import Relaxation, Training
from raysweep.alignment.learned_swaps import Swaps
from raysweep.alignment.progress import Progress, Tensors, named, part, stored_permutations, tensors_of
from raysweep.alignment.weight_matching import check_spec, weight_matching
from raysweep.digest import seed_for
from raysweep.models.given import Network, architecture, states_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.training.answering import check_answers, evaluating

HELD_OUT = 5  # one of so many training examples decides which permutations are kept
PATIENCE = 5  # rounds of swaps without a lower loss on them

State = Mapping[str, torch.Tensor]


def learned(
    spec: PermutationSpec,
    states: Sequence[Network],
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
    progress: Progress | None = None,
) -> list[Permutation]:
    """Return a permutation of each of n networks of one architecture, the identity of the first.

    The first network stays as it is, because permuting all networks alike changes no mixture. `images` are
    training images, shape (examples, ...). Gaussian `noise`, a multiple of their standard deviation, is added
    to them, because networks that agree on what they know by heart may differ near it. Tokens get none:
    integers, or whole numbers where the network answers each of them. A fifth of the examples, drawn by the
    seed, is held out: of all permutations that occur the ones with the lowest loss there are returned, so it
    is never above that of the start. `steps` of Adam, at a rate that falls from `learning_rate` to
    zero, train logits that begin at 1 / `temperature` for the units of the start; then come at most `rounds`
    of swaps, each of which tries so many `candidates`. Networks with BatchNorm use the statistics of each
    batch. With `progress`, what another process has noted is not done again, and the result has the same
    bits.

    Raises `ValueError` for fewer than two networks, for fewer than two images, for empty batches, and for
    images that the network does not answer.
    """
    check_spec(spec)
    states, model = states_of(states, "states"), architecture(models)
    if len(states) < 2 or len(images) < 2:
        raise ValueError(f"{len(states)} networks, {len(images)} images: learning requires two of each")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    check_answers(model, images)
    progress = progress or Progress()
    found = progress.found
    start = stored_permutations(part(found, "best"), spec.sizes) or _start(spec, states, seed)
    if not spec.sizes:
        return start
    generator = torch.Generator().manual_seed(seed_for("learned", seed))
    mixtures = Mixtures(spec, model, states, points(len(states)))
    examples = mixtures.examples(images if _are_tokens(images, model) else _noisy(images, noise, generator))
    order = torch.randperm(len(examples), generator=generator)
    division = max(1, len(examples) // HELD_OUT)
    held_out, rest = examples.chosen(order[:division]), examples.chosen(order[division:])
    best = _Best(mixtures, held_out, start, int(found.get("best/worse", 0)))
    if not (done := part(found, "swaps")):
        training = Training(steps, batch_size, learning_rate, temperature)
        relaxation = Relaxation(mixtures, start, rest, generator, training, part(found, "relaxation"))
        for permutations in relaxation.run():
            best.compare(permutations)
            progress.note(lambda: best.state() | named("relaxation", relaxation.state()))
        best.worse = 0
    swaps = Swaps(mixtures, best.permutations, rest, candidates, rounds, done)
    for permutations in swaps.run():
        best.compare(permutations)
        if best.worse == PATIENCE:
            break
        progress.note(lambda: best.state() | named("swaps", swaps.state()))
    return best.permutations


class _Best:
    """The permutations with the lowest loss on the examples that are held out.

    `worse` counts the permutations since then, each of which was no better.
    """

    def __init__(self, mixtures: Mixtures, held_out: Examples, start: list[Permutation], worse: int) -> None:
        self._mixtures, self._held_out = mixtures, held_out
        self.permutations, self._loss, self.worse = start, mixtures.value(start, held_out), worse

    def state(self) -> Tensors:
        return named("best", {"worse": torch.tensor(self.worse), **tensors_of(self.permutations)})

    def compare(self, permutations: list[Permutation]) -> None:
        loss = self._mixtures.value(permutations, self._held_out)
        self.worse += 1
        if loss < self._loss:
            self.permutations, self._loss, self.worse = permutations, loss, 0


def _start(spec: PermutationSpec, states: Sequence[State], seed: int) -> list[Permutation]:
    identity = Permutation.identity(spec.sizes)
    if len(states) == 2:
        target, source = states
        return [identity, weight_matching(spec, target, source, seed).permutation]
    found = joint_matching(spec, states, seed).permutations
    back = found[0].inverse()
    return [identity, *(back.compose(each) for each in found[1:])]


@torch.no_grad()
def _are_tokens(images: torch.Tensor, model: nn.Module) -> bool:
    if not images.is_floating_point():
        return True
    if not torch.equal(images, images.round()):
        return False
    with evaluating(model):
        return bool(model(images[:2].clone()).shape[:-1] == images[:2].shape)


def _noisy(images: torch.Tensor, noise: float, generator: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(images.shape, generator=generator).to(images)
    return images + noise * images.std() * drawn
