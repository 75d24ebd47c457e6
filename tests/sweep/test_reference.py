"""sweeps/README.md: every key is there as the schema has it, and the example of a network builds."""

import importlib
import re
import sys
from pathlib import Path

from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.sweep.branches import BRANCHES
from raysweep.sweep.compare import Compare
from raysweep.sweep.load import check
from raysweep.sweep.reference import reference
from tests.readmes import marked

README = (Path(__file__).parent.parent.parent / "sweeps" / "README.md").read_text()


def test_the_keys_are_as_documented():
    assert README.endswith(reference().rstrip() + "\n")


def test_every_key_has_a_meaning():
    rows = re.findall(r"^\| `(\S+)` \| (.*) \| (.*) \| (.*) \|$", reference(), re.M)
    assert len(rows) > 80
    assert {key for key, _, _, meaning in rows if not meaning} == set()


def test_the_documented_defaults_are_those_of_an_empty_file():
    whole = check("file", {"name": "s", "train": {"dataset": "digits", "width": 4, "epochs": 1}})
    assert whole.sections.compare == Compare()
    rows = dict(re.findall(r"^\| `(\S+)` \| .* \| `?(.*?)`? \| .* \|$", reference(), re.M))
    assert rows["kinds"] == "[unaligned, direct, via]"
    assert rows["tile_seconds"] == "2"
    assert rows["levels"] == "required"


def test_branches_and_kinds_are_explained():
    kinds = Compare.model_json_schema(mode="serialization")["properties"]["kinds"]["items"]["enum"]
    for name in (*BRANCHES, *kinds):
        assert f"| `{name}` |" in README, name


def test_the_example_of_a_network_builds(tmp_path, monkeypatch):
    block = marked("sweeps", "own network").text
    name, model = re.findall(r"# (\S+)\.py, .* train\.model: (\S+)", block)[0]
    (tmp_path / f"{name}.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    assert build(ModelConfig(model, 7, None, "none", (1, 8, 8), 10))
    monkeypatch.delitem(sys.modules, name)
