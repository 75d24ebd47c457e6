"""The loss of mixtures of permuted networks, on which permutations are learned.

It is the cross-entropy between the answers of a mixture and those that the networks give together: the
softmax of their logits, mixed with the same weights. That loss is lowest where the mixture answers as the
networks do, so copies of one network are brought to one order; the labels of training examples, which
networks have learned by heart, say less about the permutations.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from raysweep.alignment.mixture_loss import for_mixtures
from raysweep.models.given import first_floating
from raysweep.models.mlp import MLP
from raysweep.symmetry import Permutation, PermutationSpec

CHUNK = 1000  # examples in a forward pass; it decides the last bits
TOGETHER = 16  # orders of the units that share a forward pass, as far as that is faster

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Examples:
    """Images (examples, ...), and what each network answers: logits (examples, networks, ..., classes)."""

    images: torch.Tensor
    logits: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    def chosen(self, index: torch.Tensor) -> "Examples":
        """Return the examples with these numbers, int64."""
        index = index.to(self.images.device)
        return Examples(self.images[index], self.logits[index])

    def first(self, count: int) -> "Examples":
        """Return the first examples, as views."""
        return Examples(self.images[:count], self.logits[:count])

    def chunks(self) -> Iterator["Examples"]:
        """Yield the examples of one forward pass after the other."""
        for images, logits in zip(self.images.split(CHUNK), self.logits.split(CHUNK), strict=True):
            yield Examples(images, logits)


def points(networks: int) -> np.ndarray:
    """Return the mixtures whose loss counts, as rows of weights, shape (points, networks).

    They are the barycentre and the midpoints of all edges, near which the barriers of several networks and
    those of pairs are largest.
    """
    edges = np.zeros((networks * (networks - 1) // 2, networks))
    for row, pair in zip(edges, combinations(range(networks), 2), strict=True):
        row[list(pair)] = 0.5
    return edges if networks == 2 else np.concatenate([np.full((1, networks), 1 / networks), edges])


class Mixtures:
    """Mixtures of n networks at several points, rows of weights (points, networks).

    Batch norms use the statistics of the batch, which are those of a mixture whose running statistics have
    been recomputed (REPAIR, Jordan et al. 2023, arXiv 2211.08403); other running statistics are mixed.
    """

    def __init__(
        self, spec: PermutationSpec, model: nn.Module, states: Sequence[State], weights: np.ndarray
    ) -> None:
        self.spec, self.states, self.weights = spec, states, weights
        like = first_floating(states[0])
        self.shares = torch.from_numpy(weights).to(like)
        self._network = for_mixtures(model)
        named = (*self._network.named_parameters(), *self._network.named_buffers())
        self._names = [name for name, tensor in named if tensor.is_floating_point()]
        self.together = TOGETHER if type(model) is MLP else 1

    @torch.no_grad()
    def examples(self, images: torch.Tensor) -> Examples:
        """Return images (examples, ...) with the answers of the networks, which no permutation changes."""
        alone = [self.mixed([state], np.ones(1)) for state in self.states]
        logits = [
            torch.stack([functional_call(self._network, state, (chunk,)) for state in alone], dim=1)
            for chunk in images.split(CHUNK)
        ]
        return Examples(images, torch.cat(logits))

    def moved(self, permutations: Sequence[Permutation]) -> list[dict[str, torch.Tensor]]:
        """Return the states of the permuted networks."""
        return [self.spec.apply(p, state) for p, state in zip(permutations, self.states, strict=True)]

    @torch.no_grad()
    def value(self, permutations: Sequence[Permutation], examples: Examples) -> float:
        """Return the loss (nats) of the permuted networks, the mean over all points and answers."""
        return self.loss(self.moved(permutations), examples).item()

    def loss(self, states: Sequence[State], examples: Examples) -> torch.Tensor:
        """Return the same of states that need not be permuted networks, a scalar."""
        rows = zip(self.weights, self.shares, strict=True)
        return torch.stack(
            [self.loss_of(self.mixed(states, row), examples, shares) for row, shares in rows]
        ).mean()

    def loss_at(self, states: Sequence[State], examples: Examples, shares: torch.Tensor) -> torch.Tensor:
        """Return the loss at one point, whose weights (networks,) lie on the device, a scalar."""
        first, *others = shares.unbind()
        mixed = {
            name: sum(
                (w * state[name] for w, state in zip(others, states[1:], strict=True)),
                first * states[0][name],
            )
            for name in self._names
        }
        return self.loss_of(mixed, examples, shares)

    def floating(self, state: State) -> dict[str, torch.Tensor]:
        """Return those tensors of a state that are mixed."""
        return {name: state[name] for name in self._names}

    def mixed(self, states: Sequence[State], weights: np.ndarray) -> dict[str, torch.Tensor]:
        """Return the mixture of states with these weights (networks,), without integers."""
        used = [(w, state) for w, state in zip(weights.tolist(), states, strict=True) if w]
        (first, start), *others = used
        return {
            name: sum((w * state[name] for w, state in others), first * start[name]) for name in self._names
        }

    def loss_of(self, state: State, examples: Examples, shares: torch.Tensor) -> torch.Tensor:
        """Return the loss of a mixture, a scalar, whose weights (networks,) lie on the device as `shares`."""
        parts = shares.to(examples.logits.dtype)
        total = torch.zeros((), device=examples.images.device)
        for chunk in examples.chunks():
            logits = functional_call(self._network, dict(state), (chunk.images,))
            together = (parts @ chunk.logits.flatten(2)).view(logits.shape).softmax(dim=-1)
            total = total + functional.cross_entropy(
                logits.flatten(0, -2), together.flatten(0, -2), reduction="sum"
            )
        return total / examples.logits[:, 0, ..., 0].numel()
