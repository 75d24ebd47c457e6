"""Alignment jobs, and comparisons of their permutations, with their ids."""

import sys

from raysweep.digest import canonical, digest, digest_of
from raysweep.plan.applied_permutations import AppliedPermutation
from raysweep.plan.identity import AgreementJob, AlignmentJob, Network, alignment_identity
from raysweep.plan.versions import (
    ALIGNMENT_VERSION,
    EMBEDDING_VERSION,
    JOINT_RESTARTS_VERSION,
    OWN_NETWORKS_VERSION,
)
from raysweep.sweep.align import Align
from raysweep.vocabulary import AgreementKind


def _how(kind: str, version: int, method: str, align: Align) -> str:
    """Return the text that begins every identity of this kind; a sweep has one, which its jobs share."""
    return sys.intern(canonical([kind, version, alignment_identity(method, align)]))


def _id(how: str, networks: tuple[Network, ...]) -> str:
    return digest_of(f"{how[:-1]},{canonical([*map(str, networks)])[1:]}")


def alignment_version(own: bool) -> int:
    """Return the version of alignments, by whether the networks are a user's own."""
    return OWN_NETWORKS_VERSION if own else ALIGNMENT_VERSION


def make_alignment(
    method: str, setting: str, one: Network, other: Network, align: Align, version: int = ALIGNMENT_VERSION
) -> AlignmentJob:
    """Return the alignment of a pair of equal architecture, always toward the network with the smaller id."""
    pair = tuple(sorted((one, other)))
    how = _how("alignment", version, method, align)
    return AlignmentJob(_id(how, pair), method, setting, pair, how=how)


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
    how = _how("stacked", version, method, align)
    return AlignmentJob(_id(how, networks), method, setting, networks, stack=len(targets), how=how)


def make_embedding(
    method: str,
    setting: str,
    narrow: Network,
    wide: Network,
    align: Align,
    version: int = ALIGNMENT_VERSION,
) -> AlignmentJob:
    """Return the alignment that matches units of a wide network to those of a narrow one."""
    pair = (narrow, wide)
    how = _how("embedding", max(version, EMBEDDING_VERSION), method, align)
    return AlignmentJob(_id(how, pair), method, setting, pair, embeds=True, how=how)


def make_joint(
    method: str, setting: str, networks: tuple[Network, ...], align: Align, version: int = ALIGNMENT_VERSION
) -> AlignmentJob:
    """Return the alignment of networks at once, which gives each a permutation of its own."""
    ordered = tuple(sorted(networks))
    if method == "weight_matching" and align.weight_matching.restarts > 1:
        version = max(version, JOINT_RESTARTS_VERSION)
    how = _how("joint alignment", version, method, align)
    return AlignmentJob(_id(how, ordered), method, setting, ordered, joint=True, how=how)


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
