"""Which trials a comparison depends on."""

from collections.abc import Iterable, Mapping

import pandas as pd

from raysweep.sweep.variants import trial_of


def aligned_networks(alignments: pd.DataFrame) -> dict[str, list[str]]:
    """Return the networks of every alignment by its id."""
    return dict(zip(alignments.alignment_id, map(list, alignments.networks), strict=True))


def members(barriers: pd.DataFrame, aligned: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return, for each comparison, the trials of its networks and of those they were aligned through.

    Of a joint alignment only the networks that are compared count: all comparisons share the rest of it.
    """
    return [
        sorted({trial_of(n) for n in (*networks, *_through(kind, ids, aligned))})
        for kind, networks, ids in zip(barriers.kind, barriers.networks, barriers.alignments, strict=True)
    ]


def _through(kind: str, ids: Iterable[str], aligned: Mapping[str, Iterable[str]]) -> list[str]:
    return [] if kind == "joint" else [network for each in ids for network in aligned[each]]
