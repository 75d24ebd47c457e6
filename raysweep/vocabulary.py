"""The names that tables and sweep files use for kinds, methods, interpolations, splits and statistics.

The module imports nothing large, so that commands that only look at a sweep stay quick.
"""

from enum import StrEnum, auto


class Kind(StrEnum):
    """How the permutations of a comparison came about."""

    UNALIGNED = auto()
    DIRECT = auto()
    VIA = auto()
    JOINT = auto()
    COMPOSED = auto()
    STACKED = auto()
    HYBRID = auto()
    EMBEDDED = auto()
    TRANSFERRED = auto()


class Method(StrEnum):
    """How a permutation is found."""

    WEIGHT_MATCHING = auto()
    ACTIVATION_MATCHING = auto()


class Interpolation(StrEnum):
    """Which mixtures of the networks are evaluated: a line of two, a simplex of three, or an equal mean."""

    PAIR = auto()
    SIMPLEX = auto()
    MEAN = auto()


class Split(StrEnum):
    """The examples on which risks are measured."""

    TRAIN = auto()
    TEST = auto()


class Statistics(StrEnum):
    """What becomes of BatchNorm's running statistics when networks are mixed."""

    KEPT = auto()
    RECOMPUTED = auto()
