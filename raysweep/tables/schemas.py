"""The Parquet tables of a sweep: their schemas, documented once, and their publication."""

from typing import Any

import pyarrow as pa

from raysweep.store.files import Files
from raysweep.store.parquet import parquet_table

BUCKETS = 16  # a row lies in the bucket of the first hexadecimal digit of its id

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()
_TEXTS, _FLOATS = pa.list_(_TEXT), pa.list_(_FLOAT)

_GROUP = [
    ("group", _TEXT, "identifies what its networks share: everything but the replicate (or two such groups)"),
    ("dataset", _TEXT, "name of the data set"),
    ("model", _TEXT, "name of the model"),
    ("norm", _TEXT, "normalisation"),
    ("width", _INT, "`train.width` (null where the networks differ)"),
]

_ALIGN = [  # the settings of `align` that determine an alignment
    ("kernel", _TEXT, "`align.weight_matching.kernel` (null for other methods; so the next three)"),
    ("order", _TEXT, "`align.weight_matching.order`"),
    ("biases", pa.bool_(), "`align.weight_matching.biases`"),
    ("restarts", _INT, "`align.weight_matching.restarts`"),
    ("tensor", _TEXT, "`align.activation_matching.tensor` (null for other methods; so the next three)"),
    ("similarity", _TEXT, "`align.activation_matching.similarity`"),
    ("examples", _INT, "`align.activation_matching.examples`"),
    ("pixels", _INT, "`align.activation_matching.pixels`"),
    ("seed", _INT, "`align.seed`"),
    ("threads", _INT, "`align.threads`"),
    ("device", _TEXT, "where it was computed: cpu"),
]

Column = tuple[str, pa.DataType, str]

TABLES: dict[str, list[Column]] = {
    "trials": [
        ("trial_id", _TEXT, "id of the trial"),
        ("branch", _TEXT, "main, spawned, imported, random, one_shot, reinitialise or transport"),
        (
            "parent_trial",
            _TEXT,
            "the trunk of a spawned run, the dense trial of a chain or branch (else null)",
        ),
        ("mask_trial", _TEXT, "chain whose masks are used (null for dense runs and chains)"),
        ("mask_permutation", _TEXT, "of a transported mask: none, dense or level (null elsewhere)"),
        *_GROUP,
        ("split_seed", _INT, "seed of the train/test split, for data without an official one"),
        ("half", _INT, "the disjoint half of the training examples that is used (null: all)"),
        ("fraction", _FLOAT, "share of the training examples that is used (null: all)"),
        ("examples", pa.list_(_INT), "range of the shuffled training examples that is used (null: all)"),
        ("subset_seed", _INT, "seed of half, fraction and examples"),
        ("pixel_seed", _INT, "seed of the permutation of the pixels (null: none)"),
        ("scaling", _TEXT, "unit (largest training pixel 1) or standardise (by channel)"),
        ("augment", _TEXT, "none or flip_crop"),
        ("depth", _INT, "hidden layers of the mlp (null elsewhere)"),
        ("init", _TEXT, "initialisation"),
        ("epochs", _INT, "passes over the training data"),
        ("batch_size", _INT, "examples per step"),
        ("drop_last", pa.bool_(), "whether a last, smaller batch is left out"),
        ("optimiser", _TEXT, "sgd or adamw"),
        ("learning_rate", _FLOAT, "peak learning rate"),
        ("momentum", _FLOAT, "momentum of SGD, beta1 of AdamW"),
        ("nesterov", pa.bool_(), "whether the momentum is Nesterov's"),
        ("weight_decay", _FLOAT, "weight decay"),
        ("schedule", _TEXT, "learning-rate schedule"),
        ("milestones", _TEXTS, "where the rate is multiplied by gamma (ep: epochs, st: steps)"),
        ("gamma", _FLOAT, "factor at the milestones"),
        ("warmup", _TEXT, "length of the linear warm-up (ep: epochs, st: steps)"),
        ("precision", _TEXT, "float32, or bfloat16 by autocast"),
        ("channels_last", pa.bool_(), "memory format of the images"),
        ("init_seed", _INT, "seed of the initialisation"),
        ("data_seed", _INT, "seed of the data order and the augmentation"),
        ("spawn_at", _TEXT, "where the trial left its trunk (null: it has none)"),
        ("spawn_replicate", _INT, "replicate of the trunk"),
        ("threads", _INT, "threads of the computation"),
        ("device", _TEXT, "cpu or cuda"),
        ("import_file", _TEXT, "the file of an imported network, as the sweep names it (else null)"),
        ("import_digest", _TEXT, "SHA-256 of its content (else null)"),
        ("running_statistics", pa.bool_(), "whether the network keeps them, as BatchNorm does"),
        (
            "guess_error",
            _FLOAT,
            "0-1 test error of always answering the most frequent class of the test set (share)",
        ),
        ("replicate", _INT, "number of the replicate"),
        ("level", _INT, "pruning level; 0 is dense"),
        ("sparsity", _FLOAT, "share of the weights of the pruned layers that is zero"),
        ("start", _INT, "optimiser step at which the level starts"),
        ("steps", _INT, "optimiser step at which it ends"),
        ("train_loss", _FLOAT, "cross-entropy at the end, first 10,000 training examples (nats)"),
        ("train_error", _FLOAT, "0-1 error at the end, first 10,000 training examples (share)"),
        ("test_loss", _FLOAT, "cross-entropy at the end, test set (nats)"),
        ("test_error", _FLOAT, "0-1 error at the end, test set (share)"),
        ("seconds", _FLOAT, "time to train (s)"),
    ],
    "metrics": [
        ("trial_id", _TEXT, "id of the trial"),
        ("level", _INT, "pruning level"),
        ("step", _INT, "optimiser step"),
        ("epoch", _FLOAT, "the step in epochs"),
        ("split", _TEXT, "train (first 10,000 examples) or test"),
        ("loss", _FLOAT, "cross-entropy (nats)"),
        ("error", _FLOAT, "0-1 error (share)"),
        ("time", _FLOAT, "when it was measured (s since 1970)"),
    ],
    "alignments": [
        ("alignment_id", _TEXT, "id of the alignment"),
        ("method", _TEXT, "how the permutation was found"),
        ("networks", _TEXTS, "trial_id@level@step, the target first; all of a joint alignment"),
        ("joint", pa.bool_(), "whether each network has a permutation of its own toward all the others"),
        ("joint_networks", _INT, "networks of a joint alignment (else null)"),
        ("stack", _INT, "checkpoints of each run that one permutation aligns at once (null: one)"),
        *_GROUP,
        ("level", _INT, "pruning level of the target"),
        ("step", _INT, "optimiser step of the target, of a stack the last"),
        *_ALIGN,
        (
            "objective",
            _FLOAT,
            "what the method maximises, at its permutation: for weights <A, P[B]>, or the sum of cosines; "
            "for a narrow network in a wide one minus its squared distance from the chosen part",
        ),
        ("objective_identity", _FLOAT, "the same at the identity"),
        ("iterations", _INT, "assignments solved"),
        ("fixed_points", _FLOAT, "share of hidden units that stay in place"),
        ("seconds", _FLOAT, "time to align (s)"),
    ],
    "layers": [
        ("alignment_id", _TEXT, "id of the alignment"),
        ("parameter", _TEXT, "name of the parameter"),
        ("before", _FLOAT, "<A, B> over this parameter; the sum over the pairs of a joint or stacked one"),
        ("after", _FLOAT, "<A, P[B]> over this parameter, likewise"),
        ("displacement", _FLOAT, "|P[B] - B| over this parameter, of all moved networks together"),
        (
            "fixed_points",
            _FLOAT,
            "share of the units along its first axis that stay (null: none can move); joint: the mean",
        ),
    ],
    "agreements": [
        ("agreement_id", _TEXT, "id of the comparison of two permutations"),
        (
            "kind",
            _TEXT,
            "trajectory (found at `step` against the last step), stacked (against the last step's), path "
            "(composed against direct), cycle (composed against the identity)",
        ),
        ("method", _TEXT, "alignment method"),
        ("networks", _TEXTS, "the networks of the first permutation, in the order of a path"),
        ("alignments", _TEXTS, "ids of the alignments of the first permutation"),
        ("against", _TEXT, "id of the alignment it is compared with (null: the identity)"),
        *_GROUP,
        ("step", _INT, "optimiser step of the first network"),
        ("length", _INT, "alignments that were composed"),
        ("stack", _INT, "checkpoints of each run that were aligned at once (null but for stacked)"),
        ("fixed_points", _FLOAT, "share of hidden units on which the two agree"),
        ("groups", _TEXTS, "the groups of hidden units, in the order of the network"),
        ("group_fixed_points", _FLOATS, "the same share by group"),
    ],
    "barriers": [
        ("barrier_id", _TEXT, "id of the comparison"),
        ("interpolation", _TEXT, "pair, simplex or mean (equal weights alone)"),
        (
            "kind",
            _TEXT,
            "how the permutations came about: unaligned, direct, via (a reference), joint, composed (along "
            "a path), stacked (one for several checkpoints), hybrid (of two), embedded (a narrow network in "
            "a wide one), transferred (from another task)",
        ),
        ("method", _TEXT, "alignment method (null for unaligned)"),
        ("networks", _TEXTS, "the networks that are mixed, in the order of the weights"),
        ("reference", _TEXT, "the network that the others were aligned to (null but for via)"),
        ("alignments", _TEXTS, "ids of the alignments of the networks that were moved"),
        ("path", _TEXTS, "the networks along which permutations were composed (null but for composed)"),
        ("path_networks", _INT, "networks on the path (null but for composed)"),
        ("cycle", pa.bool_(), "whether the path ends where it begins (null but for composed)"),
        ("joint_networks", _INT, "networks that were aligned jointly (null but for joint)"),
        ("mean_networks", _INT, "networks whose mean it is (null but for mean)"),
        ("stack", _INT, "checkpoints of each run that were aligned at once (null but for stacked)"),
        (
            "transferred_from",
            _TEXT,
            "group of the networks of another task, by which the permutation was found (else null)",
        ),
        (
            "across",
            _TEXT,
            "widths or tasks, where networks differ in more than the replicate (else null)",
        ),
        ("hybrid", _TEXT, "bottom_up, top_down, one_in or one_out (null but for hybrid)"),
        ("hybrid_layers", _INT, "groups with the early permutation, or the place of the one in or out"),
        *_GROUP,
        ("level", _INT, "pruning level of the networks"),
        ("step", _INT, "optimiser step of the networks"),
        ("permutation_level", _INT, "level at which the permutation was found (null for unaligned)"),
        (
            "permutation_step",
            _INT,
            "step where it was found: a hybrid's early one, a stack's last (else null)",
        ),
        ("statistics", _TEXT, "kept or recomputed, for BatchNorm"),
        ("split", _TEXT, "train (the first `train_examples`) or test"),
        ("alphas", _INT, "`compare.alphas` (null but for pair)"),
        ("subdivisions", _INT, "`compare.subdivisions` (null but for simplex)"),
        ("train_examples", _INT, "`compare.train_examples`"),
        ("threads", _INT, "`align.threads`"),
        ("device", _TEXT, "`compare.device`"),
        (
            "alignment_settings",
            _TEXT,
            "the settings of `align` in the rows of its alignments, as JSON (null for unaligned)",
        ),
        ("loss_barrier", _FLOAT, "largest excess cross-entropy over the grid (nats)"),
        ("error_barrier", _FLOAT, "largest excess 0-1 error over the grid (share)"),
        ("loss_weights", _FLOATS, "the weights at which loss_barrier lies"),
        ("error_weights", _FLOATS, "the weights at which error_barrier lies"),
        ("loss_centre", _FLOAT, "excess cross-entropy at equal weights (nats)"),
        ("error_centre", _FLOAT, "excess 0-1 error at equal weights (share)"),
        ("seconds", _FLOAT, "time to evaluate (s)"),
    ],
    "curves": [
        ("barrier_id", _TEXT, "id of the comparison"),
        ("split", _TEXT, "train (the first `compare.train_examples`) or test"),
        ("weights", pa.list_(_FLOATS), "the weights of the networks at each point"),
        ("loss", _FLOATS, "cross-entropy at each point (nats)"),
        ("error", _FLOATS, "0-1 error at each point (share)"),
    ],
    "failures": [
        ("id", _TEXT, "id of the trial, alignment, barrier or agreement"),
        ("what", _TEXT, "trial, alignment, barrier or agreement"),
        ("error", _TEXT, "the traceback"),
        ("attempts", _INT, "how often it was tried"),
        ("node", _TEXT, "where it failed last"),
        ("time", _FLOAT, "when it failed last (s since 1970)"),
    ],
}


# Columns in which rows may differ that are averaged: whose networks they are of, and what was measured.
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
    """Return the columns that say what a row is about: rows that differ in one are not averaged.

    A column that is added is one of them unless `WITHIN` says otherwise.
    """
    return [name for name, _, _ in TABLES[table] if name not in WITHIN[table]]


def grouping(rows: Any, table: str, *first: str) -> list[str]:
    """Return the columns `first` of a frame and the other dimensions of its table that tell more rows apart.

    A mean over rows that agree in them mixes nothing: `rows.groupby(grouping(rows, "barriers", "width"),
    dropna=False)`. Of several columns that tell the same apart the first one counts, `group` last.
    """
    keys = list(first)
    lists = {name for name, kind, _ in TABLES[table] if pa.types.is_list(kind)}
    rest = [name for name in dimensions(table) if name not in {*first, *lists}]
    told = len(rows[keys].drop_duplicates()) if keys else 1
    for name in sorted(rest, key="group".__eq__):
        more = len(rows[[*keys, name]].drop_duplicates())
        if more > told:
            keys, told = [*keys, name], more
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
