"""What a plan checks of a user's own measures: each is tried once, on random outputs of two networks."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.plan.probes import DataFacts
from raysweep.registry import is_own, taken
from raysweep.sweep.compare import Compare
from raysweep.sweep.measures import MEASURES

if TYPE_CHECKING:
    from raysweep.connectivity.measuring import Numbers

NETWORKS = 2
MOST_EXAMPLES = 10_000


def check_measures(compare: Compare, facts: DataFacts, config: ModelConfig) -> None:
    """Try the user's own measures; hidden units are random too, in the shapes of those of the network.

    There are as many examples as in a split of the sweep, up to `MOST_EXAMPLES`, and for measures of hidden
    units as many as these are given. Raises `UserError` for a measure that fails, for one that returns
    anything but a number or numbers by name, and for hidden units of a network that is not understood.
    """
    for name in filter(is_own, compare.measures):
        _numbers(name, compare, facts, config)


def undefined(compare: Compare, facts: DataFacts, config: ModelConfig) -> Iterator[str]:
    """Yield a line for each of the user's own measures that has no number on random outputs."""
    for name in filter(is_own, compare.measures):
        found = _numbers(name, compare, facts, config)
        if any(math.isnan(number) for each in found for number in each.values()):
            yield f"{name}: gives NaN on random logits; NaN is stored, and its excess is undefined"


def _numbers(name: str, compare: Compare, facts: DataFacts, config: ModelConfig) -> list["Numbers"]:
    """Return what a measure gives for each split."""
    from raysweep.connectivity.measuring import EXAMPLES, OF_FEATURES

    of_units = bool(taken(MEASURES.function(name), OF_FEATURES))
    known = {"train": min(facts.train_examples, compare.train_examples), "test": facts.test_examples}
    sizes = [min(known[split], EXAMPLES if of_units else MOST_EXAMPLES) for split in compare.splits]
    return [_tried(name, size, facts.classes, config if of_units else None) for size in sizes]


@lru_cache(maxsize=256)
def _tried(name: str, examples: int, classes: int, config: ModelConfig | None) -> "Numbers":
    import torch

    from raysweep.connectivity.measuring import OFFERED, called

    measure = MEASURES.function(name)
    generator = torch.Generator().manual_seed(0)
    shapes = _units(config) if config else {}
    offered = {
        "logits": torch.randn(examples, classes, generator=generator),
        "end_logits": torch.randn(NETWORKS, examples, classes, generator=generator),
        "labels": torch.arange(examples) % classes,
        "weights": torch.full((NETWORKS,), 1 / NETWORKS, dtype=torch.float64),
        "features": {
            layer: torch.randn(examples, *shape, generator=generator) for layer, shape in shapes.items()
        },
        "end_features": {
            layer: torch.randn(NETWORKS, examples, *shape, generator=generator)
            for layer, shape in shapes.items()
        },
    }
    try:
        with torch.no_grad():
            return called(name, measure, {key: offered[key] for key in taken(measure, OFFERED)})
    except (ValueError, ImportError, OSError) as error:
        outputs = "logits and hidden units" if config else "logits"
        raise UserError(f"compare.measures: on random {outputs} of {examples} examples: {error}") from error


@lru_cache(maxsize=256)
def _units(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the hidden units of an example, by layer. Raises `SpecError`."""
    import numpy as np
    import torch

    from raysweep.connectivity.features import features
    from raysweep.connectivity.mixtures import NOTHING
    from raysweep.models.build import build
    from raysweep.models.flat import FlatNetwork

    network = FlatNetwork(build(config))
    (found,) = features(network, [network.vector], np.ones((1, 1)), torch.zeros(2, *config.shape), NOTHING)
    return {layer: tuple(values.shape[1:]) for layer, values in found.items()}
