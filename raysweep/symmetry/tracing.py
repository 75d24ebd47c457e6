"""What tracing a network finds: the axes that can be permuted, and the values that have its hidden units."""

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from raysweep.errors import SpecError
from raysweep.models.precision import type_of_examples
from raysweep.symmetry.axes import Axis, Part, Value, starts, still
from raysweep.symmetry.interpreter import Computed, Interpreter, stored_tensors
from raysweep.symmetry.left_alone import LeftAlone
from raysweep.symmetry.listening import Call, Listener, memory_of
from raysweep.symmetry.products import axis_of_product
from raysweep.symmetry.reading import read_in_training_only
from raysweep.symmetry.settling import Symmetries, settled

PREFIX = "cannot find the permutation symmetries"  # of every message


@dataclass(frozen=True, order=True)
class Place:
    """Where a network computes something: the number of the call (see `Listener`), and the axis of its units.

    Along that axis they are all entries, or, where `units` is given, as many as that from `first` on.
    """

    call: int
    axis: int
    first: int = 0
    units: int = 0

    def units_of(self, result: torch.Tensor) -> torch.Tensor:
        """Return the units of what the call has returned, along axis 1, as a view."""
        values = result.movedim(self.axis, 1)
        return values.narrow(1, self.first, self.units) if self.units else values


@dataclass(frozen=True)
class HiddenLayer:
    """A linear layer, a convolution or a product with weights, and where its values are; `name` is that of
    the operation.

    `parameters` are those that it reads itself, weight and bias. `shared` says whether another operation
    reads one of them too.
    """

    place: Place
    name: str
    parameters: tuple[str, ...]
    shared: bool


def trace_axes(
    model: nn.Module, example: torch.Tensor
) -> tuple[Symmetries, tuple[LeftAlone, ...], frozenset[str], frozenset[str]]:
    """Return axes, groups and blocks of the parameters and buffers, the hidden units left alone, the groups
    whose units are sums, and those whose units are compared with constants.

    A parameter that is only read in training is left out. Raises `SpecError` for a network that fails, and
    for one with a parameter that is never used.
    """
    interpreter = _interpret(model, example)
    found = _settled(interpreter)
    sums, bounded = (_groups_along(interpreter, axes) for axes in (interpreter.sums, interpreter.bounded))
    return found, _left_alone(interpreter), sums, bounded


def _groups_along(interpreter: Interpreter, axes: list[Axis]) -> frozenset[str]:
    resolved = (segment for axis in axes for segment in interpreter.groups.resolve(axis))
    return frozenset(segment.group for segment in resolved if segment.group is not None)


def _left_alone(interpreter: Interpreter) -> tuple[LeftAlone, ...]:
    """Return the hidden units that stay in place, once all axes have been unified."""
    groups, axes_of = interpreter.groups, dict[str, list[tuple[str, int]]]()
    for name, tensor in stored_tensors(interpreter.module):
        for dimension, axis in enumerate(interpreter.known.get(id(tensor), ())):
            assert not isinstance(axis, Part)
            for why in dict.fromkeys(segment.why for segment in groups.resolve(axis)):
                axes_of.setdefault(why, []).append((name, dimension))
    parameters = {name for name, _ in interpreter.module.named_parameters()}
    return tuple(
        LeftAlone(units, why, tuple(axes_of[why]))
        for why, units in groups.pinned.items()
        if any(name in parameters for name, _ in axes_of.get(why, ()))  # a mask has no hidden units
    )


def _settled(interpreter: Interpreter) -> Symmetries:
    stored: dict[str, Value] = {}
    for name, tensor in stored_tensors(interpreter.module):
        value = interpreter.known.get(id(tensor))
        if value is None and isinstance(tensor, nn.Parameter):
            continue  # it is only read in training (`_check_all_used`)
        stored[name] = value or tuple(map(still, tensor.shape))
    return settled(interpreter.groups, stored)


def _check_all_used(interpreter: Interpreter, inputs: torch.Tensor) -> None:
    """Raise `SpecError` for a parameter that no mode of the network reads.

    A parameter that is only read in training, as in an auxiliary classifier, has no effect on the function
    that is evaluated. It has no axes, whatever units it reads.
    """
    network = interpreter.module
    unread = [name for name, p in network.named_parameters() if id(p) not in interpreter.known]
    lost = set(unread) - read_in_training_only(network, inputs) if unread else set()
    for name in unread:
        if name in lost:
            raise SpecError(f"{PREFIX}: parameter {name} is never used")


def trace_units(model: nn.Module, example: torch.Tensor) -> dict[str, tuple[Place, ...]]:
    """Return, by group, where the network computes values that have the group's units along an axis, in
    order.

    The values have the examples along axis 0, as do all inputs. Only where a group is nowhere alone along an
    axis its places are runs of entries: one of several groups side by side, as in a projection to queries,
    keys and values. Raises `SpecError` for a group without such values.
    """
    interpreter = _interpret(model, example)
    twice = _with_twice(interpreter, model, example)
    sizes, computed = _settled(interpreter).sizes, list(_of_examples(interpreter, twice))
    found: dict[str, list[Place]] = {group: [] for group in sizes}
    for each in computed:
        for dimension, units in _resolved(interpreter, each):
            if len(units) == 1 and units[0].group in found and units[0].repeat == 1:
                found[units[0].group].append(Place(each.call, dimension))
                break
    beside = {group for group, places in found.items() if not places}
    for each in computed if beside else ():
        for dimension, units in _resolved(interpreter, each):
            for first, segment in starts(units):
                if segment.group in beside and segment.size == sizes[segment.group]:
                    found[segment.group].append(Place(each.call, dimension, first, segment.size))
    for group, places in found.items():
        if not places:
            raise SpecError(
                f"group {group}: no value of the network has its units along an axis, by which they could be "
                "compared; match them by their weights"
            )
    return {group: tuple(places) for group, places in found.items()}


def _resolved(interpreter: Interpreter, computed: Computed) -> Iterator[tuple[int, Axis]]:
    """Yield the axes behind that of the examples, with their dimensions, which are not divided."""
    for dimension, axis in enumerate(computed.value.axes[1:], start=1):
        if not isinstance(axis, Part):
            yield dimension, interpreter.groups.resolve(axis)


def trace_hidden_layers(model: nn.Module, example: torch.Tensor) -> tuple[HiddenLayer, ...]:
    """Return the linear layers, convolutions and products with weights that compute hidden units, before norm
    and nonlinearity.

    They are in the order in which they run, without those whose values are the network's output. Hidden units
    that cannot be permuted count too. Raises `SpecError` as `trace_axes` does, and where there is no such
    layer though the network has units that can.
    """
    interpreter = _interpret(model, example)
    twice = _with_twice(interpreter, model, example)
    readers = Counter(name for computed in interpreter.computed for name in computed.stored)
    found = []
    for computed in _of_examples(interpreter, twice):
        axis = _axis_of_units(computed, twice)
        units = computed.value.axes[axis] if axis is not None else ()
        resolved = () if isinstance(units, Part) else interpreter.groups.resolve(units)
        if axis is not None and any(segment.group is not None or segment.why for segment in resolved):
            shared = any(readers[name] > 1 for name in computed.stored)
            place = Place(computed.call, axis)
            found.append(HiddenLayer(place, computed.name, _weight_first(computed), shared))
    if not found and (groups := _settled(interpreter).sizes):
        named = ", ".join(groups)
        raise SpecError(f"no linear layer, convolution or product with weights computes the units of {named}")
    return tuple(found)


def _axis_of_units(computed: Computed, twice: "_Twice") -> int | None:
    """Return the axis of the units that a layer computes, or None for another operation."""
    if computed.name.startswith("conv"):
        return 1
    return -1 if computed.name == "linear" else twice.products.get(computed.call)


def _weight_first(computed: Computed) -> tuple[str, ...]:
    """Return the parameters that a layer reads itself, weight and bias; `addmm` has the bias first."""
    return computed.stored[::-1] if computed.name == "addmm" else computed.stored


class _Twice(Listener):
    """A run with all examples twice.

    By the number of the call, `lengths` are those of results along axis 0, and `products` the axes of the
    units that products of values with weights compute.
    """

    def __init__(self, network: nn.Module, inputs: torch.Tensor) -> None:
        super().__init__()
        self.examples, self.lengths, self.products = len(inputs), dict[int, int](), dict[int, int]()
        inputs = torch.cat([inputs, inputs])
        self._alive = [inputs]  # so that no other tensor gets its memory
        self._of_inputs = {memory_of(inputs)}
        self._of_weights = {memory_of(tensor) for _, tensor in stored_tensors(network)}
        with torch.no_grad(), self:
            network(inputs)

    def heard(self, call: Call) -> Any:
        axis = axis_of_product(call, self._is_of_weights)
        result, found, _ = call.run_and_list()
        self._alive += found
        for memories in (self._of_inputs, self._of_weights):
            if any(memory_of(each) in memories for each in call.tensors()):
                memories |= {memory_of(each) for each in found}
                break
        if isinstance(result, torch.Tensor) and result.dim():
            self.lengths[call.number] = len(result)
            if axis is not None:
                self.products[call.number] = axis
        return result

    def _is_of_weights(self, tensor: torch.Tensor) -> bool:
        memory = memory_of(tensor)
        return memory in self._of_weights and memory not in self._of_inputs


def _with_twice(interpreter: Interpreter, model: nn.Module, example: torch.Tensor) -> _Twice:
    try:
        return _Twice(interpreter.module, _inputs(model, example))
    except Exception as error:
        raise SpecError(f"{PREFIX}: cannot run with {2 * len(example)} examples: {error}") from error


def _of_examples(interpreter: Interpreter, twice: _Twice) -> Iterator[Computed]:
    """Yield the values that have the examples along axis 0, which a weight with as many rows has not."""
    for each in interpreter.computed:
        tensor = each.value.tensor
        lengths = len(tensor) if tensor.dim() > 1 else 0, twice.lengths.get(each.call)
        if lengths == (twice.examples, 2 * twice.examples):
            yield each


def _interpret(model: nn.Module, example: torch.Tensor) -> Interpreter:
    """Run a copy, in evaluation mode, so that neither statistics nor modes of the model change."""
    if "_orig_mod" in model._modules:
        raise SpecError(
            f"{PREFIX}: {type(model).__name__} is what torch.compile returns; give the module that it was "
            "made from (its _orig_mod), and its state dict"
        )
    try:
        interpreter = Interpreter(copy.deepcopy(model).eval())
        inputs = _inputs(model, example)
        interpreter.run(inputs)
        _check_all_used(interpreter, inputs)
    except SpecError:
        raise
    except Exception as error:
        raise SpecError(f"{PREFIX}: cannot trace {type(model).__name__}: {error}") from error
    return interpreter


def _inputs(model: nn.Module, example: torch.Tensor) -> torch.Tensor:
    """Return a copy of examples, those of floating-point numbers in the type of the network."""
    floating = type_of_examples(model, example) if example.is_floating_point() else example.dtype
    return example.to(floating, copy=True)
