"""Files of imported networks that hold one network, which replicates must not be."""

from collections.abc import Iterator

from raysweep.plan.desired import Desired
from raysweep.plan.import_files import import_files
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore


def same_files(wanted: Desired) -> Iterator[str]:
    """Yield a sentence for each network whose file has copies."""
    for imports in wanted.sweep.imports.values():
        names: dict[str, list[str]] = {}
        for file in import_files(imports.names):
            names.setdefault(file.digest, []).append(file.name)
        for files in names.values():
            if len(files) > 1:
                yield f"train.imports: {' and '.join(files)} have the same content, and are one replicate"


def same_weights(files: Files, wanted: Desired) -> list[str]:
    """Return a warning for each network that several files hold, once these have been imported."""
    records = TrialStore(files).records(((trial_id, 0) for trial_id in wanted.trials), wanted.sweep.name)
    names: dict[tuple[str, str | None], list[str]] = {}
    for (trial_id, _), record in records.items():
        trial, weights = wanted.trials[trial_id], record.checkpoints.get(0)
        if trial.import_file is not None:
            names.setdefault((trial.setting, weights), []).append(trial.import_file)
    return [
        f"warning: train.imports: {' and '.join(each)} hold the same weights, but count as {len(each)} "
        "replicates; name one of them"
        for each in names.values()
        if len(each) > 1
    ]
