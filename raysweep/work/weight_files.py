"""Reads a user's file of weights and finds the state dicts in it, without executing any of its content."""

import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from raysweep.errors import UserError

State = dict[str, torch.Tensor]
Keys = tuple[str, ...]  # the keys of nested dicts, from the outermost; () is the file's content itself

PREFIXES = ("module.", "_orig_mod.", "model.")  # from DistributedDataParallel, torch.compile and Lightning


def read_states(path: str) -> dict[Keys, State]:
    """Return the state dicts (names and tensors) in a file, by the keys under which they are nested.

    Files that do not end in `.safetensors` are read by `torch.load` with `weights_only`. Raises `UserError`
    for a file that cannot be read, that contains Python objects, or that contains no state dict.
    """
    content = _content(path)
    states = dict(_states(content, ()))
    if not states:
        keys = f"; its keys are {', '.join(map(str, content))}" if isinstance(content, dict) else ""
        raise UserError(f"train.imports: {path} holds no state dict (names and tensors){keys}")
    return states


def without_prefixes(state: State) -> Iterator[State]:
    """Yield a state dict, then the same without its first prefix, without its first two, and so on.

    A wrapper adds its prefix to every name. A prefix that some names lack is therefore part of the others.
    """
    yield state
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            yield from without_prefixes({name.removeprefix(prefix): value for name, value in state.items()})


def _content(path: str) -> Any:
    try:
        if Path(path).suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
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
        first = text.splitlines()[0] if text else type(error).__name__
        raise UserError(f"train.imports: {path} cannot be read as weights: {first}") from error


def _states(content: Any, keys: Keys) -> Iterator[tuple[Keys, State]]:
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        return
    if content and all(isinstance(value, torch.Tensor) for value in content.values()):
        yield keys, dict(content)
        return
    for name, value in content.items():
        yield from _states(value, (*keys, name))
