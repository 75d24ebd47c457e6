"""A method of alignment that is added by a function, its options and an entry is seen everywhere."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
ADDED = """
from pydantic import Field
from raysweep.sweep import methods
from raysweep.sweep.method_options import Options

class Novel(Options):
    patience: int = Field(default=3, description="How long it waits.")

entry = methods.Method("added:novel", "Does nothing.", Novel, joint="added:novel")
methods.METHODS.entries["novel"] = entry

def novel(spec, states, seed, *, patience):
    from raysweep.symmetry import Permutation
    assert patience == 4
    return [Permutation.identity(spec.sizes)] * len(states)

def main(root):
    from raysweep.plan.desired import desired
    from raysweep.store.files import Files
    from raysweep.sweep.load import check
    from raysweep.sweep.reference import reference
    from raysweep.tables.rows import alignment_row
    from raysweep.tables.schemas import TABLES
    from tests.work.plans import BASE, carry_out
    from raysweep.store.results import ResultStore

    assert "| `novel.patience` | integer | `3` | How long it waits. |" in reference()
    assert "| `novel` | Does nothing. Aligns pairs, any number at once. |" in reference()
    assert any("novel" in meaning for name, _, meaning in TABLES["alignments"] if name == "method")
    align = {"methods": ["novel"], "novel": {"patience": 4}}
    kinds = {"kinds": ["direct", "joint"]}
    train = {**BASE, "epochs": 1, "replicates": 3, "width": 2}
    wanted = desired(check("file", {"name": "s", "train": train, "align": align, "compare": kinds}))
    assert [job.joint for job in wanted.alignments.values()].count(True) == 1
    carry_out(wanted, Files(root))
    ids = ResultStore(Files(root)).index("alignments").rows().column("id").to_pylist()
    assert set(ids) == set(wanted.alignments)
    (row, *_) = (alignment_row(wanted, job) for job in wanted.alignments.values())
    assert (row["method"], row["options"]) == ("novel", '{"patience":4}')
"""


def test_an_added_method_is_in_schema_docs_plan_tables_and_done(tmp_path):
    (tmp_path / "added.py").write_text(ADDED)
    path = os.pathsep.join([str(tmp_path), str(PROJECT)])
    command = [sys.executable, "-c", f"import added; added.main({str(tmp_path / 'root')!r})"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
