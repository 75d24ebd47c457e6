"""What tracing a network finds: the axes that can be permuted, and the values that have its hidden units."""

import copy

import torch
from torch import fx, nn

from raysweep.errors import SpecError
from raysweep.symmetry.axes import Value, still
from raysweep.symmetry.interpreter import PREFIX, Interpreter, stored_tensors
from raysweep.symmetry.left_alone import LeftAlone
from raysweep.symmetry.reading import read_in_training_only
from raysweep.symmetry.settling import Symmetries, settled

CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


class _Tracer(fx.Tracer):
    proxy_buffer_attributes = True  # else a computation on buffers is folded into a constant


def trace_axes(model: nn.Module, example: torch.Tensor) -> tuple[Symmetries, tuple[LeftAlone, ...]]:
    """Return axes, groups and blocks of the parameters and buffers, and the hidden units left alone.

    A parameter that is only read in training is left out. Raises `SpecError`, naming what is not understood.
    """
    interpreter = _interpret(model, example)
    return _settled(interpreter), _left_alone(interpreter)


def _left_alone(interpreter: Interpreter) -> tuple[LeftAlone, ...]:
    """Return the hidden units that stay in place, once all axes have been unified."""
    groups, axes_of = interpreter.groups, dict[str, list[tuple[str, int]]]()
    for name, tensor in stored_tensors(interpreter.module):
        for dimension, axis in enumerate(interpreter.known.get(id(tensor), ())):
            for why in dict.fromkeys(segment.why for segment in groups.resolve(axis)):
                axes_of.setdefault(why, []).append((name, dimension))
    return tuple(
        LeftAlone(units, why, tuple(axes_of[why])) for why, units in groups.pinned.items() if why in axes_of
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


def trace_units(model: nn.Module, example: torch.Tensor) -> dict[str, tuple[str, ...]]:
    """Return, by group, the names of the nodes whose values have the group's units along axis 1, in order.

    The nodes are those of `traced_graph`. Raises `SpecError`, naming an operation that is not understood, or
    a group without such a node.
    """
    interpreter = _interpret(copy.deepcopy(model).eval(), example)
    found: dict[str, list[str]] = {group: [] for group in _settled(interpreter).sizes}
    for name, value in interpreter.computed.items():
        batched = value.tensor.dim() > 1 and len(value.tensor) == len(example)
        axis = interpreter.groups.resolve(value.axes[1]) if batched else ()
        if len(axis) == 1 and axis[0].group in found and axis[0].repeat == 1:
            found[axis[0].group].append(name)
    for group, names in found.items():
        if not names:
            raise SpecError(f"group {group}: no value of the network has its units along axis 1")
    return {group: tuple(names) for group, names in found.items()}


def trace_hidden_layers(model: nn.Module, example: torch.Tensor) -> dict[str, int]:
    """Return the nodes whose values are those of hidden units before norm and nonlinearity, with their axis.

    They are the linear layers and convolutions of `traced_graph` in its order, but for those whose values are
    the network's output. Hidden units that cannot be permuted count too. Raises `SpecError`, naming an
    operation that is not understood.
    """
    interpreter = _interpret(copy.deepcopy(model).eval(), example)
    found = {}
    for node in interpreter.graph.nodes:
        axis = _axis_of_units(interpreter, node)
        value = interpreter.computed.get(node.name)
        if axis is not None and value is not None:
            units = interpreter.groups.resolve(value.axes[axis])
            if any(segment.group is not None or segment.why for segment in units):
                found[node.name] = axis
    return found


def _axis_of_units(interpreter: Interpreter, node: fx.Node) -> int | None:
    """Return the axis along which a linear layer or convolution has its units; None for other operations."""
    if node.op == "call_module":
        module = interpreter.fetch_attr(str(node.target))
        return -1 if isinstance(module, nn.Linear) else 1 if isinstance(module, CONVOLUTIONS) else None
    name = str(getattr(node.target, "__name__", node.target))
    return -1 if name in ("linear", "matmul", "mm") else 1 if name.startswith("conv") else None


def traced_graph(model: nn.Module) -> fx.Graph:
    """Return the graph on which the symmetries of a network are found."""
    return _Tracer().trace(model)


def _interpret(model: nn.Module, example: torch.Tensor) -> Interpreter:
    """Run a copy, in evaluation mode, so that neither statistics nor modes of the model change."""
    if "_orig_mod" in model._modules:
        raise SpecError(
            f"{PREFIX}: {type(model).__name__} is what torch.compile returns; give the module that it was "
            "made from (its _orig_mod), and its state dict"
        )
    floating = next((p.dtype for p in model.parameters() if p.is_floating_point()), example.dtype)
    try:
        network = copy.deepcopy(model).eval()
        interpreter = Interpreter(network, traced_graph(network))
        inputs = example.to(floating, copy=True) if example.is_floating_point() else example.clone()
        with torch.no_grad():
            interpreter.run(inputs)
        _check_all_used(interpreter, inputs)
    except SpecError:
        raise
    except Exception as error:
        raise SpecError(f"{PREFIX}: cannot trace {type(model).__name__}: {error}") from error
    return interpreter
