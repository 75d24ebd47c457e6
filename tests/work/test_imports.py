"""What a file may be, of those that others write, for its network to be the model; and what is refused."""

import argparse
import copy
import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from analysis.rows.members import independent
from raysweep.commands.plan import plan_table
from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.identity import data_config
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.sweep.train import Training
from raysweep.tables.publishing import publish_tables
from raysweep.tables.variants import variants
from raysweep.tracking.values import parameters
from raysweep.work.data import resident
from raysweep.work.fitting import Unfitting, fitting_state
from raysweep.work.imports import import_checkpoint
from raysweep.work.weight_files import AVERAGES, WRAPPERS, read_states
from tests.conftest import mlp
from tests.work.plans import plan

PREFIXES = [f"{name}." for name in (*WRAPPERS, *AVERAGES)]
IMPORTED = {"epochs": 0, "batch_size": 128, "init": "kaiming_normal"}  # defaults, which say nothing


@pytest.fixture
def model():
    return initialised(mlp(), "pytorch", 0)


@pytest.fixture
def state(model):
    return copy.deepcopy(model.state_dict())


def read(path, model):
    return fitting_state(read_states(str(path)), model)


def fit(content, model, tmp_path):
    """What is found in a file with some content."""
    torch.save(content, tmp_path / "file.pt")
    return read(tmp_path / "file.pt", model)


def same(found, state):
    return list(found) == list(state) and all(torch.equal(found[name], state[name]) for name in state)


def changed(state, **changes):
    """A state with other tensors under names, written with _ for their dots, or (None) without them."""
    found = {name: changes.get(name.replace(".", "_"), tensor) for name, tensor in state.items()}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def test_reads_safetensors_and_pt(tmp_path, model, state):
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pt")
    torch.save({"state_dict": {f"module.{n}": t for n, t in state.items()}, "epoch": 3}, tmp_path / "c.pth")
    for path in tmp_path.iterdir():
        assert same(read(path, model), state)


class Payload:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_what_is_no_state_dict_is_refused(tmp_path, capsys):
    torch.save({"state_dict": Payload()}, tmp_path / "hostile.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({}, tmp_path / "nothing.pt")
    (tmp_path / "broken.safetensors").write_bytes(b"not a file of tensors")
    for name in ("hostile.pt", "list.pt", "nothing.pt", "broken.safetensors", "missing.pt"):
        with pytest.raises(UserError, match=name):
            read_states(str(tmp_path / name))
    assert "must never run" not in capsys.readouterr().out


def test_of_a_whole_module_its_state_dict_is_asked_for(tmp_path, model):
    torch.save(model, tmp_path / "module.pt")
    with pytest.raises(
        UserError, match=r"module.pt .*raysweep.models.mlp.MLP.* save its state_dict\(\)"
    ) as said:
        read_states(str(tmp_path / "module.pt"))
    assert "trust" not in str(said.value)


def test_a_file_without_state_dict_tells_its_keys(tmp_path, model, state):
    torch.save({"epoch": 3, "ema": {"decay": 0.9}, "net": ["a"]}, tmp_path / "none.pt")
    with pytest.raises(UserError, match=r"holds no state dict .* its keys are epoch, ema, net"):
        read_states(str(tmp_path / "none.pt"))


def test_the_state_dict_that_fits_is_found_wherever_it_lies(tmp_path, model, state):
    optimiser = {"state": {0: {"momentum_buffer": state["layers.1.weight"]}}, "param_groups": [{"lr": 0.1}]}
    teacher = {"fc.weight": torch.zeros(3, 3)}
    assert same(
        fit(
            {"epoch": 3, "ema": {"decay": 0.9, "of": teacher}, "net": state, "optim": optimiser},
            model,
            tmp_path,
        ),
        state,
    )
    other = {name: tensor + 1 for name, tensor in state.items()}
    assert same(fit({"ema": other, "model": state}, model, tmp_path), state)
    assert same(fit({"ema": state, "net": copy.deepcopy(state)}, model, tmp_path), state)
    assert same(fit({"state_dict": state, "state_dict_ema": other}, model, tmp_path), state)
    with pytest.raises(Unfitting, match="best and last both fit and differ; name one of them as under"):
        fit({"best": other, "last": state}, model, tmp_path)
    renamed = {name.replace("layers", "my"): tensor for name, tensor in state.items()}
    with pytest.raises(Unfitting, match=r"\(under net\) .*state dicts under ema"):
        fit({"net": renamed, "ema": teacher}, model, tmp_path)
    with pytest.raises(Unfitting, match=r"\(under net\) .*state dicts under ema.of"):
        fit({"net": changed(state, layers_1_bias=None), "ema": {"decay": 1, "of": teacher}}, model, tmp_path)


@given(prefixes=st.lists(st.sampled_from(PREFIXES), max_size=4), own=st.sampled_from(["", *PREFIXES]))
def test_prefixes_are_dropped_only_where_that_makes_the_names_fit(prefixes, own):
    """Wrapped in any order and any number of times, also a network whose own names begin like a wrapper's."""
    network: nn.Module = nn.Linear(3, 2)
    for part in filter(None, own.split(".")):
        outer = nn.Module()
        outer.add_module(part, network)
        network = outer
    state = network.state_dict()
    found = fitting_state({(): {"".join(prefixes) + n: t for n, t in state.items()}}, network)
    assert same(found, state)


def test_a_prefix_that_not_all_names_have_is_part_of_them(state):
    network = nn.ModuleDict({"module": nn.Linear(3, 2), "head": nn.Linear(2, 2)})
    own = network.state_dict()
    assert same(fitting_state({(): own}, network), own)
    assert same(fitting_state({(): {f"module.{name}": tensor for name, tensor in own.items()}}, network), own)
    short = {name.removeprefix("module."): tensor for name, tensor in own.items()}
    with pytest.raises(Unfitting, match=r"module.weight \(2, 3\) is missing \(nearest in the file: weight"):
        fitting_state({(): short}, network)


WRAPPED = {
    "lightning": lambda own: {
        **{f"model._orig_mod.{name}": tensor for name, tensor in own.items()},
        "criterion.weight": torch.ones(10),
        "val_accuracy.total": torch.tensor(3.0),
    },
    "averaged": lambda own: {"n_averaged": torch.tensor(9), **{f"module.{n}": t for n, t in own.items()}},
    "an average beside it": lambda own: {
        **{f"ema_model.{name}": tensor + 1 for name, tensor in own.items()},
        **{f"net.{name}": tensor for name, tensor in own.items()},
    },
    "named by its user": lambda own: {f"my_classifier.{name}": tensor for name, tensor in own.items()},
    "a compiled layer": lambda own: {
        name.replace("layers.3.", "layers.3._orig_mod.module."): tensor for name, tensor in own.items()
    },
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_a_network_is_found_in_what_others_wrap_it_in(wrapper, model, state):
    assert same(fitting_state({("state_dict",): WRAPPED[wrapper](state)}, model), state)


def test_arguments_beside_the_weights_are_no_obstacle(tmp_path, model, state):
    arguments = argparse.Namespace(lr=0.1, output=Path("runs"))
    assert same(fit({"epoch": 3, "args": arguments, "state_dict": state}, model, tmp_path), state)


def test_an_average_is_taken_where_it_is_asked_for(model, state):
    average = {name: tensor + 1 for name, tensor in state.items()}
    states = {("state_dict",): state, ("state_dict_ema",): {f"module.{n}": t for n, t in average.items()}}
    assert same(fitting_state(states, model), state)
    assert same(fitting_state(states, model, "state_dict_ema"), average)
    assert same(fitting_state(states, model, "state_dict_ema.module"), average)
    with pytest.raises(Unfitting, match=r"nothing lies under ema; state dicts under state_dict, state_dict"):
        fitting_state(states, model, "ema")


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_network_in_several_files_is_read_from_all_of_them(suffix, tmp_path, model, state):
    names = list(state)
    shards = {f"one.{suffix}": names[:3], f"two.{suffix}": names[3:]}
    for shard, kept in shards.items():
        part = {name: state[name] for name in kept}
        save_file(part, tmp_path / shard) if suffix == "safetensors" else torch.save(part, tmp_path / shard)
    index = tmp_path / f"model.{suffix}.index.json"
    where = {name: shard for shard, kept in shards.items() for name in kept}
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    assert same(read(index, model), state)
    index.write_text(json.dumps({"weight_map": {**where, names[0]: f"two.{suffix}"}}))
    with pytest.raises(UserError, match=rf"two.{suffix} lacks {names[0]}, which .*index.json says"):
        read_states(str(index))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_types_become_the_models(state, model, dtype):
    given = {name: tensor.to(dtype) for name, tensor in state.items()}
    found = fitting_state({(): given}, model)
    assert all(torch.equal(found[name], given[name].float()) for name in state)
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_other_types_are_no_floating_values(state, model, dtype):
    given = changed(state, layers_1_weight=(100 * state["layers.1.weight"]).to(dtype))
    with pytest.raises(Unfitting, match=f"layers.1.weight is {str(dtype)[6:]}, but float32 in the model"):
        fitting_state({(): given}, model)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantised_sparse_and_eight_bit_values_are_refused(state, model):
    weight = state["layers.1.weight"]
    for values, said in (
        (torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), "qint8, but float32"),
        (weight.to(torch.float8_e4m3fn), "float8_e4m3fn, but float32"),
        (weight.to_sparse(), "sparse"),
        (weight.to("meta"), "without values"),
    ):
        with pytest.raises(Unfitting, match=f"layers.1.weight is {said}"):
            fitting_state({(): changed(state, layers_1_weight=values)}, model)


@pytest.mark.parametrize("value", [1e300, float("nan"), -float("inf")])
def test_values_are_finite_in_the_models_type(state, model, value):
    given = changed(state, layers_1_bias=torch.full((16,), value, dtype=torch.float64))
    with pytest.raises(Unfitting, match=r"layers.1.bias has values that are not finite as float32"):
        fitting_state({(): given}, model)


def test_buffers_keep_their_kind():
    network = nn.Module()
    network.register_buffer("mask", torch.tensor([True, False]))
    network.register_buffer("steps", torch.tensor(0, dtype=torch.int32))
    good = {"mask": torch.tensor([False, True]), "steps": torch.tensor(7, dtype=torch.int64)}
    found = fitting_state({(): good}, network)
    assert (found["mask"].tolist(), found["steps"].item()) == ([False, True], 7)
    for name, value, said in (
        ("mask", torch.tensor([0.0, 1.0]), "mask is float32, but bool"),
        ("steps", torch.tensor(7.5), "steps is float32, but int32"),
        ("steps", torch.tensor(2**40), "steps has values that are too large for int32"),
    ):
        with pytest.raises(Unfitting, match=said):
            fitting_state({(): {**good, name: value}}, network)


def test_files_from_before_the_counter_of_batches_are_whole():
    model = initialised(ModelConfig("lenet", 2, None, "batch", (1, 8, 8), 10), "pytorch", 0)
    state = model.state_dict()
    counters = [name for name in state if name.endswith("num_batches_tracked")]
    model.get_buffer(counters[0]).fill_(5)
    old = {name: tensor for name, tensor in state.items() if name not in counters}
    found = fitting_state({(): old}, model)
    assert list(found) == list(state)
    assert counters
    assert all(found[name].item() == 0 for name in counters)
    assert all(torch.equal(found[name], tensor) for name, tensor in old.items())


def test_one_name_of_a_tied_weight_is_enough_and_two_must_agree():
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    network[2].weight = network[0].weight
    both = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for left_out in ("0.weight", "2.weight"):
        one = {name: tensor for name, tensor in both.items() if name != left_out}
        assert same(fitting_state({(): one}, network), both)
    assert same(fitting_state({(): both}, network), both)
    with pytest.raises(Unfitting, match=r"0.weight and 2.weight differ, but are one parameter of the model"):
        fitting_state({(): {**both, "2.weight": both["2.weight"] + 1}}, network)
    with pytest.raises(Unfitting, match=r"0.weight \(3, 3\) is missing"):
        fitting_state({(): {name: t for name, t in both.items() if "weight" not in name}}, network)


def test_an_error_says_what_the_file_has_instead(state, model):
    given = {re.sub(r"^layers\.1\b", "first", name): tensor for name, tensor in state.items()}
    with pytest.raises(Unfitting) as raised:
        fitting_state({(): given}, model)
    said = str(raised.value)
    assert "layers.1.weight (16, 64) is missing (nearest in the file: first.weight (16, 64))" in said
    assert "the file has first.weight (16, 64), first.bias (16,), layers.3.weight (16, 16)" in said
    assert said.count("is missing") == 2


def import_all(root, wanted):
    for trial in wanted.trials.values():
        data = resident(data_config(trial.training, trial.replicate), None, False, "unit")
        import_checkpoint(trial, data, TrialStore(Files(str(root))))


def imported(root, *paths):
    """Import files as networks of one sweep, and publish its tables."""
    wanted, files = plan(**{**IMPORTED, "imports": [str(path) for path in paths]}), Files(str(root))
    import_all(root, wanted)
    publish_tables(files, wanted, done(wanted, files), [])
    return wanted, pd.read_parquet(root / "sweeps/s/trials")


def test_a_network_whose_loss_is_not_finite_is_refused(tmp_path):
    state = initialised(mlp(6), "pytorch", 0).state_dict()
    torch.save({name: 1e30 * tensor for name, tensor in state.items()}, tmp_path / "large.pt")
    with pytest.raises(UserError, match=r"large.pt: the train loss of the network is nan"):
        imported(tmp_path, tmp_path / "large.pt")
    assert not list(tmp_path.glob("trials/*"))


def test_errors_name_the_file_and_the_model(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(
        UserError, match=r"train.imports: .*other.pt does not fit train.model = mlp: .*a \(2,\)"
    ):
        imported(tmp_path, tmp_path / "other.pt")


def test_of_a_training_that_is_not_known_the_tables_say_nothing(tmp_path):
    """Neither hyperparameters nor seeds; the file and its content, which alone decides the id."""
    paths = [tmp_path / f"{seed}.pt" for seed in range(2)]
    for seed, path in enumerate(paths):
        torch.save(initialised(mlp(6), "pytorch", seed).state_dict(), path)
    wanted, trials = imported(tmp_path, *paths)
    trials = trials.sort_values("replicate")
    assert trials.import_file.tolist() == [str(path) for path in paths]
    assert trials.import_digest.tolist() == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    known = {"dataset", "dataset_options", "split_seed", "subset_seed", "scaling", "model", "width", "depth"}
    known |= {"norm", "threads", "scaling_options"}
    filled = {name for name in trials if trials[name].notna().all()}
    assert filled & set(Training.model_fields) == known
    assert trials[sorted(set(Training.model_fields) - known)].isna().all(axis=None)
    for trial_id in wanted.trials:
        config = json.loads((tmp_path / "trials" / trial_id / "config.json").read_text())
        assert config["training"]["learning_rate"] is config["init_seed"] is None
    assert set(variants(trials, trials)) == {""}
    pair = pd.DataFrame({"group": trials.group[:1], "networks": [[f"{key}@0@0" for key in trials.trial_id]]})
    assert independent(pair, trials) == set(trials.group)
    assert not {"learning_rate", "schedule", "init_seed"} & parameters(trials.iloc[:1]).keys()
    paths[0].rename(tmp_path / "renamed.pt")
    again, _ = imported(tmp_path, tmp_path / "renamed.pt", paths[1])
    assert list(again.trials) == list(wanted.trials)


def test_several_settings_and_what_is_known_of_their_training(tmp_path):
    for width in (6, 7):
        (tmp_path / f"mlp{width}").mkdir()
        for seed in range(2):
            state = initialised(mlp(width), "pytorch", seed).state_dict()
            torch.save(state, tmp_path / f"mlp{width}" / f"seed_{seed}.pt")
    narrow = {"files": str(tmp_path / "mlp6"), "width": 6, "epochs": 20, "learning_rate": 0.05}
    wide = {"files": str(tmp_path / "mlp7/*_*.pt"), "width": 7}
    train = {"dataset": "digits", "imports": [narrow, wide]}
    wanted, files = desired(check("test", {"name": "s", "train": train})), Files(str(tmp_path / "root"))
    import_all(tmp_path / "root", wanted)
    publish_tables(files, wanted, done(wanted, files), [])
    trials = pd.read_parquet(tmp_path / "root/sweeps/s/trials").sort_values(["width", "replicate"])
    assert trials.width.tolist() == [6, 6, 7, 7]
    assert trials.replicate.tolist() == [0, 1, 0, 1]
    assert [name[-14:] for name in trials.import_file] == [
        f"mlp{width}/seed_{seed}.pt" for width in (6, 7) for seed in (0, 1)
    ]
    assert trials.learning_rate.fillna(0).tolist() == [0.05, 0.05, 0, 0]
    assert trials.epochs.fillna(0).tolist() == [20, 20, 0, 0]
    assert trials.momentum.isna().all()
    assert trials.group.nunique() == 2
    assert set(variants(trials, trials)) == {"epochs 20", "epochs not known"}


def test_a_file_that_changes_after_it_got_its_id_is_not_imported(tmp_path):
    torch.save(initialised(mlp(6), "pytorch", 0).state_dict(), tmp_path / "a.pt")
    wanted = plan(**{**IMPORTED, "imports": [str(tmp_path / "a.pt")]})
    torch.save(initialised(mlp(6), "pytorch", 1).state_dict(), tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"a\.pt has changed since this command read it"):
        import_all(tmp_path / "root", wanted)


def test_plans_say_that_networks_may_have_seen_a_split_of_our_own(tmp_path):
    torch.save(initialised(mlp(6), "pytorch", 0).state_dict(), tmp_path / "a.pt")
    wanted, _ = imported(tmp_path, tmp_path / "a.pt")
    said = "the test split of digits is raysweep's own"
    assert said in plan_table(wanted, todo(wanted, done(wanted, Files(str(tmp_path)))))
    trained = plan()
    assert said not in plan_table(trained, todo(trained, done(trained, Files(str(tmp_path)))))
