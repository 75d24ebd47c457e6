"""What a sweep asks for and does not get, such as comparisons of more networks than there are."""

from collections import Counter
from collections.abc import Iterator

from raysweep.plan.desired import Desired
from raysweep.plan.notices.twins import same_files
from raysweep.sweep.compare import Compare
from raysweep.vocabulary import Branch, Kind

PAIR, TRIPLE = 2, 3
UNPRUNED = (Branch.MAIN, Branch.SPAWNED, Branch.IMPORTED)
READS = {  # by analysis: the key without which it has no rows
    "joint": "compare.kinds = joint",
    "means": "compare.mean_networks",
    "narrow_in_wide": "compare.across = widths",
    "pruning": "prune",
    "trajectory": "compare.trajectory",
    "transitivity": "compare.kinds = composed",
    "transport": "prune",
}


def fruitless(wanted: Desired) -> list[str]:
    """Return a sentence for each value of a key that yields nothing, with the reason."""
    return [
        *_kinds(wanted),
        *_sizes(wanted),
        *_others(wanted),
        *_analyses(wanted),
        *same_files(wanted),
    ]


def _kinds(wanted: Desired) -> Iterator[str]:
    compare = wanted.sweep.sections.compare
    found = {part.like.kind for part in wanted.barriers.parts}
    least = {
        Kind.VIA: TRIPLE,
        Kind.JOINT: min(compare.joint_networks, default=TRIPLE),
        Kind.COMPOSED: min(compare.path_networks, default=TRIPLE),
    }
    for kind in dict.fromkeys(compare.kinds):
        if kind not in found:
            takes = _takes(least.get(kind, PAIR), wanted)
            yield f"compare.kinds = {kind}: yields nothing, because it {takes}"
    if not compare.kinds:
        yield "compare.kinds = []: nothing is compared"


def _sizes(wanted: Desired) -> Iterator[str]:
    """Numbers of networks compared at once that are more than there are, or of a kind that is not listed."""
    compare, plain = wanted.sweep.sections.compare, Compare()
    required = {
        "joint_networks": [Kind.JOINT],
        "path_networks": [Kind.COMPOSED],
        "mean_networks": [Kind.UNALIGNED, Kind.VIA, Kind.JOINT],
    }
    for key, kinds in required.items():
        sizes = getattr(compare, key)
        if sizes == getattr(plain, key):
            continue
        if not {*kinds} & {*compare.kinds}:
            words = " or ".join(kinds)
            yield f"compare.{key} = {sizes}: has no effect without {words} among compare.kinds"
        elif too_many := [size for size in sizes if size > _networks(wanted)]:
            yield f"compare.{key} = {too_many}: yields nothing, because it {_takes(min(too_many), wanted)}"


def _others(wanted: Desired) -> Iterator[str]:
    sections = wanted.sweep.sections
    # Where direct pairs are asked for, unaligned ones alone are not enough.
    aligned = Kind.DIRECT in sections.compare.kinds
    across = {part.like.across for part in wanted.barriers.parts if part.like.method or not aligned}
    for each in sections.compare.across:
        if each not in across:
            yield (
                f"compare.across = {each}: yields nothing; it compares different replicates of settings that "
                f"differ in their {each} alone, by weight matching and with direct among compare.kinds"
            )
    branches = {trial.branch for trial in wanted.trials.values()}
    for branch in sections.prune.branches if sections.prune else ():
        if branch not in branches:
            yield f"prune.branches = {branch}: yields nothing, because it {_takes(PAIR, wanted)}"


def _analyses(wanted: Desired) -> Iterator[str]:
    sections = wanted.sweep.sections
    compare = sections.compare
    present = {f"compare.kinds = {kind}" for kind in compare.kinds}
    present |= {f"compare.across = {each}" for each in compare.across}
    given = {
        "compare.mean_networks": compare.mean_networks,
        "compare.trajectory": compare.trajectory is not None,
        "prune": sections.prune is not None,
    }
    present |= {key for key, value in given.items() if value}
    for name in sections.analyses:
        if READS.get(name, "") and READS[name] not in present:
            yield f"analyses = {name}: has nothing to say without {READS[name]}"


def _takes(count: int, wanted: Desired) -> str:
    return f"takes {count} networks of one setting, and there are {_networks(wanted)} (train.replicates)"


def _networks(wanted: Desired) -> int:
    """The number of networks of the setting that has most, without pruned levels and trunks."""
    trials = (trial for trial in wanted.trials.values() if trial.branch in UNPRUNED and not trial.prune)
    return max(Counter(trial.setting for trial in trials).values(), default=0)
