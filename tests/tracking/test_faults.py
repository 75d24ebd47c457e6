"""A tracking server that dies, refuses or loses answers: nothing is lost, and nothing is logged twice."""

import queue
import shutil
import sqlite3
from dataclasses import replace

import pandas as pd
import pytest

from raysweep.plan.desired import desired
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.tracking import Tracker
from raysweep.tracking.root_id import root_id
from tests.faults import REQUESTS, WRITES
from tests.store.faulty import Faults, faulty_server
from tests.tracking.servers import PATIENCE, client_of, copy_database, free_port, mlflow_server
from tests.work.plans import carry_out, compare_all, each_change, killed_before

pytestmark = pytest.mark.slow

OF_RUNS = ("latest_metrics", "metrics", "params", "tags", "runs", "experiment_tags")  # tables of MLflow's
LATER = "the next run logs what is missing"


class Dies:
    """A server that dies just before its nth request that changes something, or only counts them."""

    def __init__(self):
        self.lives()

    def lives(self, change=None):
        self.change, self.seen, self.asked = change, 0, 0

    def next(self, request):
        self.asked += 1
        self.seen += request[0] != "GET" and not request[1].endswith("/search")
        return "drop" if self.change and self.seen >= self.change else None


class LosesAnswers:
    """Does what it is asked, but the first answer to each creation of a run is lost."""

    def __init__(self):
        self.injected, self._lost = 0, False

    def next(self, request):
        self._lost = request[1].endswith("/runs/create") and not self._lost
        self.injected += self._lost
        return "unanswered" if self._lost else None


class Guard:
    """Lets only those pass who send this header."""

    def __init__(self, authorization):
        self.authorization = authorization

    def next(self, request):
        return "guarded"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    port = free_port()
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    train = {"dataset": "digits", "width": 4, "epochs": 1, "replicates": 2}
    compare = {"kinds": ["direct"], "splits": ["test"], "alphas": 3}
    wanted = desired(check("test", {"name": "s", "train": train, "compare": compare}))
    carry_out(wanted, Files(str(root)))
    compare_all(wanted, Files(str(root)))
    return wanted, root


@pytest.fixture
def log(finished, tmp_path, monkeypatch):
    """A function that brings a server up to date with a root of that name, in an experiment of its own."""
    wanted, root = finished

    def bring(address, name="root"):
        if not (tmp_path / name).exists():
            shutil.copytree(root / "sweeps", tmp_path / name / "sweeps")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        return Tracker(Files(str(tmp_path / name)), wanted.sweep).finish(tmp_path / name / "sweeps" / "s")

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return bring


def logged(server, line):
    """What every run of an experiment says, by its id; the line for the user names its page."""
    assert LATER not in line, line
    client, experiment = client_of(server), line.partition("experiments/")[2].partition("/")[0]
    runs = client.search_runs([experiment])
    said = {run.data.tags["raysweep.id"]: _said(client, run) for run in runs}
    assert len(said) == len(runs) == 1 + 2 + 1
    return said


def _said(client, run):
    """All but what is different in every experiment."""
    history = []
    if "test_loss" in run.data.metrics:
        found = client.get_metric_history(run.info.run_id, "test_loss")
        history = sorted((each.step, each.timestamp, each.value) for each in found)
    tags = [run.data.tags.get(key) for key in ("raysweep.levels", "raysweep.content")]
    artifacts = client.list_artifacts(run.info.run_id) if run.data.tags["raysweep.id"] == "sweep" else []
    end = (run.info.status, run.info.end_time)
    return end, run.data.metrics, history, run.data.params, tags, [each.path for each in artifacts]


def test_a_server_that_is_up_to_date_is_asked_little(server, log):
    """Whether the sweep's run is there, and how many are deleted: one that somebody deletes is restored."""
    dies = Dies()
    with faulty_server(server, dies) as address:
        expected = logged(server, log(address))
        dies.lives()
        line = log(address)
        assert (dies.asked, dies.seen) == (2, 0)
    client, experiment = client_of(server), line.partition("experiments/")[2].partition("/")[0]
    client.delete_run(client.search_runs([experiment], "tags.raysweep.levels != ''")[0].info.run_id)
    assert logged(server, log(server)) == expected


def test_a_server_that_dies_between_any_two_requests(server, log):
    dies = Dies()
    with faulty_server(server, dies) as address:
        expected, changes = logged(server, log(address, "calm")), dies.seen
        for change in range(1, changes + 1):
            dies.lives(change)
            assert LATER in log(address, f"dead{change}")
            dies.lives()
            assert logged(server, log(address, f"dead{change}")) == expected, f"died before change {change}"
    assert changes >= REQUESTS


@pytest.mark.parametrize("kind", ["forbidden", "broken"])
def test_a_server_that_refuses(kind, server, log):
    with faulty_server(server, Faults([kind], times=1000)) as address:
        assert LATER in log(address)
    assert LATER not in log(server)


@pytest.mark.parametrize(("kind", "code"), [("forbidden", "403"), ("unauthorised", "401")])
def test_a_server_that_refuses_is_said_at_once(kind, code, server, finished, tmp_path, monkeypatch):
    """Long before the work is over, in one line; a password is not in it."""
    told = queue.Queue()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with faulty_server(server, Faults([kind], times=1000)) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//ann:s3cret@"))
        Tracker(Files(str(tmp_path)), finished[0].sweep, told.put).prepare()
        line = told.get(timeout=PATIENCE)
    assert f"mlflow:  {address} cannot be logged to (" in line
    assert code in line
    assert line.endswith(f"); the work goes on, and {LATER}")
    assert "s3cret" not in line
    assert "\n" not in line


def test_a_store_of_artifacts_that_is_not_there_is_said_at_once(server, finished, tmp_path, monkeypatch):
    """The work is shown all the same."""
    from mlflow.tracking import MlflowClient

    def refuse(*_):
        raise OSError("no such bucket")

    told = queue.Queue()
    monkeypatch.setattr(MlflowClient, "list_artifacts", refuse)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    Tracker(Files(str(tmp_path)), finished[0].sweep, told.put).prepare()
    assert "cannot store figures (OSError: no such bucket); the work goes on" in told.get(timeout=PATIENCE)
    identity = root_id(Files(str(tmp_path)))
    client = client_of(server)
    experiment = client.get_experiment_by_name(f"s (raysweep {identity})").experiment_id
    assert [run.info.status for run in client.search_runs([experiment])] == ["RUNNING"]


@pytest.mark.parametrize(
    ("given", "authorization"),
    [
        (
            {"MLFLOW_TRACKING_USERNAME": "somebody", "MLFLOW_TRACKING_PASSWORD": "hidden"},
            "Basic c29tZWJvZHk6aGlkZGVu",
        ),
        ({"MLFLOW_TRACKING_TOKEN": "hidden"}, "Bearer hidden"),
    ],
)
def test_a_server_that_wants_to_know_who_asks(given, authorization, server, log, monkeypatch):
    with faulty_server(server, Guard(authorization)) as address:
        assert LATER in log(address)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        line = log(address)
        assert LATER not in line
        assert "hidden" not in line


def test_system_metrics_are_logged_where_a_sweep_asks_for_them(finished, server, tmp_path, monkeypatch):
    wanted, root = finished
    trial_id = next(iter(wanted.trials))
    shutil.copytree(root / "sweeps", tmp_path / "root" / "sweeps")
    files = Files(str(tmp_path / "root"))
    began = pd.read_parquet(root / "sweeps/s/metrics").query("trial_id == @trial_id").time.min()
    samples = [{"time": began + second, "memory_megabytes": 100.0 + second} for second in (10, 20)]
    TrialStore(files).write_system_use(trial_id, 0, samples)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    tracking = wanted.sweep.sections.tracking.model_copy(update={"system_metrics": True})
    sections = wanted.sweep.sections.model_copy(update={"tracking": tracking})
    line = Tracker(files, replace(wanted.sweep, sections=sections)).finish(tmp_path / "root/sweeps/s")
    client, experiment = client_of(server), line.partition("experiments/")[2].partition("/")[0]
    named = {run.data.tags["raysweep.id"]: run.info.run_id for run in client.search_runs([experiment])}
    history = client.get_metric_history(named[f"trial {trial_id}"], "system/memory_megabytes")
    assert [(each.step, each.value) for each in history] == [(10, 110.0), (20, 120.0)]


def test_lost_answers_double_nothing(server, log, monkeypatch):
    """The client asks again for what it was not told to be done."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    faults = LosesAnswers()
    with faulty_server(server, faults) as address:
        log(address)
    said = logged(server, log(server))
    assert faults.injected >= len(said)


def test_killed_while_it_logs_and_marks(finished, tmp_path, monkeypatch):
    """Into the database and the folder of a local root; every pass is a process of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    start, root = tmp_path / "start", tmp_path / "root"
    shutil.copytree(finished[1] / "sweeps", start / "sweeps")

    def bring(folder=root):
        assert LATER not in Tracker(Files(str(folder)), finished[0].sweep).finish(folder / "sweeps" / "s")

    def to_the_end(folder=root):
        assert not killed_before(10**9, folder, lambda: bring(folder))

    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  (here once, not in every process: seconds)

    copy_database(start / "mlflow.db")
    to_the_end(start)
    with sqlite3.connect(start / "mlflow.db") as database:  # its schema stays
        database.executescript("; ".join(f"delete from {table}" for table in (*OF_RUNS, "experiments")))
    (start / "sweeps/s/tracking.json").unlink()
    points = 0
    for points in each_change(start, root, bring, again=to_the_end):
        with sqlite3.connect(root / "mlflow.db") as database:
            ids = [row[0] for row in database.execute("select value from tags where key = 'raysweep.id'")]
            ended = database.execute("select count(*) from runs where status = 'FINISHED'").fetchone()[0]
        assert len(ids) == len(set(ids)) == ended == 1 + 2 + 1, f"killed before change {points}"
        assert (root / "sweeps/s/tracking.json").exists()
    assert points >= WRITES["tracking"]
