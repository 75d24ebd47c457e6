"""Reading a user's file of weights and finding the state dicts in it; nothing in it is executed."""

import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from raysweep.errors import UserError

State = dict[str, torch.Tensor]
Keys = tuple[str, ...]  # of nested dicts, from the outside; () is the content of the file itself

PREFIXES = ("module.", "_orig_mod.", "model.")  # of DistributedDataParallel, torch.compile, Lightning


def read_states(path: str) -> dict[Keys, State]:
    """Return the state dicts (names and tensors) in a file, by the keys under which they lie.

    Reads `.safetensors`; any other file by `torch.load` with `weights_only`. Raises `UserError` for a file
    that cannot be read, that holds objects other than weights, or that holds no state dict.
    """
    content = _content(path)
    states = dict(_states(content, ()))
    if not states:
        keys = f"; its keys are {', '.join(map(str, content))}" if isinstance(content, dict) else ""
        raise UserError(f"train.imports: {path} holds no state dict (names and tensors){keys}")
    return states


def without_prefixes(state: State) -> Iterator[State]:
    """Yield a state dict, then the same without the first, the first two ... prefixes that wrappers add.

    A wrapper adds its prefix to every name, so that one which not all names have is part of the names.
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
    except Exception as error:  # safetensors, zipfile, pickle and torch each raise their own
        text = str(error).strip()
        if isinstance(error, pickle.UnpicklingError) or "TorchScript" in text:
            found = re.search(r"Unsupported global: GLOBAL (\S+)", text)
            what = f"Python objects ({found[1]})" if found else "Python objects"
            raise UserError(
                f"train.imports: {path} holds {what}, which may run any code and are never loaded; of a "
                "module save its state_dict() alone"
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
