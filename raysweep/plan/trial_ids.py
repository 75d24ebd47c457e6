"""Trials with their seeds resolved and their ids."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from raysweep.digest import canonical, digest, digest_of
from raysweep.models.registry import keeps_drawn
from raysweep.plan.alignments import alignment_version
from raysweep.plan.identity import Trial, alignment_identity
from raysweep.plan.import_files import ImportFile
from raysweep.plan.later import in_id
from raysweep.plan.versions import (
    CHANNELS_LAST_VERSION,
    CONSTRUCTION_VERSION,
    CUDA_VERSION,
    IMPORT_VERSION,
    PRUNING_VERSION,
    SPAWNED_CHAIN_VERSION,
    TRAINING_VERSION,
)
from raysweep.registry import is_own
from raysweep.sweep.align import Align
from raysweep.sweep.imports import Imports, unstated
from raysweep.sweep.prune import Pruning
from raysweep.sweep.train import Training
from raysweep.vocabulary import DATA_KEYS, Branch

# Keys of `train` that act through the digest of the data, the resolved seeds or the parent's id.
INDIRECT = {*DATA_KEYS, "init_seed", "data_seed", "spawn_at", "spawn_replicate"}
UNNAMED = 5  # the version of alignments that the ids of networks under moved masks leave out
NO_SOURCES: Mapping[str, str] = {}


def make_trial(
    training: Training,
    replicate: int,
    data_digest: str,
    sources: Mapping[str, str] = NO_SOURCES,
    trunk: Trial | None = None,
    imported: bool = False,
) -> Trial:
    """Return a dense trial with its seeds resolved; trials that differ in them alone share a setting.

    `sources` stands for the code of the user's own functions. A trial that is spawned from a `trunk` has the
    trunk's initialisation. The weights of an `imported` one are not drawn here.
    """
    settings = in_id("train", training.model_dump(mode="json"))
    determined: dict[str, Any] = {key: value for key, value in settings.items() if key not in INDIRECT}
    determined |= {"version": _training_version(training, imported), "source": sources.get("model")}
    others = {key: digest for key, digest in sources.items() if key != "model"}
    determined |= {"sources": others} if others else {}
    init_seed = replicate if training.init_seed == "replicate" else training.init_seed
    data_seed = replicate if training.data_seed == "replicate" else training.data_seed
    if trunk:
        init_seed = trunk.init_seed
        determined |= {"trunk": trunk.trial_id, "spawn_at": str(training.spawn_at)}
    swept = {key: value for key, value in settings.items() if key in INDIRECT}
    seeds = {"init_seed": init_seed, "data_seed": data_seed}
    shared = {"data": data_digest} if training.half != "replicate" else {"data": "half by replicate"}
    return Trial(
        **_identified(["trial", determined, data_digest, seeds]),
        setting=digest(["group", determined, shared, swept]),
        training=training,
        replicate=replicate,
        init_seed=init_seed,
        data_seed=data_seed,
        branch=Branch.SPAWNED if trunk else Branch.MAIN,
        parent=trunk.trial_id if trunk else None,
        data_digest=data_digest,
        sources=sources,
    )


def _identified(identity: list[Any]) -> dict[str, Any]:
    text = canonical(identity)
    return {"trial_id": digest_of(text), "identity": text}


def _training_version(training: Training, imported: bool) -> int:
    if not imported and keeps_drawn(training.model, training.init):
        return CONSTRUCTION_VERSION
    if training.device == "cuda":
        return CUDA_VERSION
    return CHANNELS_LAST_VERSION if training.channels_last else TRAINING_VERSION


def make_import(
    training: Training,
    replicate: int,
    data_digest: str,
    file: ImportFile,
    imports: Imports,
    sources: Mapping[str, str],
) -> Trial:
    """Return a user's own network.

    Its file's content stands for its training, not the file's name. What the user states of the training
    parts networks into settings, but no number depends on it, so that it may be corrected.
    """
    trial = make_trial(training, replicate, data_digest, sources, imported=True)
    known = {key: digest for key, digest in sources.items() if key not in imports.stated}
    bare = make_trial(unstated(training, imports.stated), replicate, data_digest, known, imported=True)
    under = [imports.under] if imports.under else []
    return replace(
        trial,
        **_identified(["import", IMPORT_VERSION, bare.setting, file.digest, *under]),
        setting=digest(["import group", trial.setting]),
        branch=Branch.IMPORTED,
        import_file=file.name,
        import_digest=file.digest,
        import_under=imports.under,
        import_stated=imports.stated,
    )


def make_chain(dense: Trial, prune: Pruning, rewind: int) -> Trial:
    """Return the pruned levels of a dense trial; their number does not enter the id."""
    settings = {**in_id("prune", prune.model_dump(mode="json")), "rewind": rewind}
    follows_spawned = dense.spawned and prune.data_order == "same"
    identity = ["chain", SPAWNED_CHAIN_VERSION if follows_spawned else PRUNING_VERSION, settings]
    return replace(
        dense,
        **_identified([*identity, dense.trial_id]),
        setting=digest([*identity, dense.setting]),
        branch=Branch.MAIN,
        parent=dense.trial_id,
        prune=prune,
    )


def make_branch(
    chain: Trial, branch: str, masks: Trial, permutation: str | None = None, align: Align | None = None
) -> Trial:
    """Return a control of a chain: its rewind point, or a new initialisation, trained under other masks."""
    settings: list[Any] = [branch, permutation]
    if align and permutation not in (None, "none"):
        settings.append(alignment_identity(align.methods[0], align))
        version = alignment_version(is_own(chain.training.model))
        if version != UNNAMED:
            settings.append(version)
    identity = ["branch", PRUNING_VERSION, settings]
    return replace(
        chain,
        **_identified([*identity, chain.trial_id, masks.trial_id]),
        setting=digest([*identity, chain.setting]),
        branch=branch,
        mask_trial=masks.trial_id,
        mask_permutation=permutation,
    )
