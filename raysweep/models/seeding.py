"""Seeds the global generators, because a constructor may draw from any of them."""

import random
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

Result = TypeVar("Result")


def seeded(seed: int, function: Callable[[], Result]) -> Result:
    """Call a function with the generators of torch (on the CPU), numpy and random seeded; restore them."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
            np.random.seed(seed % 2**32)
            random.seed(seed)
            return function()
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
