"""A network with random weights, on which its symmetries are tested."""

import copy
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from raysweep.errors import SpecError
from raysweep.models.random_weights import randomise
from raysweep.symmetry.gradients import State, state_gradients
from raysweep.symmetry.interpreter import stored_tensors
from raysweep.symmetry.listening import tensors_in
from raysweep.symmetry.precision import DOUBLE, DoublePrecision
from raysweep.symmetry.rerun import Rerun, Result, in_one_vector

TOLERANCE = 1e-9  # relative; in float64 a true symmetry leaves errors near 1e-14
CLEAR = 1e-6  # relative; a change that is not the rest of one that has faded away
ENTRIES, MOST = 4096, 16  # of the inputs that are drawn, at least, unless these are so many examples


@dataclass(frozen=True)
class Effect:
    """`change` is the largest change of an output, 0 for mere rounding; `reached` are the results of calls
    that differ, with their relative changes."""

    change: float
    reached: Mapping[Result, float]


@dataclass(frozen=True)
class RandomisedNetwork:
    """`outputs` (entries,) are those of `evaluate` at `state`; `gradients` are of a random sum of them.

    There are none where they cannot be taken, for the reason `without_gradients`.
    """

    evaluate: Callable[[State], torch.Tensor]
    state: State
    outputs: torch.Tensor
    gradients: State
    threshold: float  # a smaller change of the outputs counts as none
    audible: float  # and a larger one than this as an effect
    rerun: Rerun | None  # None where a change cannot be followed
    without_gradients: str = ""

    def effect(self, changed: State) -> Effect:
        """Return what changes when these tensors take other values.

        Only the parts that the change reaches are run again. Where it reaches the outputs, or cannot be
        followed, the whole network runs again to measure the change.
        """
        reached = self._reached(changed)
        if self.rerun is not None and not self.rerun.output_results & reached.keys():
            return Effect(0.0, reached)
        with torch.no_grad():
            outputs = self.evaluate({**self.state, **changed})
        return Effect((outputs - self.outputs).abs().max().item(), reached)

    def at(self, changed: State) -> "RandomisedNetwork":
        """Return the network with other values of these tensors, however large, and without gradients.

        Outputs of large values have larger errors, so that only clear changes count.
        """
        state = {**self.state, **changed}
        with torch.no_grad():
            outputs = self.evaluate(state)
        clear = CLEAR * outputs.abs().max().item()
        return RandomisedNetwork(self.evaluate, state, outputs, {}, clear, clear, rerun=None)

    def has_any(self, reached: Collection[Result], names: Collection[str]) -> bool:
        """Whether a result that a change reaches may be that of an operation of these names."""
        return self.rerun is None or not self.rerun.names(reached).isdisjoint(names)

    def keeps(self, changed: State) -> bool:
        """Whether the outputs stay as they are when these tensors take other values, all of them."""
        return self.effect(changed).change <= self.threshold

    def is_silent(self, changed: State) -> bool:
        """Whether entries that change have no effect, whatever they become, as where no example is sent.

        The entries of one tensor at a time go a part of the way, each another one.
        """
        for name, values in changed.items():
            old = self.state[name]
            share = torch.linspace(0.1, 0.9, old.numel(), dtype=torch.float64).view(old.shape)
            if not self.keeps({name: old + share * (values - old)}):
                return False
        return True

    def is_heard(self, changed: State, beyond: Mapping[Result, float]) -> bool:
        """Whether these tensors, with other values, change a result that is not among those of another
        change.

        Both changes have to be clear. Where the other one fades away, results that it does not reach prove
        nothing, and only a change of the outputs counts.
        """
        if self.rerun is None:
            return self.effect(changed).change > self.audible
        outputs, fades = self.rerun.output_results, any(change < CLEAR for change in beyond.values())

        def is_clear(result: Result, change: float) -> bool:
            return change > CLEAR and (result in outputs if fades else result not in beyond)

        return any(is_clear(*each) for each in self._reached(changed, is_clear).items())

    def _reached(
        self, changed: State, is_enough: Callable[[Result, float], bool] = lambda *_: False
    ) -> dict[Result, float]:
        if self.rerun is None:
            return {}
        old = {name: self.state[name].data for name in changed}
        try:
            for name, values in changed.items():
                self.state[name].data = values
            return self.rerun.changes([self.state[name] for name in changed], is_enough)
        finally:
            for name, values in old.items():
                self.state[name].data = values


def single_names(model: nn.Module) -> list[str]:
    """Return the names of all parameters and buffers; of a tied tensor only the first name."""
    names = {id(tensor): name for name, tensor in reversed(stored_tensors(model))}
    return [name for name, tensor in stored_tensors(model) if names[id(tensor)] == name]


def under_all_names(model: nn.Module, exponents: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """Return exponents by name and axis with those of tied tensors under each of their names."""
    tensors = dict(stored_tensors(model))
    return {
        (other, dimension): exponent
        for (name, dimension), exponent in exponents.items()
        for other, tensor in tensors.items()
        if tensor is tensors[name]
    }


def enough_examples(example: torch.Tensor) -> torch.Tensor:
    """Return a batch repeated until chance finds no symmetry in it; of large inputs fewer are enough."""
    few = min(MOST, math.ceil(ENTRIES / example[0].numel()))
    return example.repeat(math.ceil(few / len(example)), *(1,) * (example.dim() - 1))


def signed_network(model: nn.Module, example: torch.Tensor, generator: torch.Generator) -> RandomisedNetwork:
    """Draw a network whose gains and biases have both signs, where it has outputs other than zero then.

    With positive biases alone all of a few units may be active, so that a ReLU before them is not noticed.
    Raises `SpecError` as `randomised_network` does.
    """
    try:
        return randomised_network(model, example, generator, signed=True)
    except SpecError:  # no unit is active, or the network takes the root of a parameter
        return randomised_network(model, example, generator)


def randomised_network(
    model: nn.Module, example: torch.Tensor, generator: torch.Generator, signed: bool = False
) -> RandomisedNetwork:
    """Draw all parameters and buffers in float64; `signed` gives parameters that are vectors both signs.

    The network and its inputs are on the CPU, wherever the model is: draws are the same everywhere.
    Raises `SpecError` when the outputs are zero, and for a network that fails.
    """
    network = blank_copy(model).eval().requires_grad_(False)
    inputs = _drawn(example, generator)
    stored = dict(stored_tensors(network))
    state = {name: stored[name] for name in single_names(network)}
    for tensor in state.values():
        if tensor.is_floating_point() or tensor.is_complex():
            randomise(tensor, generator)
            if signed and isinstance(tensor, nn.Parameter) and tensor.dim() < 2:
                tensor.mul_(torch.randint(2, tensor.shape, generator=generator) * 2 - 1)
    inputs = _varied(network, inputs)

    def evaluate(values: State) -> torch.Tensor:
        with DoublePrecision():
            result = torch.func.functional_call(network, values, (inputs,))
        return in_one_vector(result)

    rerun = _traced(network, inputs)
    if rerun is not None and bool(rerun.outputs.isnan().any()):
        _make_positive(state)
        rerun = _traced(network, inputs)
    try:
        with torch.no_grad():
            outputs = evaluate(state) if rerun is None else rerun.outputs
    except Exception as error:  # whatever a user's code raises
        raise SpecError(
            "the proof of the permutation spec runs the network with random weights in float64, which fails: "
            f"{error}"
        ) from error
    scale = outputs.abs().max().item()
    if not 0 < scale < float("inf"):
        raise SpecError(
            f"the proof of the permutation spec is vacuous: the network's outputs are {scale:.2g}"
        )
    weights = torch.randn(outputs.shape, generator=generator, dtype=torch.float64)
    gradients, without = State(), ""
    try:
        gradients = state_gradients(lambda values: evaluate(values) @ weights, state)
    except Exception as error:  # whatever a user's code raises, as a checkpoint that calls other functions
        without = f"{type(error).__name__}: {error}"
    return RandomisedNetwork(
        evaluate, state, outputs, gradients, TOLERANCE * scale, CLEAR * scale, rerun, without
    )


def _drawn(example: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return random numbers, or integers from the smallest to the largest one of the example."""
    if example.is_floating_point():
        return torch.randn(example.shape, generator=generator, dtype=torch.float64)
    low, high = int(example.min()), int(example.max())
    return torch.randint(low, high + 1, example.shape, generator=generator).to(example.dtype)


def _varied(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return inputs that differ, where they are integers that are all the same and the network takes others.

    Tokens that are all the same say nothing of what tells them apart.
    """
    if inputs.is_floating_point() or not bool((inputs == inputs.flatten()[0]).all()):
        return inputs
    varied = inputs + torch.arange(inputs.numel()).view(inputs.shape) % 2
    try:
        with torch.no_grad(), DoublePrecision():
            network(varied.to(inputs.dtype))
        return varied.to(inputs.dtype)
    except Exception:  # they are all that there are
        return inputs


def _make_positive(state: State) -> None:
    """Make vectors positive that have further axes of length 1: the network takes roots of some of them."""
    for tensor in state.values():
        if tensor.is_floating_point() and tensor.numel() == max(tensor.shape, default=1):
            tensor.abs_()


def _traced(network: nn.Module, inputs: torch.Tensor) -> Rerun | None:
    try:
        return Rerun(network, inputs, TOLERANCE)
    except Exception:
        return None  # the network fails on other inputs, or writes to tensors in a way that is not followed


def blank_copy(model: nn.Module) -> nn.Module:
    """Return a copy on the CPU in float64, with constants that are plain attributes of its modules.

    Its parameters are not filled, because copying wide layers takes longer.
    """
    blanks: dict[int, torch.Tensor] = {
        id(p): nn.Parameter(torch.empty(p.shape, dtype=DOUBLE.get(p.dtype, p.dtype)))
        for p in model.parameters()
        if p.is_floating_point() or p.is_complex()
    }
    for leaf in (leaf for module in model.modules() for leaf in tensors_in(vars(module))):
        if id(leaf) not in blanks:
            moved = leaf.detach().to("cpu", DOUBLE.get(leaf.dtype, leaf.dtype), copy=True)
            blanks[id(leaf)] = nn.Parameter(moved, False) if isinstance(leaf, nn.Parameter) else moved
    return copy.deepcopy(model, memo=dict(blanks))
