"""The table of barriers: jobs are made from its numbers when they are asked for."""

import numpy as np
import pytest

from raysweep.plan.applied_permutations import FoundPermutation
from raysweep.plan.barriers import BarrierMaker
from raysweep.plan.barriers_left import BarriersLeft
from raysweep.plan.candidates import Candidates
from raysweep.plan.identity import Comparison, Network
from raysweep.store.ids import Ids
from raysweep.sweep.compare import Compare
from raysweep.vocabulary import Interpolation, Kind, Statistics

NETWORKS = [Network(f"trial {number}", 0, 11) for number in range(4)]
FOUND = FoundPermutation("alignment", inverse=True)


def compared(one, other, setting="one", **more):
    kind = Kind.VIA if "reference" in more else Kind.DIRECT
    pair = (NETWORKS[one], NETWORKS[other])
    return Comparison(Interpolation.PAIR, kind, "weight_matching", setting, pair, (None, FOUND), **more)


ALL = [
    compared(0, 1),
    compared(0, 2, path=(NETWORKS[0], NETWORKS[3], NETWORKS[2])),
    compared(1, 2, reference=NETWORKS[0]),
    compared(1, 3, hybrid=("one_in", 2), statistics=Statistics.REPAIRED),
    compared(0, 3),
]


def table(comparisons, measures=()):
    maker = BarrierMaker(Compare(measures=list(measures)), 1)
    for each in comparisons:
        maker.add_one(each)
    return maker.table()


def test_every_comparison_comes_back():
    found = table(ALL)
    assert {repr(job.comparison) for job in found.values()} == set(map(repr, ALL))
    assert [found[key] for key in found] == list(found.values())
    assert list(found) == [job.barrier_id for job in found.values()]
    assert "no id" not in found
    with pytest.raises(KeyError):
        found["no id"]


def test_many_at_once_are_the_same_as_one_by_one():
    """Numbers of networks, of permutations and of the reference, for each."""
    maker = BarrierMaker(Compare(), 1)
    numbers = [maker.networks.number(network) for network in NETWORKS]
    found = maker.permutations.number(FOUND)
    rows = [[numbers[0], numbers[other], 0, found, 0] for other in (1, 3)]
    maker.add(compared(0, 1), 2, np.array(rows, np.int32))
    assert list(maker.table().values()) == list(table([ALL[0], ALL[4]]).values())


def test_the_last_of_several_settings_has_a_barrier():
    again = compared(0, 1, setting="another")
    (job,) = (job for job in table([*ALL, again]).values() if job.setting == "another")
    assert len(table([*ALL, again])) == len(ALL)
    assert job.barrier_id in table(ALL)
    assert table([*ALL, again, ALL[0]])[job.barrier_id].setting == "one"


def test_of_many_additions_the_last_of_each_barrier_counts():
    draw = np.random.default_rng(0)
    pairs = draw.permuted(np.tile(np.arange(4), (200, 1)), axis=1)[:, :2].tolist()
    settings = draw.choice(["one", "another", "third"], len(pairs))
    last = dict(zip(map(tuple, pairs), settings, strict=True))
    found = table([compared(*pair, setting) for pair, setting in zip(pairs, settings, strict=True)])
    numbers = {network: number for number, network in enumerate(NETWORKS)}
    assert {tuple(numbers[n] for n in job.networks): job.setting for job in found.values()} == last
    assert len(found) == len(set(found)) == len(last)


def test_what_is_left_are_risks_or_measures():
    barriers = table(ALL, ["ensemble", "disagreement"])
    first, second, *_ = barriers.values()
    left = BarriersLeft.of(
        barriers,
        Candidates(barriers, np.arange(len(barriers))),
        Ids.of([first.barrier_id, second.barrier_id]),
        Ids.of([each.measure_id for each in (*first.measurements, second.measurements[1])]),
    )
    assert [job.barrier_id for job in left] == list(barriers)[1:]
    assert next(iter(left)).measurements == second.measurements[:1]
    assert (left.risks, left.measured().total(), left.settings().total()) == (3, 7, 3)
    assert [job.risks for job in left] == [False, True, True, True]
    assert len(left.without(np.array([1]))) == 3
    assert list(left.only([first.barrier_id, second.barrier_id])) == [next(iter(left))]
    assert list(BarriersLeft.all_of(barriers)) == list(barriers.values())
