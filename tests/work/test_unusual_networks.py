"""Valid networks of a user that are unlike ours, through training, pruning, aligning and comparing."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file, save_model

from raysweep.alignment import embed, weight_matching
from raysweep.cluster.imports import import_networks
from raysweep.connectivity import barrier_of
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.plan.desired import desired
from raysweep.pruning import remaining
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.stored import stored_state
from raysweep.sweep.load import check
from raysweep.symmetry import PermutationSpec
from raysweep.work.data import pad_to, proved_spec
from tests.work.plans import BASE, carry_out, compare_all, contents, killed_before, metrics, plan
from tests.work.test_resume import Silent

PRUNE = {"levels": 2, "fraction": 0.3, "rewind": "3st", "optimiser": "kept", "exclude": ["output"]}
PRUNE |= {"branches": ["transport"]}
PRUNED = {
    "tied": ["1.weight", "3.weight"],
    "tied_ends": ["embed.weight"],
    "frozen": ["1.weight", "3.weight"],
    "sometimes": ["first.weight", "middle.weight"],
    "head": ["body.1.weight", "body.3.weight"],
}


def config(name):
    return ModelConfig(f"tests.networks:{name}", 6, None, "none", (1, 8, 8), 10)


def planned(name):
    train = {**BASE, "model": f"tests.networks:{name}", "epochs": 1}
    align = {"methods": ["weight_matching", "activation_matching"], "activation_matching": {"examples": 500}}
    compare = {"kinds": ["unaligned", "direct"], "alphas": 5}
    return desired(
        check("test", {"name": "s", "train": train, "prune": PRUNE, "align": align, "compare": compare})
    )


@pytest.fixture(scope="module", params=PRUNED)
def done(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    wanted, files = planned(request.param), Files(str(root))
    carry_out(wanted, files)
    compare_all(wanted, files)
    return request.param, wanted, root


def test_what_is_stored_is_a_whole_state_and_masks_hold_each_weight_once(done):
    name, wanted, root = done
    store, model = TrialStore(Files(str(root))), build(config(name))
    for trial in wanted.trials.values():
        extent = wanted.extents[trial.trial_id]
        for level in extent.levels:
            state = stored_state(str(root), f"{trial.trial_id}@{level}@{extent.total}")
            model.load_state_dict(state)  # strict: under all names, and under no others
            assert all(torch.equal(state[key], tensor) for key, tensor in model.state_dict().items())
            if trial.prune:
                masks = store.read_mask(trial.trial_id, level)
                assert sorted(masks) == PRUNED[name]
                weights = sum(keep.numel() for keep in masks.values())
                left = sum(int(keep.sum()) for keep in masks.values())
                assert left == remaining(weights, 0.3, level)
                assert all((state[key][~keep] == 0).all() for key, keep in masks.items())


def test_a_permuted_copy_is_found_and_has_no_barrier(done, digits):
    name, wanted, root = done
    trial = next(iter(wanted.trials.values()))
    state = stored_state(str(root), f"{trial.trial_id}@0@{wanted.extents[trial.trial_id].total}")
    model = build(config(name))
    spec = PermutationSpec.trace(model, digits.test.images[:2])
    moved = spec.apply(spec.random(torch.Generator().manual_seed(1)), state)
    found = weight_matching(spec, state, moved, seed=0)
    back = spec.apply(found.permutation, moved)
    assert all(torch.equal(back[key], tensor) for key, tensor in state.items())
    barrier = barrier_of(model, [state, back], digits.test.images, digits.test.labels)
    assert barrier.loss_barrier == pytest.approx(0, abs=1e-6)
    once = {key for key, _ in model.named_parameters()} & set(spec.axes)  # a head is not evaluated
    squares = sum(state[key].double().square().sum().item() for key in once)
    assert found.objective == pytest.approx(squares)


def test_a_narrow_network_is_compared_with_a_wide_one(done):
    name, _, _ = done
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    narrow, wide = config(name), replace(config(name), width=9)
    model, larger = initialised(narrow, "pytorch", 0).eval(), build(wide).eval()
    state = model.state_dict()
    larger.load_state_dict(pad_to(wide, narrow, state))
    torch.testing.assert_close(larger(images), model(images))
    found = embed(proved_spec(narrow), proved_spec(wide), state, larger.state_dict(), seed=0)
    chosen = found.select(proved_spec(wide), larger.state_dict())
    assert all(torch.equal(chosen[key], state[key]) for key in proved_spec(narrow).axes)


def test_the_tables_have_barriers_of_all_levels(done, digits):
    """Of the dense networks, one is computed here, plainly: a tied tensor is mixed as one."""
    name, _, root = done
    rows = pd.read_parquet(f"{root}/sweeps/s/barriers").query("split == 'test' and kind == 'unaligned'")
    networks = rows.networks.map(tuple)
    assert {member.split("@")[1] for pair in networks for member in pair} == {"0", "1", "2"}
    dense = rows[networks.map(lambda pair: pair[0].split("@")[1] == "0")].iloc[0]
    states, model = [stored_state(str(root), member) for member in dense.networks], build(config(name)).eval()
    mean = {key: (states[0][key] + states[1][key]) / 2 for key in states[0]}
    losses = []
    for state in (*states, mean):
        model.load_state_dict(state)
        with torch.no_grad():
            logits = model(digits.test.images)
        losses.append(torch.nn.functional.cross_entropy(logits, digits.test.labels).item())
    assert dense.loss_centre == pytest.approx(losses[2] - (losses[0] + losses[1]) / 2, abs=1e-4)


@pytest.mark.parametrize("name", ["tied", "sometimes"])
def test_a_trial_that_is_killed_ends_in_the_same_bits(name, tmp_path):
    wanted = plan(prune={**PRUNE, "branches": []}, model=f"tests.networks:{name}", epochs=1, replicates=1)
    calm, root = tmp_path / "calm", tmp_path / "killed"
    carry_out(wanted, Files(str(calm)))
    lives = 0
    while killed_before(9, root, lambda: carry_out(wanted, Files(str(root)), resume_seconds=0)):
        lives += 1
    assert lives > 2
    assert (contents(root), metrics(wanted, root)) == (contents(calm), metrics(wanted, calm))


def test_the_compiler_is_left_out(tmp_path):
    """A compiled network is trained to the bits of the plain one."""
    ends = []
    for name in ("compiled", "plain"):
        root = str(tmp_path / name)
        wanted = plan(model=f"tests.networks:{name}", epochs=1, replicates=1)
        carry_out(wanted, Files(root))
        (trial,) = wanted.trials
        ends.append(stored_state(root, f"{trial}@0@{wanted.extents[trial].total}"))
    assert sorted(ends[0]) == sorted(ends[1])
    assert all(torch.equal(ends[0][key], tensor) for key, tensor in ends[1].items())


def imported(root, path, name):
    train = {"dataset": "digits", "width": 6, "model": f"tests.networks:{name}", "imports": [str(path)]}
    wanted = desired(check("test", {"name": "s", "train": train}))
    import_networks(Files(str(root)), wanted, Silent())
    (trial,) = wanted.trials
    return stored_state(str(root), f"{trial}@0@0")


@pytest.mark.parametrize("name", ["tied", "tied_ends"])
def test_tied_names_are_completed_where_a_file_has_one_of_them(name, tmp_path):
    model = initialised(config(name), "pytorch", 0)
    save_model(model, str(tmp_path / "one.safetensors"))
    assert len(load_file(tmp_path / "one.safetensors")) < len(model.state_dict())
    state = imported(tmp_path / "root", tmp_path / "one.safetensors", name)
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[key], tensor) for key, tensor in model.state_dict().items())


def test_a_network_with_a_head_that_returns_two_outputs_is_imported(tmp_path):
    """Its training is over, and what is evaluated is one output."""
    state = initialised(config("pair"), "pytorch", 0).state_dict()
    save_file(state, tmp_path / "pair.safetensors")
    found = imported(tmp_path / "root", tmp_path / "pair.safetensors", "pair")
    assert torch.equal(found["head.weight"], state["head.weight"])


def test_a_recurrent_network_is_trained_aligned_and_compared(tmp_path, digits):
    train = {**BASE, "model": "tests.networks:recurrent", "epochs": 1}
    compare = {"kinds": ["unaligned", "direct"], "splits": ["test"]}
    wanted = desired(check("test", {"name": "s", "train": train, "compare": compare}))
    files = Files(str(tmp_path))
    carry_out(wanted, files)
    compare_all(wanted, files)
    rows = pd.read_parquet(tmp_path / "sweeps/s/barriers").set_index("kind")
    states = [stored_state(str(tmp_path), f"{key}@0@{each.total}") for key, each in wanted.extents.items()]
    barrier = barrier_of(
        build(config("recurrent")), states, digits.test.images.view(-1, 1, 8, 8), digits.test.labels
    )
    assert rows.loss_barrier["unaligned"] == pytest.approx(barrier.loss_barrier, rel=1e-4)
    assert rows.loss_barrier["direct"] != rows.loss_barrier["unaligned"]
