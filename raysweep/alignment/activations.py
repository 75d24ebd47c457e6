"""The values of a network's units on a batch of examples."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn

from raysweep.digest import seed_for
from raysweep.symmetry.tracing import trace_units, traced_graph

TENSORS = ("first", "last", "all")


def recorded_values(model: nn.Module, example: torch.Tensor, tensor: str) -> dict[str, tuple[str, ...]]:
    """Return, by group, the nodes of the traced graph whose values are recorded. Raises `SpecError`."""
    chosen = {"first": slice(0, 1), "last": slice(-1, None), "all": slice(None)}[tensor]
    return {group: names[chosen] for group, names in trace_units(model, example).items()}


class Recorder(fx.Interpreter):
    """Runs a network, in evaluation mode, and keeps the values of some nodes."""

    def __init__(self, model: nn.Module, nodes: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__(model.eval(), graph=traced_graph(model))
        self._names = {name for names in nodes.values() for name in names}
        self._kept: dict[str, torch.Tensor] = {}

    def values(self, images: torch.Tensor, batch: int) -> dict[str, torch.Tensor]:
        """Return the values by node, each (examples, units), float64.

        Of a unit that is a channel one pixel per example is taken, at places drawn from the example's number,
        the same in every network: neighbouring pixels say much the same, and all of them would make the
        products of wide layers cost more than the network.
        """
        self.run(images)
        found = {name: _one_pixel(values, batch).double() for name, values in self._kept.items()}
        self._kept.clear()
        return found

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self._names:
            self._kept[n.name] = result.clone()  # a later operation may work in place
        return result


def _one_pixel(values: torch.Tensor, batch: int) -> torch.Tensor:
    """Return (examples, units) of values (examples, units, ...)."""
    if values.dim() == 2:
        return values
    flat = values.flatten(2)
    generator = torch.Generator().manual_seed(seed_for("pixels", batch, flat.shape[2]))
    places = torch.randint(flat.shape[2], (len(flat), 1, 1), generator=generator).to(flat.device)
    return flat.gather(2, places.expand(-1, flat.shape[1], 1)).squeeze(2)
