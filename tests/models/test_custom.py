import hashlib
import itertools
import sys

import pytest
import torch

from raysweep.errors import UserError
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.models.source import model_source_digest

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
    assert model_source_digest(f"{name}:make") == expected
    assert model_source_digest("vgg16") is None
    with pytest.raises(UserError, match="no source file"):
        model_source_digest("itertools:count")


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
