"""Hidden units are left in place only where an operation needs them there, and then it is said."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from raysweep.commands.plan import plan_table
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.registry import MODELS, NORMS
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.sweep.load import check
from raysweep.symmetry import LeftAlone, PermutationSpec
from tests.symmetry.checks import assert_unchanged
from tests.symmetry.test_refusals import Between

ALL = {"first": 6}
MASK = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def stored(net, **tensors):
    for name, tensor in tensors.items():
        net.register_buffer(name, tensor, persistent=False)
    return net


INVARIANT = {
    "maximum": lambda net, x: torch.maximum(x, torch.zeros(6)),
    "maximum, constant first": lambda net, x: torch.maximum(torch.zeros(6), x),
    "sum": lambda net, x: x + torch.ones(6) * 0.5,
    "by example": lambda net, x: x * torch.arange(1, 3)[:, None].expand(2, 6),
    "where": lambda net, x: torch.where(x > net.threshold, x, net.threshold),
    "where, a number": lambda net, x: torch.where(x > 0.1, x, 0.1 * x),
    "mask": lambda net, x: x.masked_fill(x < 0, 0.0) * (net.threshold > 0),
    "computed": lambda net, x: x - torch.linspace(0, 1, 6).flip(0).sum() / torch.full((1, 6), 2.0),
    "addcmul": lambda net, x: torch.addcmul(x, x, net.threshold),
    "a parameter too": lambda net, x: x * (net.scale + torch.ones(6)),
}


@pytest.mark.parametrize("name", INVARIANT)
def test_an_invariant_constant_pins_nothing(name):
    net = stored(Between(INVARIANT[name]), threshold=torch.full((6,), 0.1))
    if name == "a parameter too":
        net.scale = nn.Parameter(torch.rand(6))
    any_batch = name != "by example"
    spec = PermutationSpec.trace(net, torch.zeros(2, 4), proved=any_batch)
    assert (spec.sizes, spec.left_alone) == (ALL, ())
    if any_batch:
        assert_unchanged(spec, net, (4,))


def test_a_constant_that_is_used_twice_ties_no_layers():
    def twice(net, x):
        zeros = torch.zeros(6)
        return torch.maximum(net.more(torch.maximum(x, zeros)), zeros)

    net = Between(twice, more=nn.Linear(6, 6))
    spec = PermutationSpec.trace(net, torch.zeros(2, 4))
    assert (spec.sizes, spec.left_alone) == ({"first": 6, "more": 6}, ())


def test_a_fixed_channel_scale_of_images_pins_nothing():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(1, 5, 3), nn.Linear(5 * 9, 2)

        def forward(self, images):
            hidden = torch.relu(self.first(images)) * torch.ones(5, 1, 1)
            return self.last((hidden - torch.arange(3.0)).flatten(1))

    spec = PermutationSpec.trace(Scaled(), torch.zeros(2, 1, 5, 5))
    assert (spec.sizes, spec.left_alone) == ({"first": 5}, ())


def test_a_constant_that_is_written_to_is_none():
    """Zeros that hidden units are added to in place say what these are; they are not tried as zeros again."""

    def written(net, x):
        zeros = torch.zeros(2, 6)
        zeros.add_(x * 0)
        return torch.maximum(net.more(x), zeros + x)

    network = Between(written, more=nn.Linear(6, 6))
    spec = PermutationSpec.trace(network, torch.zeros(2, 4), proved=False)  # it takes no other batch
    assert spec.sizes == {"first": 6}  # the units of two layers, tied to each other
    assert spec.axes["first.weight"][0] == spec.axes["more.weight"][0]


def swish(x):
    return x * torch.sigmoid(x)


def in_halves(net, x):
    found = x.new_zeros(len(x), 6)
    found[:, :3].add_(x[:, :3])
    found[:, 3:].add_(x[:, 3:])
    return found


NOT_HEARD = {
    "script": lambda net, x: torch.jit.script(swish)(x),
    "vmap": lambda net, x: torch.vmap(lambda row: row / row.norm())(x),
    "a parameter made of units": lambda net, x: 2 * nn.Parameter(x, False),
    "a view": in_halves,
    "a transposed view": lambda net, x: x.new_zeros(6, len(x)).t().add_(x).t().t(),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")
@pytest.mark.parametrize("name", NOT_HEARD)
def test_units_stay_that_are_read_where_nothing_is_heard_and_all_others_move(name):
    """Torch calls no function for what it compiles, and what is written through a view is read elsewhere."""
    between = NOT_HEARD[name]
    network = Between(lambda net, x: torch.relu(net.more(between(net, x))), more=nn.Linear(6, 6))
    spec = PermutationSpec.trace(network, torch.zeros(2, 4))
    assert spec.sizes == {"more": 6, **(ALL if name == "a transposed view" else {})}
    left = sum(each.units for each in spec.left_alone)
    assert left == (0 if name == "a transposed view" else 6)


OUT = (("first.weight", 0), ("first.bias", 0))
PINNED = {
    "operation mul at test_left_alone.py joins them with a constant whose entries differ": (
        lambda net, x: x * MASK,
        (*OUT, ("last.weight", 1)),
        6,
        {},
    ),
    "operation getitem at test_left_alone.py needs their order": (
        lambda net, x: torch.cat([x[:, ::2], x[:, ::2]], 1),
        OUT,
        6,
        {},
    ),
    "operation getitem at test_left_alone.py parts a unit from the others": (
        lambda net, x: x * x[:, :1],
        OUT,
        1,
        {"first[1:6]": 5},
    ),
    "operation avg_pool1d at test_left_alone.py needs their order": (
        lambda net, x: functional.avg_pool1d(x[:, None], 3, 1, 1).squeeze(1),
        OUT,
        6,
        {},
    ),
}


@pytest.mark.parametrize("reason", PINNED)
def test_what_stays_is_listed_with_its_reason(reason):
    function, axes, units, sizes = PINNED[reason]
    spec = PermutationSpec.trace(Between(function), torch.zeros(2, 4), proved=False)
    (left,) = spec.left_alone
    assert left == LeftAlone(units, left.reason, axes)
    assert re.sub(r"\.py:\d+", ".py", left.reason) == reason
    assert spec.sizes == sizes


def test_units_that_are_added_to_the_input_stay_and_its_own_features_are_not_hidden():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.scale = nn.BatchNorm1d(4), nn.Parameter(torch.ones(4))
            self.up, self.down, self.head = nn.Linear(4, 8), nn.Linear(8, 4), nn.Linear(4, 3)

        def forward(self, x):
            hidden = self.down(torch.relu(self.up(self.norm(x * self.scale))))
            return self.head(hidden + x)

    spec = PermutationSpec.trace(Residual(), torch.zeros(2, 4))
    assert spec.sizes == {"up": 8}
    (left,) = spec.left_alone
    assert left.units == 4
    assert left.axes == (("down.weight", 0), ("down.bias", 0), ("head.weight", 1))
    assert left.reason.startswith("operation add at test_left_alone.py")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("model", MODELS)
def test_our_own_networks_leave_nothing_alone(model, norm):
    shape = (5,) if MODELS[model].tokens else (1, 16, 16)
    config = ModelConfig(model, 2, None, norm, shape, 3)
    spec = PermutationSpec.trace(build(config), torch.zeros(2, *shape), proved=False)
    assert spec.left_alone == ()
    assert spec.sizes


NETWORKS = """
import torch
from torch import nn

class Shuffled(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Linear(64, width), nn.Linear(width, width)
        self.last = nn.Linear(width, 10)

    def forward(self, images):
        hidden = torch.relu(self.first(images.flatten(1)))
        hidden = torch.cat([hidden[:, ::2], hidden[:, 1::2]], 1)
        return self.last(torch.relu(self.second(hidden)))

def shuffled(shape, classes, width):
    return Shuffled(width)

def linear(shape, classes, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

def plain(shape, classes, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))

def sorting(shape, classes, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), Sorted(), nn.Linear(width, classes))

class Sorted(nn.Module):
    def forward(self, x):
        return x.sort(1).values
"""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            "shuffled",
            [
                "of 16 hidden units 8 (50%) can be reordered freely",
                "8 (50%) stay; left",
                "8 along axis 0 of first.weight",
                "operation getitem",
            ],
        ),
        ("linear", ["has no hidden units that can be reordered"]),
        ("sorting", ["8 (100%) stay", "operation sort in module 2 (Sorted) at left_alone_networks.py"]),
        ("plain", []),
    ],
)
def test_plans_warn(function, words, tmp_path, monkeypatch):
    (tmp_path / "left_alone_networks.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    train = {"dataset": "digits", "model": f"left_alone_networks:{function}", "width": 8, "epochs": 1}
    wanted = desired(check("file", {"name": "s", "train": train}))
    printed = plan_table(wanted, todo(wanted, done(wanted, Files(str(tmp_path / "runs")))))
    lines = [line for line in printed.splitlines() if line.startswith("warning: train.model = ")]
    assert len(lines) == bool(words)
    for word in words:
        assert word in lines[0]
