"""The rows of the tables: what the store holds of a unit, and what the plan says of it."""

from collections.abc import Iterable
from typing import Any

from raysweep.digest import canonical
from raysweep.plan.identity import (
    AgreementUnit,
    AlignmentUnit,
    BarrierUnit,
    Network,
    Trial,
    data_config,
)
from raysweep.plan.plan import Desired
from raysweep.plan.probes import facts_of, has_running_statistics, model_config
from raysweep.store.trials import LevelRecord
from raysweep.sweep.names import METHODS
from raysweep.sweep.schema import Align
from raysweep.tables.agreements import Agreement

Row = dict[str, Any]

# Columns of `alignments` that are null for a method without such an option.
METHOD_OPTIONS = [option for method in METHODS for option in getattr(Align(), method).model_dump()]


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


def trial_row(wanted: Desired, trial_id: str, level: int, record: LevelRecord) -> Row:
    trial = wanted.trials[trial_id]
    facts = facts_of(data_config(trial.training, trial.replicate), wanted.sweep.sections.train)
    end = {metric.split: metric for metric in record.metrics if metric.step == record.steps}
    return {
        **trial.settings(),
        **_group(trial),
        "trial_id": trial_id,
        "branch": trial.branch,
        "parent_trial": trial.parent,
        "mask_trial": trial.mask_trial,
        "mask_permutation": trial.mask_permutation,
        "import_file": trial.import_file,
        "import_digest": trial.import_digest,
        "running_statistics": has_running_statistics(
            model_config(trial.training, facts.shape, facts.classes)
        ),
        "guess_error": facts.guess_error,
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


def metric_rows(trial_id: str, level: int, record: LevelRecord) -> list[Row]:
    return [{"trial_id": trial_id, "level": level, **vars(metric)} for metric in record.metrics]


def alignment_row(wanted: Desired, unit: AlignmentUnit) -> Row:
    """What the plan says of an alignment."""
    return {
        **_group(wanted.trials[unit.target.trial_id], unit.group),
        "width": _width(wanted, unit.networks),
        "method": unit.method,
        "networks": [str(network) for network in unit.networks],
        "joint": unit.joint,
        "joint_networks": len(unit.networks) if unit.joint else None,
        "stack": _stack(unit),
        "level": unit.target.level,
        "step": unit.target.step,
        **dict.fromkeys(METHOD_OPTIONS),
        **wanted.align_settings[unit.method],
    }


def _stack(unit: AlignmentUnit) -> int | None:
    return unit.stack if unit.stack > 1 else None


def agreement_row(wanted: Desired, unit: AgreementUnit, found: Agreement) -> Row:
    return {
        **_group(wanted.trials[unit.networks[0].trial_id], unit.group),
        "agreement_id": unit.agreement_id,
        "kind": unit.kind,
        "method": unit.method,
        "networks": [str(network) for network in unit.networks],
        "alignments": list(unit.moved.alignments),
        "against": unit.against.alignments[0] if unit.against else None,
        "step": unit.networks[0].step,
        "length": len(unit.moved.alignments),
        "stack": _stack(wanted.alignments[unit.moved.alignments[0]]),
        "fixed_points": found.share,
        "groups": list(found.groups),
        "group_fixed_points": list(found.groups.values()),
    }


def barrier_row(wanted: Desired, unit: BarrierUnit) -> Row:
    """What the plan says of a barrier."""
    first, alignments, compare = unit.networks[0], unit.alignments, wanted.sweep.sections.compare
    by = wanted.alignments[alignments[0]] if alignments else None
    found, count = by.target if by else None, len(unit.networks)
    return {
        **_group(wanted.trials[first.trial_id], unit.group),
        "width": _width(wanted, unit.networks),
        "across": unit.across,
        "interpolation": unit.interpolation,
        "kind": unit.kind,
        "method": unit.method,
        "networks": [str(network) for network in unit.networks],
        "reference": None if unit.reference is None else str(unit.reference),
        "alignments": alignments,
        "path": [str(network) for network in unit.path] or None,
        "path_networks": len(set(unit.path)) or None,
        "cycle": unit.path[0] == unit.path[-1] if unit.path else None,
        "joint_networks": len(by.networks) if by and by.joint else None,
        "mean_networks": count if unit.interpolation == "mean" else None,
        "stack": _stack(by) if by else None,
        "transferred_from": by.group if by and unit.kind == "transferred" else None,
        "hybrid": unit.hybrid[0] if unit.hybrid else None,
        "hybrid_layers": unit.hybrid[1] if unit.hybrid else None,
        "level": first.level,
        "step": first.step,
        "permutation_level": found.level if found else None,
        "permutation_step": found.step if found else None,
        "statistics": unit.statistics,
        "alphas": compare.alphas if unit.interpolation == "pair" else None,
        "subdivisions": compare.subdivisions if unit.interpolation == "simplex" else None,
        "train_examples": compare.train_examples,
        "threads": wanted.sweep.sections.align.threads,
        "device": compare.device,
        "alignment_settings": canonical(wanted.align_settings[by.method]) if by else None,
    }
