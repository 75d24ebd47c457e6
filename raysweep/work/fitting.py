"""Finds the state of a model among state dicts from other programs, and checks its values."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import nn

from raysweep.models.memory import tied_names
from raysweep.work.weight_files import WRAPPERS, Keys, State, unwrapped

USUAL = {"state_dict", "model_state_dict", *WRAPPERS}  # where checkpoints usually keep the network
COUNTER = "num_batches_tracked"  # BatchNorm's; absent before PyTorch 0.4.1, and unused in evaluation
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SHOWN = 6  # the most problems, and the most names of a file, that a message lists


class Unfitting(ValueError):
    """No state dict fits the model; the message says what is missing and what the file has instead."""


@dataclass(frozen=True)
class _Candidate:
    keys: Keys
    state: State
    problems: list[str]

    @property
    def where(self) -> str:
        return ".".join(self.keys)

    def describe(self, problems: list[str]) -> str:
        return f"{f'(under {self.where}) ' if self.keys else ''}{_first(problems, '; ')}"


def fitting_state(states: Mapping[Keys, State], model: nn.Module, under: str | None = None) -> State:
    """Return the state dict among `states` that fits the model, complete and in the model's types.

    Names and shapes must be those of the model, with these exceptions: what lies in a wrapper is found (see
    `unwrapped`), one name of a tied weight suffices, and missing counters of batches are set to 0. If several
    state dicts fit, one under `USUAL` keys is preferred. `under` restricts the search to these keys, joined
    by dots. Floating-point types are converted to one another, and integer types when no value changes.

    Raises `Unfitting` when no state dict fits, when several fit and differ, and when values are of a
    different kind than the model's or are not finite in its type.
    """
    expected = _Expected(model)
    every = [
        _Candidate(inner, state, expected.misfits(state))
        for keys, given in states.items()
        for inner, state in unwrapped(given, keys)
    ]
    candidates = [each for each in every if under is None or f"{each.where}.".startswith(f"{under}.")]
    if not candidates:
        raise Unfitting(f"nothing lies under {under}; {_places(every)}")
    fitting = [each for each in candidates if not each.problems]
    chosen = [each for each in fitting if USUAL.issuperset(each.keys)] or fitting
    if not chosen:
        closest = max(candidates, key=lambda each: expected.likeness(each.state))
        raise Unfitting(f"{closest.describe(closest.problems)}; {_listed(closest, candidates)}")
    for each in chosen:
        if unfit := expected.unfit_values(each.state):
            raise Unfitting(each.describe(unfit))
    found, *others = [expected.complete(each.state) for each in chosen]
    if any(not torch.equal(tensor, other[name]) for other in others for name, tensor in found.items()):
        keys = " and ".join(each.where for each in chosen)
        raise Unfitting(f"{keys} both fit and differ; name one of them as under in a table of train.imports")
    return found


class _Expected:
    """The names, shapes and types that the state dict of a model must have."""

    def __init__(self, model: nn.Module) -> None:
        self._state = model.state_dict()
        first, same = tied_names(model), dict[str, list[str]]()
        for name in self._state:
            same.setdefault(first.get(name, name), []).append(name)
        self._tied = {name: names for names in same.values() for name in names}

    def misfits(self, state: State) -> list[str]:
        """Return the problems with a state's names and shapes."""
        extra = [name for name in state if name not in self._state]
        lacking = [
            name
            for name in self._state
            if state.keys().isdisjoint(self._tied[name]) and name.rpartition(".")[2] != COUNTER
        ]
        found = [_missing(name, self._state[name], extra, state) for name in lacking]
        found += [f"{name} {_shape(state[name])} is not in the model" for name in extra]
        return found + [
            f"{name} has shape {_shape(state[name])}, expected {_shape(tensor)}"
            for name, tensor in self._state.items()
            if name in state and state[name].shape != tensor.shape
        ]

    def likeness(self, state: State) -> tuple[int, int]:
        """Return how many names, and how many shapes, a state has in common with the model."""
        own, other = (Counter(tensor.shape for tensor in each.values()) for each in (self._state, state))
        return len(self._state.keys() & state.keys()), (own & other).total()

    def unfit_values(self, state: State) -> list[str]:
        """Return the problems with the values of a state whose names and shapes fit."""
        found = [_unfit(name, given, self._state[name].dtype) for name, given in state.items()]
        if any(found):
            return [problem for problem in found if problem]
        own = {name: tensor.to(self._state[name].dtype) for name, tensor in state.items()}
        return [
            f"{first} and {name} differ, but are one parameter of the model"
            for name, (first, *_) in self._tied.items()
            if first in own and name in own and not torch.equal(own[name], own[first])
        ]

    def complete(self, state: State) -> State:
        """Return the state with all names of the model, in its order and types."""
        found = {}
        for name, tensor in self._state.items():
            given = next((state[other] for other in (name, *self._tied[name]) if other in state), None)
            found[name] = torch.zeros_like(tensor) if given is None else given.to(tensor.dtype)
        return found


def _unfit(name: str, given: torch.Tensor, wanted: torch.dtype) -> str:
    if given.layout != torch.strided or given.is_meta:
        return f"{name} is {'without values' if given.is_meta else 'sparse'}"
    if given.is_quantized or _kind(given.dtype) != _kind(wanted):
        return f"{name} is {_name(given.dtype)}, but {_name(wanted)} in the model"
    values = given.to(wanted)
    if not torch.isfinite(values).all():
        return f"{name} has values that are not finite as {_name(wanted)}"
    if _kind(wanted) == "integer" and not torch.equal(values.to(given.dtype), given):
        return f"{name} has values that are too large for {_name(wanted)}"
    return ""


def _kind(dtype: torch.dtype) -> str:
    """Return the kind of a type: types of one kind are converted to one another.

    8-bit floating-point types are kinds of their own, because converting them requires scales, which a state
    dict does not have.
    """
    if dtype in FLOATS:
        return "float"
    if dtype.is_complex:
        return "complex"
    return _name(dtype) if dtype == torch.bool or dtype.is_floating_point else "integer"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _missing(name: str, wanted: torch.Tensor, extra: list[str], state: State) -> str:
    alike = [other for other in extra if state[other].shape == wanted.shape]
    only = alike if len(alike) == 1 else []
    near = get_close_matches(name, alike, n=1) or only or get_close_matches(name, extra, n=1)
    nearest = f" (nearest in the file: {near[0]} {_shape(state[near[0]])})" if near else ""
    return f"{name} {_shape(wanted)} is missing{nearest}"


def _shape(tensor: torch.Tensor) -> str:
    return str(tuple(tensor.shape))


def _listed(candidate: _Candidate, candidates: Iterable[_Candidate]) -> str:
    """Return what the file contains instead of the model's state."""
    own = [f"{name} {_shape(tensor)}" for name, tensor in candidate.state.items()]
    others = [each for each in candidates if each.where != candidate.where]
    elsewhere = f", and {_places(others)}" if any(each.keys for each in others) else ""
    return f"the file has {_first(own)}{elsewhere}"


def _places(candidates: Iterable[_Candidate]) -> str:
    return f"state dicts under {_first(sorted({each.where for each in candidates if each.keys}))}"


def _first(words: list[str], between: str = ", ") -> str:
    more = [f"{len(words) - SHOWN} more"] if len(words) > SHOWN else []
    return between.join([*words[:SHOWN], *more])
