"""Reads a user's file of weights and finds the state dicts in it, without executing any of its content."""

import pickle
import re
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PosixPath
from typing import Any

import torch

from raysweep.errors import UserError
from raysweep.plan.import_files import INDEX, shards_of

State = dict[str, torch.Tensor]
Keys = tuple[str, ...]  # the keys of nested dicts, from the outermost; () is the file's content itself

# Names of modules in which others keep the network: DistributedDataParallel, torch.compile, Lightning.
WRAPPERS = ("module", "_orig_mod", "model", "net", "network", "backbone", "_forward_module")
AVERAGES = ("ema", "ema_model", "model_ema", "averaged_model", "swa_model")
INSIDE = ("_orig_mod", "module")  # those that may lie anywhere in a network, around one of its layers
HARMLESS: list[Any] = [Namespace, PosixPath]  # besides tensors and plain values; timm keeps its arguments so


def read_states(path: str) -> dict[Keys, State]:
    """Return the state dicts (names and tensors) in a file, by the keys under which they are nested.

    Files that do not end in `.safetensors` are read by `torch.load` with `weights_only`; of an index all
    shards are read. Raises `UserError` for a file that cannot be read, that contains Python objects, or
    that contains no state dict.
    """
    content = _content(path)
    states = dict(_states(content, ()))
    if not states:
        keys = f"; its keys are {', '.join(map(str, content))}" if isinstance(content, dict) else ""
        raise UserError(f"train.imports: {path} holds no state dict (names and tensors){keys}")
    return states


def unwrapped(state: State, keys: Keys = ()) -> Iterator[tuple[Keys, State]]:
    """Yield a state dict, then what lies in each of its wrappers, in the wrappers of these, and so on.

    A wrapper is a first part of names: one that all names have, or a known one that some have, beside which
    lie a loss, a metric or a counter. Wrappers inside names are left out together. The keys are those of the
    outer wrappers.
    """
    yield keys, state
    inner = {".".join(part for part in name.split(".") if part not in INSIDE): state[name] for name in state}
    if len(inner) == len(state) and inner.keys() != state.keys():
        yield keys, inner
    first = Counter(name.partition(".")[0] for name in state if "." in name)
    for part, count in first.items():
        if count == len(state) or part in (*WRAPPERS, *AVERAGES):
            prefix = f"{part}."
            within = {n.removeprefix(prefix): tensor for n, tensor in state.items() if n.startswith(prefix)}
            yield from unwrapped(within, (*keys, part))


def _content(path: str) -> Any:
    if path.endswith(INDEX):
        return _sharded(path)
    try:
        if Path(path).suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals(HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, zipfile, pickle and torch raise different ones
        text = str(error).strip()
        if isinstance(error, pickle.UnpicklingError) or "TorchScript" in text:
            found = re.search(r"Unsupported global: GLOBAL (\S+)", text)
            what = f"Python objects ({found[1]})" if found else "Python objects"
            raise UserError(
                f"train.imports: {path} holds {what}, which may run any code and are never loaded; for a "
                "module, save its state_dict() only"
            ) from error
        first = ": ".join([type(error).__name__, *text.splitlines()[:1]])
        raise UserError(f"train.imports: {path} cannot be read as weights: {first}") from error


def _sharded(index: str) -> dict[str, Any]:
    """Read the tensors that an index lists. Raises `UserError` for a shard without one of them."""
    found: dict[str, Any] = {}
    shards = shards_of(index)
    for shard in dict.fromkeys(shards.values()):
        content = _content(str(shard))
        for name in (name for name, file in shards.items() if file == shard):
            if not isinstance(content, dict) or name not in content:
                raise UserError(f"train.imports: {shard} lacks {name}, which {index} says that it holds")
            found[name] = content[name]
    return found


def _states(content: Any, keys: Keys) -> Iterator[tuple[Keys, State]]:
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        return
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if tensors:
        yield keys, tensors
    for name, value in content.items():
        yield from _states(value, (*keys, name))
