"""Ids: hashes of what determines the numbers of a trial, an alignment or a barrier, and nothing else."""

from dataclasses import asdict, dataclass

from raysweep.digest import digest
from raysweep.sweep.schema import Align, Compare, Training

# Raise a version when the numbers that the same configuration gives change.
TRAINING_VERSION = 1
ALIGNMENT_VERSION = 1
BARRIER_VERSION = 1


@dataclass(frozen=True)
class Trial:
    """One training run of one replicate, with its seeds resolved."""

    trial_id: str
    group: str
    training: Training
    replicate: int
    init_seed: int
    data_seed: int


@dataclass(frozen=True, order=True)
class Network:
    """A checkpoint: written `trial_id@level@step`."""

    trial_id: str
    level: int
    step: int

    def __str__(self) -> str:
        return f"{self.trial_id}@{self.level}@{self.step}"


@dataclass(frozen=True)
class AlignmentUnit:
    """The permutation of `source` toward `target`; their order is that of their ids."""

    alignment_id: str
    method: str
    group: str
    target: Network
    source: Network


@dataclass(frozen=True)
class BarrierUnit:
    """One comparison of two or three networks; `alignments` belong to the networks that are moved."""

    barrier_id: str
    interpolation: str
    kind: str
    method: str | None
    group: str
    networks: tuple[Network, ...]
    reference: Network | None
    alignments: tuple[str, ...]


def make_trial(training: Training, replicate: int, data_digest: str) -> Trial:
    """Resolve the seeds of a replicate; trials that differ in them alone share a group."""
    determined = training.model_dump(exclude={"dataset", "split_seed", "init_seed", "data_seed"})
    determined |= {"data": data_digest, "precision": "float32", "version": TRAINING_VERSION}
    init_seed = replicate if training.init_seed == "replicate" else training.init_seed
    data_seed = replicate if training.data_seed == "replicate" else training.data_seed
    seeds = {"init_seed": training.init_seed, "data_seed": training.data_seed}
    return Trial(
        trial_id=digest(["trial", determined, {"init_seed": init_seed, "data_seed": data_seed}]),
        group=digest(["group", determined, seeds]),
        training=training,
        replicate=replicate,
        init_seed=init_seed,
        data_seed=data_seed,
    )


def make_alignment(method: str, group: str, one: Network, other: Network, align: Align) -> AlignmentUnit:
    """An unordered pair of equal architecture is aligned once, toward the smaller id."""
    target, source = sorted((one, other))
    settings = {"method": method, "seed": align.seed, "threads": align.threads, "device": "cpu"}
    identity = ["alignment", ALIGNMENT_VERSION, settings, str(target), str(source)]
    return AlignmentUnit(digest(identity), method, group, target, source)


def make_barrier(
    interpolation: str,
    kind: str,
    group: str,
    networks: tuple[Network, ...],
    compare: Compare,
    method: str | None = None,
    reference: Network | None = None,
    alignments: tuple[str, ...] = (),
) -> BarrierUnit:
    """The grid and the examples belong to the identity; the splits do not (there is a row for each)."""
    grid = compare.alphas if interpolation == "pair" else compare.subdivisions
    identity = [
        "barrier",
        BARRIER_VERSION,
        {"interpolation": interpolation, "kind": kind, "grid": grid, "examples": compare.train_examples},
        [str(network) for network in networks],
        str(reference),
        list(alignments),
    ]
    return BarrierUnit(digest(identity), interpolation, kind, method, group, networks, reference, alignments)


def trial_config(trial: Trial) -> dict[str, object]:
    """The resolved configuration, for the trial's folder."""
    return asdict(trial) | {"training": trial.training.model_dump()}
