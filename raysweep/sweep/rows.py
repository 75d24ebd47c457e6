"""The tables as a view of the committed results: the rows whose ids are in the plan."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import yaml

from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.tables import publish
from raysweep.store.trials import LevelRecord
from raysweep.sweep.identity import Network, Trial, data_config
from raysweep.sweep.load import Sweep
from raysweep.sweep.permuting import permutation_of
from raysweep.sweep.plan import Desired, Done

Row = dict[str, Any]


def write_sweep(files: Files, sweep: Sweep) -> None:
    """Write the resolved sweep file, which says what under the root is asked for."""
    resolved = yaml.safe_dump(sweep.resolved, sort_keys=False)
    files.put(f"sweeps/{sweep.name}/sweep.yaml", resolved.encode())


def publish_tables(files: Files, wanted: Desired, present: Done, failures: list[Row]) -> None:
    """Publish all tables of a sweep."""
    tables = table_rows(files, wanted, present) | {"failures": sorted(failures, key=_order)}
    for table, rows in tables.items():
        publish(files, wanted.sweep.name, table, rows)


def table_rows(files: Files, wanted: Desired, present: Done) -> dict[str, list[Row]]:
    """Return the rows of all tables but `failures`, which only a run knows, in their order."""
    results = ResultStore(files)
    found = {key[0]: row for key, row in results.rows("alignments").items()}
    alignments, layers = _alignments(wanted, found)
    barriers, curves = _barriers(wanted, results)
    tables = {
        "trials": [_trial(wanted, *key, record) for key, record in present.records.items()],
        "metrics": [row for key, record in present.records.items() for row in _metrics(*key, record)],
        "alignments": alignments,
        "layers": layers,
        "agreements": _agreements(wanted, found),
        "barriers": barriers,
        "curves": curves,
    }
    return {table: sorted(rows, key=_order) for table, rows in tables.items()}


def _order(row: Row) -> tuple[str, ...]:
    key = (
        row.get("barrier_id")
        or row.get("agreement_id")
        or row.get("alignment_id")
        or row.get("trial_id")
        or row["id"]
    )
    return (
        key,
        f"{row.get('level') or 0:06d} {row.get('step') or 0:012d}",
        row.get("split") or row.get("parameter") or "",
    )


def _group(trial: Trial, group: str | None = None) -> Row:
    """What a row says of its networks; a trial that two families share is in the group of the comparison."""
    training = trial.training
    return {
        "group": group or trial.group,
        "dataset": training.dataset,
        "model": training.model,
        "norm": training.norm,
        "width": training.width,
    }


def _width(wanted: Desired, networks: Iterable[Network]) -> int | None:
    """The width that these networks have in common."""
    widths = {wanted.trials[network.trial_id].training.width for network in networks}
    return widths.pop() if len(widths) == 1 else None


def _trial(wanted: Desired, trial_id: str, level: int, record: LevelRecord) -> Row:
    trial = wanted.trials[trial_id]
    end = {metric.split: metric for metric in record.metrics if metric.step == record.steps}
    return {
        **trial.training.model_dump(mode="json"),
        **_group(trial),
        "trial_id": trial_id,
        "branch": trial.branch,
        "parent_trial": trial.parent,
        "mask_trial": trial.mask_trial,
        "mask_permutation": trial.mask_permutation,
        "init_seed": trial.init_seed,
        "data_seed": trial.data_seed,
        "half": data_config(trial.training, trial.replicate).half,
        "replicate": trial.replicate,
        "level": level,
        "sparsity": record.sparsity,
        "start": wanted.cursors[trial_id].start,
        "steps": record.steps,
        "train_loss": end["train"].loss,
        "train_error": end["train"].error,
        "test_loss": end["test"].loss,
        "test_error": end["test"].error,
        "seconds": record.seconds,
    }


def _metrics(trial_id: str, level: int, record: LevelRecord) -> list[Row]:
    return [{"trial_id": trial_id, "level": level, **vars(metric)} for metric in record.metrics]


def _alignments(wanted: Desired, found: dict[str, Row]) -> tuple[list[Row], list[Row]]:
    rows, layers = [], []
    for alignment_id, result in found.items():
        unit = wanted.alignments.get(alignment_id)
        if unit is None:
            continue
        moved = np.concatenate([np.asarray(p) == np.arange(len(p)) for p in result["permutations"]])
        rows.append(
            {
                **result,
                **_group(wanted.trials[unit.target.trial_id], unit.group),
                "width": _width(wanted, unit.networks),
                "method": unit.method,
                "networks": [str(network) for network in unit.networks],
                "joint": unit.joint,
                "fixed_points": float(moved.mean()),
            }
        )
        layers += [{"alignment_id": alignment_id, **layer} for layer in result["layers"]]
    return rows, layers


def _agreements(wanted: Desired, found: dict[str, Row]) -> list[Row]:
    rows = []
    for unit in wanted.agreements.values():
        ids = (*unit.moved.alignments, *(unit.against.alignments if unit.against else ()))
        if not all(alignment_id in found for alignment_id in ids):
            continue
        permutation = permutation_of(unit.moved, found.__getitem__)
        against = permutation_of(unit.against, found.__getitem__) if unit.against else None
        rows.append(
            {
                **_group(wanted.trials[unit.networks[0].trial_id], unit.group),
                "agreement_id": unit.agreement_id,
                "kind": unit.kind,
                "method": unit.method,
                "networks": [str(network) for network in unit.networks],
                "alignments": list(unit.moved.alignments),
                "against": unit.against.alignments[0] if unit.against else None,
                "step": unit.networks[0].step,
                "length": len(unit.moved.alignments),
                "fixed_points": permutation.share_of_fixed_points(against),
            }
        )
    return rows


def _barriers(wanted: Desired, results: ResultStore) -> tuple[list[Row], list[Row]]:
    barriers, curves = [], []
    splits = set(wanted.sweep.sections.compare.splits)
    for (barrier_id, split), result in results.rows("barriers").items():
        unit = wanted.barriers.get(barrier_id)
        if unit is None or split not in splits:
            continue
        first = unit.networks[0]
        found = wanted.alignments[unit.alignments[0]].target if unit.alignments else None
        barriers.append(
            {
                **result,
                **_group(wanted.trials[first.trial_id], unit.group),
                "width": _width(wanted, unit.networks),
                "across": unit.across,
                "interpolation": unit.interpolation,
                "kind": unit.kind,
                "method": unit.method,
                "networks": [str(network) for network in unit.networks],
                "reference": None if unit.reference is None else str(unit.reference),
                "alignments": unit.alignments,
                "path": [str(network) for network in unit.path] or None,
                "hybrid": unit.hybrid[0] if unit.hybrid else None,
                "hybrid_layers": unit.hybrid[1] if unit.hybrid else None,
                "level": first.level,
                "step": first.step,
                "permutation_level": found.level if found else None,
                "permutation_step": found.step if found else None,
                "statistics": unit.statistics,
            }
        )
        curves.append(
            {
                "barrier_id": barrier_id,
                "split": split,
                "weights": result["curve_weights"],
                "loss": result["curve_loss"],
                "error": result["curve_error"],
            }
        )
    return barriers, curves
