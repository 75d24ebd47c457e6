import hashlib
import itertools
import sys

import pytest
import torch
from torch import nn

from raysweep.errors import UserError
from raysweep.models.build import build
from raysweep.models.compiled import uncompiled
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.registry import OwnFunction
from tests.symmetry.checks import traced

NUMBERS = itertools.count()
HEAD = "import math\nimport torch\nfrom torch import nn\n"
GOOD = """
def make(shape, classes, width):
    features = math.prod(shape)
    return nn.Sequential(nn.Flatten(), nn.Linear(features, width), nn.ReLU(), nn.Linear(width, classes))
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module into the current directory and return its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def module(text, head=HEAD):
        name = f"custom_networks_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(head + text)
        return name

    return module


def config(model, depth=None):
    return ModelConfig(model, 6, depth, "none", (1, 8, 8), 10)


def test_only_the_named_arguments_are_given(write):
    model = build(config(f"{write(GOOD)}:make", depth=2))
    assert model(torch.zeros(4, 1, 8, 8)).shape == (4, 10)
    assert model.training


def test_all_arguments_are_given_where_any_are_taken(write):
    text = (
        GOOD
        + "def other(**settings):\n    SEEN.update(settings)\n    return make((1, 8, 8), 10, 3)\nSEEN = {}\n"
    )
    name = write(text)
    build(config(f"{name}:other", depth=2))
    seen = sys.modules[name].SEEN
    assert seen == {"shape": (1, 8, 8), "classes": 10, "width": 6, "depth": 2, "norm": "none"}


def test_depth_is_left_out_when_it_is_not_given(write):
    text = (
        "def make(depth=4):\n    return nn.Sequential(nn.Flatten(), *[nn.ReLU()] * depth, nn.Linear(64, 10))"
    )
    assert len(build(config(f"{write(text)}:make"))) == 6


def test_own_initialisation_depends_on_the_seed(write):
    model = config(f"{write(GOOD)}:make")
    one, same, other = (initialised(model, "own", seed)[1].weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("text", "function", "message"),
    [
        ("", "make", "has no 'make'"),
        ("make = 3", "make", "make is not callable but of type int"),
        ("import no_such_package", "make", "importing .* fails: ModuleNotFoundError"),
        ("def make(units):\n    pass", "make", "fails: TypeError: .*'units'"),
        ("def make(width):\n    raise RuntimeError('too wide')", "make", "fails: RuntimeError: too wide"),
        ("def make():\n    return 3", "make", "returns int, not a torch.nn.Module"),
        (
            "def make():\n    return nn.Linear(3, 3)",
            "make",
            r"fails on images of shape \(1, 8, 8\): RuntimeError",
        ),
        ("def make():\n    return nn.Flatten()", "make", r"output is \(2, 64\), expected .* \(2, 10\)"),
        ("", "", "write module:function"),
    ],
)
def test_errors_name_the_model_and_the_reason(write, text, function, message):
    model = f"{write(text)}:{function}"
    with pytest.raises(UserError, match=message) as raised:
        build(config(model))
    assert repr(model) in str(raised.value)


def test_missing_module_is_named():
    with pytest.raises(UserError, match="no module 'no_such_networks'"):
        build(config("no_such_networks:make"))
    with pytest.raises(UserError, match=r"module 'no_such_package.networks' cannot be imported"):
        build(config("no_such_package.networks:make"))


def test_source_digest_is_that_of_the_file(write, tmp_path):
    name = write("1 / 0")  # finding the file does not run it
    expected = hashlib.sha256((tmp_path / f"{name}.py").read_bytes()).hexdigest()
    assert OwnFunction("model", f"{name}:make").digest() == expected
    with pytest.raises(UserError, match="no source file"):
        OwnFunction("model", "itertools:count").digest()


def network(constructor, forward="self.head(images.flatten(1))", imports=""):
    return f"""
{imports}
class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 10)
        {constructor}

    def forward(self, images):
        return {forward}

def make():
    return Own()
"""


@pytest.mark.parametrize("kind", ["GRU", "LSTM", "RNN"])
def test_recurrent_layers_hold_nothing_beside_their_state(write, kind):
    text = network(
        f"self.rows = nn.{kind}(8, 10, batch_first=True)",
        "self.head(images.flatten(1)) + self.rows(images.squeeze(1))[0][:, -1]",
    )
    model = build(config(f"{write(text)}:make"))
    assert model.rows.all_weights


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (network("self.mask = torch.rand(10) < 0.5"), "mask is drawn anew for every network"),
        (network("self.scale = float(torch.rand(()))"), "scale is drawn anew for every network"),
        (network("self.table = {'a': [torch.rand(3)]}"), "table is drawn anew for every network"),
        (
            network("self.register_buffer('mask', torch.rand(10), persistent=False)"),
            "mask is drawn anew for every network",
        ),
        (
            network("self.head.weight.data.uniform_(0, os.urandom(1)[0] / 255 + 1e-3)", imports="import os"),
            "two calls under one seed differ in head.weight",
        ),
        (
            network("pass", "self.head(images.flatten(1) - images.flatten(1).mean(0))"),
            "its outputs for an example depend on the other examples of the batch",
        ),
        (
            network("pass", "self.head(images.sub_(1).flatten(1))"),
            "it writes into the images that it is given",
        ),
    ],
)
def test_what_no_checkpoint_holds_and_what_is_no_function_of_an_example(write, text, message):
    with pytest.raises(UserError, match=message):
        build(config(f"{write(text)}:make"))


def test_a_constructor_may_draw_from_every_global_generator(write):
    """Numpy's and Python's are seeded too, so that an id stands for one initialisation."""
    text = network(
        "self.head.weight.data.mul_(np.random.rand() + random.random())",
        imports="import random\nimport numpy as np",
    )
    model = config(f"{write(text)}:make")
    one, same, other = (initialised(model, "own", seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


class Called(nn.Module):
    """Calls a function."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.function = nn.Linear(4, 4), function

    def forward(self, input):
        return self.function(self.layer(input))


@pytest.mark.slow
def test_compiled_modules_are_taken_out():
    """As a whole, in part and in place; a network without them stays what it is."""
    inner = nn.Sequential(nn.Linear(4, 4), torch.compile(nn.Linear(4, 4)))
    inner[0].compile()
    names = ["0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias"]
    model = uncompiled(torch.compile(nn.Sequential(torch.compile(inner), nn.ReLU())))
    assert list(model.state_dict()) == names
    assert not any("Optimized" in type(module).__name__ for module in model.modules())
    assert list(traced(model, (4,)).sizes.values()) == [4]
    assert uncompiled(model) is model


@pytest.mark.slow  # importing the compiler takes seconds
def test_compiled_functions_are_refused_by_name():
    with pytest.raises(UserError, match=r"function of module 1 \(Called\) is compiled by torch.compile"):
        uncompiled(nn.Sequential(nn.ReLU(), Called(torch.compile(torch.relu))))
    model = Called(torch.relu)
    model.forward = torch.compile(model.forward)
    with pytest.raises(UserError, match=r"forward of Called is compiled"):
        uncompiled(model)


def test_a_compiled_module_is_traced_under_its_own_names():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 4))
    assert traced(torch.compile(model), (4,)) == traced(model, (4,))


SHARED = """
def make(shape, classes):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, classes))
    {tie}
    return model
"""


@pytest.mark.parametrize(
    ("tie", "shared"),
    [
        ("model[2].weight.data = model[1].weight.data", "1.weight and 2.weight"),
        ("model[2].weight = nn.Parameter(model[1].weight.t())", "1.weight and 2.weight"),
        ("model.register_buffer('begin', model[1].bias.detach())", "(1.bias and begin|begin and 1.bias)"),
    ],
)
def test_memory_that_is_shared_without_a_tie_is_refused(write, tie, shared):
    """A copy of it, or its state read back, would be another network."""
    with pytest.raises(UserError, match=f"{shared} share memory without being one tensor"):
        build(config(f"{write(SHARED.format(tie=tie))}:make"))


def test_a_state_of_other_things_than_tensors_is_refused(write):
    text = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)
    def forward(self, images):
        return self.layer(images.flatten(1))
    def get_extra_state(self):
        return {"epoch": 3}
    def set_extra_state(self, state):
        pass
"""
    with pytest.raises(UserError, match=r"_extra_state in its state dict is of type dict"):
        build(config(f"{write(text)}:Net"))


def test_lazy_layers_take_their_sizes_from_the_images(write):
    text = "def make(classes):\n    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))"
    assert build(config(f"{write(text)}:make"))[1].weight.shape == (10, 64)


def test_a_tie_and_parts_of_one_memory_are_taken(write):
    tie = "model[2].weight = model[1].weight; parts = torch.rand(128).split(64); "
    tie += "model[1].bias, model[2].bias = (nn.Parameter(part) for part in parts)"
    model = build(config(f"{write(SHARED.format(tie=tie))}:make"))
    assert model[2].weight is model[1].weight
    assert model[1].bias.untyped_storage().data_ptr() == model[2].bias.untyped_storage().data_ptr()
