"""What a plan finds out, checks and says about a user's own network."""

import pytest

from raysweep.commands.plan import plan_table
from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.plan.done import done
from raysweep.plan.notices.treatment import remarks
from raysweep.plan.own_networks import LeftOut, check_training, left_out
from raysweep.plan.probes import model_size, pruned_parameters
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from tests.work.plans import BASE, plan

PRUNE = {"levels": 1, "exclude": ["output"], "rewind": "1st"}
WHOLE = {**PRUNE, "exclude": []}


def config(name):
    return ModelConfig(f"tests.networks:{name}", 6, None, "none", (1, 8, 8), 10)


def test_size_is_counted_where_the_network_runs():
    """Two layers of 64 x 6 and 6 x 10; the meta device refuses its attribute and its tensor."""
    size = model_size(config("attributes"))
    assert size.products == 64 * 6 + 6 * 10
    assert size.parameters == size.products + 6 + 10 + 2 * 6
    assert size.units == 6 + 10


def test_a_tied_weight_is_counted_once():
    assert model_size(config("tied")).parameters == 64 * 6 + 6 * 6 + 6 * 10 + 3 * 6 + 10
    assert pruned_parameters(config("tied"), ["output"]) == {"1.weight": 64 * 6, "3.weight": 6 * 6}
    assert pruned_parameters(config("tied"), ["5"]) == {"1.weight": 64 * 6, "7.weight": 6 * 10}
    assert pruned_parameters(config("tied_ends"), ["embed"]) == {"last.weight": 60}


def test_heads_of_training_are_no_layers():
    assert list(pruned_parameters(config("head"), ["output"])) == ["body.1.weight", "body.3.weight"]


def test_a_network_without_layers_to_prune_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no_layers.py").write_text(
        "import torch\nfrom torch import nn\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.kernel = nn.Parameter(torch.ones(10, 64))\n"
        "    def forward(self, x):\n        return x.flatten(1) @ self.kernel.t()\n"
    )
    with pytest.raises(UserError, match="no_layers:Net has no layer to prune"):
        plan(prune=PRUNE, model="no_layers:Net")


def test_two_outputs_in_training_are_refused_before_anything_is_trained():
    with pytest.raises(UserError, match=r"'tests.networks:pair': in training mode the network returns tuple"):
        plan(model="tests.networks:pair")


BODY = """
from torch import nn
def make(shape, classes):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("net.requires_grad_(False)", "has no parameter to train: none requires a gradient"),
        (
            "net.register_forward_hook(lambda m, i, o: o[:1] if m.training else o)",
            r"in training mode its output has the shape \(1, 10\), expected \(2, 10\)",
        ),
        (
            "net.register_forward_hook(lambda m, i, o: o / (1 - m.training) if not m.training else 1 / 0)",
            "fails in training mode on images of shape .*ZeroDivisionError",
        ),
        (
            "net.register_forward_hook(lambda m, i, o: o + m.training * __import__('random').random())",
            "in training mode its forward draws random numbers",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(lines, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"untrainable_{abs(hash(lines))}"
    (tmp_path / f"{name}.py").write_text(f"{BODY}    {lines}\n    return net\n")
    with pytest.raises(UserError, match=message):
        check_training(ModelConfig(f"{name}:make", 6, None, "none", (1, 8, 8), 10))


def test_plan_says_what_is_not_treated_like_a_layer(tmp_path):
    wanted, files = plan(prune=WHOLE, model="tests.networks:kernel"), Files(str(tmp_path))
    text = plan_table(wanted, todo(wanted, done(wanted, files))) + "\n"
    factors = [f"normed.parametrizations.weight.original{place}" for place in (0, 1)]
    names = ", ".join(["kernel", *factors])
    assert f"tests.networks:kernel: init pytorch leaves as the constructor made them: {names}\n" in text
    assert f"tests.networks:kernel: pruning leaves dense, besides what is excluded: {names}\n" in text
    assert len(remarks(plan(model="tests.networks:kernel"))) == 1  # nothing is pruned
    assert remarks(plan(model="tests.networks:kernel", init="own")) == []


def test_plan_says_which_parameters_only_training_reads():
    (line,) = remarks(plan(model="tests.networks:head"))
    assert line.startswith("tests.networks:head: read in training only, ")
    assert line.endswith(": head.weight, head.bias")
    lines = remarks(plan(model="tests.networks:head", prune=PRUNE))
    assert "tests.networks:head: pruning leaves dense, besides what is excluded: head.weight" in lines


def test_there_is_nothing_to_say_of_ours():
    assert remarks(plan(prune=PRUNE, model=["mlp", "lenet"])) == []
    assert left_out(ModelConfig("mlp", BASE["width"], 3, "none", (1, 8, 8), 10), "pytorch") == LeftOut()
