"""Abstract interpretation of a traced network: every axis of every value is a list of segments.

A segment of a group with n units and repeat r covers n * r entries: unit i is the block of r entries
from i * r (flattening channels x height x width gives r = height * width). Where two values meet, the
groups of their segments are merged (union-find); input, output and whatever an operation orders stay fixed.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from raysweep.errors import SpecError


@dataclass(frozen=True)
class Segment:
    """`size` consecutive entries of an axis that belong to `group` (None: they stay in place)."""

    group: str | None
    size: int
    repeat: int = 1


Value = tuple[tuple[Segment, ...], ...]  # the segments of each axis of a tensor


class _Groups:
    """Union-find over group names; a root that is fixed stays in place."""

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}
        self.fixed: set[str] = set()

    def new(self, name: str) -> str:
        self.parent[name] = name
        return name

    def find(self, name: str) -> str:
        while self.parent[name] != name:
            name = self.parent[name]
        return name

    def fix(self, axis: tuple[Segment, ...]) -> None:
        self.fixed.update(self.find(segment.group) for segment in axis if segment.group is not None)

    def merge(self, left: tuple[Segment, ...], right: tuple[Segment, ...]) -> None:
        """Make two axes of equal length move together; unlike segments stay in place."""
        if [(s.size, s.repeat) for s in left] != [(s.size, s.repeat) for s in right]:
            self.fix(left)
            self.fix(right)
            return
        for one, other in zip(left, right, strict=True):
            if one.group is None or other.group is None:
                self.fix((one, other))
                continue
            first, second = self.find(one.group), self.find(other.group)
            if first != second:
                self.parent[second] = first
                if second in self.fixed:
                    self.fixed.add(first)


_ELEMENTWISE_MODULES = (nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.Identity, nn.Dropout)
_ELEMENTWISE_FUNCTIONS: set[Callable[..., Any]] = {torch.relu, functional.relu, torch.tanh, functional.gelu}
_ADDITIONS: set[Callable[..., Any]] = {operator.add, operator.mul, torch.add, operator.sub}


class _Interpreter(fx.Interpreter):
    """Runs the graph on real tensors and keeps beside each value the segments of its axes."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.groups = _Groups()
        self.values: dict[fx.Node, Value] = {}
        self.parameters: dict[str, Value] = {}

    def run_node(self, node: fx.Node) -> Any:
        result = super().run_node(node)
        if node.op == "placeholder":
            self.values[node] = _still(result.shape)
        elif node.op == "output":
            for axis in self._of(node.args[0]):
                self.groups.fix(axis)
        elif node.op == "call_module":
            self.values[node] = self._module(node, result.shape)
        else:
            self.values[node] = self._function(node, result.shape)
        return result

    def _of(self, node: Any) -> Value:
        if not isinstance(node, fx.Node) or node not in self.values:
            raise SpecError(f"cannot find the permutation symmetries: unexpected operand {node!r}")
        return self.values[node]

    def _module(self, node: fx.Node, shape: torch.Size) -> Value:
        name = str(node.target)
        module = self.module.get_submodule(name)
        value = self._of(node.args[0])
        if isinstance(module, _ELEMENTWISE_MODULES):
            return value
        if isinstance(module, nn.Flatten) and module.start_dim == 1 and module.end_dim == -1:
            return self._flatten(value)
        if isinstance(module, nn.Linear):
            return self._linear(name, module, value)
        if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
            for parameter, _ in module.named_parameters():
                self._declare(f"{name}.{parameter}", (value[-1],))
            return value
        raise SpecError(
            f"cannot find the permutation symmetries: module {name} "
            f"({type(module).__name__}) is not understood"
        )

    def _function(self, node: fx.Node, shape: torch.Size) -> Value:
        if node.target in _ELEMENTWISE_FUNCTIONS:
            return self._of(node.args[0])
        if node.target in _ADDITIONS and all(isinstance(arg, fx.Node) for arg in node.args[:2]):
            left, right = self._of(node.args[0]), self._of(node.args[1])
            if [_length(axis) for axis in left] == [_length(axis) for axis in right]:
                for one, other in zip(left, right, strict=True):
                    self.groups.merge(one, other)
                return left
        if node.target is torch.flatten and node.args[1:] == (1,):
            return self._flatten(self._of(node.args[0]))
        raise SpecError(
            f"cannot find the permutation symmetries: operation {node.name} ({node.target}) is not understood"
        )

    def _linear(self, name: str, module: nn.Linear, value: Value) -> Value:
        out = (Segment(self.groups.new(name), module.out_features),)
        self._declare(f"{name}.weight", (out, value[-1]))
        if module.bias is not None:
            self._declare(f"{name}.bias", (out,))
        return (*value[:-1], out)

    def _declare(self, parameter: str, axes: Value) -> None:
        if parameter in self.parameters:  # a module that is called twice
            for one, other in zip(self.parameters[parameter], axes, strict=True):
                self.groups.merge(one, other)
        else:
            self.parameters[parameter] = axes

    def _flatten(self, value: Value) -> Value:
        inner = 1
        for axis in value[2:]:
            self.groups.fix(axis)
            inner *= _length(axis)
        units = tuple(Segment(s.group, s.size * inner, s.repeat * inner) for s in value[1])
        return (value[0], units)


def _still(shape: torch.Size) -> Value:
    return tuple((Segment(None, size),) for size in shape)


def _length(axis: tuple[Segment, ...]) -> int:
    return sum(segment.size for segment in axis)


def trace_axes(
    model: nn.Module, example: torch.Tensor
) -> tuple[dict[str, tuple[tuple[Segment, ...] | None, ...]], dict[str, int]]:
    """Return the axes of each parameter and the size of each group that is free to move."""
    try:
        graph = fx.symbolic_trace(model)
    except Exception as error:
        raise SpecError(f"cannot trace {type(model).__name__}: {error}") from error
    interpreter = _Interpreter(graph)
    with torch.no_grad():
        interpreter.run(example)
    groups = interpreter.groups
    fixed = {groups.find(name) for name in groups.fixed}
    axes: dict[str, tuple[tuple[Segment, ...] | None, ...]] = {}
    sizes: dict[str, int] = {}
    for name, value in interpreter.parameters.items():
        resolved: list[tuple[Segment, ...] | None] = []
        for axis in value:
            segments = tuple(_resolve(segment, groups, fixed) for segment in axis)
            for segment in segments:
                if segment.group is not None:
                    sizes[segment.group] = segment.size // segment.repeat
            resolved.append(segments if any(s.group is not None for s in segments) else None)
        axes[name] = tuple(resolved)
    missing = {name for name, _ in model.named_parameters()} - set(axes)
    if missing:
        raise SpecError(f"parameters whose use is not understood: {', '.join(sorted(missing))}")
    return axes, sizes


def _resolve(segment: Segment, groups: _Groups, fixed: set[str]) -> Segment:
    if segment.group is None:
        return segment
    root = groups.find(segment.group)
    return Segment(None if root in fixed else root, segment.size, segment.repeat)
