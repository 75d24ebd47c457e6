"""What tracing a network finds: the axes that can be permuted, and the values that have its hidden units."""

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from raysweep.errors import SpecError
from raysweep.symmetry.axes import Axis, Part, Value, still
from raysweep.symmetry.interpreter import Computed, Interpreter, stored_tensors
from raysweep.symmetry.left_alone import LeftAlone
from raysweep.symmetry.reading import read_in_training_only
from raysweep.symmetry.settling import Symmetries, settled

PREFIX = "cannot find the permutation symmetries"  # of every message


@dataclass(frozen=True, order=True)
class Place:
    """Where a network computes something: the number of the call (see `Listener`), and the axis of its
    units."""

    call: int
    axis: int


@dataclass(frozen=True)
class HiddenLayer:
    """A linear layer or convolution, and where its values are; `name` is that of the operation.

    `parameters` are those that it reads itself, in the order of its arguments: weight and bias. `shared` says
    whether another operation reads one of them too.
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

    The values have the examples along axis 0, as do all inputs. Raises `SpecError` for a group without such
    values.
    """
    interpreter = _interpret(model, example)
    found: dict[str, list[Place]] = {group: [] for group in _settled(interpreter).sizes}
    for computed in _of_examples(interpreter, len(example)):
        for dimension, axis in enumerate(computed.value.axes[1:], start=1):
            units = () if isinstance(axis, Part) else interpreter.groups.resolve(axis)
            if len(units) == 1 and units[0].group in found and units[0].repeat == 1:
                found[units[0].group].append(Place(computed.call, dimension))
                break
    for group, places in found.items():
        if not places:
            raise SpecError(f"group {group}: no value of the network has its units along an axis")
    return {group: tuple(places) for group, places in found.items()}


def trace_hidden_layers(model: nn.Module, example: torch.Tensor) -> tuple[HiddenLayer, ...]:
    """Return the linear layers and convolutions that compute hidden units, before norm and nonlinearity.

    They are in the order in which they run, without those whose values are the network's output. Hidden units
    that cannot be permuted count too. Raises `SpecError` as `trace_axes` does.
    """
    interpreter = _interpret(model, example)
    readers = Counter(name for computed in interpreter.computed for name in computed.stored)
    found = []
    for computed in _of_examples(interpreter, len(example)):
        axis = 1 if computed.name.startswith("conv") else -1 if computed.name == "linear" else None
        units = computed.value.axes[axis] if axis is not None else ()
        resolved = () if isinstance(units, Part) else interpreter.groups.resolve(units)
        if axis is not None and any(segment.group is not None or segment.why for segment in resolved):
            shared = any(readers[name] > 1 for name in computed.stored)
            place = Place(computed.call, axis)
            found.append(HiddenLayer(place, computed.name, computed.stored, shared))
    return tuple(found)


def _of_examples(interpreter: Interpreter, examples: int) -> Iterator[Computed]:
    """Yield the values that have the examples along axis 0."""
    for each in interpreter.computed:
        tensor = each.value.tensor
        if tensor.dim() > 1 and len(tensor) == examples:
            yield each


def _interpret(model: nn.Module, example: torch.Tensor) -> Interpreter:
    """Run a copy, in evaluation mode, so that neither statistics nor modes of the model change."""
    if "_orig_mod" in model._modules:
        raise SpecError(
            f"{PREFIX}: {type(model).__name__} is what torch.compile returns; give the module that it was "
            "made from (its _orig_mod), and its state dict"
        )
    floating = next((p.dtype for p in model.parameters() if p.is_floating_point()), example.dtype)
    try:
        interpreter = Interpreter(copy.deepcopy(model).eval())
        inputs = example.to(floating, copy=True) if example.is_floating_point() else example.clone()
        interpreter.run(inputs)
        _check_all_used(interpreter, inputs)
    except SpecError:
        raise
    except Exception as error:
        raise SpecError(f"{PREFIX}: cannot trace {type(model).__name__}: {error}") from error
    return interpreter
