"""Runs those parts of a network again that depend on tensors that have changed."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from raysweep.symmetry.listening import Call, Listener, memory_of, tensors_in
from raysweep.symmetry.precision import DoublePrecision

MASKED = 1e3  # so many times as large are the negative numbers of a mask at least


@dataclass(frozen=True)
class Result:
    """A tensor that a call has returned, or has written to; `output` is its number among these."""

    call: int
    output: int


@dataclass(frozen=True)
class _Step:
    """A call whose tensors are results of earlier calls, stored tensors, or constants; `kept` is what it
    returned and wrote."""

    call: Call
    stored: frozenset[int]  # the parameters and buffers that it reads itself
    results: frozenset[Result]
    kept: list[torch.Tensor]


class Rerun(Listener):
    """Keeps the values of all calls of one run, so that another one starts where tensors changed.

    It follows a change until the values are the old ones again, up to `tolerance` relative to the largest of
    them: reordered units of one layer reach no farther than the layers that read them. `outputs` are those of
    the network, in one vector, and `output_results` where they come from.
    """

    def __init__(self, network: nn.Module, inputs: torch.Tensor, tolerance: float) -> None:
        """Run once. Raises what the network raises, and `RuntimeError` for a call that writes to its
        arguments without saying so (see `Call.may_write`)."""
        super().__init__()
        self._tolerance = tolerance
        self._stored = {id(each) for each in (*network.parameters(), *network.buffers())}
        self._known: dict[int, Result] = {}
        self._alive: dict[int, torch.Tensor] = {}  # by identity
        self._steps: list[_Step] = []
        self._in_memory: dict[int, list[Result]] = {}  # whose kept values lie at an address
        with torch.no_grad(), self, DoublePrecision():
            output = network(inputs)
        self.outputs = in_one_vector(output)
        self.output_results = {
            self._known[id(leaf)] for leaf in tensors_in(output) if id(leaf) in self._known
        }
        self._known.clear()
        self._in_memory.clear()
        self._alive.clear()

    def heard(self, call: Call) -> Any:
        stored = frozenset(id(each) for each in call.tensors() if id(each) in self._stored)
        args, kwargs = pytree.tree_map_only(torch.Tensor, self._referred, (call.args, call.kwargs))
        if call.may_write:
            self._copy({memory_of(each) for each in call.tensors()})
        result, found, written = call.run_and_list()
        if written and not call.may_write:
            raise RuntimeError(f"{call.name} writes to its arguments")
        self._record(replace(call, args=args, kwargs=kwargs), stored, found)
        for tensor in written:
            self._record_in_views(tensor)
        return result

    def _record(self, call: Call, stored: frozenset[int], found: Sequence[torch.Tensor]) -> None:
        number = len(self._steps)
        for output, tensor in enumerate(found):
            self._known[id(tensor)] = Result(number, output)
            self._in_memory.setdefault(memory_of(tensor), []).append(Result(number, output))
            self._alive[id(tensor)] = tensor  # so that no other tensor gets its identity
        leaves = pytree.tree_leaves((call.args, call.kwargs))
        results = frozenset(leaf for leaf in leaves if isinstance(leaf, Result))
        # A parameter may be returned as it is, and is given other values later.
        kept = [each.detach() for each in found]
        self._steps.append(_Step(replace(call, number=number), stored, results, kept))

    def _record_in_views(self, written: torch.Tensor) -> None:
        """Record what a tensor that was written to says of others in its memory: of views, or of its base."""
        for key in [key for key in self._known if key != id(written)]:
            view = self._alive[key]
            if memory_of(view) == memory_of(written):
                entries = _entries_of(written, view)
                if bool((entries >= 0).any()):
                    args = self._known[key], self._known[id(written)], entries
                    self._record(Call(0, "", _overwritten, args, {}), frozenset(), [view])

    def _copy(self, memories: Collection[int]) -> None:
        """Copy the kept values that lie in memory which may be written to."""
        for result in (each for memory in memories for each in self._in_memory.pop(memory, ())):
            kept = self._steps[result.call].kept
            kept[result.output] = kept[result.output].clone()

    def _referred(self, tensor: torch.Tensor) -> Any:
        if id(tensor) in self._known:
            return self._known[id(tensor)]
        self._alive[id(tensor)] = tensor
        return tensor if id(tensor) in self._stored else tensor.clone()

    @torch.no_grad()
    def changes(
        self, tensors: Collection[torch.Tensor], is_enough: Callable[[Result, float], bool] = lambda *_: False
    ) -> dict[Result, float]:
        """Return the results that differ now that these parameters or buffers hold other values.

        Each comes with its change, relative to its largest value. It stops at a change that is enough.
        """
        ids = {id(tensor) for tensor in tensors}
        new: dict[Result, torch.Tensor] = {}
        found: dict[Result, float] = {}
        for step in self._steps:
            if not (step.stored & ids or step.results & new.keys()):
                continue
            for output, value in enumerate(self._run(step, new)):
                change, result = _change(value, step.kept[output]), Result(step.call.number, output)
                if not change <= self._tolerance:
                    new[result], found[result] = value, change
                    if is_enough(result, change):
                        return found
        return found

    def names(self, results: Collection[Result]) -> set[str]:
        """Return the names of the operations that have these results."""
        return {self._steps[result.call].call.name for result in results}

    def _run(self, step: _Step, new: dict[Result, torch.Tensor]) -> list[torch.Tensor]:
        def value(leaf: Any) -> Any:
            if isinstance(leaf, Result):
                leaf = new[leaf] if leaf in new else self._steps[leaf.call].kept[leaf.output]
            elif not isinstance(leaf, torch.Tensor) or id(leaf) in self._stored:
                return leaf
            return leaf.clone() if step.call.may_write else leaf

        args, kwargs = pytree.tree_map(value, (step.call.args, step.call.kwargs))
        return replace(step.call, args=args, kwargs=kwargs).run_and_list()[1]


def in_one_vector(output: Any) -> torch.Tensor:
    """Return the tensors of an output, whatever holds them, in one vector of float64.

    Entries that are infinite or masked, as those of classes that are left out, are 0: beside them a change of
    the others would be nothing.
    """
    found = torch.cat([_real(each).reshape(-1).double() for each in tensors_in(output)])
    found = found.masked_fill(found.isinf(), 0.0)
    masked = _masked(found.detach())
    return found if masked is None else found.masked_fill(masked, 0.0)


def _real(tensor: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _entries_of(written: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    """Return, for each entry of a view of the same memory, its number among those of `written`, or -1."""
    size = written.untyped_storage().nbytes() // written.element_size()
    numbers = torch.full((size,), -1)
    own = torch.arange(written.numel()).view(written.shape)
    numbers.as_strided(written.shape, written.stride(), written.storage_offset()).copy_(own)
    return numbers.as_strided(view.shape, view.stride(), view.storage_offset()).clone()


def _overwritten(view: torch.Tensor, written: torch.Tensor, entries: torch.Tensor) -> torch.Tensor:
    """Return a view after a tensor in its memory was written to; see `_entries_of`."""
    return torch.where(entries >= 0, written.reshape(-1)[entries.clamp(min=0)], view)


def _change(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest difference as a share of the largest absolute value of `other`.

    It is infinite for other shapes, for integers that differ, where other entries are infinite, and for zeros
    that are none now. Entries that a large negative number masks are compared on their own: a change of the
    others is nothing beside them.
    """
    one, other = _real(one), _real(other)
    if one.shape != other.shape or not one.numel() or not one.is_floating_point():
        return 0.0 if torch.equal(one, other) else math.inf
    low, high = _ends(other)
    largest = max(-low, high)
    if not math.isfinite(largest):
        finite = other.isfinite()
        if not torch.equal(one[~finite], other[~finite]):
            return math.inf
        return _change(one[finite], other[finite])
    masked = _masked(other)
    if masked is not None:
        return max(_change(one[masked], other[masked]), _change(one[~masked], other[~masked]))
    difference = _largest(one - other)
    return difference / largest if largest else math.inf if difference else 0.0


def _masked(tensor: torch.Tensor) -> torch.Tensor | None:
    """Return which entries a large negative number masks; None where it masks none."""
    low, high = _ends(tensor)
    if -low > MASKED * high:
        masked = tensor < low / 4
        rest = tensor[~masked]
        if rest.numel() and -low > MASKED * _largest(rest):
            return masked
    return None


def _largest(tensor: torch.Tensor) -> float:
    low, high = _ends(tensor)
    return max(-low, high)


def _ends(tensor: torch.Tensor) -> tuple[float, float]:
    """Return the smallest and the largest value; several times as fast as `abs` and `max`."""
    low, high = tensor.aminmax()
    return low.item(), high.item()
