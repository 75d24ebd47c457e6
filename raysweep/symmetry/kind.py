"""The kinds of layer groups."""

from enum import StrEnum


class Kind(StrEnum):
    """Which units a layer group has.

    Those of a `STREAM` are sums of what several layers compute, and cross the depth of a network with them
    (residual streams). Those of `BLOCKS` lie in blocks, or are whole blocks: attention heads, grouped
    convolutions. `INNER` units are all others: those of feed-forward layers, and all of a plain network.
    """

    STREAM = "stream"
    BLOCKS = "blocks"
    INNER = "inner"
