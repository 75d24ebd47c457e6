"""No mean is over rows that differ in a dimension of their table: in no analysis and in no metric of MLflow.

The tables are those of two sweeps that plan everything there is, with two values of every dimension.
"""

import re
import shutil
from importlib import import_module

import pandas as pd
import pytest

from raysweep.tables.schemas import WITHIN, dimensions, schema
from raysweep.tracking.values import barriers as logged
from raysweep.vocabulary import ANALYSES
from tests.analysis.planned import planned

BATCHNORM = {"width": [4, 8], "norm": ["none", "batch"]}
EVERYTHING = {
    "align": {"methods": ["weight_matching", "activation_matching"]},
    "compare": {
        "kinds": ["unaligned", "direct", "via", "joint", "composed"],
        "joint_networks": [3, 4],
        "mean_networks": [2, 3],
        "path_networks": [3, 4],
        "paths": 4,
    },
}
ALONG = {
    "compare": {
        "kinds": ["unaligned", "direct"],
        "trajectory": {"stacks": [2, 3], "hybrids": ["bottom_up", "top_down"]},
        "across": ["widths", "tasks"],
        "precision": "bfloat16",
    },
    "prune": {"levels": 2, "rewind": "1ep", "branches": ["random", "one_shot", "transport"]},
}
CONSTANT = {"model", "dataset", "train_examples", "threads", "device"}  # in one sweep, or in these two


@pytest.fixture(scope="module")
def sweeps():
    along = {**BATCHNORM, "norm": "batch", "pixel_seed": [None, 1], "checkpoints": ["1ep"]}
    return planned(BATCHNORM, **EVERYTHING), planned(along, **ALONG)


@pytest.fixture(scope="module")
def folders(sweeps, tmp_path_factory):
    """The tables of the sweeps in folders."""
    found = [tmp_path_factory.mktemp("sweep") for _ in sweeps]
    for folder, tables in zip(found, sweeps, strict=True):
        for name, table in tables.items():
            table.to_parquet(folder / name)
    return found


def test_every_column_is_a_dimension_or_not():
    for table, within in WITHIN.items():
        assert set(within) <= set(schema(table).names)
        assert set(dimensions(table)).isdisjoint(within)


def test_every_dimension_of_barriers_takes_two_values(sweeps):
    for name in dimensions("barriers"):
        values = pd.concat([each["barriers"][name] for each in sweeps]).map(str).nunique()
        assert (values > 1) == (name not in CONSTANT), name


# The analyses that import `draw` when they draw, and from where.
LATE = {"weak": "figures.pairs", "trajectory": "trajectory.figure", "pruning": "pruning.figure"}


@pytest.mark.parametrize("analysis", ANALYSES)
def test_analyses(folders, analysis, monkeypatch):
    module = import_module(f"analysis.{analysis}")
    drawing = import_module(f"analysis.{LATE.get(analysis, analysis)}")
    monkeypatch.setattr(drawing, "draw", lambda *_: None)  # the numbers are in the text
    found = []
    for folder in folders:
        text = module.analyse(folder)
        found += re.findall(r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]", text)
        found += re.findall(r"([\d.]+) \(([\d.]+) to ([\d.]+), n = ", text)
    assert len(found) >= 20
    assert [ends for ends in found if len(set(ends)) > 1] == []


def test_metrics_of_mlflow(sweeps):
    for tables in sweeps:
        rows = tables["barriers"]
        for _, same in rows.groupby([rows.group, rows.method.fillna("unaligned")]):
            values = {(name, step): value for name, value, _, step in logged(same, 0)}
            assert {value for (name, _), value in values.items() if name.endswith("_std")} == {0.0}
            assert sum(value for (name, _), value in values.items() if name.endswith("/n")) == len(same)


@pytest.mark.parametrize("analysis", sorted({*ANALYSES} - {"tasks", "transport", "weak"}))
def test_what_was_measured_on_the_training_set_alone_is_answered(folders, tmp_path, analysis, monkeypatch):
    folder = folders[analysis in ("narrow_in_wide", "pruning", "trajectory")]
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for name in ("barriers", "measures", "curves"):
        rows = pd.read_parquet(tmp_path / name)
        rows[rows.split == "train"].to_parquet(tmp_path / name)
    module = import_module(f"analysis.{analysis}")
    drawing = import_module(f"analysis.{LATE.get(analysis, analysis)}")
    drawn = []
    monkeypatch.setattr(drawing, "draw", lambda *given: drawn.append(given))
    text = module.analyse(tmp_path)
    assert re.search("train (loss|error|barrier)", text)
    assert not re.search("test (loss|error|barrier)", text.replace("test error of the networks", ""))
    assert drawn[0][-1] == "train"
