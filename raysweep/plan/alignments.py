"""Alignment jobs, and comparisons of their permutations, with their ids."""

from raysweep.digest import digest
from raysweep.plan.applied_permutations import AppliedPermutation
from raysweep.plan.identity import (
    ALIGNMENT_VERSION,
    EMBEDDING_VERSION,
    AgreementJob,
    AlignmentJob,
    Network,
    alignment_identity,
)
from raysweep.sweep.align import Align
from raysweep.vocabulary import AgreementKind


def make_alignment(
    method: str, setting: str, one: Network, other: Network, align: Align, version: int = ALIGNMENT_VERSION
) -> AlignmentJob:
    """Return the alignment of a pair of equal architecture, always toward the network with the smaller id."""
    pair = tuple(sorted((one, other)))
    identity = ["alignment", version, alignment_identity(method, align), *map(str, pair)]
    return AlignmentJob(digest(identity), method, setting, pair)


def make_stacked(
    method: str,
    setting: str,
    ones: tuple[Network, ...],
    others: tuple[Network, ...],
    align: Align,
    version: int = ALIGNMENT_VERSION,
) -> AlignmentJob:
    """Return the alignment of the checkpoints of two trials, given in corresponding order, at once."""
    targets, sources = sorted((ones, others))
    networks = (*targets, *sources)
    identity = ["stacked", version, alignment_identity(method, align), *map(str, networks)]
    return AlignmentJob(digest(identity), method, setting, networks, stack=len(targets))


def make_embedding(method: str, setting: str, narrow: Network, wide: Network, align: Align) -> AlignmentJob:
    """Return the alignment that matches units of a wide network to those of a narrow one."""
    pair = (narrow, wide)
    identity = ["embedding", EMBEDDING_VERSION, alignment_identity(method, align), *map(str, pair)]
    return AlignmentJob(digest(identity), method, setting, pair, embeds=True)


def make_joint(
    method: str, setting: str, networks: tuple[Network, ...], align: Align, version: int = ALIGNMENT_VERSION
) -> AlignmentJob:
    """Return the alignment of networks at once, which gives each a permutation of its own."""
    ordered = tuple(sorted(networks))
    identity = ["joint alignment", version, alignment_identity(method, align), *map(str, ordered)]
    return AlignmentJob(digest(identity), method, setting, ordered, joint=True)


def make_agreement(
    kind: AgreementKind,
    method: str,
    setting: str,
    networks: tuple[Network, ...],
    permutation: AppliedPermutation,
    against: AppliedPermutation | None,
) -> AgreementJob:
    """Return the comparison of two permutations, of which `against` None is the identity."""
    compared = [permutation.identity(), against.identity() if against else None]
    identity = ["agreement", kind, setting, *compared]
    return AgreementJob(digest(identity), kind, method, setting, networks, permutation, against)
