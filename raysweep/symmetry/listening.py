"""Listens to the functions of torch that a network calls while it runs, in the order in which it calls them.

The network runs as it is, so that whatever Python does between two calls (loops, conditions on shapes, hooks)
needs no understanding. Calls are numbered; the numbers do not depend on the size of the batch.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from raysweep.symmetry.attention import multi_head_attention

SILENT = frozenset(  # what asks for the form of a tensor, and computes nothing
    {
        *("shape", "size", "dim", "ndim", "ndimension", "numel", "nelement", "len", "stride"),
        *("storage_offset", "data_ptr", "layout", "dtype", "device", "get_device", "itemsize"),
        *("element_size", "nbytes", "version", "names", "has_names", "requires_grad", "grad"),
        *("grad_fn", "is_leaf", "is_cpu", "is_cuda", "is_meta", "is_mps", "is_xpu", "is_nested"),
        *("is_sparse", "is_mkldnn", "is_quantized", "is_floating_point", "is_complex", "is_contiguous"),
        *("is_inference", "is_same_size", "is_tensor", "result_type", "can_cast", "assert"),
    }
)
WRITTEN_OUT: dict[str, Callable[..., Any]] = {"multi_head_attention_forward": multi_head_attention}
OURS = ("torch", "raysweep.symmetry")  # packages whose frames are not the user's


@dataclass(frozen=True)
class Call:
    """A call of a function of torch; `name` is without underscores, and empty for a function that is not
    torch's."""

    number: int
    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def run(self) -> Any:
        return self.function(*self.args, **self.kwargs)

    def tensors(self) -> list[torch.Tensor]:
        """Return the tensors among the arguments."""
        return tensors_in((self.args, self.kwargs))

    @property
    def may_write(self) -> bool:
        """Whether its name or an argument, such as `inplace`, says that the call may write to a tensor."""
        name = str(getattr(self.function, "__name__", ""))
        by_name = name.startswith(("__i", "__set")) or name.endswith("_") != name.endswith("__")
        return (
            by_name
            or "out" in self.kwargs
            or any(each is True for each in (*self.args, *self.kwargs.values()))
        )

    def run_and_list(self) -> tuple[Any, list[torch.Tensor], list[torch.Tensor]]:
        """Carry out the call; return its result, the tensors that it returned or wrote to, and the latter.

        Tensors from `torch.inference_mode` do not count what is written to them: they are all those of a call
        that may write.
        """
        given = self.tensors()
        versions = [_version(each) for each in given]
        result = self.run()
        written = [
            each
            for each, before in zip(given, versions, strict=True)
            if (self.may_write if before is None else _version(each) != before)
        ]
        found = {id(each): each for each in (*tensors_in(result), *written)}
        return result, list(found.values()), written


def _version(tensor: torch.Tensor) -> int | None:
    """Return how often a tensor was written to, or None where that is not counted."""
    return None if tensor.is_inference() else tensor._version


def tensors_in(values: Any) -> list[torch.Tensor]:
    """Return the tensors among arguments or results, in order."""
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def memory_of(tensor: torch.Tensor) -> int:
    """Return the address of the memory that a tensor shares with its views; 0 where it has none."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):  # inside of torch.vmap
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor.untyped_storage().data_ptr()


class Listener(TorchFunctionMode):
    """A context in which every call of a function of torch is given to `heard`, which carries it out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._calls = self._inside = 0

    def __enter__(self) -> "Listener":
        """Begin to listen; the numbers begin anew, unless it listens already."""
        if not self._inside:
            self._calls = 0
        self._inside += 1
        return super().__enter__()  # type: ignore[no-untyped-call,no-any-return]

    def __exit__(self, *raised: Any) -> None:
        self._inside -= 1
        super().__exit__(*raised)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, given = name_of(func), kwargs or {}
        if name in SILENT:
            return func(*args, **given)
        if name in WRITTEN_OUT:
            with self:
                return WRITTEN_OUT[name](*args, **given)
        self._calls += 1
        return self.heard(Call(self._calls - 1, name, func, args, given))

    def heard(self, call: Call) -> Any:
        """Carry out a call and return its result."""
        return call.run()


class Treating(Listener):
    """Gives the result of each call of these numbers to a function, whose result takes its place."""

    def __init__(self, treatments: Mapping[int, Callable[[Any], Any]]) -> None:
        super().__init__()
        self._treatments = treatments

    def heard(self, call: Call) -> Any:
        result, treatment = call.run(), self._treatments.get(call.number)
        return result if treatment is None else treatment(result)


def keeping(calls: Iterable[int], kept: dict[int, torch.Tensor]) -> dict[int, Callable[[Any], Any]]:
    """Return treatments that copy the results of calls into `kept`, by their numbers."""

    def keep(call: int) -> Callable[[torch.Tensor], torch.Tensor]:
        def copy(result: torch.Tensor) -> torch.Tensor:
            kept[call] = result.clone()  # a later operation may work in place
            return result

        return copy

    return {call: keep(call) for call in calls}


def name_of(function: Any) -> str:
    """Return the name of a function of torch: `add` for `Tensor.__add__`, `torch.add` and `Tensor.add_`
    alike."""
    module = getattr(function, "__module__", None) or "torch"
    if module.split(".")[0] not in ("torch", "_operator"):
        return ""
    name = str(getattr(function, "__name__", ""))
    if name in ("__get__", "__set__"):  # of a property
        name = str(getattr(function.__self__, "__name__", ""))
    return name.strip("_")


class Callers:
    """Says where in a network a call comes from."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._names = {id(module): name for name, module in network.named_modules()}

    def current(self) -> str:
        """Return the innermost module of the current call, and the line of the user's code."""
        module, line, owner = "", "", None
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and owner is not self._network:
            owner = frame.f_locals.get("self")
            if not module and self._names.get(id(owner)):
                module = f" in module {self._names[id(owner)]} ({type(owner).__name__})"
            if not line and not str(frame.f_globals.get("__name__", "")).startswith(OURS):
                line = f" at {frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
            frame = frame.f_back
        return module + line


class Everything(TorchDispatchMode):
    """Gives the tensors that every operation, heard or not, reads and returns to a function."""

    def __init__(self, function: Callable[[list[torch.Tensor], list[torch.Tensor]], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._function = function

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler for this, which takes two seconds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with torch._C.DisableTorchFunction():
            result = func(*args, **(kwargs or {}))
            self._function(tensors_in((args, kwargs)), tensors_in(result))
        return result
