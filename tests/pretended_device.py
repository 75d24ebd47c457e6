"""A device that every machine has: it computes on the CPU, and obeys the rules of a GPU.

Tensors on it hold tensors of the CPU. An operation that mixes devices as a GPU refuses to raises an error,
and operations for which the processor waits are counted.
"""

from collections import Counter
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = "meta"  # the name under which torch knows it; nothing else here uses torch's own meta device
aten = torch.ops.aten
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}  # by tensors of the CPU, too
WAITING = {  # operations whose result has a size or a value that the processor needs
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten._unique2.default,
    aten.equal.default,
}


class OnDevice(torch.Tensor):
    """A tensor on the device; `held` has its values."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} outside of `pretended_device`")


class _Rules:
    """What the device does. A mode's own method would be wrapped by torch, which takes a third longer."""

    waits: Counter[str]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        onto = torch.device(kwargs.get("device") or "cpu").type
        if OnDevice not in types and onto != DEVICE and func not in COPIES:
            return func(*args, **kwargs)
        given = [each for each in _leaves((*args, *kwargs.values())) if isinstance(each, torch.Tensor)]
        here = [each for each in given if isinstance(each, OnDevice)]
        if func in COPIES and given:  # vmap copies plain numbers, too
            return self._copied(func, args, kwargs)
        if here:
            self._check(func, given)
        if func in WAITING:
            self.waits[str(func)] += 1
        if kwargs.get("device") is not None:
            kwargs["device"] = "cpu"
        return _changed(
            _put, func(*_changed(_held, args), **{k: _changed(_held, v) for k, v in kwargs.items()})
        )

    def _check(self, func, given):
        elsewhere = [each for each in given if not isinstance(each, OnDevice) and each.dim()]
        if elsewhere and func not in INDEXED:
            raise RuntimeError(f"{func}: expected all tensors to be on the same device")
        if elsewhere:
            self.waits["index from the CPU"] += 1

    def _copied(self, func, args, kwargs):
        onto = args[0] if func == aten.copy_.default else None
        source = args[0] if onto is None else args[1]
        wanted = torch.device(kwargs.pop("device", None) or (source if onto is None else onto).device).type
        queued = kwargs.get("non_blocking") or args[2:3] == (True,)
        found = func(*_changed(_held, args), **kwargs)
        if source.device.type != wanted and not (wanted == DEVICE and queued):
            self.waits[f"copy to {wanted}"] += 1
        if onto is not None:
            return onto
        return _put(found) if wanted == DEVICE else found


class _Device(_Rules, TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.waits = Counter()


def _leaves(values):
    for value in values:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        else:
            yield value


def _changed(change, value):
    """A value, or all those in a list or tuple, changed; most of the time went into torch's own trees."""
    if isinstance(value, list | tuple):
        return type(value)(_changed(change, each) for each in value)
    return change(value)


def _held(value):
    return value.held if isinstance(value, OnDevice) else value


def _put(value):
    return OnDevice(value) if isinstance(value, torch.Tensor) else value


@contextmanager
def pretended_device():
    """Within the context tensors can be on `DEVICE`; yields how often the processor waited, by reason."""
    with _Device() as device:
        yield device.waits
