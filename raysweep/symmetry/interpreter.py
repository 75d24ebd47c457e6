"""Abstract interpretation of a network while it runs: every axis of every tensor is a list of segments.

Every axis of a parameter begins as a group of its own; the operations unify the groups of axes that have to
move together, and the axes of the network's input and output stay in place. So do those that reach an
operation that is not understood, while the rest of the network is none of its business.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils import _pytree as pytree

from raysweep.symmetry.axes import Axis, Divided, Part, Value, length
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.listening import Call, Callers, Everything, Listener, memory_of, tensors_in
from raysweep.symmetry.operations import ADDITIONS, BOUNDED, CONTRACTIONS, DIVIDED, FORMS, OPERATIONS
from raysweep.symmetry.operations.dividing import undivided
from raysweep.symmetry.traced import (
    Constant,
    NotUnderstoodError,
    Stacked,
    Traced,
    Undivided,
    checked,
    constant,
    fix_all,
    unmoved,
)

T = TypeVar("T")
FROM_UNHEARD = "joins them with what a function that is not followed has made of others"


@dataclass(frozen=True)
class Computed:
    """The tensor that a call of a function of torch has returned, where it has returned a single one.

    `stored` are the names of the parameters and buffers that the call reads itself, in the order of its
    arguments.
    """

    call: int
    name: str
    value: Traced
    stored: tuple[str, ...]


class Interpreter(Listener):
    """Runs a network and keeps beside each tensor the segments of its axes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.module = model
        self.groups = Groups()
        self._callers = Callers(model)
        self.known: dict[int, Value] = {}  # axes by the identity of the parameter or buffer
        self.computed: list[Computed] = []
        self.sums: list[Axis] = []  # along which two values of the network are added
        self.bounded: list[Axis] = []  # along which a value is compared with constants
        self._hearing = 0  # calls, one inside the other
        self._in_memory: dict[int, list[Traced]] = {}  # values of the network, by the memory
        self._from_unheard: set[int] = set()  # memories of what was computed of these and not heard
        self._alive: list[torch.Tensor] = []  # so that no other tensor gets their memory
        stored = stored_tensors(model)
        self._names = {id(tensor): name for name, tensor in reversed(stored)}
        self._stored_in: dict[int, list[torch.Tensor]] = {}  # parameters and buffers, by the memory
        for _, tensor in stored:
            _put(tensor, tensor, self._stored_in)
        self._values: dict[int, Traced] = {}  # by the identity of the tensor, which this keeps alive
        self._written: dict[int, list[Traced]] = {}  # what calls have written, by the memory
        self._undivided: dict[int, tuple[Divided, list[Axis]]] = {}
        # The groups of the parameters that a tensor is computed of, where these and constants determine it.
        self._of_weights: dict[int, frozenset[str]] = {}

    @torch.no_grad()
    def run(self, inputs: torch.Tensor) -> None:
        """Run the network in evaluation mode; its outputs are not hidden units."""
        self._remember(inputs, unmoved(inputs))
        with self, Everything(self._unheard):
            output = self.module(inputs)
        for leaf in pytree.tree_leaves(output):
            if id(leaf) in self._values:
                fix_all(self.groups, self._plain(self._values[id(leaf)]).axes, reason="")

    def heard(self, call: Call) -> Any:
        self._hearing += 1
        try:
            return self._followed(call)
        finally:
            self._hearing -= 1

    def _followed(self, call: Call) -> Any:
        self.groups.operation, self.groups.own = "", set()
        args, kwargs = pytree.tree_map_only(torch.Tensor, self._traced, (call.args, call.kwargs))
        handler = None if call.name in FORMS else OPERATIONS.get(call.name)
        given = _leaves((args, kwargs))
        operands = [each for each in given if not isinstance(each, Constant) or each.is_written]
        if call.name in FORMS or not operands:
            result = call.run()
            self._keep(call, result, [None] * len(tensors_in(result)))
            return result
        self.groups.operation = f"operation {call.name or _name(call)}{self._callers.current()}"
        target = call.args[0] if call.name == "setitem" else None
        self._fix_written([each for each in operands if each.tensor is not target])
        self._own(call)
        every = handler not in CONTRACTIONS
        # Before the operation, which may write to its operands.
        args, kwargs = _mapped(lambda leaf: self._used(leaf, every), (args, kwargs))
        varying = [leaf for leaf in operands if not self._is_of_weights(leaf)]
        if call.name in ADDITIONS:
            self._note_sums(varying)
        if call.name in BOUNDED:
            every_axis = (axis for leaf in varying for axis in leaf.axes)
            self.bounded += [axis.whole.axis if isinstance(axis, Part) else axis for axis in every_axis]
        if call.name == "setitem":  # what is written says what the tensor holds
            self._values[id(call.args[0])] = args[0]
        result, _, written = call.run_and_list()
        self._keep(call, result, self._axes(handler, result, args, kwargs))
        for tensor in written:
            _put(tensor, self._traced(tensor), self._written)
        if not varying:
            self._of_weights |= dict.fromkeys(map(id, tensors_in(result)), frozenset(self.groups.own))
        return result

    def _fix_written(self, operands: list[Traced]) -> None:
        """Make units stay in place that were written, through a view, to a constant that is read now."""
        for operand in operands:
            if isinstance(operand, Constant):
                for written in self._written.pop(memory_of(operand.tensor), ()):
                    fix_all(self.groups, self._plain(written).axes, "reads what was written through a view")

    def _unheard(self, given: list[torch.Tensor], results: list[torch.Tensor]) -> None:
        """Make units stay in place that an operation reads outside of all calls that are heard."""
        if not self._hearing:
            found = [self._fix_unheard(memory_of(tensor)) for tensor in given]
            self._from_unheard |= {memory_of(tensor) for tensor in results if any(found)} - {0}
            self._alive += results

    def _fix_unheard(self, memory: int) -> bool:
        """Make the units in a memory stay in place; return whether it has any values of the network."""
        for tensor in self._stored_in.get(memory, ()):
            self._stored(tensor)
        values = self._in_memory.get(memory, ())
        if values:
            operation, own = self.groups.operation, self.groups.own
            where = self._callers.current()
            self.groups.operation, self.groups.own = f"a function that is not followed{where}", set()
            for value in values:
                fix_all(self.groups, self._plain(value).axes, "reads them")
            self.groups.operation, self.groups.own = operation, own
        return bool(values) or memory in self._from_unheard

    def _is_of_weights(self, leaf: Traced) -> bool:
        return isinstance(leaf, Constant) or id(leaf.tensor) in self._names.keys() | self._of_weights.keys()

    def _note_sums(self, addends: list[Traced]) -> None:
        """Record the axes along which values are added that other layers have computed."""
        if len(addends) == 2:
            for one, other in zip(*(reversed(leaf.axes) for leaf in addends), strict=False):
                groups = [{s.group for s in self.groups.resolve(axis)} for axis in (one, other)]
                if None not in groups[0] | groups[1] and groups[0].isdisjoint(groups[1]):
                    self.sums.append(one)

    def _axes(self, handler: Callable[..., Any] | None, result: Any, args: Any, kwargs: Any) -> Any:
        """Return the axes of each tensor of a result; where they are not understood nothing moves."""
        try:
            return self._understood(handler, result, args, kwargs)
        except NotUnderstoodError as error:
            reason = str(error)
            for operand in _leaves((args, kwargs)):
                fix_all(self.groups, self._plain(operand).axes, reason)
            why = f"{self.groups.operation} {reason}"
            return [unmoved(each, why).axes for each in tensors_in(result)]

    def _understood(self, handler: Callable[..., Any] | None, result: Any, args: Any, kwargs: Any) -> Any:
        if handler is None:
            raise NotUnderstoodError("is not understood")
        if not tensors_in(result) and result is not None:
            raise NotUnderstoodError("turns them into Python numbers")
        if handler not in DIVIDED:
            args, kwargs = _mapped(self._plain, (args, kwargs))
        try:
            found = self._handled(handler, result, args, kwargs)
            values = [found] if isinstance(result, torch.Tensor) else found or []
            for tensor, value in zip(tensors_in(result), values, strict=True):
                if not isinstance(value, Stacked):
                    checked(tensor, value)
        except NotUnderstoodError:
            raise
        except Exception as error:  # a handler takes an argument for another one
            raise NotUnderstoodError(f"is called in a way that is not understood: {error}") from None
        return values

    def _handled(self, handler: Callable[..., Any], result: Any, args: Any, kwargs: Any) -> Any:
        inspect.signature(handler).bind(self.groups, result, *args, **kwargs)
        try:
            return handler(self.groups, result, *args, **kwargs)
        except Undivided:
            args, kwargs = _mapped(self._plain, (args, kwargs))
            return handler(self.groups, result, *args, **kwargs)

    def _keep(self, call: Call, result: Any, values: Any) -> None:
        for tensor, value in zip(tensors_in(result), values, strict=True):
            if value is None:
                found: Traced = constant(tensor)
            else:
                found = value if isinstance(value, Stacked) else Traced(tensor, value)
            self._remember(tensor, found)
            if value is not None and tensor is result:
                stored = tuple(self._names[id(each)] for each in call.tensors() if id(each) in self._names)
                self.computed.append(Computed(call.number, call.name, found, stored))

    def _remember(self, tensor: torch.Tensor, value: Traced) -> None:
        self._values[id(tensor)] = value
        if not isinstance(value, Constant):
            _put(tensor, value, self._in_memory)

    def _own(self, call: Call) -> None:
        """Record the groups of the parameters and buffers that the current operation reads, as they are or in
        a weight that is computed of them."""
        for tensor in call.tensors():
            self.groups.own |= self._of_weights.get(id(tensor), frozenset())
            for axis in self.known.get(id(tensor), ()):
                assert not isinstance(axis, Part)
                self.groups.own |= {segment.group for segment in axis if segment.group is not None}

    def _traced(self, tensor: torch.Tensor) -> Traced:
        if id(tensor) in self._names:
            return self._stored(tensor)
        if id(tensor) not in self._values:
            unheard = self._fix_unheard(memory_of(tensor))
            self._values[id(tensor)] = unmoved(tensor, FROM_UNHEARD) if unheard else constant(tensor)
        return self._values[id(tensor)]

    def _used(self, leaf: Traced, every: bool) -> Traced:
        """Let equal entries of a constant follow what they are joined with, separately in each use.

        Unless `every` constant is meant, those that are not zero stay as they are.
        """
        if not isinstance(leaf, Constant) or not (every or leaf.is_zero):
            return leaf
        axes = (
            self.groups.copies("constant", length(axis)) if leaf.is_equal_along(dimension) else axis
            for dimension, axis in enumerate(leaf.axes)
        )
        return Traced(leaf.tensor, tuple(axes))

    def _plain(self, leaf: Traced) -> Traced:
        """Make the inner entries of divided axes stay in place, and let layers with one last state move
        alike."""
        if isinstance(leaf, Stacked):
            for units in leaf.units[1:]:
                self.groups.merge(leaf.units[0], units)
        if not any(isinstance(axis, Part) for axis in leaf.axes):
            return leaf
        return Traced(leaf.tensor, tuple(self._whole(axis) for axis in leaf.axes))

    def _whole(self, axis: Axis) -> Axis:
        if not isinstance(axis, Part):
            return axis
        if id(axis.whole) not in self._undivided:
            self._undivided[id(axis.whole)] = axis.whole, undivided(self.groups, axis.whole)
        return self._undivided[id(axis.whole)][1][axis.number]

    def _stored(self, tensor: torch.Tensor) -> Traced:
        if id(tensor) not in self.known:
            name = self._names[id(tensor)]
            units = name.removesuffix(".weight")
            self.known[id(tensor)] = tuple(
                self.groups.new(f"{name}@{dimension}" if dimension else units, size)
                for dimension, size in enumerate(tensor.shape)
            )
            self._remember(tensor, Traced(tensor, self.known[id(tensor)]))
        return Traced(tensor, self.known[id(tensor)])


def _put(tensor: torch.Tensor, value: T, by_memory: dict[int, list[T]]) -> None:
    """Append a value to those of the memory of a tensor, if it has one."""
    if memory_of(tensor):
        by_memory.setdefault(memory_of(tensor), []).append(value)


def _mapped(function: Callable[[Traced], Traced], values: Any) -> Any:
    return pytree.tree_map_only(Traced, function, values)


def _leaves(values: Any) -> list[Traced]:
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Traced)]


def _name(call: Call) -> str:
    return str(getattr(call.function, "__name__", call.function))


def stored_tensors(model: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Return the parameters and then the persistent buffers by name; a tied tensor has several names."""
    saved = model.state_dict().keys()
    buffers = [(n, b) for n, b in model.named_buffers(remove_duplicate=False) if n in saved]
    return [*model.named_parameters(remove_duplicate=False), *buffers]
