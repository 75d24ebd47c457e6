"""Jobs that can never be computed, in a whole run: the others are, and the next run tries again."""

import pandas as pd
import ray
import yaml

from raysweep.cluster.capacity import name_of
from raysweep.plan.desired import desired
from raysweep.store.files import Files
from raysweep.sweep.load import load_sweep
from tests.cluster import poison
from tests.faults import ATTEMPTS
from tests.inside import carried_out, here
from tests.test_run import same, tables
from tests.work.plans import carry_out

WIDTHS = {"raise": 3, "hang": 4, "kill": 5}  # and 2, of which nothing is wrong
SAID = {
    "raise": "this width cannot be computed",
    "hang": "took longer than resources.unit_seconds = 8",
    "kill": "ActorDiedError",
}
SWEEP = {
    "name": "tiny",
    "train": {
        "dataset": "digits",
        "model": "tests.cluster.poison:net",
        "width": [2, *WIDTHS.values()],
        "epochs": 1,
        "batch_size": 256,
        "replicates": 2,
    },
    "compare": {"kinds": ["direct"], "splits": ["test"], "alphas": 3},
    "resources": {"workers": 2, "unit_seconds": 8},
    "analyses": [],
    "tracking": {"enabled": False},
}


def test_jobs_that_raise_hang_or_kill_their_process(session, tmp_path):
    path, root = tmp_path / "tiny.yaml", tmp_path / "root"
    path.write_text(yaml.safe_dump(SWEEP))
    for action, width in WIDTHS.items():
        poison.switch("AlignWorker", width, action)
    carry_out(desired(load_sweep(str(path))), Files(str(root)), align=False)  # nothing is wrong with trials
    here("run", path, "--root", root, code=1)
    rows = pd.read_parquet(root / "sweeps/tiny/failures")
    failed, blocked = rows[rows.attempts > 0], rows[rows.attempts == 0].set_index("what")
    assert len(failed) == len(SAID)
    assert set(failed.node) == {name_of(ray.nodes()[0]["NodeID"])}
    for action, words in SAID.items():
        (attempts,) = failed[failed.error.str.contains(words)].attempts
        assert attempts == ATTEMPTS[action]
    assert set(blocked.index) == {"barrier"}
    assert set(blocked.error) == {
        f"not started: it requires alignment {alignment}, which failed" for alignment in failed.id
    }
    assert set(pd.read_parquet(root / "sweeps/tiny/barriers").width) == {2}
    poison.reset()
    here("run", path, "--root", root, "--set", "resources.workers=1")
    assert same(tables(root), tables(carried_out(path, tmp_path / "calm")))
