"""Columns of `trials` and of `metrics`."""

from raysweep.sweep.branches import BRANCHES
from raysweep.sweep.prune import PRUNED, Pruning
from raysweep.sweep.train import Training
from raysweep.tables.columns.shared import (
    BOOL,
    COMPUTED_ON,
    FLOAT,
    GROUP,
    INT,
    SHOWN,
    TEXT,
    listed,
    source_digest,
)
from raysweep.tables.keys import Column, key_columns
from raysweep.vocabulary import Branch, MaskPermutation, Way

TRIALS: list[Column] = [
    ("trial_id", TEXT, "The id of the trial."),
    (
        "branch",
        TEXT,
        f"What the trial is: {listed([*Branch, *BRANCHES])}.",
    ),
    (
        "parent_trial",
        TEXT,
        "The trial from whose checkpoint this one starts: the trunk of a spawned run, or the dense "
        "trial of a chain or branch. Null for other trials.",
    ),
    (
        "mask_trial",
        TEXT,
        "The chain whose masks the trial is trained under. Null for dense runs and for chains.",
    ),
    (
        "mask_permutation",
        TEXT,
        f"The permutation of a transported mask: {listed(MaskPermutation)}. Null for other trials.",
    ),
    *GROUP,
    *key_columns(Training, [key for key in Training.model_fields if key not in (*SHOWN, "width")]),
    *(
        (f"{PRUNED}{key}", kind, f"{meaning} Null for dense runs.")
        for key, kind, meaning in key_columns(Pruning, Pruning.model_fields)
    ),
    (
        "import_file",
        TEXT,
        "The file of an imported network, as the sweep file names it. Null for other trials.",
    ),
    ("import_digest", TEXT, "The SHA-256 of that file's content. Null for other trials."),
    source_digest("network"),
    (
        "sources",
        TEXT,
        "Those of the files of all of your own functions, as JSON by the key of `train` that names each; "
        "null where all are raysweep's.",
    ),
    (
        "running_statistics",
        BOOL,
        "Whether the network keeps running statistics, as BatchNorm does.",
    ),
    (
        "guess_error",
        FLOAT,
        "The 0-1 error on the test set of a classifier that always answers its most frequent class (share).",
    ),
    ("replicate", INT, "The number of the replicate."),
    ("level", INT, "The pruning level; 0 is dense."),
    ("sparsity", FLOAT, "The share of the weights of the pruned layers that is zero."),
    ("start", INT, "The optimiser step at which the level starts."),
    ("steps", INT, "The optimiser step at which the level ends."),
    ("train_loss", FLOAT, "The final cross-entropy on the first 10,000 training examples (nats)."),
    ("train_error", FLOAT, "The final 0-1 error on the first 10,000 training examples (share)."),
    ("test_loss", FLOAT, "The final cross-entropy on the test set (nats)."),
    ("test_error", FLOAT, "The final 0-1 error on the test set (share)."),
    ("seconds", FLOAT, "The time that training took (s)."),
    *COMPUTED_ON,
    (
        "execution",
        TEXT,
        f"How training steps were executed: {listed(Way)}. Null where it is not known.",
    ),
    ("fallback", TEXT, "Why they were not executed in the way that was asked for; null where they were."),
]
# Columns in which rows that are averaged may differ: they name the networks, or hold what was measured.
TRIALS_WITHIN = (
    *("trial_id", "parent_trial", "mask_trial", "half", "init_seed", "data_seed", "guess_error"),
    *("replicate", "sparsity", "train_loss", "train_error", "test_loss", "test_error", "seconds"),
    *("hardware", "software", "provenance", "execution", "fallback"),
)

METRICS: list[Column] = [
    ("trial_id", TEXT, "The id of the trial."),
    ("level", INT, "The pruning level."),
    ("step", INT, "The optimiser step."),
    ("epoch", FLOAT, "The step in epochs."),
    ("split", TEXT, "train (its first 10,000 examples) or test."),
    ("loss", FLOAT, "The cross-entropy (nats)."),
    ("error", FLOAT, "The 0-1 error (share)."),
    ("time", FLOAT, "The time of the measurement (s since 1970)."),
]
