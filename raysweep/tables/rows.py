"""The rows of the tables: what the store holds of a trial or job, and what the plan says of it."""

from collections.abc import Iterable
from typing import Any

from raysweep.digest import canonical
from raysweep.plan.desired import Desired
from raysweep.plan.identity import (
    AgreementJob,
    AlignmentJob,
    Comparison,
    Network,
    Trial,
    data_config,
)
from raysweep.plan.probes import has_running_statistics, model_config, probe_data
from raysweep.store.records import LevelRecord
from raysweep.sweep.align import Align
from raysweep.sweep.methods import METHODS, of_ours
from raysweep.sweep.prune import PRUNED, Pruning
from raysweep.tables.agreements import Agreement
from raysweep.vocabulary import Interpolation, Kind, Split

Row = dict[str, Any]

# Columns of `alignments` that are null for a method without such an option.
METHOD_OPTIONS = [
    option for entry in METHODS.values() if entry.columns for option in entry.options.model_fields
]


def _shared(trial: Trial, setting: str | None = None) -> Row:
    """What networks share. A trial that two settings share is in that of the comparison, which is given."""
    training = trial.training
    return {
        "group": setting or trial.setting,
        "dataset": training.dataset,
        "model": training.model,
        "norm": training.norm,
        "width": training.width,
    }


def _width(wanted: Desired, networks: Iterable[Network]) -> int | None:
    """The width of these networks; None where they differ in it."""
    widths = {wanted.trials[network.trial_id].training.width for network in networks}
    return widths.pop() if len(widths) == 1 else None


def trial_row(wanted: Desired, trial_id: str, level: int, record: LevelRecord) -> Row:
    """What the plan says of a trial, and the store of a level."""
    end = {metric.split: metric for metric in record.metrics if metric.step == record.steps}
    return {
        **planned_trial(wanted, trial_id),
        "level": level,
        "sparsity": record.sparsity,
        "start": wanted.extents[trial_id].start,
        "steps": record.steps,
        "train_loss": end[Split.TRAIN].loss,
        "train_error": end[Split.TRAIN].error,
        "test_loss": end[Split.TEST].loss,
        "test_error": end[Split.TEST].error,
        "seconds": record.seconds,
        "hardware": record.environment.get("hardware"),
        "software": record.environment.get("software"),
        "provenance": record.environment.get("provenance"),
        "execution": record.environment.get("steps"),
        "fallback": record.environment.get("fallback"),
    }


def planned_trial(wanted: Desired, trial_id: str) -> Row:
    """What the plan says of a trial."""
    trial = wanted.trials[trial_id]
    facts = probe_data(data_config(trial.training, trial.replicate), wanted.sweep.sections.train)
    settings = trial.settings()
    return {
        **{key: canonical(value) if isinstance(value, dict) else value for key, value in settings.items()},
        **_shared(trial),
        "trial_id": trial_id,
        "branch": trial.branch,
        "parent_trial": trial.parent,
        "mask_trial": trial.mask_trial,
        "mask_permutation": trial.mask_permutation,
        **_pruning(trial),
        "import_file": trial.import_file,
        "import_digest": trial.import_digest,
        "source_digest": trial.sources.get("model"),
        "sources": canonical(dict(trial.sources)) if trial.sources else None,
        "running_statistics": has_running_statistics(
            model_config(trial.training, facts.shape, facts.classes)
        ),
        "guess_error": facts.guess_error,
        "replicate": trial.replicate,
    }


def _pruning(trial: Trial) -> Row:
    found = trial.prune.model_dump(mode="json") if trial.prune else dict.fromkeys(Pruning.model_fields)
    return {f"{PRUNED}{key}": value for key, value in found.items()}


def metric_rows(trial_id: str, level: int, record: LevelRecord) -> list[Row]:
    return [{"trial_id": trial_id, "level": level, **vars(metric)} for metric in record.metrics]


def alignment_row(wanted: Desired, job: AlignmentJob) -> Row:
    """What the plan says of an alignment."""
    return {
        **_shared(wanted.trials[job.target.trial_id], job.setting),
        "width": _width(wanted, job.networks),
        "method": job.method,
        "networks": [str(network) for network in job.networks],
        "joint": job.joint,
        "joint_networks": len(job.networks) if job.joint else None,
        "stack": _stack(job),
        "level": job.target.level,
        "step": job.target.step,
        **_method_options(job.method, wanted.sweep.sections.align),
    }


def _method_options(method: str, align: Align) -> Row:
    """The settings of a method, in columns of their own or as JSON."""
    entry, options = of_ours(method), align.options_of(method)
    own: Row = options if entry and entry.columns else {"options": canonical(options)}
    shared = {key: getattr(align, key) for key in ("seed", "threads", "device")}
    source = {"source_digest": align.sources.get(method)}
    return {**dict.fromkeys((*METHOD_OPTIONS, "options")), **own, **source, **shared}


def _stack(job: AlignmentJob) -> int | None:
    return job.stack if job.stack > 1 else None


def agreement_row(wanted: Desired, job: AgreementJob, found: Agreement) -> Row:
    return {
        **_shared(wanted.trials[job.networks[0].trial_id], job.setting),
        "agreement_id": job.agreement_id,
        "kind": job.kind,
        "method": job.method,
        "networks": [str(network) for network in job.networks],
        "alignments": list(job.permutation.alignments),
        "against": job.against.alignments[0] if job.against else None,
        "step": job.networks[0].step,
        "length": len(job.permutation.alignments),
        "stack": _stack(wanted.alignments[job.permutation.alignments[0]]),
        "fixed_points": found.share,
        "groups": list(found.groups),
        "group_fixed_points": list(found.groups.values()),
    }


def barrier_row(wanted: Desired, comparison: Comparison) -> Row:
    """What the plan says of the barrier of a comparison."""
    first, alignments, compare = comparison.networks[0], comparison.alignments, wanted.sweep.sections.compare
    by = wanted.alignments[alignments[0]] if alignments else None
    found, count = by.target if by else None, len(comparison.networks)
    return {
        **_shared(wanted.trials[first.trial_id], comparison.setting),
        "width": _width(wanted, comparison.networks),
        "across": comparison.across,
        "interpolation": comparison.interpolation,
        "kind": comparison.kind,
        "method": comparison.method,
        "networks": [str(network) for network in comparison.networks],
        "reference": None if comparison.reference is None else str(comparison.reference),
        "alignments": alignments,
        "path": [str(network) for network in comparison.path] or None,
        "path_networks": len(set(comparison.path)) or None,
        "cycle": comparison.path[0] == comparison.path[-1] if comparison.path else None,
        "joint_networks": len(by.networks) if by and by.joint else None,
        "mean_networks": count if comparison.interpolation == Interpolation.MEAN else None,
        "stack": _stack(by) if by else None,
        "transferred_from": by.setting if by and comparison.kind == Kind.TRANSFERRED else None,
        "hybrid": comparison.hybrid[0] if comparison.hybrid else None,
        "hybrid_layers": comparison.hybrid[1] if comparison.hybrid else None,
        "level": first.level,
        "step": first.step,
        "permutation_level": found.level if found else None,
        "permutation_step": found.step if found else None,
        "statistics": comparison.statistics,
        "alphas": compare.alphas if comparison.interpolation == Interpolation.PAIR else None,
        "subdivisions": compare.subdivisions if comparison.interpolation == Interpolation.SIMPLEX else None,
        "train_examples": compare.train_examples,
        "threads": wanted.sweep.sections.align.threads,
        "device": compare.device,
        "precision": compare.precision,
        "alignment_settings": canonical(wanted.align_settings[by.method]) if by else None,
    }
