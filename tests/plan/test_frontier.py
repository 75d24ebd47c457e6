"""Everything is handed out once, when its inputs are there and not before."""

import random

import pytest

from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.frontier import Frontier
from raysweep.plan.identity import AlignmentJob
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.sweep.load import check

TRAIN = {"dataset": "digits", "width": [4, 8], "epochs": 2, "replicates": 3}
COMPARE = {"kinds": ["unaligned", "direct", "via", "joint"]}
PRUNE = {"levels": 2, "rewind": "1ep", "branches": ["random", "transport"]}


@pytest.fixture
def pruned(tmp_path):
    sections = {"name": "s", "train": TRAIN, "compare": COMPARE, "prune": PRUNE}
    return begin(desired(check("test", sections)), tmp_path)


def begin(wanted, root):
    present = done(wanted, Files(str(root)))
    work = todo(wanted, present)
    return wanted, work, Frontier(wanted, present, work)


def inputs(job):
    levels = {(network.trial_id, network.level) for network in job.networks}
    return levels | (set() if isinstance(job, AlignmentJob) else set(job.comparison.alignments))


def carry_out(wanted, frontier, chance, lost=()):
    """Do what can be done in a random order; returns the trials and jobs in the order they were taken."""
    here, running, aligning, taken = set(), [], [], []
    while True:
        can = ["train"] * bool(frontier.ready_trials) + ["tile"] * bool(frontier.ready)
        can += ["level"] * bool(running) + ["land"] * bool(aligning)
        if not can:
            return taken
        match chance.choice(can):
            case "train":
                (trial,) = frontier.take_trials(1)
                extent = wanted.extents[trial.trial_id]
                needs = {(each, level) for each in extent.requires for level in wanted.extents[each].levels}
                assert here >= needs | {move.alignment_id for move in extent.mask_permutations.values()}
                taken.append(trial.trial_id)
                if trial.trial_id not in lost:
                    running += [(trial.trial_id, level) for level in extent.levels]
            case "level":
                here.add(running[0])
                frontier.level_done(*running.pop(0))
            case "tile":
                jobs = frontier.take(lambda _: 5, None, set())
                assert len({(type(job), job.setting) for job in jobs}) == 1
                assert 0 < len(jobs) <= 5
                assert all(inputs(job) <= here for job in jobs)
                taken += [u.alignment_id if isinstance(u, AlignmentJob) else u.barrier_id for u in jobs]
                if isinstance(jobs[0], AlignmentJob):
                    aligning.append(jobs)
            case "land":
                ids = [job.alignment_id for job in aligning.pop()]
                here.update(ids)
                frontier.aligned(dict.fromkeys(ids, "object"))


@pytest.mark.parametrize("seed", range(5))
def test_everything_once_and_with_its_inputs(pruned, seed):
    wanted, work, frontier = pruned
    taken = carry_out(wanted, frontier, random.Random(seed))
    ids = [trial.trial_id for trial in work.trials] + [job.alignment_id for job in work.alignments]
    assert sorted(taken) == sorted([*ids, *(job.barrier_id for job in work.barriers)])
    assert list(frontier.waiting()) == []


def test_what_a_lost_trial_would_have_given_is_waited_for(pruned):
    wanted, work, frontier = pruned
    chain = next(trial for trial in work.trials if trial.prune and trial.branch == "main")
    taken = carry_out(wanted, frontier, random.Random(0), lost={chain.parent})
    waiting = {identity: (what, words) for what, identity, words in frontier.waiting()}
    assert waiting[chain.trial_id] == ("trial", f"trial {chain.parent}, which failed")
    everything = {trial.trial_id for trial in work.trials} | {job.alignment_id for job in work.alignments}
    assert set(waiting) == (everything | {job.barrier_id for job in work.barriers}) - set(taken)
    assert all(f"trial {chain.parent}, which failed" in words for _, words in waiting.values())
    touching = [u for u in work.barriers if chain.parent in {network.trial_id for network in u.networks}]
    assert touching
    assert not {job.barrier_id for job in touching} & set(taken)


def test_a_worker_stays_with_its_group_and_others_go_elsewhere(tmp_path):
    wanted, _, frontier = begin(desired(check("test", {"name": "s", "train": TRAIN})), tmp_path)
    for trial in wanted.trials:
        frontier.level_done(trial, 0)
    (first,) = frontier.take(lambda _: 1, None, set())
    assert wanted.trials[first.networks[0].trial_id].training.width == 8  # the widest first
    (other,) = frontier.take(lambda _: 1, None, {first.setting})
    assert other.setting != first.setting
    (again,) = frontier.take(lambda _: 1, first.setting, {first.setting, other.setting})
    assert again.setting == first.setting


@pytest.mark.parametrize(("size", "most"), [(4, 4.8), (16, 9.6), (30, 13.5)])
def test_tiles_are_squares_of_the_matrix_of_pairs(tmp_path, size, most):
    """16 networks: b x b pairs read 2b networks, rows of the matrix would read b^2 + 1 (5, 17 or all)."""
    train = {**TRAIN, "width": 4, "replicates": 16}
    sections = {"name": "s", "train": train, "compare": {"kinds": ["direct"]}}
    wanted, work, frontier = begin(desired(check("test", sections)), tmp_path)
    for trial in wanted.trials:
        frontier.level_done(trial, 0)
    tiles = list(alignment_tiles(frontier, size))
    assert sum(map(len, tiles)) == len(work.alignments) == 120
    reads = [len({network for job in tile for network in job.networks}) for tile in tiles]
    assert sum(reads) / len(reads) <= most


def test_tiles_of_trajectories_go_from_moment_to_moment(tmp_path):
    """12 networks with 5 checkpoints in tiles of 11, six of which are the pairs of a moment."""
    train = {**TRAIN, "width": 4, "epochs": 4, "replicates": 12, "checkpoints": {"every": "1ep"}}
    sections = {"name": "s", "train": train, "compare": {"kinds": ["direct"], "trajectory": {}}}
    wanted, work, frontier = begin(desired(check("test", sections)), tmp_path)
    for trial in wanted.trials:
        frontier.level_done(trial, 0)
    tiles = list(alignment_tiles(frontier, 11))
    assert len(work.alignments) == 66 * 5 == 11 * len(tiles)
    reads = [{network for job in tile for network in job.networks} for tile in tiles]
    assert all(len({network.step for network in networks}) == 1 for networks in reads)
    assert sum(map(len, reads)) / len(work.alignments) <= 0.85  # 2 where tiles share nothing


def alignment_tiles(frontier, size):
    """Hand out all alignments; none of them lands, so that no barrier is ready."""
    while jobs := frontier.take(lambda _: size, None, set()):
        yield jobs
