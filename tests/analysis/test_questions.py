"""The questions of analysis/README.md mix nothing, whatever a sweep varies."""

import contextlib
import io
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.analysis.planned import LEAST, planned

README = (Path(__file__).parent.parent.parent / "analysis" / "README.md").read_text()
TABLES = README[README.index("## The tables") : README.index("## Weights and permutations")]
BLOCKS = re.findall(r"```python\n(.*?)```", TABLES, re.S)
SWEPT = {"width": [4, 8], "norm": ["none", "batch"], "learning_rate": [0.05, 0.1]}
BOTH = {"align": {"methods": ["weight_matching", "activation_matching"]}}
SWEEPS = {
    "quickstart": (
        {},
        {"compare": {"kinds": ["unaligned", "direct", "via", "joint"], "joint_networks": [3, 4]}},
    ),
    "weak_digits": ({"spawn_at": [None, "1ep"], "learning_rate": 0.1}, BOTH),
    "trajectory_digits": (
        {"checkpoints": ["1ep", "2ep"]},
        {**BOTH, "compare": {"kinds": ["direct"], "trajectory": {}, "splits": ["test"]}},
    ),
    "imp_digits": ({"replicates": 2, "norm": "batch"}, {"prune": {"levels": 2, "rewind": "1ep"}}),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The tables of the sweeps that the questions are asked of, in which more varies; and their numbers."""
    root, numbers = tmp_path_factory.mktemp("root"), set()
    for name, (train, sections) in SWEEPS.items():
        for table, rows in planned({**SWEPT, **train}, **sections).items():
            folder = root / "runs/sweeps" / name / table
            folder.mkdir(parents=True)
            if table == "alignments":
                _layers(rows, folder.parent)
            rows.to_parquet(folder / "0.parquet")
            found = rows.select_dtypes("float").to_numpy().ravel()
            numbers |= {f"{number:.1f}" for number in found if number >= LEAST}
    return root, numbers


def _layers(alignments, folder):
    layers = {"parameter": "one", "before": 0.0, "after": alignments.objective, "displacement": 0.0}
    (folder / "layers").mkdir()
    alignments[["alignment_id"]].assign(**layers).to_parquet(folder / "layers/0.parquet")


def test_every_number_is_that_of_one_kind_of_rows(root, monkeypatch):
    folder, numbers = root
    monkeypatch.chdir(folder)
    text = io.StringIO()
    script = "\n".join(BLOCKS)
    with (
        contextlib.redirect_stdout(text),
        pd.option_context("display.max_rows", None, "display.max_columns", None),
    ):
        exec(compile(script, "README", "exec"), {})
    found = {f"{float(number):.1f}" for number in re.findall(r"\d{5,}\.\d+", text.getvalue())}
    assert len(found) > 100
    assert found <= numbers
