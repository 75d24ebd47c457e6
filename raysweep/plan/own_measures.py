"""What a plan checks of a user's own measures: each is tried once, on random outputs of two networks."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from raysweep.errors import UserError
from raysweep.plan.probes import DataFacts
from raysweep.registry import is_own
from raysweep.sweep.compare import Compare
from raysweep.sweep.measures import MEASURES

if TYPE_CHECKING:
    from raysweep.connectivity.measuring import Numbers

NETWORKS = 2
MOST_EXAMPLES = 10_000


def check_measures(compare: Compare, facts: DataFacts) -> None:
    """Try the user's own measures; those of hidden units are not tried, because these take a network.

    There are as many examples as in a split of the sweep, up to `MOST_EXAMPLES`. Raises `UserError` for a
    measure that fails, and for one that returns anything but a number or numbers by name.
    """
    for name in filter(is_own, compare.measures):
        for examples in _sizes(compare, facts):
            _tried(name, examples, facts.classes)


def undefined(compare: Compare, facts: DataFacts) -> Iterator[str]:
    """Yield a line for each of the user's own measures that has no number on random outputs."""
    for name in filter(is_own, compare.measures):
        found = [_tried(name, examples, facts.classes) for examples in _sizes(compare, facts)]
        if any(math.isnan(number) for each in found for number in each.values()):
            yield f"{name}: gives NaN on random logits; NaN is stored, and its excess is undefined"


def _sizes(compare: Compare, facts: DataFacts) -> list[int]:
    known = {"train": min(facts.train_examples, compare.train_examples), "test": facts.test_examples}
    return [min(known[name], MOST_EXAMPLES) for name in compare.splits]


@lru_cache(maxsize=256)
def _tried(name: str, examples: int, classes: int) -> "Numbers":
    import torch

    from raysweep.connectivity.measuring import OF_FEATURES, OFFERED, called
    from raysweep.registry import taken

    measure = MEASURES.function(name)
    wanted = taken(measure, OFFERED)
    if wanted & OF_FEATURES:
        return {}
    generator = torch.Generator().manual_seed(0)
    offered = {
        "logits": torch.randn(examples, classes, generator=generator),
        "end_logits": torch.randn(NETWORKS, examples, classes, generator=generator),
        "labels": torch.arange(examples) % classes,
        "weights": torch.full((NETWORKS,), 1 / NETWORKS, dtype=torch.float64),
    }
    try:
        with torch.no_grad():
            return called(name, measure, {key: offered[key] for key in wanted})
    except (ValueError, ImportError, OSError) as error:
        raise UserError(f"compare.measures: on random logits of {examples} examples: {error}") from error
