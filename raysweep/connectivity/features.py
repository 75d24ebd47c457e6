"""The hidden units of mixtures on a few images."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from raysweep.connectivity.blend import shares
from raysweep.connectivity.mixtures import Mending, Mixtures
from raysweep.data.resident import unwritten
from raysweep.models.flat import FlatNetwork
from raysweep.models.precision import computing_in
from raysweep.symmetry.tracing import trace_units, traced_graph

Features = dict[str, torch.Tensor]  # by layer group


@torch.no_grad()
def features(
    network: FlatNetwork,
    vectors: Sequence[torch.Tensor],
    weights: np.ndarray,
    images: torch.Tensor,
    mending: Mending,
) -> Iterator[Features]:
    """Yield the hidden units, each (examples, ...), of the mixture for every row of `weights`.

    They are the last values of each layer group: after norm and nonlinearity, and in a residual stream after
    its last block. Raises `SpecError` for a network that is not understood.
    """
    names = {group: nodes[-1] for group, nodes in trace_units(network.model, images[:2]).items()}
    mixtures = Mixtures(network, vectors, mending)
    for parts in shares(weights):
        module = mixtures.form(parts)
        with computing_in(network.numerics.precision, images.device), unwritten(images):
            yield _Recorder(module, names).values(images)


class _Recorder(fx.Interpreter):
    """Runs a network and keeps the values of some nodes; where a rescaling layer follows one, those of it."""

    def __init__(self, module: nn.Module, names: Mapping[str, str]) -> None:
        graph = module.graph if isinstance(module, fx.GraphModule) else traced_graph(module)
        super().__init__(module, graph=graph)
        nodes = {node.name: node for node in graph.nodes}
        self._groups = {_rescaled(nodes[name]): group for group, name in names.items()}
        self._kept: Features = {}

    def values(self, images: torch.Tensor) -> Features:
        self.run(images)
        return {group: self._kept[group] for group in self._groups.values()}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n in self._groups:
            self._kept[self._groups[n]] = result.clone()  # a later operation may work in place
        return result


def _rescaled(node: fx.Node) -> fx.Node:
    return next((user for user in node.users if str(user.target).startswith("rescale_")), node)
