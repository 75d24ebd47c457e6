"""Trials and jobs. Their ids are hashes of what determines their numbers, and of nothing else.

`trial_ids`, `alignments` and `barriers` make them, with the versions and settings that are listed here.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from raysweep.data.config import DataConfig
from raysweep.digest import canonical
from raysweep.plan.applied_permutations import AppliedPermutation, FoundPermutation
from raysweep.plan.later import in_id
from raysweep.plan.versions import (
    ALL_VALUES_VERSION,
    FACTORS_VERSION,
    LEARNED_ON_GPU_VERSION,
    PIXELS_VERSION,
)
from raysweep.registry import is_own, taken
from raysweep.sweep.align import Align
from raysweep.sweep.imports import KNOWN_OF_IMPORTS
from raysweep.sweep.methods import METHODS
from raysweep.sweep.prune import Pruning
from raysweep.sweep.train import Training
from raysweep.vocabulary import (
    Across,
    AgreementKind,
    Branch,
    Interpolation,
    Kind,
    Similarity,
    Statistics,
    Tensor,
)


@dataclass(frozen=True)
class Trial:
    """One training run, or the pruned levels of one, of one replicate, with its seeds resolved.

    `setting` identifies what all replicates of a configuration share. A trial with a `parent` starts from the
    parent's checkpoint. Where its masks are those of another chain, that chain is `mask_trial`, and
    `mask_permutation` names the permutation that is applied to them. An imported trial has the name of its
    file and the SHA-256 of the file's content, the keys under which the network lies in it, and the keys of
    `train` that its user has stated of its training. `data_digest` is that of the data set with its subset.
    `sources` has the SHA-256 of the files of the user's own functions, by the key of `train` that names them.
    `identity` is the text of which `trial_id` is the digest.
    """

    trial_id: str
    setting: str
    training: Training
    replicate: int
    init_seed: int
    data_seed: int
    branch: str = Branch.MAIN
    parent: str | None = None
    prune: Pruning | None = None
    mask_trial: str | None = None
    mask_permutation: str | None = None
    import_file: str | None = None
    import_digest: str | None = None
    import_under: str | None = None
    import_stated: tuple[str, ...] = ()
    data_digest: str = ""
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)
    identity: str = field(default="", repr=False)

    def settings(self) -> dict[str, Any]:
        """Return the keys of `train`, with seeds and half resolved; None for those unknown of an import."""
        found = self.training.model_dump(mode="json")
        found |= {"init_seed": self.init_seed, "data_seed": self.data_seed}
        found["half"] = data_config(self.training, self.replicate).half
        known = {*KNOWN_OF_IMPORTS, *self.import_stated} if self.branch == Branch.IMPORTED else set(found)
        return {key: value if key in known else None for key, value in found.items()}

    @property
    def spawned(self) -> bool:
        """Whether the trial, or the run that it is a chain or branch of, left a trunk."""
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

    With a `stack` of n the first n networks are checkpoints of one trial and the others are checkpoints of
    another trial; a single permutation aligns them all (super-alignment). Where it `embeds`, the target is
    narrower: its units are matched to those units of the other network that come first after the permutation.
    `how` is the part of the text behind its id that many jobs share: all but the networks.
    """

    alignment_id: str
    method: str
    setting: str
    networks: tuple[Network, ...]
    joint: bool = False
    stack: int = 1
    embeds: bool = False
    how: str = ""

    @property
    def target(self) -> Network:
        return self.networks[0]

    def toward(self, network: Network) -> FoundPermutation:
        """Return what brings the other network of a pair (or the other stack) close to `network`."""
        return FoundPermutation(self.alignment_id, inverse=network != self.target)

    def of(self, network: Network) -> FoundPermutation:
        """Return what a joint alignment found for one of its networks."""
        return FoundPermutation(self.alignment_id, inverse=False, member=self.networks.index(network))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of networks: `permutations[i]` is applied to `networks[i]`, which None leaves as it is.

    `method` is None where nothing was aligned. `reference` is the network to which the others were aligned,
    `path` lists the networks along which permutations are composed, and `hybrid` says in which layers the
    early permutation is applied (a name and a number). `across` says in what the networks differ besides the
    replicate; a narrower network is padded to the width of the first with units that do not change what it
    computes. `statistics` says whether those of BatchNorm are mixed like weights or computed again, and
    whether those of hidden units are repaired.
    """

    interpolation: Interpolation
    kind: Kind
    method: str | None
    setting: str
    networks: tuple[Network, ...]
    permutations: tuple[AppliedPermutation | None, ...]
    reference: Network | None = None
    path: tuple[Network, ...] = ()
    hybrid: tuple[str, int] | None = None
    across: Across | None = None
    statistics: Statistics = Statistics.KEPT

    @property
    def alignments(self) -> list[str]:
        applied = (each for each in self.permutations if each)
        return list(dict.fromkeys(found for each in applied for found in each.alignments))


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of barriers. `source` is the SHA-256 of the file of a user's own function.

    `how` is the part of the text behind its measurements' ids that they share: all but the barrier.
    """

    name: str
    source: str | None
    how: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measure of one barrier on every split, with its id."""

    measure_id: str
    measure: Measure


@dataclass(frozen=True, slots=True)
class BarrierJob:
    """A comparison with its id, to be evaluated on every split, and what is to be measured besides its risks.

    `how` is the part of the text behind its id that many jobs share: all but networks and permutations.
    Without `risks`, these are there already and the measurements alone are missing.
    """

    barrier_id: str
    comparison: Comparison
    how: str = ""
    measurements: tuple[Measurement, ...] = ()
    risks: bool = True

    @property
    def setting(self) -> str:
        return self.comparison.setting

    @property
    def networks(self) -> tuple[Network, ...]:
        return self.comparison.networks


@dataclass(frozen=True)
class AgreementJob:
    """Two permutations of the same network, to be compared unit by unit; `against` None is the identity.

    `networks` are those of the first permutation.
    """

    agreement_id: str
    kind: AgreementKind
    method: str
    setting: str
    networks: tuple[Network, ...]
    permutation: AppliedPermutation
    against: AppliedPermutation | None


def data_config(training: Training, replicate: int) -> DataConfig:
    """Return the data that a replicate is trained on."""
    return DataConfig(
        dataset=training.dataset,
        split_seed=training.split_seed,
        half=replicate % 2 if training.half == "replicate" else training.half,
        fraction=training.fraction,
        examples=training.examples,
        subset_seed=training.subset_seed,
        pixel_seed=training.pixel_seed,
        options=canonical(training.dataset_options),
    )


def trial_config(trial: Trial) -> dict[str, object]:
    """Return the resolved configuration, which lies in the trial's folder for readers."""
    prune = trial.prune.model_dump(mode="json") if trial.prune else None
    settings = trial.settings()
    seeds = {name: settings[name] for name in ("init_seed", "data_seed")}
    fields = {"group" if name == "setting" else name: value for name, value in asdict(trial).items()}
    identity = json.loads(trial.identity or "null")
    return fields | seeds | {"training": settings, "prune": prune, "identity": identity}


def alignment_settings(method: str, align: Align) -> dict[str, Any]:
    """Return the settings of `align` that determine an alignment by this method.

    The options of a user's own method, which may have any names, are under `options`, and those with which
    it gets similarities under `similarities`, as far as they are not the defaults. Raises `ValueError` for an
    unknown method.
    """
    shared = {"method": method, "seed": align.seed, "threads": align.threads, "device": align.device}
    options = align.options_of(method)
    if not is_own(method):
        return {**options, **shared}
    changed = {}
    if _takes_similarities(method, align.sources[method]):
        changed = align.activation_matching.model_dump(mode="json", exclude_defaults=True)
    return {"options": options, **({"similarities": changed} if changed else {}), **shared}


@lru_cache(maxsize=64)
def _takes_similarities(method: str, source: str) -> bool:
    """Whether a user's method, whose file has this digest, gets the similarities of units."""
    return bool(taken(METHODS.own_function(method).load(), {"similarities"}))


def alignment_identity(method: str, align: Align) -> dict[str, Any]:
    """Return these settings for ids, with a version where the numbers that they give have changed."""
    settings = alignment_settings(method, align)
    shared = {key: settings.pop(key) for key in ("method", "seed", "threads", "device")}
    identity = {**in_id(f"align.{method}", settings), **in_id("align", shared)}
    if identity.get("similarity") == Similarity.CORRELATION and settings["pixels"] > 1:
        identity["version"] = PIXELS_VERSION
    if settings.get("tensor") == Tensor.ALL:
        identity["version"] = ALL_VALUES_VERSION
    if method == "learned" and align.device == "cuda":
        identity["version"] = LEARNED_ON_GPU_VERSION
    if method in ("monomial_matching", "orthogonal_matching"):
        identity["version"] = FACTORS_VERSION
    if is_own(method):
        identity["source"] = align.sources[method]
    return identity
