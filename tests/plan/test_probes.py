"""What a plan knows of data and networks is kept, and found out again when what it is about changes."""

import json

import pytest

from raysweep.data.config import DataConfig
from raysweep.data.load import _load_whole
from raysweep.models.config import ModelConfig
from raysweep.plan import probes
from raysweep.plan.layer_groups import group_sizes
from raysweep.store.disk_cache import facts_folder
from tests.data.formats import write_mnist

MLP = ModelConfig("mlp", 8, 3, "none", (1, 8, 8), 10)


def forget():
    """Like a new process."""
    for kept in (probes.data_facts, _load_whole, probes.model_size, probes.layer_sizes, group_sizes):
        kept.cache_clear()


@pytest.fixture(autouse=True)
def _own_memo(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_CACHE", str(tmp_path / "cache"))
    forget()
    yield
    forget()


def all_facts():
    found = probes.model_size(MLP), probes.layer_sizes(MLP), group_sizes(MLP)
    forget()
    return found


def test_what_is_kept_is_what_was_found(monkeypatch):
    first = all_facts()
    monkeypatch.setattr("raysweep.models.build.build", None)  # nothing is built again
    assert all_facts() == first
    assert [list(sizes) for sizes in all_facts()[1:]] == [list(sizes) for sizes in first[1:]]  # the order too


@pytest.mark.parametrize("content", ["", "{", "[]", '{"question": 0, "answer": [1, 1]}'])
def test_a_damaged_memo_is_no_answer(content):
    first = all_facts()
    for path in facts_folder().iterdir():
        path.write_text(content)
    assert all_facts() == first
    assert all(json.loads(path.read_text()) for path in facts_folder().iterdir())


def test_other_files_are_another_data_set(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    write_mnist(folder, counts=(20, 5))
    first = probes.data_facts(DataConfig("mnist"), str(tmp_path), False)
    forget()
    assert probes.data_facts(DataConfig("mnist"), str(tmp_path), False) == first
    forget()
    write_mnist(folder, counts=(30, 5))
    second = probes.data_facts(DataConfig("mnist"), str(tmp_path), False)
    assert second.train_examples == 30
    assert second.digest != first.digest
    forget()
    assert probes.data_facts(DataConfig("mnist", half=0), str(tmp_path), False).train_examples == 15


def test_of_a_users_own_network_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_network.py").write_text(
        "from torch import nn\ndef build(shape, classes, width):\n    return nn.Sequential(nn.Flatten(),"
        " nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))\n"
    )
    probes.model_size(ModelConfig("own_network:build", 8, None, "none", (1, 8, 8), 10))
    assert not facts_folder().exists()
