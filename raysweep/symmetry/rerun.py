"""Runs those parts of a network again that depend on tensors that have changed."""

from collections.abc import Collection
from typing import Any

import torch
from torch import fx, nn
from torch.fx.node import map_aggregate, map_arg
from torch.utils import _pytree as pytree

from raysweep.symmetry.tracing import traced_graph


class Rerun(fx.Interpreter):
    """Keeps the values of all nodes of one run, so that another one starts where tensors changed.

    It follows a change until the values are the old ones again, up to `tolerance` relative to the largest of
    them: reordered units of one layer reach no farther than the layers that read them.
    """

    def __init__(self, network: nn.Module, inputs: torch.Tensor, tolerance: float) -> None:
        """Run once. Raises what torch.fx raises for a network that it cannot trace."""
        super().__init__(network, graph=traced_graph(network))
        self._tolerance = tolerance
        self._kept: dict[fx.Node, Any] = {}
        self._reads = {node: self._tensors(node) for node in self.graph.nodes}
        self.extra_traceback = False
        with torch.no_grad():
            self.run(inputs)

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        self._kept[n] = _cloned(result)  # a later operation may work in place
        return result

    @torch.no_grad()
    def reaches_the_outputs(self, changed: Collection[torch.Tensor]) -> bool:
        """Whether the outputs differ now that these parameters or buffers hold other values."""
        ids = {id(tensor) for tensor in changed}
        new: dict[fx.Node, Any] = {}
        for node in self.graph.nodes:
            if not (self._reads[node] & ids or any(each in new for each in node.all_input_nodes)):
                continue
            args, kwargs = map_arg(
                (node.args, node.kwargs),
                lambda each: new[each] if each in new else _cloned(self._kept[each]),
            )
            value = getattr(self, node.op)(node.target, args, kwargs)
            if not self._same(value, self._kept[node]):
                new[node] = value
        return any(node.op == "output" for node in new)

    def _tensors(self, node: fx.Node) -> set[int]:
        """Return the ids of the parameters and buffers that a node reads itself."""
        if node.op == "call_module":
            module = self.fetch_attr(str(node.target))
            return {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
        return {id(self.fetch_attr(str(node.target)))} if node.op == "get_attr" else set()

    def _same(self, value: Any, kept: Any) -> bool:
        ones, others = pytree.tree_leaves(value), pytree.tree_leaves(kept)
        return len(ones) == len(others) and all(map(self._close, ones, others))

    def _close(self, one: Any, other: Any) -> bool:
        if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
            return bool(one == other)
        if one.shape != other.shape or not one.numel() or not one.is_floating_point():
            return torch.equal(one, other)
        return bool((one - other).abs().max() <= self._tolerance * other.abs().max())


def _cloned(value: Any) -> Any:
    return map_aggregate(value, lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf)
