"""torch.compile with settings under which two processes compute the same bits."""

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")

_LOG = logging.getLogger("raysweep")
_RECOMPILATIONS = 10_000  # of one function: a worker compiles it for every architecture that it meets
OPTIONS: dict[str, Any] = {
    "deterministic": True,  # nothing is chosen by how long it took
    # With it, the gradients of channels-last networks were wrong on an H100 (torch 2.11): VGG-16 and
    # ResNet-20 of width 64 had gradients of up to 1,000 times the right size, other ones at each replay.
    "layout_optimization": False,
}


def compiled(function: Callable[..., Result], device: str) -> Callable[..., Result]:
    """Return the function compiled as a whole for a device (cpu or cuda), for one shape at a time.

    What cannot be compiled raises at its first call, or at the first backward pass through its result. Raises
    `RuntimeError` where this machine lacks what compilation requires.
    """
    if missing := lacking(device):
        raise RuntimeError(missing)
    import torch._dynamo.config as dynamo
    import torch._inductor.config as inductor

    for name in ("recompile_limit", "cache_size_limit"):
        if hasattr(dynamo, name):
            setattr(dynamo, name, _RECOMPILATIONS)
    options = {key: value for key, value in OPTIONS.items() if hasattr(inductor, key)}
    return torch.compile(function, fullgraph=True, dynamic=False, options=options)


@lru_cache(maxsize=2)
def lacking(device: str) -> str | None:
    """Return what torch.compile requires on a device (cpu or cuda) and this machine lacks, or None."""
    from torch.utils._triton import has_triton

    compilers = (os.environ.get("CC"), os.environ.get("CXX"), "cc", "gcc", "clang")
    if not any(name and shutil.which(name) for name in compilers):
        return "there is no C compiler"
    return None if device != "cuda" or has_triton() else "Triton is missing, or does not know this GPU"


def first_that_works(what: str, ways: Mapping[str, Callable[[], Result]]) -> tuple[str, Result, str]:
    """Try ways to do something in their order; return the name and the result of the first that works.

    The third value says why the earlier ones did not, which is logged as well. Raises what the last way
    raises, and `OutOfMemoryError` of any way, because less memory later would then change bits.
    """
    *others, last = ways
    problems: list[str] = []
    for way in others:
        try:
            return way, ways[way](), ", then ".join(problems)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # compilers raise many kinds, and so may a user's network
            problems.append(f"not {way} ({type(error).__name__}: {error})".splitlines()[0])
            _warn(f"{what}: {problems[-1]}")
    return last, ways[last](), ", then ".join(problems)


@lru_cache(maxsize=100)
def _warn(text: str) -> None:
    """Log it, once in each process."""
    _LOG.warning(text)
