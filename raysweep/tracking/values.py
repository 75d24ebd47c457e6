"""The parameters, metrics and names of runs, from rows of the tables."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from raysweep.digest import canonical, digest
from raysweep.tables.frames import decoded, groups
from raysweep.tables.schemas import TABLES
from raysweep.tables.variants import prunings, variants
from raysweep.vocabulary import Statistics

Value = tuple[str, float, int, int]  # name, value, time in milliseconds, step
AT_END = ("sparsity", "train_loss", "train_error", "test_loss", "test_error")
# All other columns are parameters, except `group`: a digest, which charts would show as an axis.
RESULTS = {"trial_id", "group", "level", "start", "steps", "seconds", "guess_error", "provenance", *AT_END}
PARAMETERS: list[str] = [name for name, _, _ in TABLES["trials"] if name not in RESULTS]
# Columns of `barriers` and what metrics call them: the titles of MLflow's charts are short.
RISKS = {
    "loss_barrier": "loss",
    "error_barrier": "error",
    "loss_centre": "loss_centre",
    "error_centre": "error_centre",
}
RUN_NAME = 250  # characters in the name of a run: PostgreSQL refuses more
LINE = 200  # characters of what names a line by width, of the 250 that the name of a metric may have
# Columns of `barriers` that the names of metrics are made of.
OF_NAMES = ["split", "interpolation", "kind", "across", "statistics", "level", "step", "permutation_level"]
OF_NAMES += ["permutation_step", "hybrid", "hybrid_layers", "stack", "cycle", "path_networks"]
OF_NAMES += ["joint_networks", "mean_networks", "transferred_from"]
# Those that runs are made of.
OF_BARRIERS = {"barrier_id", "networks", "group", "method", *OF_NAMES, *RISKS, *PARAMETERS}
OPTIONS = ("alphas", "subdivisions", "train_examples", "device", "precision")  # those of `compare`
OF_BARRIERS |= {*OPTIONS, "alignment_settings"}
# Those that lines are made of, with the words of `configured`.
OF_LINES = {"group", "method", "configured", "dataset", "model", "width", *OF_NAMES, *RISKS}
# Columns of `measures`, and what the names of their metrics end in.
EXCESSES = {"largest_excess": "", "centre_excess": "_centre"}


def parameters(rows: pd.DataFrame) -> dict[str, str]:
    """Return the parameters that all rows have in common, without nulls."""
    found = {name: set(rows[name].map(text)) for name in PARAMETERS if name in rows.columns}
    return {name: values.pop() for name, values in found.items() if len(values) == 1 and values != {""}}


def parameters_of(row: pd.Series) -> dict[str, str]:
    """Return the parameters of a single row, without nulls."""
    found = {name: text(row[name]) for name in PARAMETERS if name in row.index}
    return {name: value for name, value in found.items() if value}


def options(rows: pd.DataFrame) -> dict[str, str]:
    """Return the options with which all rows were aligned and compared, by their keys in the sweep file.

    Where MLflow draws an axis for each of the first parameters that differ, these come after the others.
    """
    found: dict[str, Any] = {f"with compare.{name}": rows[name].dropna().unique() for name in OPTIONS}
    compared = {key: text(values[0]) for key, values in found.items() if len(values) == 1}
    aligned = rows.alignment_settings.dropna().unique()
    settings = json.loads(aligned[0]) if len(aligned) == 1 else {}
    method = settings.pop("method", "")
    for name, value in settings.items():
        of_all = name in ("seed", "threads", "device")
        key = f"with align.{name}" if of_all else f"with align.{method}.{name}"
        compared[key] = value if isinstance(value, str) else canonical(value)
    return {key: value for key, value in compared.items() if value}


def text(value: Any) -> str:
    """Return a value as in the sweep file; pandas turns integers into floats in columns with nulls."""
    if isinstance(value, str):
        return value
    if pd.api.types.is_list_like(value):
        return ", ".join(text(item) for item in value)
    if pd.isna(value):
        return ""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def label(row: pd.Series, *words: str) -> str:
    """Return the name of a run, without parameters that are null because they differ within the run.

    The parts that distinguish runs come first, because MLflow shows only about twenty characters.
    """
    model = "-".join(filter(None, (text(row.model), text(row.width))))
    return " ".join(filter(None, (model, *words, text(row.dataset))))[:RUN_NAME]


def configured(rows: pd.DataFrame, trials: pd.DataFrame) -> pd.Series:
    """Return words that distinguish each row's setting from others with its model, width and data set."""
    norms = rows.norm.where(rows.norm == "none", "norm " + rows.norm).replace("none", "")
    words = norms + " " + variants(rows, trials) + " " + prunings(rows, trials)
    return words.str.replace(r" +", " ", regex=True).str.strip()


def trial_words(first: pd.Series, trials: pd.DataFrame) -> list[str]:
    """Return words that distinguish a trial from others; `first` is its first level, with `configured`."""
    branch = "pruned" if first.branch == "main" and first.level else first.branch
    words = [] if branch == "main" else [branch]
    if branch == "transport":
        masks = trials[trials.trial_id == first.mask_trial].replicate.iloc[0]
        words.append(f"of mask {masks} by permutation {first.mask_permutation}")
    return [*words, f"replicate {first.replicate}", first.configured]


def across(rows: pd.DataFrame, trials: pd.DataFrame) -> str:
    """Return the differences between two settings that are compared, from the trials of the first pair."""
    runs = trials.drop_duplicates("trial_id").set_index("trial_id")
    pair = [runs.loc[network.split("@")[0]] for network in rows.networks.iloc[0]]
    seeds = {"replicate", "init_seed", "data_seed"}
    differing = [
        name for name in PARAMETERS if name not in seeds and len({text(run[name]) for run in pair}) > 1
    ]
    return " ".join(f"{name} {' and '.join(text(run[name]) or 'none' for run in pair)}" for name in differing)


def setting_words(method: str, rows: pd.DataFrame, trials: pd.DataFrame) -> list[str]:
    """Return words that distinguish a setting and method; `rows` must have the column `configured`."""
    pruned = ["pruned"] if (rows.level > 0).all() else []
    differing = [across(rows, trials)] if rows.across.notna().all() else []
    return [method, *differing, *pruned, rows.configured.iloc[0]]


def order(row: pd.Series, method: str) -> str:
    """Return a text that sorts by width and then by method, because MLflow sorts tags as texts."""
    return f"{text(row.dataset)} {text(row.model)} {text(row.width).zfill(9)} {method}"


def by_step(metrics: pd.DataFrame, level: int) -> list[Value]:
    """Return loss and error of both splits at each evaluation of a level, of which these are the rows."""
    prefix = f"level_{level:02d}/" if level else ""
    return [
        (f"{prefix}{row['split']}_{risk}", row[risk], int(row["time"] * 1000), int(row["step"]))
        for row in metrics.to_dict("records")
        for risk in ("loss", "error")
    ]


def contents(trials: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Return for each row of `trials` a digest of the evaluations of its level, whatever their times."""
    hashes = pd.util.hash_pandas_object(metrics[["step", "split", "loss", "error"]], index=False)
    levels = hashes.groupby([metrics.trial_id, metrics.level]).sum().to_dict()
    return [f"{levels[key]:016x}" for key in zip(trials.trial_id, trials.level, strict=True)]


def content_of(values: list[Value]) -> str:
    """Return a digest of values, whatever their times."""
    return digest(
        [(name, value if math.isfinite(value) else str(value), step) for name, value, _, step in values]
    )


def barriers(rows: pd.DataFrame, time: int) -> list[Value]:
    """Return mean, standard deviation and count of every kind of barrier."""
    values: list[Value] = []
    for key, part in rows.groupby([_names(rows), _steps(rows)]):
        name, step = str(key[0]), int(key[1])  # type: ignore[call-overload]
        for column, risk in RISKS.items():
            values.append((f"{name}/{risk}", part[column].mean(), time, step))
            values.append((f"{name}/{risk}_std", part[column].std(ddof=0), time, step))
        values.append((f"{name}/n", len(part), time, step))
    return values


def measures(rows: pd.DataFrame, measured: pd.DataFrame, time: int) -> list[Value]:
    """Return mean and standard deviation of the excess of every measure, for every kind of barrier.

    `measured` are rows of `measures`, in which `of` is the label in `rows` of the barrier that each belongs
    to. A measure of several numbers is a folder of metrics.
    """
    if measured.empty:
        return []
    kinds = pd.DataFrame({"kind": _names(rows), "at": _steps(rows)})
    found = decoded(measured).join(kinds, on="of")
    part = ("/" + found.part.astype(object)).fillna("")
    names = (found.kind + "/" + found.measure + part).map(_accepted)
    values: list[Value] = []
    for key, same in found.groupby([names, "at"]):
        name, step = str(key[0]), int(key[1])  # type: ignore[call-overload]
        for column, end in EXCESSES.items():
            values.append((f"{name}{end}", same[column].mean(), time, step))
            values.append((f"{name}{end}_std", same[column].std(ddof=0), time, step))
    return values


def by_width(rows: pd.DataFrame, time: int) -> Iterator[Value]:
    """Yield mean barriers of pairs of dense networks at the end of training, with the width as the step.

    There is a line for each kind and method and for everything else in which settings differ besides their
    width; `rows` must have the column `configured`. A line of a single width is left out.
    """
    at_end = rows["step"] == rows.groupby("group", observed=True)["step"].transform("max")
    at_end &= rows.permutation_step.isna() | (rows.permutation_step == rows["step"])
    dense = (rows.level == 0) & (rows.interpolation == "pair") & rows.width.notna()
    special = rows[["across", "hybrid", "path_networks", "transferred_from"]].notna().any(axis=1)
    chosen = rows.loc[at_end & dense & ~special, sorted(OF_LINES & {*rows})]
    if chosen.width.nunique() < 2:
        return
    several = [name for name in ("dataset", "model") if chosen[name].nunique() > 1]
    lines = pd.concat([_lines(same, several) for _, same in groups(chosen, "group")])
    chosen = chosen[["split", "width", "loss_barrier", "error_barrier"]]  # so that the rest is freed
    for (split, line), same in groups(chosen, ["split", lines]):
        if same.width.nunique() < 2:
            continue
        name = _accepted(str(line))
        for width, part in same.groupby("width"):
            for column, risk in (("loss_barrier", "loss"), ("error_barrier", "error")):
                yield f"{split} {risk} by width/{name}", part[column].mean(), time, int(text(width))


def _lines(rows: pd.DataFrame, several: Iterable[str]) -> pd.Series:
    """Return what names the line of each row of a setting; `several` keys differ between settings."""
    lines, own = _names(rows).str.partition("/pair_")[2], decoded(rows[["method", "configured", *several]])
    for name in own:
        lines = (lines + " " + own[name].map(text).replace("unaligned", "")).str.strip()
    return lines.map(_short)


def _short(line: str) -> str:
    """Return what names a line; of two that begin alike and are too long, the ends tell them apart."""
    if len(line) <= LINE:
        return line
    end = f" {digest(line)[:8]}"
    return line[: LINE - len(end)] + end


def _accepted(name: str) -> str:
    """Return the name of a metric as MLflow accepts it."""
    return re.sub(r"[^/\w.\- :]", "_", name)


def _names(rows: pd.DataFrame) -> pd.Series:
    """Return the metric name of each row, made once for all rows that have the same."""
    number = rows.groupby(OF_NAMES, dropna=False, observed=True, sort=False).ngroup()
    names = _names_of(rows[~number.duplicated()]).to_numpy(object)
    return pd.Series(names[number], rows.index)


def _names_of(rows: pd.DataFrame) -> pd.Series:
    """Return metric names: split/interpolation_kind, and everything else but the step that distinguishes
    rows.

    This is the number of networks in a joint alignment, a mean, a path or a cycle, or of checkpoints in a
    stack; where the permutation was found (the level of pruning, the step, or another task); the point at
    which pruned networks are compared; the layers of a hybrid; `along` for barriers before the end of
    training; and `recomputed` or `repaired` for such statistics.
    """
    rows = decoded(rows[OF_NAMES])
    pruned, end, transferred = rows.level > 0, _ends(rows), rows.transferred_from.notna()
    found = rows.permutation_level.map(lambda level: "_dense" if level == 0 else "_level", na_action="ignore")
    along = ~pruned & (~end | (rows.permutation_step < rows.step.max())) & rows.permutation_step.notna()
    along &= rows.across.isna() & ~transferred  # where the permutation may be of a longer or shorter training
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
        ("_" + rows.statistics, rows.statistics != Statistics.KEPT),
    ):
        name += text.astype(object).where(where, "").fillna("")
    return name


def _suffix(numbers: pd.Series) -> pd.Series:
    return "_" + numbers.astype("Int64").astype(str)


def _steps(rows: pd.DataFrame) -> pd.Series:
    """Return the steps of metrics: the level of pruning, or the optimiser step along a dense run."""
    return rows.level.where((rows.level > 0) | _ends(rows), rows.step)


def _ends(rows: pd.DataFrame) -> pd.Series:
    return rows["step"].eq(rows["step"].max())
