"""The Parquet tables of a sweep: their columns, documented once."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from raysweep.store.files import Files
from raysweep.store.parquet import parquet_table
from raysweep.sweep.align import ActivationMatching, Align, WeightMatching
from raysweep.sweep.train import Training
from raysweep.tables.keys import Column, key_columns
from raysweep.vocabulary import Branch, HybridLayers, MaskPermutation, Method

BUCKETS = 16  # a row lies in the bucket of the first hexadecimal digit of its id

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()
_TEXTS, _FLOATS = pa.list_(_TEXT), pa.list_(_FLOAT)

# The keys of `train` that every table names. A comparison may be of networks whose widths differ.
_SHOWN = ("dataset", "model", "norm")

_GROUP: list[Column] = [
    (
        "group",
        _TEXT,
        "The setting that the networks share: everything but the replicate. A comparison of two settings "
        "has a value of its own.",
    ),
    *((name, _TEXT, f"`train.{name}`") for name in _SHOWN),
    ("width", _INT, "`train.width`; null where the networks differ in it."),
]

_ALIGN: list[Column] = [  # the settings of `align` that determine an alignment
    *key_columns(WeightMatching, WeightMatching.model_fields, " Null for other methods."),
    *key_columns(ActivationMatching, ActivationMatching.model_fields, " Null for other methods."),
    *key_columns(Align, ("seed", "threads", "device")),
]


def _or(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


TABLES: dict[str, list[Column]] = {
    "trials": [
        ("trial_id", _TEXT, "The id of the trial."),
        (
            "branch",
            _TEXT,
            f"What the trial is: {_or(Branch)}.",
        ),
        (
            "parent_trial",
            _TEXT,
            "The trial from whose checkpoint this one starts: the trunk of a spawned run, or the dense "
            "trial of a chain or branch. Null for other trials.",
        ),
        (
            "mask_trial",
            _TEXT,
            "The chain whose masks the trial is trained under. Null for dense runs and for chains.",
        ),
        (
            "mask_permutation",
            _TEXT,
            f"The permutation of a transported mask: {_or(MaskPermutation)}. Null for other trials.",
        ),
        *_GROUP,
        *key_columns(Training, [key for key in Training.model_fields if key not in (*_SHOWN, "width")]),
        (
            "import_file",
            _TEXT,
            "The file of an imported network, as the sweep file names it. Null for other trials.",
        ),
        ("import_digest", _TEXT, "The SHA-256 of that file's content. Null for other trials."),
        (
            "running_statistics",
            pa.bool_(),
            "Whether the network keeps running statistics, as BatchNorm does.",
        ),
        (
            "guess_error",
            _FLOAT,
            "The 0-1 error on the test set of a classifier that always answers its most frequent class "
            "(share).",
        ),
        ("replicate", _INT, "The number of the replicate."),
        ("level", _INT, "The pruning level; 0 is dense."),
        ("sparsity", _FLOAT, "The share of the weights of the pruned layers that is zero."),
        ("start", _INT, "The optimiser step at which the level starts."),
        ("steps", _INT, "The optimiser step at which the level ends."),
        ("train_loss", _FLOAT, "The final cross-entropy on the first 10,000 training examples (nats)."),
        ("train_error", _FLOAT, "The final 0-1 error on the first 10,000 training examples (share)."),
        ("test_loss", _FLOAT, "The final cross-entropy on the test set (nats)."),
        ("test_error", _FLOAT, "The final 0-1 error on the test set (share)."),
        ("seconds", _FLOAT, "The time that training took (s)."),
    ],
    "metrics": [
        ("trial_id", _TEXT, "The id of the trial."),
        ("level", _INT, "The pruning level."),
        ("step", _INT, "The optimiser step."),
        ("epoch", _FLOAT, "The step in epochs."),
        ("split", _TEXT, "train (its first 10,000 examples) or test."),
        ("loss", _FLOAT, "The cross-entropy (nats)."),
        ("error", _FLOAT, "The 0-1 error (share)."),
        ("time", _FLOAT, "The time of the measurement (s since 1970)."),
    ],
    "alignments": [
        ("alignment_id", _TEXT, "The id of the alignment."),
        ("method", _TEXT, f"The method that found the permutation: {_or(Method)}."),
        (
            "networks",
            _TEXTS,
            "The networks, written trial_id@level@step, the target first; a joint alignment lists all of "
            "them.",
        ),
        (
            "joint",
            pa.bool_(),
            "Whether the alignment is joint, so that each network has a permutation of its own.",
        ),
        ("joint_networks", _INT, "The number of networks of a joint alignment. Null for other alignments."),
        (
            "stack",
            _INT,
            "The number of checkpoints of each run that one permutation aligns at once. Null where it is "
            "one.",
        ),
        *_GROUP,
        ("level", _INT, "The pruning level of the target."),
        ("step", _INT, "The optimiser step of the target; of a stack, the step of its last checkpoint."),
        *_ALIGN,
        (
            "objective",
            _FLOAT,
            "The value that the method maximises, at the permutation that it found. By weights it is <A, "
            "P[B]>, or the sum of cosines; for a narrow network in a wide one it is minus the squared "
            "distance from the chosen units.",
        ),
        ("objective_identity", _FLOAT, "The same value at the identity."),
        ("iterations", _INT, "The number of assignment problems that were solved."),
        ("fixed_points", _FLOAT, "The share of hidden units that stay in place."),
        ("seconds", _FLOAT, "The time that the alignment took (s)."),
    ],
    "layers": [
        ("alignment_id", _TEXT, "The id of the alignment."),
        ("parameter", _TEXT, "The name of the parameter."),
        (
            "before",
            _FLOAT,
            "<A, B> over this parameter; of a joint or stacked alignment, the sum over its pairs.",
        ),
        ("after", _FLOAT, "<A, P[B]> over this parameter, summed in the same way."),
        (
            "displacement",
            _FLOAT,
            "|P[B] - B| over this parameter, of all permuted networks together.",
        ),
        (
            "fixed_points",
            _FLOAT,
            "The share of the units along the first axis that stay in place; of a joint alignment, the mean "
            "over its networks. Null where no unit can move.",
        ),
    ],
    "agreements": [
        ("agreement_id", _TEXT, "The id of the comparison of two permutations."),
        (
            "kind",
            _TEXT,
            "Which permutations are compared: trajectory (the one found at `step` with the one found at the "
            "last step), stacked (the one of a stack with the one found at the last step), path (composed "
            "with direct) or cycle (composed with the identity).",
        ),
        ("method", _TEXT, "The alignment method."),
        ("networks", _TEXTS, "The networks of the first permutation, in the order of the path."),
        ("alignments", _TEXTS, "The ids of the alignments of the first permutation."),
        (
            "against",
            _TEXT,
            "The id of the alignment of the second permutation. Null where that is the identity.",
        ),
        *_GROUP,
        ("step", _INT, "The optimiser step of the first network."),
        ("length", _INT, "The number of alignments that are composed."),
        (
            "stack",
            _INT,
            "The number of checkpoints of each run that were aligned at once. Null unless the kind is "
            "stacked.",
        ),
        ("fixed_points", _FLOAT, "The share of hidden units on which the two permutations agree."),
        ("groups", _TEXTS, "The layer groups, in the order of the network."),
        ("group_fixed_points", _FLOATS, "The same share within each layer group."),
    ],
    "barriers": [
        ("barrier_id", _TEXT, "The id of the comparison."),
        ("interpolation", _TEXT, "pair, simplex, or mean (equal weights alone)."),
        (
            "kind",
            _TEXT,
            "How the permutations came about: unaligned, direct, via (a reference), joint, composed (along "
            "a path), stacked (one for several checkpoints), hybrid (of two), embedded (a narrow network in "
            "a wide one) or transferred (from another task).",
        ),
        ("method", _TEXT, "The alignment method. Null for unaligned networks."),
        ("networks", _TEXTS, "The networks that are mixed, in the order of the weights."),
        (
            "reference",
            _TEXT,
            "The network to which the others were aligned. Null unless the kind is via.",
        ),
        ("alignments", _TEXTS, "The ids of the alignments whose permutations are applied."),
        (
            "path",
            _TEXTS,
            "The networks along which permutations are composed. Null unless the kind is composed.",
        ),
        ("path_networks", _INT, "The number of networks on the path. Null unless the kind is composed."),
        (
            "cycle",
            pa.bool_(),
            "Whether the path ends where it begins. Null unless the kind is composed.",
        ),
        (
            "joint_networks",
            _INT,
            "The number of networks that were aligned jointly. Null unless the kind is joint.",
        ),
        (
            "mean_networks",
            _INT,
            "The number of networks that are averaged. Null unless the interpolation is mean.",
        ),
        (
            "stack",
            _INT,
            "The number of checkpoints of each run that were aligned at once. Null unless the kind is "
            "stacked.",
        ),
        (
            "transferred_from",
            _TEXT,
            "The `group` of the networks of another task on which the permutation was found. Null unless "
            "the kind is transferred.",
        ),
        (
            "across",
            _TEXT,
            "widths or tasks, where the networks differ in more than the replicate. Null elsewhere.",
        ),
        (
            "hybrid",
            _TEXT,
            f"The layers with the early permutation: {_or(HybridLayers)}. Null unless the kind is hybrid.",
        ),
        (
            "hybrid_layers",
            _INT,
            "The number of layers with the early permutation; for one_in and one_out the position of the one "
            "layer, counted from 0. Null unless the kind is hybrid.",
        ),
        *_GROUP,
        ("level", _INT, "The pruning level of the networks."),
        ("step", _INT, "The optimiser step of the networks."),
        (
            "permutation_level",
            _INT,
            "The pruning level at which the permutation was found. Null for unaligned networks.",
        ),
        (
            "permutation_step",
            _INT,
            "The optimiser step at which the permutation was found: the early step of a hybrid, the last "
            "step of a stack. Null for unaligned networks.",
        ),
        ("statistics", _TEXT, "kept or recomputed: what becomes of the statistics of BatchNorm."),
        ("split", _TEXT, "train (its first `train_examples` examples) or test."),
        ("alphas", _INT, "`compare.alphas`. Null unless the interpolation is pair."),
        ("subdivisions", _INT, "`compare.subdivisions`. Null unless the interpolation is simplex."),
        ("train_examples", _INT, "`compare.train_examples`."),
        ("threads", _INT, "`align.threads`."),
        ("device", _TEXT, "`compare.device`."),
        (
            "alignment_settings",
            _TEXT,
            "The settings of `align` that the rows of its alignments have, as JSON. Null for unaligned "
            "networks.",
        ),
        ("loss_barrier", _FLOAT, "The largest excess cross-entropy over the grid (nats)."),
        ("error_barrier", _FLOAT, "The largest excess 0-1 error over the grid (share)."),
        ("loss_weights", _FLOATS, "The weights at which loss_barrier is reached."),
        ("error_weights", _FLOATS, "The weights at which error_barrier is reached."),
        ("loss_centre", _FLOAT, "The excess cross-entropy at equal weights (nats)."),
        ("error_centre", _FLOAT, "The excess 0-1 error at equal weights (share)."),
        ("seconds", _FLOAT, "The time that the evaluation took (s)."),
    ],
    "curves": [
        ("barrier_id", _TEXT, "The id of the comparison."),
        ("split", _TEXT, "train (its first `compare.train_examples` examples) or test."),
        ("weights", pa.list_(_FLOATS), "The weights of the networks at each point."),
        ("loss", _FLOATS, "The cross-entropy at each point (nats)."),
        ("error", _FLOATS, "The 0-1 error at each point (share)."),
    ],
    "failures": [
        ("id", _TEXT, "The id of the trial, alignment, barrier or agreement."),
        ("what", _TEXT, "trial, alignment, barrier or agreement."),
        ("error", _TEXT, "The traceback."),
        ("attempts", _INT, "The number of attempts."),
        ("node", _TEXT, "The node of the last failure."),
        ("time", _FLOAT, "The time of the last failure (s since 1970)."),
    ],
}


# Columns in which rows that are averaged may differ: they name the networks, or hold what was measured.
WITHIN = {
    "trials": (
        *("trial_id", "parent_trial", "mask_trial", "half", "init_seed", "data_seed", "guess_error"),
        *("replicate", "sparsity", "train_loss", "train_error", "test_loss", "test_error", "seconds"),
    ),
    "alignments": (
        *("alignment_id", "networks", "objective", "objective_identity", "iterations", "fixed_points"),
        "seconds",
    ),
    "agreements": (
        *("agreement_id", "networks", "alignments", "against", "fixed_points", "groups"),
        "group_fixed_points",
    ),
    "barriers": (
        *("barrier_id", "networks", "reference", "alignments", "path", "loss_barrier", "error_barrier"),
        *("loss_weights", "error_weights", "loss_centre", "error_centre", "seconds"),
    ),
}


def schema(table: str) -> pa.Schema:
    return pa.schema([(name, kind) for name, kind, _ in TABLES[table]])


def dimensions(table: str) -> list[str]:
    """Return the columns that say what a row is about: rows that differ in one of them are not averaged.

    A new column is one of them unless `WITHIN` lists it.
    """
    return [name for name, _, _ in TABLES[table] if name not in WITHIN[table]]


def grouping(rows: Any, table: str, *first: str) -> list[str]:
    """Return the columns `first` of a frame and those further dimensions of its table that distinguish rows.

    A mean over rows that agree in all of them mixes nothing: `rows.groupby(grouping(rows, "barriers",
    "width"), dropna=False)`. A column is left out where those before it distinguish the same rows; `group`
    comes last.
    """
    keys = list(first)
    lists = {name for name, kind, _ in TABLES[table] if pa.types.is_list(kind)}
    rest = [name for name in dimensions(table) if name not in {*first, *lists}]
    distinct = len(rows[keys].drop_duplicates()) if keys else 1
    for name in sorted(rest, key="group".__eq__):
        more = len(rows[[*keys, name]].drop_duplicates())
        if more > distinct:
            keys, distinct = [*keys, name], more
    return keys


def read_table(files: Files, sweep: str, table: str, columns: list[str] | None = None) -> pa.Table:
    """Return a published table; an empty one where nothing is published. Raises `CorruptObject`."""
    parts = [
        parquet_table(files.where(name), files.get(name), schema(table), columns)
        for name in files.list(f"sweeps/{sweep}/{table}")
    ]
    empty = schema(table).empty_table()
    return pa.concat_tables(parts) if parts else empty.select(columns) if columns else empty


def describe() -> str:
    """Return the documentation of all tables as Markdown, for the README."""
    lines = []
    for table, columns in TABLES.items():
        lines += [f"### `{table}`", "", "| column | type | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {kind} | {meaning} |" for name, kind, meaning in columns]
        lines.append("")
    return "\n".join(lines)
