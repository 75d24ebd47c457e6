"""raysweep: linear connectivity of neural networks modulo permutation, at scale."""

import importlib

__version__ = "0.1.0"

_LIBRARY = {
    "PermutationSpec": "raysweep.symmetry",
    "Permutation": "raysweep.symmetry",
    "activation_matching": "raysweep.alignment",
    "barrier_of": "raysweep.connectivity",
    "joint_matching": "raysweep.alignment",
    "merge": "raysweep.merging",
    "stored_permutation": "raysweep.stored",
    "stored_state": "raysweep.stored",
    "weight_matching": "raysweep.alignment",
}


def __getattr__(name: str) -> object:
    """Import what a notebook uses, when it is first used: torch takes seconds."""
    if name not in _LIBRARY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LIBRARY[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_LIBRARY]
