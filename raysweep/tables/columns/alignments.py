"""Columns of `alignments`, of their `layers`, and of `agreements`, the comparisons of two permutations."""

from raysweep.sweep.align import Align
from raysweep.sweep.methods import METHODS
from raysweep.tables.columns.shared import (
    BOOL,
    COMPUTED_ON,
    FLOAT,
    FLOATS,
    GROUP,
    INT,
    TEXT,
    TEXTS,
    listed,
    source_digest,
)
from raysweep.tables.keys import Column, key_columns

_OPTIONS: list[Column] = [  # the settings of `align` that determine an alignment
    *(
        column
        for entry in METHODS.values()
        if entry.columns
        for column in key_columns(entry.options, entry.options.model_fields, " Null for other methods.")
    ),
    (
        "options",
        TEXT,
        "The options of any other method, as JSON. Null for methods with columns of their own.",
    ),
    source_digest("method"),
    *key_columns(Align, ("seed", "threads", "device")),
]

ALIGNMENTS: list[Column] = [
    ("alignment_id", TEXT, "The id of the alignment."),
    ("method", TEXT, f"The method that found the permutation: {listed(METHODS)}, or module:function."),
    (
        "networks",
        TEXTS,
        "The networks, written trial_id@level@step, the target first; a joint alignment lists all of them.",
    ),
    (
        "joint",
        BOOL,
        "Whether the alignment is joint, so that each network has a permutation of its own.",
    ),
    ("joint_networks", INT, "The number of networks of a joint alignment. Null for other alignments."),
    (
        "stack",
        INT,
        "The number of checkpoints of each run that one permutation aligns at once. Null where it is one.",
    ),
    *GROUP,
    ("level", INT, "The pruning level of the target."),
    ("step", INT, "The optimiser step of the target; of a stack, the step of its last checkpoint."),
    *_OPTIONS,
    (
        "objective",
        FLOAT,
        "<A, P[B]> over all matched weights at the permutation that the method found; with the kernel cosine "
        "the sum of cosines, by activations that of similarities, and for a narrow network in a wide one "
        "minus the squared distance from the chosen units. Of several networks, the sum over pairs.",
    ),
    ("objective_identity", FLOAT, "The same value at the identity."),
    (
        "iterations",
        INT,
        "The number of assignment problems that were solved. Null where they are not counted.",
    ),
    ("fixed_points", FLOAT, "The share of hidden units that stay in place, without regard to rotations."),
    ("seconds", FLOAT, "The time that the alignment took (s)."),
    *COMPUTED_ON,
]
# Columns in which rows that are averaged may differ: they name the networks, or hold what was measured.
ALIGNMENTS_WITHIN = (
    *("alignment_id", "networks", "objective", "objective_identity", "iterations", "fixed_points"),
    *("seconds", "hardware", "software", "provenance"),
)

LAYERS: list[Column] = [
    ("alignment_id", TEXT, "The id of the alignment."),
    ("parameter", TEXT, "The name of the parameter."),
    (
        "before",
        FLOAT,
        "<A, B> over this parameter; of a joint or stacked alignment, the sum over its pairs.",
    ),
    ("after", FLOAT, "<A, P[B]> over this parameter, summed in the same way."),
    (
        "displacement",
        FLOAT,
        "The norm of P[B] - B over this parameter, of all permuted networks together.",
    ),
    (
        "fixed_points",
        FLOAT,
        "The share of the units along the first axis that stay in place; of a joint alignment, the mean "
        "over its networks. Null where no unit can move.",
    ),
]

AGREEMENTS: list[Column] = [
    ("agreement_id", TEXT, "The id of the comparison of two permutations."),
    (
        "kind",
        TEXT,
        "Which permutations are compared: trajectory (the one found at `step` with the one found at the "
        "last step), stacked (the one of a stack with the one found at the last step), path (composed "
        "with direct) or cycle (composed with the identity).",
    ),
    ("method", TEXT, "The alignment method."),
    ("networks", TEXTS, "The networks of the first permutation, in the order of the path."),
    ("alignments", TEXTS, "The ids of the alignments of the first permutation."),
    (
        "against",
        TEXT,
        "The id of the alignment of the second permutation. Null where that is the identity.",
    ),
    *GROUP,
    ("step", INT, "The optimiser step of the first network."),
    ("length", INT, "The number of alignments that are composed."),
    (
        "stack",
        INT,
        "The number of checkpoints of each run that were aligned at once. Null unless the kind is stacked.",
    ),
    ("fixed_points", FLOAT, "The share of hidden units on which the two permutations agree."),
    ("groups", TEXTS, "The layer groups, in the order of the network."),
    ("group_fixed_points", FLOATS, "The same share within each layer group."),
]
# Columns in which rows that are averaged may differ: they name the networks, or hold what was measured.
AGREEMENTS_WITHIN = (
    *("agreement_id", "networks", "alignments", "against", "fixed_points", "groups"),
    "group_fixed_points",
)
