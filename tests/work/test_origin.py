"""A worker refuses data and networks that are not those of the plan."""

import gzip

import pytest

from raysweep.data.load import _load_whole
from raysweep.errors import UserError
from raysweep.plan.desired import desired
from raysweep.sweep.load import check
from raysweep.version import CodeDiffers
from raysweep.work.origin import check_origin
from tests.data.formats import write_mnist

NET = """
from torch import nn

def net(shape, classes, width):
    return nn.Sequential(nn.Flatten(), nn.Linear({size}, width), nn.ReLU(), nn.Linear(width, classes))
"""


def planned(**train):
    base = {"width": 4, "epochs": 1, "batch_size": 5, "replicates": 2}
    return desired(check("test", {"name": "s", "train": base | train}))


@pytest.mark.parametrize("subset", [{}, {"half": 0}, {"half": "replicate"}, {"pixel_seed": 3}])
def test_other_labels_in_the_data_root_of_a_node_are_refused(tmp_path, subset):
    for name in ("driver", "node"):
        write_mnist(tmp_path / name)
    labels = tmp_path / "node" / "train-labels-idx1-ubyte.gz"
    shifted = bytearray(gzip.decompress(labels.read_bytes()))
    shifted[8:] = bytes((label + 1) % 10 for label in shifted[8:])
    labels.write_bytes(gzip.compress(bytes(shifted)))
    wanted = planned(dataset="mnist", data_root=str(tmp_path / "driver"), **subset)
    rest = wanted.sweep.sections.train
    for trial in wanted.trials.values():
        check_origin(trial, rest)
        with pytest.raises(UserError, match="dataset mnist: this node has other images or labels"):
            check_origin(trial, rest.model_copy(update={"data_root": str(tmp_path / "node")}))


def test_another_file_of_the_network_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "origin_nets.py").write_text(NET.format(size=64))
    wanted = planned(dataset="digits", model="origin_nets:net")
    (tmp_path / "origin_nets.py").write_text(NET.format(size=64) + "# changed\n")
    for trial in wanted.trials.values():
        with pytest.raises(CodeDiffers, match="origin_nets:net': the file on this node"):
            check_origin(trial, wanted.sweep.sections.train)


def test_data_that_differ_from_call_to_call_are_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "origin_data.py").write_text(
        "import numpy as np\ndef load():\n"
        "    x, y = np.random.default_rng().random((20, 4)), np.arange(20) % 2\n    return x, y, x, y\n"
    )
    wanted = planned(dataset="origin_data:load")
    _load_whole.cache_clear()  # like a node
    for trial in wanted.trials.values():
        with pytest.raises(
            UserError, match=r"other images or labels .* it must return the same at each call"
        ):
            check_origin(trial, wanted.sweep.sections.train)
