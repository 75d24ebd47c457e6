"""Columns of `barriers` and of their `curves`."""

import pyarrow as pa

from raysweep.tables.columns.shared import BOOL, COMPUTED_ON, FLOAT, FLOATS, GROUP, INT, TEXT, TEXTS, listed
from raysweep.tables.keys import Column
from raysweep.vocabulary import HybridLayers, Way

BARRIERS: list[Column] = [
    ("barrier_id", TEXT, "The id of the comparison."),
    ("interpolation", TEXT, "pair, simplex, or mean (equal weights alone)."),
    (
        "kind",
        TEXT,
        "How the permutations came about: unaligned, direct, via (a reference), joint, composed (along "
        "a path), stacked (one for several checkpoints), hybrid (of two), embedded (a narrow network in "
        "a wide one) or transferred (from another task).",
    ),
    ("method", TEXT, "The alignment method. Null for unaligned networks."),
    ("networks", TEXTS, "The networks that are mixed, in the order of the weights."),
    (
        "reference",
        TEXT,
        "The network to which the others were aligned. Null unless the kind is via.",
    ),
    ("alignments", TEXTS, "The ids of the alignments whose permutations are applied."),
    (
        "path",
        TEXTS,
        "The networks along which permutations are composed. Null unless the kind is composed.",
    ),
    ("path_networks", INT, "The number of networks on the path. Null unless the kind is composed."),
    (
        "cycle",
        BOOL,
        "Whether the path ends where it begins. Null unless the kind is composed.",
    ),
    (
        "joint_networks",
        INT,
        "The number of networks that were aligned jointly. Null unless the kind is joint.",
    ),
    (
        "mean_networks",
        INT,
        "The number of networks that are averaged. Null unless the interpolation is mean.",
    ),
    (
        "stack",
        INT,
        "The number of checkpoints of each run that were aligned at once. Null unless the kind is stacked.",
    ),
    (
        "transferred_from",
        TEXT,
        "The `group` of the networks of another task on which the permutation was found. Null unless "
        "the kind is transferred.",
    ),
    (
        "across",
        TEXT,
        "widths or tasks, where the networks differ in more than the replicate. Null elsewhere.",
    ),
    (
        "hybrid",
        TEXT,
        f"The layers with the early permutation: {listed(HybridLayers)}. Null unless the kind is hybrid.",
    ),
    (
        "hybrid_layers",
        INT,
        "The number of layers with the early permutation; for one_in and one_out the position of the one "
        "layer, counted from 0. Null unless the kind is hybrid.",
    ),
    *GROUP,
    ("level", INT, "The pruning level of the networks."),
    ("step", INT, "The optimiser step of the networks."),
    (
        "permutation_level",
        INT,
        "The pruning level at which the permutation was found. Null for unaligned networks.",
    ),
    (
        "permutation_step",
        INT,
        "The optimiser step at which the permutation was found: the early step of a hybrid, the last "
        "step of a stack. Null for unaligned networks.",
    ),
    ("statistics", TEXT, "kept, recomputed or repaired: see `compare.statistics`."),
    ("split", TEXT, "train (its first `train_examples` examples) or test."),
    ("alphas", INT, "`compare.alphas`. Null unless the interpolation is pair."),
    ("subdivisions", INT, "`compare.subdivisions`. Null unless the interpolation is simplex."),
    ("train_examples", INT, "`compare.train_examples`."),
    ("threads", INT, "`align.threads`."),
    ("device", TEXT, "`compare.device`."),
    ("precision", TEXT, "`compare.precision`."),
    (
        "alignment_settings",
        TEXT,
        "The settings of `align` that the rows of its alignments have, as JSON. Null for unaligned networks.",
    ),
    ("loss_barrier", FLOAT, "The largest excess cross-entropy over the grid (nats)."),
    ("error_barrier", FLOAT, "The largest excess 0-1 error over the grid (share)."),
    ("loss_weights", FLOATS, "The weights at which loss_barrier is reached."),
    ("error_weights", FLOATS, "The weights at which error_barrier is reached."),
    ("loss_centre", FLOAT, "The excess cross-entropy at equal weights (nats)."),
    ("error_centre", FLOAT, "The excess 0-1 error at equal weights (share)."),
    ("seconds", FLOAT, "The time that the evaluation took (s)."),
    *COMPUTED_ON,
    (
        "execution",
        TEXT,
        f"How the networks were evaluated: {listed(Way)}. Null where it is not known.",
    ),
]
# Columns in which rows that are averaged may differ: they name the networks, or hold what was measured.
BARRIERS_WITHIN = (
    *("barrier_id", "networks", "reference", "alignments", "path", "loss_barrier", "error_barrier"),
    *("loss_weights", "error_weights", "loss_centre", "error_centre", "seconds", "hardware"),
    *("software", "provenance", "execution"),
)

CURVES: list[Column] = [
    ("barrier_id", TEXT, "The id of the comparison."),
    ("split", TEXT, "train (its first `compare.train_examples` examples) or test."),
    ("weights", pa.list_(FLOATS), "The weights of the networks at each point."),
    ("loss", FLOATS, "The cross-entropy at each point (nats)."),
    ("error", FLOATS, "The 0-1 error at each point (share)."),
]
