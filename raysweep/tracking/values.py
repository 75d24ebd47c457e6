"""What is logged, from rows of the tables: parameters, names and steps of metrics."""

from typing import Any

import pandas as pd

from raysweep.tables.schemas import TABLES
from raysweep.tables.variants import variants

Value = tuple[str, float, int, int]  # name, value, time in milliseconds, step
AT_END = ("sparsity", "train_loss", "train_error", "test_loss", "test_error")
# The rest of a trial's row says what it is. Its group is a digest, which charts would show as an axis.
RESULTS = {"trial_id", "group", "level", "start", "steps", "seconds", "guess_error", *AT_END}
PARAMETERS: list[str] = [name for name, _, _ in TABLES["trials"] if name not in RESULTS]
RISKS = ("loss_barrier", "error_barrier", "loss_centre", "error_centre")


def parameters(rows: pd.DataFrame) -> dict[str, str]:
    """What all rows have in common; a null says nothing and is left out."""
    found = {name: set(rows[name].map(text)) for name in PARAMETERS if name in rows.columns}
    return {name: values.pop() for name, values in found.items() if len(values) == 1 and values != {""}}


def text(value: Any) -> str:
    """A value as the sweep file has it: nulls make pandas' integers floats."""
    if isinstance(value, str):
        return value
    if pd.api.types.is_list_like(value):
        return ", ".join(text(item) for item in value)
    if pd.isna(value):
        return ""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def label(row: pd.Series, *words: str) -> str:
    """A name for a run; what differs within it is null and left out.

    What tells runs apart comes first, because MLflow shows about twenty letters.
    """
    model = "-".join(filter(None, (text(row.model), text(row.width))))
    return " ".join(filter(None, (model, *words, text(row.dataset))))


def configured(rows: pd.DataFrame, trials: pd.DataFrame) -> pd.Series:
    """Return what tells the configuration of a row from others of its model, width and data set, in words."""
    norms = rows.norm.where(rows.norm == "none", "norm " + rows.norm).replace("none", "")
    return (norms + " " + variants(rows, trials)).str.strip()


def run_words(first: pd.Series, trials: pd.DataFrame) -> list[str]:
    """Return what tells a trial from others, in words; `first` is its first level, with `configured`."""
    branch = "pruned" if first.branch == "main" and first.level else first.branch
    words = [] if branch == "main" else [branch]
    if branch == "transport":
        masks = trials[trials.trial_id == first.mask_trial].replicate.iloc[0]
        words.append(f"of mask {masks} by permutation {first.mask_permutation}")
    return [*words, f"replicate {first.replicate}", first.configured]


def across(rows: pd.DataFrame, trials: pd.DataFrame) -> str:
    """What two configurations that are compared differ in, from the trials of the first pair."""
    runs = trials.drop_duplicates("trial_id").set_index("trial_id")
    pair = [runs.loc[network.split("@")[0]] for network in rows.networks.iloc[0]]
    seeds = {"replicate", "init_seed", "data_seed"}
    differing = [
        name for name in PARAMETERS if name not in seeds and len({text(run[name]) for run in pair}) > 1
    ]
    return " ".join(f"{name} {' and '.join(text(run[name]) or 'none' for run in pair)}" for name in differing)


def group_words(method: str, rows: pd.DataFrame, trials: pd.DataFrame) -> list[str]:
    """Return what tells a group and method from all others, in words; `rows` have the column `configured`."""
    pruned = ["pruned"] if (rows.level > 0).all() else []
    differing = [across(rows, trials)] if rows.across.notna().all() else []
    return [method, *differing, *pruned, rows.configured.iloc[0]]


def order(row: pd.Series, method: str) -> str:
    """A text that sorts by width and then by method: MLflow compares parameters as texts."""
    return f"{text(row.dataset)} {text(row.model)} {text(row.width).zfill(9)} {method}"


def by_step(metrics: pd.DataFrame, prefix: str) -> list[Value]:
    """Loss and error of both splits while a level trains."""
    return [
        (f"{prefix}{row['split']}_{risk}", row[risk], int(row["time"] * 1000), int(row["step"]))
        for row in metrics.to_dict("records")
        for risk in ("loss", "error")
    ]


def barriers(rows: pd.DataFrame, time: int) -> list[Value]:
    """Mean, spread and count of every kind of barrier."""
    values: list[Value] = []
    for key, part in rows.groupby([_names(rows), _steps(rows)]):
        name, step = str(key[0]), int(key[1])  # type: ignore[index,call-overload]
        for column in RISKS:
            values.append((f"{name}/{column}_mean", part[column].mean(), time, step))
            values.append((f"{name}/{column}_std", part[column].std(ddof=0), time, step))
        values.append((f"{name}/n", len(part), time, step))
    return values


def _names(rows: pd.DataFrame) -> pd.Series:
    """split/interpolation_kind, with all else in which rows of a group and method differ but for the step.

    The number of networks of a joint alignment, a mean, a path or a cycle, or of the checkpoints of a stack;
    where the permutation was found: at which level of pruning, at which step, in which other task; of pruned
    networks the point where they are compared; of a hybrid its layers; before the end of training `along`;
    recomputed statistics of BatchNorm.
    """
    pruned, end, transferred = rows.level > 0, _ends(rows), rows.transferred_from.notna()
    found = rows.permutation_level.map(lambda level: "_dense" if level == 0 else "_level", na_action="ignore")
    along = ~pruned & (~end | (rows.permutation_step < rows.step.max())) & rows.permutation_step.notna()
    number = rows.mean_networks.fillna(rows.joint_networks).fillna(rows["stack"])
    shape = rows.cycle.map({True: "_cycle", False: "_path"})
    name = rows.split + "/" + rows.interpolation + "_" + rows.kind
    for text, where in (
        (_suffix(number), number.notna()),
        (shape + _suffix(rows.path_networks), rows.path_networks.notna()),
        (found, pruned),
        (pd.Series("_rewind", rows.index), pruned & ~end),
        ("_found_at" + _suffix(rows.permutation_step), along),
        ("_from_" + rows.transferred_from.str[:8], transferred),
        ("_" + rows.hybrid + _suffix(rows.hybrid_layers), rows.hybrid.notna()),
        (pd.Series("_along", rows.index), ~pruned & ~end),
        (pd.Series("_recomputed", rows.index), rows.statistics == "recomputed"),
    ):
        name += text.astype(object).where(where, "").fillna("")
    return name


def _suffix(numbers: pd.Series) -> pd.Series:
    return "_" + numbers.astype("Int64").astype(str)


def _steps(rows: pd.DataFrame) -> pd.Series:
    """The axis of a metric: the level of pruning, or the optimiser step along a dense run."""
    return rows.level.where((rows.level > 0) | _ends(rows), rows.step)


def _ends(rows: pd.DataFrame) -> pd.Series:
    return rows.step == rows.step.max()
