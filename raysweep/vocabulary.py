"""The names that sweep files, tables and ids use, each set of names in one place.

The names of models, data sets and optimisers lie with the code that they choose: `models/registry.py`,
`data/registry.py` and `training/registry.py`. This module imports nothing large: checking a file is quick.
"""

from enum import StrEnum, auto

# The keys of `train` that choose the data: they enter ids through the digest of the data alone.
DATA_KEYS = (
    *("dataset", "dataset_options", "split_seed", "half", "fraction", "examples", "subset_seed"),
    "pixel_seed",
)


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


# The kinds that `compare.kinds` may list; the other kinds follow from further keys of `compare`.
LISTED_KINDS = (Kind.UNALIGNED, Kind.DIRECT, Kind.VIA, Kind.JOINT, Kind.COMPOSED)


class Way(StrEnum):
    """How the steps of training, and evaluations, are run: each way gives its own last bits."""

    COMPILED = auto()  # by torch.compile, and captured in a CUDA graph
    CAPTURED = auto()  # in a CUDA graph
    PLAIN = auto()


# The ways that a value of `compile` allows, the best first; a later one is taken where those before it fail.
WAYS = {
    "auto": (Way.COMPILED, Way.CAPTURED, Way.PLAIN),
    "capture": (Way.CAPTURED, Way.PLAIN),
    "off": (Way.PLAIN,),
}


class Interpolation(StrEnum):
    """Which mixtures of the networks are evaluated: a line of two, a simplex of three, or an equal mean."""

    PAIR = auto()
    SIMPLEX = auto()
    MEAN = auto()


class Split(StrEnum):
    """The examples on which risks are measured."""

    TRAIN = auto()
    TEST = auto()


class Precision(StrEnum):
    """How exactly networks are evaluated: what the factors of their products are rounded to."""

    FLOAT32 = auto()
    TF32 = auto()
    BFLOAT16 = auto()


class Statistics(StrEnum):
    """What becomes of running statistics, or of those of hidden units, when networks are mixed."""

    KEPT = auto()
    RECOMPUTED = auto()
    REPAIRED = auto()


class Across(StrEnum):
    """In what compared networks may differ besides their replicate."""

    WIDTHS = auto()
    TASKS = auto()


class HybridLayers(StrEnum):
    """Which layers of a hybrid have the early permutation: the first n, the last n, one, or all but one."""

    BOTTOM_UP = auto()
    TOP_DOWN = auto()
    ONE_IN = auto()
    ONE_OUT = auto()


class AgreementKind(StrEnum):
    """Which two permutations of one network are compared."""

    TRAJECTORY = auto()
    STACKED = auto()
    PATH = auto()
    CYCLE = auto()


class LevelPermutation(StrEnum):
    """Where the permutation of pruned networks is found: on dense networks, or at the same pruning level."""

    DENSE = auto()
    LEVEL = auto()


class LevelPoint(StrEnum):
    """When the networks of a pruning level are compared: where the level starts, or where it ends."""

    REWIND = auto()
    END = auto()


class Kernel(StrEnum):
    """The similarity of the weights of two units."""

    LINEAR = auto()
    COSINE = auto()


class Order(StrEnum):
    """The order of the layers within one round of coordinate ascent."""

    RANDOM = auto()
    FORWARD = auto()
    BACKWARD = auto()


class Tensor(StrEnum):
    """Which value of a unit activation matching compares."""

    FIRST = auto()
    LAST = auto()
    ALL = auto()


class Similarity(StrEnum):
    """The similarity of the activations of two units."""

    INNER_PRODUCT = auto()
    CORRELATION = auto()
    COSINE = auto()


class Scope(StrEnum):
    """Whether pruning compares magnitudes within the whole network or within each layer."""

    GLOBAL = auto()
    LAYER = auto()


class Branch(StrEnum):
    """What a trial is that is no control: a dense run or its chain of pruned levels, spawned, or imported."""

    MAIN = auto()
    SPAWNED = auto()
    IMPORTED = auto()


class MaskPermutation(StrEnum):
    """The permutation under which a mask is transported: none, or one that was found at a pruning level."""

    NONE = auto()
    DENSE = auto()
    LEVEL = auto()


ANALYSES = (  # modules of `analysis/`
    "calibration",
    "joint",
    "means",
    "methods",
    "narrow_in_wide",
    "pruning",
    "tasks",
    "trajectory",
    "transitivity",
    "transport",
    "triangle",
    "weak",
    "width_scaling",
)
