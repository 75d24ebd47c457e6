"""Databases and experiments that are deleted, moved or copied: what MLflow shows is never taken on trust."""

import json
import shutil
import sqlite3
import time
from contextlib import closing

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.store.files import Files
from raysweep.sweep.load import check
from raysweep.tables.failures import Failure
from raysweep.tables.publishing import publish_tables
from raysweep.tables.schemas import schema
from raysweep.tracking import Tracker, tracker
from raysweep.tracking.address import database_uri
from raysweep.tracking.root_id import root_id
from raysweep.tracking.user import user
from tests.tracking.servers import PATIENCE, client_of, copy_database
from tests.work.plans import carry_out, compare_all

pytestmark = pytest.mark.slow

WIDTHS = (4, 8)
TRAIN = {"dataset": "digits", "width": list(WIDTHS), "epochs": 1, "replicates": 2}
MEASURES = ["calibrated_loss", "ensemble", "feature_connectivity"]
RUNS = 1 + 2 * 2 + 2 * 2  # the sweep, its trials, and each width with and without alignment


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    compare = {"kinds": ["unaligned", "direct"], "splits": ["test"], "alphas": 3, "measures": MEASURES}
    wanted = desired(check("test", {"name": "s", "train": TRAIN, "compare": compare}))
    carry_out(wanted, Files(str(root)))
    compare_all(wanted, Files(str(root)))
    copy_database(root / "mlflow.db")
    return wanted, root


@pytest.fixture
def bring(finished, monkeypatch):
    """A function that brings the database of a root up to date; returns what the user is told."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def act(root):
        if not root.exists():
            shutil.copytree(finished[1], root)
        return Tracker(Files(str(root)), finished[0].sweep).finish(root / "sweeps" / "s")

    return act


def shown(root):
    """The runs of the one experiment of the sweep that a root's database shows, by their ids."""
    client = client_of(database_uri(root / "mlflow.db"))
    (experiment,) = [each for each in client.search_experiments() if each.name.startswith("s (")]
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.tags["mlflow.user"] for run in runs} == {user()}
    found = {run.data.tags["raysweep.id"]: run for run in runs}
    assert len(found) == len(runs) == RUNS
    return client, experiment, found


def test_a_root_of_any_name_that_is_moved_and_copied(bring, finished, tmp_path):
    """Everything lies in the root, wherever it is; nothing goes to where it was, or to the original."""
    root, moved, copied = (tmp_path / name for name in ("a?b c%20d#e", "moved", "copied"))
    assert "--backend-store-uri sqlite+pysqlite:///" in bring(root)
    shown(root)
    identity = json.loads((root / "root.json").read_text())["id"]
    shutil.move(root, moved)
    assert "the root was moved or copied" in bring(moved)
    shutil.copytree(moved, copied)
    assert "the root was moved or copied" in bring(copied)
    for place in (moved, copied):
        _, experiment, found = shown(place)
        assert experiment.artifact_location == (place / "mlartifacts").as_uri()
        parent = found["sweep"].info.run_id
        assert (place / "mlartifacts" / parent / "artifacts" / "sweep.yaml").exists()
        assert "the root was" not in bring(place)
    assert {path.name for path in tmp_path.iterdir()} == {"moved", "copied"}
    assert root_id(Files(str(moved))) == identity != root_id(Files(str(copied)))


def test_means_by_width_and_data_sets(bring, finished, tmp_path):
    """The lines have a point for each width, whose value is the mean of the table; told again, no more."""
    root = tmp_path / "root"
    bring(root)
    client, _, found = shown(root)
    parent = found["sweep"].info.run_id
    line = client.get_metric_history(parent, "test error by width/direct weight_matching")
    assert [each.step for each in line] == list(WIDTHS)
    settings = {
        run.data.params["width"]: run for key, run in found.items() if key.endswith("weight_matching")
    }
    means = [settings[str(width)].data.metrics["test/pair_direct/error"] for width in WIDTHS]
    assert [each.value for each in line] == means
    assert "test loss by width/unaligned" in found["sweep"].data.metrics
    inputs = {run.inputs.dataset_inputs[0].dataset.name for run in found.values()}
    assert inputs == {"digits"}
    (root / "sweeps/s/tracking.json").write_text("{damaged")
    bring(root)
    assert client.get_metric_history(parent, line[0].key) == line


def test_measures_are_metrics_beside_the_barriers(bring, finished, tmp_path):
    """Each is a mean of the table, in the runs of its barriers; one that is measured later joins them."""
    root = tmp_path / "root"
    tables = finished[1] / "sweeps" / "s"
    shutil.copytree(finished[1], root)
    for path in (root / "sweeps/s/measures").iterdir():
        pd.read_parquet(path).iloc[:0].to_parquet(path)
    bring(root)
    before = shown(root)[2]
    shutil.copytree(tables / "measures", root / "sweeps/s/measures", dirs_exist_ok=True)
    bring(root)
    after = shown(root)[2]
    barriers = pd.read_parquet(tables / "barriers").set_index("barrier_id")
    measured = pd.read_parquet(tables / "measures").join(barriers[["group", "kind", "method"]], "barrier_id")
    expected = {key: dict(run.data.metrics) for key, run in before.items()}
    columns = [measured.group, measured.method.fillna("unaligned"), measured.kind]
    for (group, method, kind, *parts), rows in measured.groupby(
        [*columns, "measure", measured.part.fillna("")]
    ):
        name = "/".join(filter(None, (f"test/pair_{kind}", *parts)))
        for column, end in (("largest_excess", ""), ("centre_excess", "_centre")):
            expected[f"group {group} {method}"][f"{name}{end}"] = rows[column].mean()
            expected[f"group {group} {method}"][f"{name}{end}_std"] = rows[column].std(ddof=0)
    assert {key: run.data.metrics for key, run in after.items()} == expected
    direct = next(run for key, run in after.items() if key.endswith("weight_matching")).data.metrics
    assert {"test/pair_direct/calibrated_loss", "test/pair_direct/ensemble/loss_centre"} <= direct.keys()


def test_an_experiment_that_somebody_renames_goes_on(bring, tmp_path):
    """Also when it is deleted and restored; in a root that is moved it is set aside like any other."""
    root, moved = tmp_path / "root", tmp_path / "moved"
    bring(root)
    client, experiment, found = shown(root)
    client.rename_experiment(experiment.experiment_id, "s (of mine)")
    (root / "sweeps/s/tracking.json").unlink()
    bring(root)
    _, renamed, same = shown(root)
    assert (renamed.experiment_id, renamed.name) == (experiment.experiment_id, "s (of mine)")
    assert {run.info.run_id for run in same.values()} == {run.info.run_id for run in found.values()}
    client.delete_experiment(experiment.experiment_id)
    assert "had been deleted in MLflow and is restored" in bring(root)
    shutil.move(root, moved)
    assert "the root was moved or copied" in bring(moved)
    assert shown(moved)[1].artifact_location == (moved / "mlartifacts").as_uri()


def test_what_is_deleted_in_mlflow_is_restored_or_logged_again(bring, tmp_path):
    root = tmp_path / "root"
    bring(root)
    client, experiment, found = shown(root)
    client.delete_experiment(experiment.experiment_id)
    assert "had been deleted in MLflow and is restored" in bring(root)
    assert shown(root)[1].experiment_id == experiment.experiment_id
    kinds = {identity.partition(" ")[0]: run.info.run_id for identity, run in found.items()}
    assert len(kinds) == 3  # the sweep, a trial and a setting
    for run in kinds.values():
        client.delete_run(run)
        bring(root)
        assert shown(root)[2].keys() == found.keys()
        assert client.get_run(run).info.lifecycle_stage == "active"
    children = [run for identity, run in shown(root)[2].items() if identity != "sweep"]
    parent = kinds["sweep"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent}
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:  # as `mlflow gc` does
        for table in ("latest_metrics", "metrics", "tags", "params", "runs"):
            database.execute(f"delete from {table} where run_uuid = ?", (parent,))
    bring(root)
    after = shown(root)[2]
    parent = after.pop("sweep").info.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in after.values()} == {parent} != {kinds["sweep"]}
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        database.executescript("; ".join(f"delete from {table}" for table in ("latest_metrics", "metrics")))
        database.execute("delete from runs")
    bring(root)
    shown(root)


def test_passes_while_the_sweep_runs_tell_nothing_twice(bring, finished, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(finished[1], root)
    files = Files(str(root))
    several = Tracker(files, finished[0].sweep)
    for _ in range(3):
        several.update()
    several.finish(root / "sweeps" / "s")
    client, _, found = shown(root)
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    for key, run in found.items():
        for metric in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, metric)
            assert len({each.step for each in history}) == len(history), (key, metric)


def test_what_was_trained_and_measured_again_is_logged_again(bring, finished, tmp_path):
    """To other values, one of which is not finite; runs of the other trials get nothing new."""
    root = tmp_path / "root"
    bring(root)
    trial, *others = finished[0].trials
    for path in (root / "sweeps/s/metrics").iterdir():
        rows = pd.read_parquet(path)
        again = rows.trial_id == trial
        rows.assign(loss=rows.loss + again, time=rows.time + 3600 * again).to_parquet(path)
    for path in (root / "sweeps/s/barriers").iterdir():
        rows = pd.read_parquet(path).assign(loss_barrier=float("nan"))
        pq.write_table(pa.Table.from_pandas(rows, schema("barriers"), preserve_index=False), path)
    metrics = pd.read_parquet(root / "sweeps/s/metrics").query("split == 'test'").sort_values("step")
    assert "not up to date" not in bring(root)
    client, _, found = shown(root)
    last = metrics.groupby("trial_id").loss.last()
    for each in (trial, *others):
        run = found[f"trial {each}"]
        assert run.data.metrics["test_loss"] == last[each]
        history = client.get_metric_history(run.info.run_id, "test_loss")
        steps = {one.step for one in history}
        assert len(history) == len(steps) * (2 if each == trial else 1)


def test_an_extended_sweep_names_its_runs_anew_and_shows_what_failed(bring, finished, tmp_path):
    """Runs that somebody has named keep their names, and a trial that succeeds later is a failure no more."""
    root, files = tmp_path / "root", Files(str(tmp_path / "root"))
    bring(root)
    client, experiment, found = shown(root)
    kept, *others = (f"trial {trial}" for trial in finished[0].trials)
    client.set_tag(found[kept].info.run_id, "mlflow.runName", "mine")
    (usual,) = {trial.training.learning_rate for trial in finished[0].trials.values()}
    wanted = desired(
        check("test", {"name": "s", "train": {**TRAIN, "learning_rate": [usual, 0.0123]}, "tracking": {}})
    )
    failing = next(key for key, trial in wanted.trials.items() if trial.training.learning_rate == 0.0123)

    def runs(failures):
        publish_tables(files, wanted, done(wanted, files), failures)
        Tracker(files, wanted.sweep).finish(root / "sweeps" / "s")
        there = client.search_runs([experiment.experiment_id])
        return {run.data.tags["raysweep.id"]: run for run in there}

    now = runs([Failure(failing, "trial", "Traceback\nOops: it diverged", 1, "here")])
    assert now[kept].info.run_name == "mine"
    failed = now[f"trial {failing}"]
    assert (failed.info.status, failed.data.params["learning_rate"]) == ("FAILED", "0.0123")
    assert "Oops: it diverged" in failed.data.tags["mlflow.note.content"]
    assert "learning rate" not in now[others[0]].info.run_name
    carry_out(wanted, files)
    now = runs([])
    assert now[f"trial {failing}"].info.status == "FINISHED"
    assert "Oops" not in now[f"trial {failing}"].data.tags["mlflow.note.content"]
    assert now[kept].info.run_name == "mine"
    for each in others:
        assert f"learning rate {usual:g}" in now[each].info.run_name


def test_the_sweep_has_the_status_of_its_run(bring, finished, tmp_path, monkeypatch):
    """It runs again as soon as there is work, and ends as the run does, also where no table has changed."""
    monkeypatch.setattr(tracker, "STOP", 60.0)
    root = tmp_path / "root"
    bring(root)

    def status():
        return shown(root)[2]["sweep"].info.status

    def of_root():
        return Tracker(Files(str(root)), finished[0].sweep)

    def wait_for(expected):
        deadline = time.monotonic() + PATIENCE
        while status() != expected:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def work_until(error):
        with of_root().at_work():
            wait_for("RUNNING")
            raise error

    assert status() == "FINISHED"
    of_root().finish(root / "sweeps" / "s", "FAILED")
    assert status() == "FAILED"
    for error, expected in ((KeyboardInterrupt, "KILLED"), (OSError, "FAILED")):
        with pytest.raises(error):
            work_until(error)
        assert status() == expected
        bring(root)
        assert status() == "FINISHED"
    of_root().update()
    wait_for("RUNNING")


def test_artifacts_that_cannot_be_stored_keep_back_nothing_else(bring, tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    def refuse(*_):
        raise OSError("no such bucket")

    root = tmp_path / "root"
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_artifact", refuse)
        assert "no such bucket" in bring(root)
    client, _, found = shown(root)
    parent = found["sweep"]
    assert parent.info.status == "FINISHED"
    assert "test loss by width/unaligned" in parent.data.metrics
    assert client.list_artifacts(parent.info.run_id) == []
    assert "not up to date" not in bring(root)
    assert [each.path for each in client.list_artifacts(parent.info.run_id)] == ["sweep.yaml"]


def test_no_run_ends_before_it_begins(bring, tmp_path):
    """Neither one whose last rows the tables lack by now."""
    root = tmp_path / "root"
    bring(root)
    for table, column in (("metrics", "loss"), ("barriers", "loss_barrier")):
        for path in (root / "sweeps/s" / table).iterdir():
            rows = pd.read_parquet(path)
            rows[column] += 1
            if table == "metrics":
                rows["time"] -= 3600
            pq.write_table(pa.Table.from_pandas(rows, schema(table), preserve_index=False), path)
    assert "not up to date" not in bring(root)
    for run in shown(root)[2].values():
        assert run.info.start_time <= run.info.end_time


def test_other_options_and_fewer_rows_have_runs_of_their_own(bring, finished, tmp_path):
    """No run has numbers of two versions of the sweep; those of the present one are current."""
    root = tmp_path / "root"
    bring(root)
    client, experiment, found = shown(root)
    first = {run.info.run_id for run in found.values()}
    parameters = next(run for key, run in found.items() if key.endswith("weight_matching")).data.params
    assert (parameters["with compare.alphas"], parameters["with align.seed"]) == ("3", "0")
    assert parameters["with align.weight_matching.kernel"] == "linear"

    def change(table, act):
        for path in (root / "sweeps/s" / table).iterdir():
            rows = act(pd.read_parquet(path))
            pq.write_table(pa.Table.from_pandas(rows, schema(table), preserve_index=False), path)

    def brought():
        """Bring the tables; returns the present runs and those of earlier versions, by their ids."""
        assert "not up to date" not in bring(root)
        runs = client.search_runs([experiment.experiment_id])
        present = client.search_runs([experiment.experiment_id], "tags.`raysweep.current` = 'true'")
        assert len({run.data.tags["raysweep.id"] for run in runs}) == len(runs)
        earlier = {run.info.run_id for run in runs if run.info.run_name.startswith("earlier: ")}
        present = {run.info.run_id: run for run in present}
        assert earlier == {run.info.run_id for run in runs} - present.keys()
        return present, earlier

    def restore():
        shutil.copytree(finished[1] / "sweeps", root / "sweeps", dirs_exist_ok=True)

    change("barriers", lambda rows: rows.assign(loss_barrier=rows.loss_barrier + 1, alphas=5))
    present, earlier = brought()
    settings = {key for key, run in present.items() if "method" in run.data.params}
    assert {present[key].data.params["with compare.alphas"] for key in settings} == {"5"}
    assert (len(present), len(earlier), len(settings)) == (RUNS, 4, 4)
    assert earlier < first
    restore()
    present, earlier = brought()
    assert (present.keys(), earlier) == (first, settings)
    narrow = {key for key, trial in finished[0].trials.items() if trial.training.width == 4}
    change("measures", lambda rows: rows.iloc[:0])
    change("barriers", lambda rows: rows[rows.width == 4])
    for table in ("trials", "metrics"):
        change(table, lambda rows: rows[rows.trial_id.isin(narrow)])
    present, _ = brought()
    assert len(present) == 1 + 2 + 2
    assert not any("ensemble" in metric for run in present.values() for metric in run.data.metrics)
    restore()
    present, _ = brought()
    assert len(present) == RUNS
    assert len(present.keys() & first) == RUNS - 2  # the two new ones have got the measures
    values = [run.data.metrics for run in found.values()]
    assert all(run.data.metrics in values for run in present.values())
