"""Chains and their branches, checked against plain definitions."""

import shutil
import sys
from dataclasses import replace

import pytest
import torch

from raysweep.models.initialise import initialised
from raysweep.plan.done import done
from raysweep.plan.identity import data_config
from raysweep.plan.permutations import KEPT_BYTES, CommittedPermutations
from raysweep.plan.todo import todo
from raysweep.pruning import sparsity
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.work.data import model_config, proved_spec, resident
from raysweep.work.trial import hyperparameters
from tests.store.committed import committed
from tests.work.plans import carry_out, plan

PRUNE = {
    "levels": 3,
    "fraction": 0.3,
    "rewind": "7st",
    "exclude": ["output"],
    "branches": ["random", "one_shot", "reinitialise", "transport"],
}


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    root = tmp_path_factory.mktemp("chains")
    wanted = plan(prune=PRUNE)
    carry_out(wanted, Files(str(root)))
    return wanted, TrialStore(Files(str(root))), root


def of_branch(wanted, branch, pruned=True):
    return [t for t in wanted.trials.values() if t.branch == branch and (t.prune is not None) == pruned]


def test_sparsities_and_masks_agree_with_brute_force(chains):
    """Each level removes floor(0.3 x kept) weights, those of smallest magnitude at the previous end."""
    wanted, store, _ = chains
    for chain in of_branch(wanted, "main"):
        extent = wanted.extents[chain.trial_id]
        state = store.read_checkpoint(chain.parent, 0, extent.total)
        names = ["layers.1.weight", "layers.3.weight", "layers.5.weight"]  # layers.7 is the output
        kept = {name: torch.ones_like(state[name], dtype=torch.bool) for name in names}
        for level in extent.levels:
            count = sum(int(mask.sum()) for mask in kept.values())
            ranked = torch.cat([state[n].abs()[kept[n]] for n in names]).sort().values
            threshold = ranked[int(0.3 * count)]
            expected = {n: kept[n] & (state[n].abs() >= threshold) for n in names}
            kept = store.read_mask(chain.trial_id, level)
            assert sorted(kept) == names
            assert all(torch.equal(kept[n], expected[n]) for n in names)
            record = store.record(chain.trial_id, level)
            total = sum(mask.numel() for mask in kept.values())
            left = sum(int(mask.sum()) for mask in kept.values())
            assert record.sparsity == pytest.approx(1 - left / total)
            state = store.read_checkpoint(chain.trial_id, level, extent.total)
            assert all((state[n][~kept[n]] == 0).all() for n in names)


def test_rewinding_is_exact(chains):
    wanted, store, _ = chains
    for trial in wanted.trials.values():
        if trial.prune is None or trial.branch == "reinitialise":
            continue
        extent = wanted.extents[trial.trial_id]
        assert extent.start == 7
        rewind = store.read_checkpoint(trial.parent, 0, 7)
        for level in extent.levels:
            started = store.read_checkpoint(trial.trial_id, level, 7)
            masks = store.read_mask(trial.trial_id, level)
            for name, tensor in rewind.items():
                assert torch.equal(started[name], tensor * masks[name] if name in masks else tensor)


def test_branches_are_what_they_say(chains):
    wanted, store, root = chains
    for level in (1, 3):
        for trial in of_branch(wanted, "random"):
            own, masks = store.read_mask(trial.mask_trial, level), store.read_mask(trial.trial_id, level)
            assert {n: int(m.sum()) for n, m in own.items()} == {n: int(m.sum()) for n, m in masks.items()}
            assert any(not torch.equal(own[n], masks[n]) for n in own)
        for trial in of_branch(wanted, "one_shot"):
            own, masks = store.read_mask(trial.mask_trial, level), store.read_mask(trial.trial_id, level)
            assert sparsity(own) == sparsity(masks)
            dense = store.read_checkpoint(trial.parent, 0, wanted.extents[trial.trial_id].total)
            smallest = min(dense[n].abs()[masks[n]].min().item() for n in masks)
            assert all((dense[n].abs()[~masks[n]] <= smallest).all() for n in masks)
        for trial in of_branch(wanted, "reinitialise"):
            own, masks = store.read_mask(trial.mask_trial, level), store.read_mask(trial.trial_id, level)
            assert all(torch.equal(own[n], masks[n]) for n in own)
            started = store.read_checkpoint(trial.trial_id, level, 0)
            first = store.read_checkpoint(trial.parent, 0, 0)
            assert not torch.equal(
                started["layers.1.weight"], first["layers.1.weight"] * own["layers.1.weight"]
            )
    spec = proved_spec(model_config(wanted.sweep.trainings[0], the_data(trial)))
    permutations = CommittedPermutations(ResultStore(Files(str(root))), KEPT_BYTES)
    places = {k[0]: r["_object"] for k, r in committed(Files(str(root)), "alignments").items()}
    for trial in of_branch(wanted, "transport"):
        masks, theirs = store.read_mask(trial.trial_id, 2), store.read_mask(trial.mask_trial, 2)
        if trial.mask_permutation == "none":
            assert all(torch.equal(masks[n], theirs[n]) for n in masks)
            continue
        move = wanted.extents[trial.trial_id].mask_permutations[2]
        found = wanted.alignments[move.alignment_id]
        assert {n.level for n in found.networks} == {0 if trial.mask_permutation == "dense" else 2}
        mine = trial.parent if found.target.level == 0 else chain_of(wanted, trial)
        assert (found.target.trial_id == mine) != move.inverse  # it moves the other's mask toward this trial
        state = store.read_checkpoint(trial.parent, 0, 0)
        moved = spec.apply(permutations.read(move, places), {**state, **theirs})
        assert all(torch.equal(masks[n], moved[n]) for n in masks)


def the_data(trial):
    return resident(data_config(trial.training, trial.replicate), None, False, "unit")


def chain_of(wanted, trial):
    return next(c.trial_id for c in of_branch(wanted, "main") if c.parent == trial.parent)


def test_more_levels_extend_a_chain_and_train_nothing_twice(chains, tmp_path):
    wanted, _store, root = chains
    files = Files(str(root))
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*.safetensors")}
    longer = plan(prune={**PRUNE, "levels": 4})
    assert set(longer.trials) == set(wanted.trials)
    levels = []
    carry_out(longer, files, report=lambda level, record: levels.append(level))
    assert set(levels) == {4}
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())


def test_a_level_whose_inputs_have_other_bits_is_trained_again(chains, tmp_path):
    """And so is, level by level, what started from it; the rest is left as it is."""
    wanted, _, root = chains
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    files = Files(str(tmp_path))
    store = TrialStore(files)
    chain = of_branch(wanted, "main")[0]
    record = store.record(chain.trial_id, 1)
    masks = {name: torch.ones_like(mask) for name, mask in store.read_mask(chain.trial_id, 1).items()}
    written = store.write_mask(chain.trial_id, 1, masks)  # as on a machine with other bits
    store.commit(chain.trial_id, 1, replace(record, mask=written))
    present = done(wanted, files)
    outdated = present.outdated
    assert outdated[chain.trial_id, 2] == [f"{chain.trial_id}@1@mask"]
    assert {level for _, level in outdated} == {1, 2}, "branches have the masks of their level"
    assert {trial.trial_id for trial in todo(wanted, present).trials} == {key for key, _ in outdated}
    levels = []
    carry_out(wanted, files, report=lambda level, record: levels.append(level))
    present = done(wanted, files)
    assert not present.outdated
    assert not todo(wanted, present).trials
    assert 2 in levels
    assert 0 not in levels
    kept = store.read_mask(chain.trial_id, 2)
    total = sum(mask.numel() for mask in kept.values())
    assert sum(int(mask.sum()) for mask in kept.values()) == total - int(0.3 * total)


def test_the_dense_run_is_the_same_with_and_without_pruning():
    assert set(plan().trials) < set(plan(prune=PRUNE).trials)
    with_rewind = plan(prune=PRUNE).extents[next(iter(plan().trials))]
    assert 7 in with_rewind.checkpoints


def test_spawned_replicates_share_the_trunk_and_differ_in_order(tmp_path):
    wanted = plan(spawn_at="5st", replicates=3)
    files = Files(str(tmp_path))
    carry_out(wanted, files)
    store = TrialStore(files)
    trunk, *spawned = wanted.trials.values()
    assert [t.branch for t in spawned] == ["spawned"] * 3
    assert all(t.parent == trunk.trial_id for t in spawned)
    total = wanted.extents[trunk.trial_id].total
    shared = store.read_checkpoint(trunk.trial_id, 0, 5)
    ends = []
    for trial in spawned:
        started = store.read_checkpoint(trial.trial_id, 0, 5)
        assert all(torch.equal(started[n], shared[n]) for n in shared)
        ends.append(store.read_checkpoint(trial.trial_id, 0, total)["layers.1.weight"])
    ends.append(store.read_checkpoint(trunk.trial_id, 0, total)["layers.1.weight"])
    assert len({tuple(end.reshape(-1).tolist()) for end in ends}) == 4
    networks = {n.trial_id for job in wanted.barriers.values() for n in job.networks}
    assert networks == {t.trial_id for t in spawned}


def test_same_initialisation_and_other_order(tmp_path):
    wanted = plan(init_seed=3, replicates=2)
    one, other = wanted.trials.values()
    assert one.init_seed == other.init_seed == 3
    assert (one.data_seed, other.data_seed) == (0, 1)
    config = model_config(one.training, the_data(one))
    first, again = initialised(config, "pytorch", 3), initialised(config, "pytorch", 3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


DROPOUT = """
from torch import nn

def build(width):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 10)
    )
"""


@pytest.mark.parametrize("rewind", ["5st", "9st"])
def test_where_nothing_is_pruned_a_spawned_run_is_repeated_bit_for_bit(rewind, tmp_path, monkeypatch):
    """From the rewind point on, with its momentum: order, augmentation and dropout are repeated."""
    (tmp_path / "network_with_dropout.py").write_text(DROPOUT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    branches = {"branches": ["random", "one_shot", "transport"], "transport": {"permutations": ["none"]}}
    wanted = plan(
        prune={"levels": 1, "fraction": 1e-3, "rewind": rewind, "optimiser": "kept", **branches},
        model="network_with_dropout:build",
        spawn_at="5st",
        augment="flip_crop",
        epochs=2,
    )
    carry_out(wanted, Files(str(tmp_path)), align=False)
    store = TrialStore(Files(str(tmp_path)))
    spawned = of_branch(wanted, "spawned", pruned=False)
    followers = [trial for trial in wanted.trials.values() if trial.prune is not None]
    assert [t.branch for t in followers] == 2 * ["main"] + 2 * ["random"] + 2 * ["one_shot"] + 2 * [
        "transport"
    ]
    ends = {t.trial_id: store.read_checkpoint(t.trial_id, 0, 22) for t in spawned}
    for trial in followers:
        end = store.read_checkpoint(trial.trial_id, 1, 22)
        assert all(torch.equal(end[name], tensor) for name, tensor in ends[trial.parent].items())
    one, other = ends.values()
    assert not torch.equal(one["1.weight"], other["1.weight"])


def test_all_branches_of_a_spawned_run_have_its_order():
    wanted = plan(prune=PRUNE, spawn_at="5st")
    trunk, spawned = of_branch(wanted, "main", pruned=False)[0], of_branch(wanted, "spawned", pruned=False)[0]
    own = hyperparameters(spawned, wanted.extents[spawned.trial_id], 0)
    assert own != hyperparameters(trunk, wanted.extents[trunk.trial_id], 0)
    for trial in wanted.trials.values():
        if trial.parent == spawned.trial_id:
            assert hyperparameters(trial, wanted.extents[trial.trial_id], 2) == own


def test_orders_after_rewinding_are_as_stated():
    for order, expected in (("same", ["", ""]), ("new", [" level 1", " level 2"])):
        wanted = plan(prune={**PRUNE, "data_order": order})
        chain = of_branch(wanted, "main")[0]
        extent = wanted.extents[chain.trial_id]
        assert [hyperparameters(chain, extent, level).order for level in (1, 2)] == expected
