"""Ids: hashes of what determines the numbers of a trial, an alignment or a barrier, and nothing else."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from raysweep.choices import choose
from raysweep.data.config import DataConfig
from raysweep.digest import digest
from raysweep.plan.applied_permutations import AppliedPermutation, Move
from raysweep.sweep.schema import Align, Prune, Training

# Raise a version when the numbers that the same configuration gives change.
TRAINING_VERSION = 4
CHANNELS_LAST_VERSION = 5  # of training with the channels last
PRUNING_VERSION = 1
SPAWNED_CHAIN_VERSION = 2  # of the chains of spawned runs that keep the order of examples
IMPORT_VERSION = 2
ALIGNMENT_VERSION = 4
EMBEDDING_VERSION = 5  # of alignments of a narrow network in a wide one
PIXELS_VERSION = 2  # of correlations over several pixels of an image
OWN_NETWORKS_VERSION = 5  # of alignments of a user's own networks, of which more symmetries are found
BARRIER_VERSION = 8

# Keys of `train` that act through the digest of the data, the resolved seeds or the parent's id.
_INDIRECT = {"dataset", "split_seed", "half", "fraction", "examples", "subset_seed", "pixel_seed"}
_INDIRECT |= {"init_seed", "data_seed", "spawn_at", "spawn_replicate"}
# Keys of `train` that hold for an imported network too; how it was trained is not known.
KNOWN_OF_IMPORTS = {"dataset", "split_seed", "half", "fraction", "examples", "subset_seed", "pixel_seed"}
KNOWN_OF_IMPORTS |= {"scaling", "model", "width", "depth", "norm", "threads"}
# Keys of `prune` that say how far to go and what else to train, and change no number of a level.
_EXTENT = {"levels", "branches", "transport"}


@dataclass(frozen=True)
class Trial:
    """One training run, or the pruned levels of one, of one replicate, with its seeds resolved.

    `branch` is `main` (a dense run, or its chain of pruned levels), `spawned`, `imported` or a branch of
    a chain. A trial with a `parent` starts from the parent's checkpoint; its masks are those of the
    chain `mask_trial`, where that is another one, under the permutation `mask_permutation`. An imported one
    has the name of its file, as the sweep gives it, and the SHA-256 of the file's content.
    """

    trial_id: str
    group: str
    training: Training
    replicate: int
    init_seed: int
    data_seed: int
    branch: str = "main"
    parent: str | None = None
    prune: Prune | None = None
    mask_trial: str | None = None
    mask_permutation: str | None = None
    import_file: str | None = None
    import_digest: str | None = None

    def settings(self) -> dict[str, Any]:
        """The keys of `train` with seeds and half resolved; None where they are not known, of an import."""
        found = self.training.model_dump(mode="json")
        found |= {"init_seed": self.init_seed, "data_seed": self.data_seed}
        found["half"] = data_config(self.training, self.replicate).half
        imported = self.branch == "imported"
        return {k: None if imported and k not in KNOWN_OF_IMPORTS else v for k, v in found.items()}

    @property
    def spawned(self) -> bool:
        """Whether it left a trunk, or is a chain or a branch of a run that did; a trunk has no `spawn_at`."""
        return self.training.spawn_at is not None


@dataclass(frozen=True, slots=True, order=True)
class Network:
    """A checkpoint: written `trial_id@level@step`."""

    trial_id: str
    level: int
    step: int

    def __str__(self) -> str:
        return f"{self.trial_id}@{self.level}@{self.step}"


@dataclass(frozen=True, slots=True)
class AlignmentJob:
    """An alignment of networks: of the second toward the first (`target`), or of three and more jointly.

    With a `stack` of n the first n networks are checkpoints of one trial, and the others of another one
    that one permutation moves toward them all (super-alignment). Where it `embeds`, the target is narrower:
    its units are matched to the units of the other that come first under the permutation.
    """

    alignment_id: str
    method: str
    group: str
    networks: tuple[Network, ...]
    joint: bool = False
    stack: int = 1
    embeds: bool = False

    @property
    def target(self) -> Network:
        return self.networks[0]

    def toward(self, network: Network) -> Move:
        """Return how the alignment of a pair (or two stacks) moves the other network to `network`."""
        return Move(self.alignment_id, inverse=network != self.target)

    def of(self, network: Network) -> Move:
        """Return how a joint alignment moves one of its networks."""
        return Move(self.alignment_id, inverse=False, member=self.networks.index(network))


@dataclass(frozen=True, slots=True)
class BarrierJob:
    """One comparison of networks; `moves[i]` is applied to `networks[i]`.

    `statistics`: those of BatchNorm are mixed like weights (`kept`) or `recomputed` for every mixture.
    `path`: the networks along which permutations were composed. `hybrid`: in which layers the permutation
    is the early one, a direction and a number of groups. `across`: widths or tasks, in which the networks
    differ; a narrower network is padded with units that do nothing to the width of the first.
    """

    barrier_id: str
    interpolation: str
    kind: str
    method: str | None
    group: str
    networks: tuple[Network, ...]
    moves: tuple[AppliedPermutation | None, ...]
    reference: Network | None = None
    statistics: str = "kept"
    path: tuple[Network, ...] = ()
    hybrid: tuple[str, int] | None = None
    across: str | None = None

    @property
    def alignments(self) -> list[str]:
        return list(dict.fromkeys(found for move in self.moves if move for found in move.alignments))


@dataclass(frozen=True)
class AgreementJob:
    """Two permutations of the same network whose units are compared; `against` None is the identity.

    `kind`: `trajectory` (found at one step and at the last), `stacked`, `path` (composed, and found
    directly) or `cycle` (composed, and the identity). `networks` are those of the first permutation.
    """

    agreement_id: str
    kind: str
    method: str
    group: str
    networks: tuple[Network, ...]
    moved: AppliedPermutation
    against: AppliedPermutation | None


def data_config(training: Training, replicate: int) -> DataConfig:
    """The data that a replicate is trained on."""
    return DataConfig(
        dataset=training.dataset,
        split_seed=training.split_seed,
        half=replicate % 2 if training.half == "replicate" else training.half,
        fraction=training.fraction,
        examples=training.examples,
        subset_seed=training.subset_seed,
        pixel_seed=training.pixel_seed,
    )


def make_trial(
    training: Training,
    replicate: int,
    data_digest: str,
    source_digest: str | None = None,
    trunk: Trial | None = None,
) -> Trial:
    """Resolve the seeds of a replicate; trials that differ in them alone share a group.

    `source_digest` stands for the code of a user's own network. A trial that is spawned from a `trunk`
    has the trunk's initialisation.
    """
    determined = training.model_dump(mode="json", exclude=_INDIRECT)
    version = CHANNELS_LAST_VERSION if training.channels_last else TRAINING_VERSION
    determined |= {"version": version, "source": source_digest}
    init_seed = replicate if training.init_seed == "replicate" else training.init_seed
    data_seed = replicate if training.data_seed == "replicate" else training.data_seed
    if trunk:
        init_seed = trunk.init_seed
        determined |= {"trunk": trunk.trial_id, "spawn_at": str(training.spawn_at)}
    swept = training.model_dump(mode="json", include=_INDIRECT)
    seeds = {"init_seed": init_seed, "data_seed": data_seed}
    shared = {"data": data_digest} if training.half != "replicate" else {"data": "half by replicate"}
    return Trial(
        trial_id=digest(["trial", determined, data_digest, seeds]),
        group=digest(["group", determined, shared, swept]),
        training=training,
        replicate=replicate,
        init_seed=init_seed,
        data_seed=data_seed,
        branch="spawned" if trunk else "main",
        parent=trunk.trial_id if trunk else None,
    )


def make_import(
    training: Training, replicate: int, data_digest: str, file: str, content: str, source: str | None
) -> Trial:
    """A user's own network: the digest `content` of its file stands for its training, not the file's name."""
    trial = make_trial(training, replicate, data_digest, source)
    return replace(
        trial,
        trial_id=digest(["import", IMPORT_VERSION, trial.group, content]),
        group=digest(["import group", trial.group]),
        branch="imported",
        import_file=file,
        import_digest=content,
    )


def make_chain(dense: Trial, prune: Prune, rewind: int) -> Trial:
    """The pruned levels of a dense trial; how many follow does not enter the id."""
    settings = {**prune.model_dump(mode="json", exclude=_EXTENT), "rewind": rewind}
    follows_spawned = dense.spawned and prune.data_order == "same"
    identity = ["chain", SPAWNED_CHAIN_VERSION if follows_spawned else PRUNING_VERSION, settings]
    return replace(
        dense,
        trial_id=digest([*identity, dense.trial_id]),
        group=digest([*identity, dense.group]),
        branch="main",
        parent=dense.trial_id,
        prune=prune,
    )


def make_branch(
    chain: Trial, branch: str, masks: Trial, permutation: str | None = None, align: Align | None = None
) -> Trial:
    """A control beside a chain: the chain's rewind point (or a new initialisation) under other masks."""
    settings: list[Any] = [branch, permutation]
    if align and permutation not in (None, "none"):
        settings.append(_identifying(align.methods[0], align))
    identity = ["branch", PRUNING_VERSION, settings]
    return replace(
        chain,
        trial_id=digest([*identity, chain.trial_id, masks.trial_id]),
        group=digest([*identity, chain.group]),
        branch=branch,
        mask_trial=masks.trial_id,
        mask_permutation=permutation,
    )


def make_alignment(
    method: str, group: str, one: Network, other: Network, align: Align, version: int = ALIGNMENT_VERSION
) -> AlignmentJob:
    """An unordered pair of equal architecture is aligned once, toward the smaller id."""
    pair = tuple(sorted((one, other)))
    identity = ["alignment", version, _identifying(method, align), *map(str, pair)]
    return AlignmentJob(digest(identity), method, group, pair)


def make_stacked(
    method: str,
    group: str,
    ones: tuple[Network, ...],
    others: tuple[Network, ...],
    align: Align,
    version: int = ALIGNMENT_VERSION,
) -> AlignmentJob:
    """Checkpoints of two trials, those that correspond at the same place, under one permutation."""
    targets, sources = sorted((ones, others))
    networks = (*targets, *sources)
    identity = ["stacked", version, _identifying(method, align), *map(str, networks)]
    return AlignmentJob(digest(identity), method, group, networks, stack=len(targets))


def make_embedding(method: str, group: str, narrow: Network, wide: Network, align: Align) -> AlignmentJob:
    """Units of a wide network matched to those of a narrow one."""
    pair = (narrow, wide)
    identity = ["embedding", EMBEDDING_VERSION, _identifying(method, align), *map(str, pair)]
    return AlignmentJob(digest(identity), method, group, pair, embeds=True)


def make_joint(
    method: str, group: str, networks: tuple[Network, ...], align: Align, version: int = ALIGNMENT_VERSION
) -> AlignmentJob:
    """Networks that are aligned at once, one permutation each."""
    ordered = tuple(sorted(networks))
    identity = ["joint alignment", version, _identifying(method, align), *map(str, ordered)]
    return AlignmentJob(digest(identity), method, group, ordered, joint=True)


def alignment_settings(method: str, align: Align) -> dict[str, Any]:
    """Return the settings of `align` that determine an alignment by this method."""
    options = {"weight_matching": align.weight_matching, "activation_matching": align.activation_matching}
    own = choose("method", method, options).model_dump(mode="json")
    return {"method": method, **own, "seed": align.seed, "threads": align.threads, "device": "cpu"}


def _identifying(method: str, align: Align) -> dict[str, Any]:
    """The settings, with the version of those by which numbers have changed since."""
    settings = alignment_settings(method, align)
    if settings.get("similarity") == "correlation" and settings["pixels"] > 1:
        settings["version"] = PIXELS_VERSION
    return settings


def make_agreement(
    kind: str,
    method: str,
    group: str,
    networks: tuple[Network, ...],
    moved: AppliedPermutation,
    against: AppliedPermutation | None,
) -> AgreementJob:
    """Two permutations to be compared unit by unit."""
    identity = ["agreement", kind, group, asdict(moved), asdict(against) if against else None]
    return AgreementJob(digest(identity), kind, method, group, networks, moved, against)


def trial_config(trial: Trial) -> dict[str, object]:
    """The resolved configuration, for the trial's folder."""
    prune = trial.prune.model_dump(mode="json") if trial.prune else None
    settings = trial.settings()
    seeds = {name: settings[name] for name in ("init_seed", "data_seed")}
    return asdict(trial) | seeds | {"training": settings, "prune": prune}
