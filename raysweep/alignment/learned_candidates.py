"""The loss of mixtures after each of many changes of the order of a network's units."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch

from raysweep.accelerator.capture import Work, send
from raysweep.accelerator.repeating import repeated
from raysweep.alignment.learned_mixtures import Examples, Mixtures, State
from raysweep.symmetry.selection import selected

Indices = Mapping[str, torch.Tensor]  # by group, the order of the units


class Candidates:
    """Orders of the units of one network, each of which is tried on the same examples.

    Small MLPs try several in a pass. Other networks try one after the other; on a GPU, which would wait for
    the processor before each, they are replays of a CUDA graph, for which all tensors stay where they are.
    """

    def __init__(self, mixtures: Mixtures, member: int, most: int) -> None:
        """Try at most so many orders of a network at a time."""
        self._mixtures, self._member = mixtures, member
        rows = list(zip(mixtures.weights, mixtures.shares, strict=True))
        self._moving = [(row, shares) for row, shares in rows if row[member]]
        self._still = [(row, shares) for row, shares in rows if not row[member]]
        state = mixtures.floating(mixtures.states[member])
        self._own = {name: torch.empty_like(tensor) for name, tensor in state.items()}
        self._rests = [{n: torch.empty_like(t) for n, t in state.items()} for _ in self._moving]
        device = mixtures.shares.device
        self._orders = {
            group: torch.zeros(most, size, dtype=torch.int64, device=device)
            for group, size in mixtures.spec.sizes.items()
        }
        exact = torch.promote_types(torch.float32, mixtures.shares.dtype)
        self._constant = torch.zeros((), dtype=exact, device=device)
        self._found = torch.zeros(most, dtype=exact, device=device)
        self._position = torch.zeros(1, dtype=torch.int64, device=device)
        self._trying: dict[int, Work] = {}  # by the number of examples

    @torch.no_grad()
    def losses(self, states: Sequence[State], orders: Indices, examples: Examples) -> torch.Tensor:
        """Return the loss for each further order of the units of the network, shape (orders,).

        By group, `orders` has the shape (orders, units). Examples of one number are the same at each call.
        """
        count, together = len(next(iter(orders.values()))), self._mixtures.together
        self._form(states, examples)
        for group, order in orders.items():
            send(order, self._orders[group])
        if together > 1:
            given = {group: order[:count] for group, order in self._orders.items()}
            loss = partial(self._loss, examples=examples)
            found: torch.Tensor = torch.vmap(loss, chunk_size=together)(given)
            return found.cpu()
        self._position.zero_()
        one = self._trying.get(len(examples)) or self._repeating(examples)
        for _ in range(count):
            one()
        return self._found[:count].cpu()

    def _form(self, states: Sequence[State], examples: Examples) -> None:
        """Prepare what orders have in common: the network, what it is mixed with, and the other points."""
        mixtures, member = self._mixtures, self._member
        parts = [np.where(np.arange(len(row)) == member, 0, row) for row, _ in self._moving]
        rests = [mixtures.mixed(states, row) for row in parts]
        for to, values in zip([self._own, *self._rests], [states[member], *rests], strict=True):
            for name, tensor in to.items():
                tensor.copy_(values[name])
        self._constant.zero_()
        for row, shares in self._still:
            self._constant += mixtures.loss_of(mixtures.mixed(states, row), examples, shares)

    def _repeating(self, examples: Examples) -> Work:
        written = [self._found, self._position]
        work = partial(self._one, examples)
        found = repeated("trying swaps of units", work, written, self._position.device)
        self._trying[len(examples)] = found
        return found

    def _one(self, examples: Examples) -> None:
        """Try the order at the position, which moves on."""
        order = {g: orders.index_select(0, self._position)[0] for g, orders in self._orders.items()}
        self._found.index_copy_(0, self._position, self._loss(order, examples)[None])
        self._position += 1

    def _loss(self, order: Indices, examples: Examples) -> torch.Tensor:
        mixtures = self._mixtures
        axes = {name: each for name, each in mixtures.spec.axes.items() if name in self._own}
        taken = self._own | {name: selected(self._own[name], each, order) for name, each in axes.items()}
        total = self._constant
        for (row, shares), rest in zip(self._moving, self._rests, strict=True):
            weight = row[self._member].item()
            mixed = {name: rest[name] + weight * tensor for name, tensor in taken.items()}
            total = total + mixtures.loss_of(mixed, examples, shares)
        return total / len(mixtures.weights)
