"""Abstract interpretation of a traced network: every axis of every tensor is a list of segments.

Every axis of a parameter begins as a group of its own; the operations unify the groups of axes that have to
move together, and the axes of the network's input and output stay in place.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.fx.node import map_aggregate
from torch.utils import _pytree as pytree

from raysweep.errors import SpecError
from raysweep.symmetry.axes import Value, length
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.modules import module_axes
from raysweep.symmetry.operations import CONTRACTIONS, OPERATIONS
from raysweep.symmetry.traced import Constant, NotUnderstoodError, Traced, checked, constant, unmoved

PREFIX = "cannot find the permutation symmetries"  # of every message
_QUERIES = frozenset(
    {"size", "dim", "ndimension", "numel", "nelement", "getattr", "is_floating_point", "len"}
)
_COMPUTING = frozenset({"call_module", "call_function", "call_method"})
_PACKAGES = frozenset({"torch", "_operator", "math", "builtins"})


class Interpreter(fx.Interpreter):
    """Runs the graph on real tensors and keeps beside each the segments of its axes."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        super().__init__(model, graph=graph)
        self.extra_traceback = False  # it would rewrite the messages of errors
        self.groups = Groups()
        self.known: dict[int, Value] = {}  # axes by the identity of the parameter or buffer
        self.computed: dict[str, Traced] = {}  # the results of the nodes that compute something
        self._names = {id(tensor): name for name, tensor in reversed(stored_tensors(model))}

    def run_node(self, n: fx.Node) -> Any:
        self.groups.operation, self.groups.own = self._described(n), set()
        for each in n.all_input_nodes:
            if each.op == "get_attr":
                self._owns(self.env[each])
        try:
            result = super().run_node(n)
        except NotUnderstoodError as error:
            raise SpecError(f"{PREFIX}: {self.groups.operation} {error}") from None
        if isinstance(result, Traced) and n.op in _COMPUTING:
            self.computed[n.name] = result
        return result

    def _described(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return f"module {node.target} ({type(self.fetch_attr(str(node.target))).__name__})"
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.target)
        return f"operation {node.name} ({name})"

    def _owns(self, stored: Any) -> None:
        """Record that the current node reads this parameter or buffer directly."""
        if isinstance(stored, Traced):
            self.groups.own |= {s.group for axis in stored.axes for s in axis if s.group is not None}

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().placeholder(target, args, kwargs)
        return unmoved(value) if isinstance(value, torch.Tensor) else value

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_attr(target, args, kwargs)
        return self._stored(value) if isinstance(value, torch.Tensor) else value

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module = self.fetch_attr(target)

        def own(name: str) -> Traced | None:
            tensor = getattr(module, name)
            if tensor is None:
                return None
            stored = self._stored(tensor)
            self._owns(stored)
            return stored

        def handler(groups: Groups, result: Any, *inputs: Any, **named: Any) -> Any:
            if len(inputs) != 1 or named:
                raise NotUnderstoodError("is called with several arguments")
            return module_axes(groups, result, module, own, *inputs)

        return self._evaluate(module, handler, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        def method(tensor: Any, *rest: Any, **named: Any) -> Any:
            return getattr(tensor, target)(*rest, **named)

        return self._call(method, target.removesuffix("_"), args, kwargs)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target.__name__ == "getitem" and not isinstance(args[0], Traced):
            return target(*args)
        package = (getattr(target, "__module__", None) or "").split(".")[0]
        name = target.__name__.removesuffix("_") if package in _PACKAGES else ""
        return self._call(target, name, args, kwargs)

    def output(self, target: Any, args: Any, kwargs: Any) -> Any:
        for leaf in pytree.tree_leaves(args):
            if isinstance(leaf, Traced):
                for axis in leaf.axes:
                    self.groups.fix(axis, reason="")  # outputs are not hidden units
        return args

    def _call(self, function: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Any:
        handler = OPERATIONS.get(name)
        if name in _QUERIES:
            result = function(*_plain(args), **_plain(kwargs))
            if not isinstance(result, torch.Tensor):
                return result
        return self._evaluate(function, handler, args, kwargs)

    def _evaluate(
        self, function: Callable[..., Any], handler: Callable[..., Any] | None, args: Any, kwargs: Any
    ) -> Any:
        leaves = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Traced)]
        operands = [leaf for leaf in leaves if not isinstance(leaf, Constant) or leaf.is_written]
        if operands and handler is None:
            raise NotUnderstoodError("is not understood")
        result = function(*_plain(args), **_plain(kwargs))
        is_module = isinstance(function, nn.Module)
        if handler is None or not (operands or is_module):
            return _mapped(result, lambda leaf: constant(leaf) if isinstance(leaf, torch.Tensor) else leaf)
        if not is_module and handler not in CONTRACTIONS:
            args, kwargs = _mapped((args, kwargs), self._used)
        try:
            inspect.signature(handler).bind(self.groups, result, *args, **kwargs)
        except TypeError as error:
            raise NotUnderstoodError(f"is called in a way that is not understood: {error}") from None
        axes = handler(self.groups, result, *args, **kwargs)
        if isinstance(result, torch.Tensor):
            return checked(result, axes)
        return tuple(checked(tensor, value) for tensor, value in zip(result, axes, strict=True))

    def _used(self, leaf: Any) -> Any:
        """Let equal entries of a constant follow what they are joined with, separately in each use."""
        if not isinstance(leaf, Constant):
            return leaf
        axes = (
            self.groups.copies("constant", length(axis)) if leaf.is_equal_along(dimension) else axis
            for dimension, axis in enumerate(leaf.axes)
        )
        return Traced(leaf.tensor, tuple(axes))

    def _stored(self, tensor: torch.Tensor) -> Traced:
        if id(tensor) not in self._names:
            return constant(tensor)
        if id(tensor) not in self.known:
            name = self._names[id(tensor)]
            units = name.removesuffix(".weight")
            self.known[id(tensor)] = tuple(
                self.groups.new(f"{name}@{dimension}" if dimension else units, size)
                for dimension, size in enumerate(tensor.shape)
            )
        return Traced(tensor, self.known[id(tensor)])


def _mapped(values: Any, function: Callable[[Any], Any]) -> Any:
    return map_aggregate(values, function)


def _plain(args: Any) -> Any:
    return _mapped(args, lambda leaf: leaf.tensor if isinstance(leaf, Traced) else leaf)


def stored_tensors(model: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Return the parameters and then the persistent buffers by name; a tied tensor has several names."""
    saved = model.state_dict().keys()
    buffers = [(n, b) for n, b in model.named_buffers(remove_duplicate=False) if n in saved]
    return [*model.named_parameters(remove_duplicate=False), *buffers]
