"""The curve of a trial in training: MLflow shows each of its points once, whatever happens to the run."""

import shutil
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.recording import record_sweep
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.tables.failures import Failure
from raysweep.tables.publishing import publish_tables
from raysweep.tables.rows import metric_rows
from raysweep.tracking.address import database_uri
from tests.tracking.servers import client_of, copy_database
from tests.work.plans import carry_out, compare_all

pytestmark = pytest.mark.slow

METRICS = [f"{split}_{risk}" for split in ("train", "test") for risk in ("loss", "error")]


class Sweep:
    """A sweep of two trials with its tables before and after training, and the rows of their curves."""

    def __init__(self, root):
        train = {"dataset": "digits", "width": 4, "epochs": 4, "replicates": 2}
        compare = {"kinds": ["unaligned"], "splits": ["test"], "alphas": 3}
        self.wanted, files = (
            desired(check("test", {"name": "s", "train": train, "compare": compare})),
            Files(root),
        )
        record_sweep(files, self.wanted)
        publish_tables(files, self.wanted, done(self.wanted, files), [])
        self.began = shutil.copytree(f"{root}/sweeps/s", f"{root}/began")
        carry_out(self.wanted, files)
        compare_all(self.wanted, files)
        self.ended = f"{root}/sweeps/s"
        found = {trial_id: TrialStore(files).record(trial_id, 0) for trial_id in self.wanted.trials}
        self.curves = {trial_id: metric_rows(trial_id, 0, record) for trial_id, record in found.items()}

    def rows(self, epochs, trials=None, **changed):
        """What trials have evaluated until some epoch."""
        chosen = self.curves if trials is None else trials
        rows = [row for trial_id in chosen for row in self.curves[trial_id] if row["epoch"] <= epochs]
        return [{**row, **{key: act(row[key]) for key, act in changed.items()}} for row in rows]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return Sweep(str(tmp_path_factory.mktemp("sweep")))


class Shown:
    """A database, to which a driver logs that may be replaced by another one."""

    def __init__(self, root, wanted):
        copy_database(root / "mlflow.db")
        self.uri, self.root, self._wanted = database_uri(root / "mlflow.db"), str(root), wanted
        self.client = client_of(self.uri)
        self.driver()

    def driver(self):
        """Start a driver; the one before it is gone."""
        from raysweep.tracking.log import Log  # which takes seconds

        self._log = Log(Files(self.root), self._wanted.sweep, self.uri)
        self._log.begin()
        return self._log

    def log(self, folder, **more):
        self._log.everything(Path(folder), **more)

    def trials(self):
        """The run of each trial."""
        runs = self.client.search_runs([self._log.experiment])
        found = [(run.data.tags["raysweep.id"].partition(" "), run) for run in runs]
        named = {trial_id: run for (kind, _, trial_id), run in found if kind == "trial"}
        assert len(named) == sum(kind == "trial" for (kind, _, _), _ in found)
        assert {run.data.tags["raysweep.current"] for run in named.values()} <= {"true"}
        return named

    def statuses(self):
        return {run.info.status for run in self.trials().values()}

    def points(self):
        """The points of all curves, as rows of the table have them."""
        found = []
        for trial_id, run in self.trials().items():
            for name in METRICS:
                history = self.client.get_metric_history(run.info.run_id, name)
                found += [(trial_id, name, each.step, each.value, each.timestamp) for each in history]
        return sorted(found)


@pytest.fixture
def shown(sweep, tmp_path):
    return Shown(tmp_path, sweep.wanted)


def points(rows):
    return sorted(
        (row["trial_id"], f"{row['split']}_{risk}", row["step"], row[risk], int(row["time"] * 1000))
        for row in rows
        for risk in ("loss", "error")
    )


def told(run):
    """All that a run says at its end."""
    tags = {key: value for key, value in run.data.tags.items() if key != "mlflow.parentRunId"}
    times = run.info.status, run.info.start_time, run.info.end_time
    return times, tags, run.data.params, run.data.metrics, run.inputs.dataset_inputs[0].dataset.name


def test_each_point_is_shown_once_and_the_end_is_that_of_a_trial_that_nobody_watched(sweep, shown, tmp_path):
    shown.log(sweep.began, curves=sweep.rows(1))
    begun = shown.trials()
    assert shown.points() == points(sweep.rows(1))
    assert shown.statuses() == {"RUNNING"}
    shown.log(sweep.began, curves=sweep.rows(2))
    shown.log(sweep.began, curves=sweep.rows(2))
    assert shown.points() == points(sweep.rows(2))
    shown.driver()  # the first was killed, and its trials go on from where they were
    shown.log(sweep.began)
    assert shown.points() == points(sweep.rows(2))
    shown.log(sweep.began, curves=sweep.rows(3, time=lambda time: time + 60))
    assert {each[:4] for each in shown.points()} == {each[:4] for each in points(sweep.rows(3))}
    assert len(shown.points()) == len(points(sweep.rows(3)))
    assert set(points(sweep.rows(2))) < set(shown.points())
    shown.driver()
    shown.log(sweep.ended, status="FINISHED")
    assert [each[:4] for each in shown.points()] == [each[:4] for each in points(sweep.rows(4))]

    unwatched = tmp_path / "unwatched"
    unwatched.mkdir()
    other = Shown(unwatched, sweep.wanted)
    other.log(sweep.ended, status="FINISHED")
    ends = {trial_id: told(run) for trial_id, run in shown.trials().items()}
    assert ends == {trial_id: told(run) for trial_id, run in other.trials().items()}
    for trial_id, run in begun.items():
        assert run.info.run_name == other.trials()[trial_id].info.run_name
        assert run.data.params.items() < other.trials()[trial_id].data.params.items()
        assert run.data.params["width"] == "4"


def test_a_trial_that_is_interrupted_or_fails_keeps_its_curve(sweep, shown, tmp_path):
    failing, other = sweep.wanted.trials
    shown.log(sweep.began, curves=sweep.rows(2))
    shown.driver().end("KILLED")
    assert shown.statuses() == {"KILLED"}
    shown.driver()
    shown.log(sweep.began, curves=sweep.rows(2, [failing]))
    assert {key: run.info.status for key, run in shown.trials().items()} == {
        failing: "RUNNING",
        other: "KILLED",
    }
    failed = shutil.copytree(sweep.began, tmp_path / "failed")
    failures = pa.Table.from_pylist([asdict(Failure(failing, "trial", "an error", 1, "node"))])
    (path,) = (failed / "failures").iterdir()
    pq.write_table(failures.cast(pq.read_schema(path)), path)
    shown.log(failed)
    run = shown.trials()[failing]
    assert (run.info.status, run.data.tags["mlflow.note.content"]) == ("FAILED", "```\nan error\n```")
    assert shown.points() == points(sweep.rows(2))
    shown.driver()  # which tries it again
    shown.log(sweep.began, curves=sweep.rows(3, [failing]))
    run = shown.trials()[failing]
    assert (run.info.status, run.data.tags["mlflow.note.content"]) == ("RUNNING", "")
    shown.log(sweep.began, status="FAILED")
    assert shown.statuses() == {"KILLED"}
    assert shown.points() == points(sweep.rows(3, [failing]) + sweep.rows(2, [other]))


def test_a_chain_is_at_work_while_its_next_level_is_trained(sweep, shown):
    """Rows of a level that the tables have say nothing new."""
    shown.log(sweep.ended, curves=sweep.rows(2))
    assert shown.statuses() == {"FINISHED"}
    chain, other = sweep.wanted.trials
    shown.log(sweep.ended, curves=sweep.rows(2, [chain], level=lambda _: 1))
    found = shown.trials()
    assert (found[chain].info.status, found[other].info.status) == ("RUNNING", "FINISHED")
    history = shown.client.get_metric_history(found[chain].info.run_id, "level_01/test_loss")
    expected = pd.DataFrame(sweep.rows(2, [chain])).query("split == 'test'")
    assert [(each.step, each.value) for each in history] == [*zip(expected.step, expected.loss, strict=True)]
