"""A user's own optimiser, schedule and initialisation, in a file outside the package."""

import sys

import pytest
import torch
import yaml

from raysweep.errors import UserError
from raysweep.models.build import build
from raysweep.models.initialise import initialised
from raysweep.plan.desired import desired
from raysweep.plan.own_networks import left_out
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.training.loop import TrainingRun
from raysweep.training.schedule import Schedule
from raysweep.vocabulary import Way
from raysweep.work.inputs import TrialTask
from raysweep.work.trial import Interrupted, run_trial
from tests.conftest import mlp, settings
from tests.readmes import marked
from tests.work.plans import BASE, carry_out, contents

BAD = """
import random, torch

class Counting(torch.optim.SGD):
    taken = 0

    def step(self):
        self.taken += 1
        for group in self.param_groups:
            for p in group["params"]:
                p.data.sub_(self.taken * group["lr"] * p.grad)

def counting(parameters, learning_rate):
    return Counting(parameters, lr=learning_rate)

def needy(parameters, extra):
    return torch.optim.SGD(parameters)

def nothing(parameters):
    pass

def failing(parameters):
    raise ArithmeticError("too small")

def second(parameters, learning_rate):
    return torch.optim.LBFGS(parameters, lr=learning_rate)

def foreign(learning_rate):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=learning_rate)

def negative(step):
    return 1 - step

def unseeded(model):
    for parameter in model.parameters():
        parameter.fill_(random.SystemRandom().random())

def reshaping(model):
    model.layers[1].weight.data = torch.zeros(1)
"""
SHARES = """
import torch

def halves(named_parameters, learning_rate):
    named = dict(named_parameters)
    bias = [p for name, p in named.items() if name.endswith("bias")]
    rest = [p for name, p in named.items() if not name.endswith("bias")]
    return torch.optim.SGD([{"params": rest}, {"params": bias, "lr": learning_rate / 2}], lr=learning_rate)

class Noise(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.add_(torch.ones_like(p), alpha=group["lr"])
                self.state[p]["taken"] = self.state[p].get("taken", 0) + 1

def noise(parameters, learning_rate):
    return Noise(parameters, {"lr": learning_rate})
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a user's module into the current folder; what was imported under its name is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(text, name="mine"):
        (tmp_path / f"{name}.py").write_text(text)
        sys.modules.pop(name, None)

    yield write
    sys.modules.pop("mine", None)


@pytest.fixture
def documented(written):
    """The sweep of the README, with its file beside it."""
    written(marked("sweeps", "own training").text)
    raw = yaml.safe_load(marked("sweeps", "own training file").text)
    return check("lion.yaml", {**raw, "train": {**raw["train"], "replicates": 1}})


def test_the_documented_file_trains_and_a_killed_trial_goes_on_in_the_same_bits(documented, tmp_path, digits):
    wanted = desired(documented)
    assert len(wanted.trials) == 2  # one for each of the options
    carry_out(wanted, Files(str(tmp_path / "calm")))
    for trial in wanted.trials.values():
        task = TrialTask(trial, wanted.extents[trial.trial_id], {})
        files, stops = Files(str(tmp_path / "killed")), iter([False, True])
        stored = TrialStore(files), ResultStore(files)
        with pytest.raises(Interrupted):
            list(run_trial(task, digits, *stored, 0.0, stops=lambda stops=stops: next(stops)))
        assert stored[0].read_resume(trial.trial_id).step > 0
        list(run_trial(task, digits, *stored, 1e9))
    weights = {name for name in contents(tmp_path / "calm") if "level_000" in name}
    calm, killed = (contents(tmp_path / root) for root in ("calm", "killed"))
    assert len(weights) == 4  # at the start and at the end of each
    assert {name: calm[name] for name in weights} == {name: killed[name] for name in weights}
    one, other = (calm[name] for name in sorted(weights)[1::2])
    assert one != other  # the options had an effect


def test_ids_follow_the_file_and_the_options(documented, written):
    wanted = desired(documented)
    text = marked("sweeps", "own training").text
    written(text + "# changed\n")
    changed = desired(documented)
    assert not wanted.trials.keys() & changed.trials.keys()
    written(text)
    assert wanted.trials.keys() == desired(documented).trials.keys()
    (trial, _) = wanted.trials.values()
    assert trial.sources.keys() == {"init", "optimiser", "schedule"}


def planned(**train):
    return desired(check("file", {"name": "s", "train": {**BASE, "epochs": 1, "replicates": 1, **train}}))


@pytest.mark.parametrize(
    ("key", "name", "said"),
    [
        ("optimiser", "counting", "a step after resuming from its state dict differs"),
        ("optimiser", "needy", "_options: .* requires 'extra'"),
        ("optimiser", "nothing", "returns NoneType, not a torch.optim.Optimizer"),
        ("optimiser", "failing", "fails: ArithmeticError: too small"),
        ("optimiser", "second", "fails in a step, .*closure"),
        ("optimiser", "foreign", "has parameters that are not the network's"),
        ("optimiser", "absent", "has no 'absent'"),
        ("schedule", "negative", "is -1.0 at step 2, not a number from 0 on"),
        ("init", "unseeded", "two calls under one seed differ in layers.1.weight"),
        ("init", "reshaping", "changes the shape or type of layers.1.weight"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_planned(written, key, name, said):
    written(BAD)
    with pytest.raises(UserError, match=f"{key}.*{said}"):
        planned(**{key: f"mine:{name}"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beta": 0.9}, "optimiser_options.beta: optimiser 'adamw' has no such option; did you mean 'beta2'"),
        ({"beta2": "high"}, "optimiser_options.beta2 = 'high': optimiser 'adamw' takes another type"),
        ({"beta2": 5}, "optimiser 'adamw' fails: ValueError: Invalid beta"),
    ],
    ids=str,
)
def test_options_of_our_optimisers_are_tried_too(options, said):
    with pytest.raises(UserError, match=said):
        planned(optimiser="adamw", optimiser_options=options)


def test_groups_of_parameters_keep_their_shares_of_the_rate(written, digits):
    written(SHARES)
    model = initialised(mlp(), "pytorch", 0)
    chosen = settings(optimiser="mine:halves", schedule=Schedule("cosine", 0.2, 4))
    run = TrainingRun(model, digits, chosen)
    run.advance(2)
    rates = [group["lr"] for group in run._step.optimiser.param_groups]
    assert rates == [chosen.schedule.rate(1), chosen.schedule.rate(1) / 2]


def test_pruned_weights_stay_zero_whatever_the_optimiser_does(written, digits):
    written(SHARES)
    model = initialised(mlp(), "pytorch", 0)
    masks = {"layers.3.weight": torch.rand(16, 16) > 0.5}
    chosen = settings(optimiser="mine:noise")
    dense = TrainingRun(model, digits, chosen)
    dense.advance(1)
    TrainingRun(model, digits, chosen, 1, masks, dense.optimiser_state()).advance(2)
    (name, mask) = next(iter(masks.items()))
    assert not model.state_dict()[name][~mask].any()


@pytest.mark.parametrize("name", ["mine:noise", "rmsprop"])
def test_steps_that_a_graph_would_not_repeat_are_plain(written, digits, name):
    written(SHARES)
    ways = (Way.COMPILED, Way.CAPTURED, Way.PLAIN)
    run = TrainingRun(initialised(mlp(), "pytorch", 0), digits, settings(optimiser=name), ways=ways)
    run.advance(1)
    assert run.way == Way.PLAIN
    assert f"a replay would not repeat what the optimiser {name} does" in run.fallback


def test_a_plan_knows_what_an_own_initialisation_does_not_reach(written):
    written("def partial(model, generator):\n    model.layers[1].weight.normal_(generator=generator)\n")
    reached = "layers.1.weight"
    weights = [name for name, each in build(mlp()).named_parameters() if each.dim() > 1]
    assert left_out(mlp(), "mine:partial").initialisation == tuple(n for n in weights if n != reached)
