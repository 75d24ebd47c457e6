"""Runs those parts of a network again that depend on tensors that have changed."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from raysweep.symmetry.listening import Call, Listener


@dataclass(frozen=True)
class _Result:
    """A tensor that a call has returned, or has written to; `output` is its number among these."""

    call: int
    output: int


@dataclass(frozen=True)
class _Step:
    """A call whose tensors are results of earlier calls, stored tensors, or constants."""

    call: Call
    stored: frozenset[int]  # the parameters and buffers that it reads itself
    results: frozenset[_Result]
    kept: tuple[torch.Tensor, ...]


class Rerun(Listener):
    """Keeps the values of all calls of one run, so that another one starts where tensors changed.

    It follows a change until the values are the old ones again, up to `tolerance` relative to the largest of
    them: reordered units of one layer reach no farther than the layers that read them.
    """

    def __init__(self, network: nn.Module, inputs: torch.Tensor, tolerance: float) -> None:
        """Run once. Raises what the network raises."""
        super().__init__()
        self._tolerance = tolerance
        self._stored = {id(each) for each in (*network.parameters(), *network.buffers())}
        self._known: dict[int, _Result] = {}
        self._alive: list[torch.Tensor] = []
        self._steps: list[_Step] = []
        with torch.no_grad(), self:
            output = network(inputs)
        leaves = pytree.tree_leaves(output)
        self._outputs = {self._known[id(leaf)] for leaf in leaves if id(leaf) in self._known}
        self._known.clear()

    def heard(self, call: Call) -> Any:
        stored = frozenset(id(each) for each in call.tensors() if id(each) in self._stored)
        args, kwargs = pytree.tree_map_only(torch.Tensor, self._referred, (call.args, call.kwargs))
        result, found = call.run_and_list()
        number = len(self._steps)
        for output, tensor in enumerate(found):
            self._known[id(tensor)] = _Result(number, output)
            self._alive.append(tensor)  # so that no other tensor gets its identity
        leaves = pytree.tree_leaves((args, kwargs))
        results = frozenset(leaf for leaf in leaves if isinstance(leaf, _Result))
        kept = tuple(each.clone() for each in found)  # a later operation may work in place
        recorded = Call(number, call.name, call.function, args, kwargs)
        self._steps.append(_Step(recorded, stored, results, kept))
        return result

    def _referred(self, tensor: torch.Tensor) -> Any:
        if id(tensor) in self._known:
            return self._known[id(tensor)]
        self._alive.append(tensor)
        return tensor if id(tensor) in self._stored else tensor.clone()

    @torch.no_grad()
    def reaches_the_outputs(self, changed: Collection[torch.Tensor]) -> bool:
        """Whether the outputs differ now that these parameters or buffers hold other values."""
        ids = {id(tensor) for tensor in changed}
        new: dict[_Result, torch.Tensor] = {}
        for step in self._steps:
            if not (step.stored & ids or step.results & new.keys()):
                continue
            for output, value in enumerate(self._run(step, new)):
                if not self._close(value, step.kept[output]):
                    new[_Result(step.call.number, output)] = value
        return bool(self._outputs & new.keys())

    def _run(self, step: _Step, new: dict[_Result, torch.Tensor]) -> list[torch.Tensor]:
        def value(result: _Result) -> torch.Tensor:
            return new[result] if result in new else self._steps[result.call].kept[result.output].clone()

        args, kwargs = pytree.tree_map_only(_Result, value, (step.call.args, step.call.kwargs))
        return replace(step.call, args=args, kwargs=kwargs).run_and_list()[1]

    def _close(self, one: torch.Tensor, other: torch.Tensor) -> bool:
        if one.shape != other.shape or not one.numel() or not one.is_floating_point():
            return torch.equal(one, other)
        return bool((one - other).abs().max() <= self._tolerance * other.abs().max())
