"""A run in progress: its tables, its page and its standing are published while it goes on."""

import json
import os
import sqlite3
import time
from contextlib import closing

import pandas as pd
import pytest
from rich.console import Console

from raysweep.commands.live import LivePublication
from raysweep.commands.news import News
from raysweep.commands.publisher import Publisher
from raysweep.commands.run_log import RunLog
from raysweep.commands.standing import Hours, Progress, standings
from raysweep.commands.status import status_lines
from raysweep.plan.desired import desired
from raysweep.plan.done import done
from raysweep.plan.recording import record_sweep
from raysweep.store.files import Files
from raysweep.sweep.load import check
from raysweep.tables.failures import Failure
from raysweep.tables.publishing import publish_tables
from tests.tracking.servers import copy_database
from tests.work.plans import BASE, carry_out, compare_all

WEAK = {"name": "s", "train": {**BASE, "width": [4, 5]}, "compare": {"kinds": ["unaligned", "direct"]}}


def recorded(root, tracked=False, **resources):
    sections = {**WEAK, "analyses": ["weak"], "resources": resources, "tracking": {"enabled": tracked}}
    wanted, files = desired(check("test", sections)), Files(str(root))
    record_sweep(files, wanted)
    return wanted, files


def stamps(root):
    return {path: path.stat().st_mtime_ns for path in root.glob("sweeps/s/*/*.p*")}  # tables and figures


def test_what_is_done_is_published_and_the_verdicts_are_marked(tmp_path):
    """By the functions that publish at the end, so that the end changes no table."""
    wanted, files = recorded(tmp_path)
    publisher = Publisher(files, "s")
    carry_out(wanted, files, align=False)
    assert list(publisher.publish([])) == []
    assert len(pd.read_parquet(tmp_path / "sweeps/s/trials")) == 4
    (line,) = status_lines(files)
    assert line.startswith("s: trials 4/4, alignments 0/2, barriers 0/4, failures 0; running, time left")
    assert line in (tmp_path / "claims.html").read_text()
    assert 'http-equiv="refresh" content="60"' in (tmp_path / "claims.html").read_text()

    one = {**WEAK, "train": {**BASE, "width": 4}}
    carry_out(desired(check("test", one)), files)
    compare_all(desired(check("test", one)), files)
    record_sweep(files, wanted)
    assert list(publisher.publish([])) == []
    page = (tmp_path / "claims.html").read_text()
    assert "so far undecided" in page
    assert "alignments 1/2, barriers 2/4" in page
    assert list((tmp_path / "sweeps/s/figures").glob("weak_*.png"))
    assert "an hour; about" in page

    carry_out(wanted, files)
    compare_all(wanted, files)
    assert list(publisher.publish([])) == []
    assert "<span>so far" not in (tmp_path / "claims.html").read_text()
    before = stamps(tmp_path)
    assert list(publisher.publish([])) == []  # nothing has changed
    publish_tables(files, wanted, done(wanted, files), [])
    assert stamps(tmp_path) == before


def test_the_standing_says_when_a_run_was_lost(tmp_path):
    _, files = recorded(tmp_path)
    hours = {"cpu": {"spent": 2.0, "left": 1.0}, "gpu": {"spent": 0.0, "left": 0.0}}
    told = {"time": time.time(), "every": 120, "rates": {"trials": 30.0}, "left": 7200.0, **hours}
    name = "sweeps/s/progress.json"
    files.put(name, json.dumps(told).encode())
    (standing,) = standings(files)
    cpu, gpu = Hours(2.0, 1.0), Hours(0.0, 0.0)
    assert standing.progress == Progress(told["time"], 120, {"trials": 30.0}, 7200.0, cpu, gpu)
    text = "running, 30 trials an hour; about 2.0 h left; CPU-hours 2 spent, 1 left"
    assert str(standing).endswith(text)
    files.put(name, json.dumps({**told, "time": time.time() - 3600}).encode())
    assert str(*standings(files)).endswith("no sign of life from its run for 60 min")
    for damaged in (b"", b"[]", b'{"time": 1}'):
        files.put(name, damaged)
        assert standings(files)[0].progress is None


def curve(root, trial_id):
    """The status of a trial's run, and the last step and the loss of its curve; None before there are any."""
    query = (
        "select status, step, metrics.value from runs join latest_metrics as metrics using (run_uuid) "
        "join tags using (run_uuid) where metrics.key = 'train_loss' and tags.value = ?"
    )
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        return database.execute(query, (f"trial {trial_id}",)).fetchone()


@pytest.mark.slow
def test_a_process_publishes_beside_the_run_and_ends_with_it(tmp_path, monkeypatch):
    """Curves of trials in training are logged. A process that was killed is replaced; the log says so."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    copy_database(tmp_path / "mlflow.db")
    wanted, files = recorded(tmp_path, tracked=True, publish_seconds=0.5)
    trial_id = next(iter(wanted.trials))
    at = {"trial_id": trial_id, "level": 0, "step": 7, "epoch": 0.5, "time": time.time()}
    row = {**at, "split": "train", "loss": 2.5, "error": 0.75}
    news = News([Failure("f" * 16, "trial", "an error", 1, "node")], [json.dumps([row])])
    log = RunLog(files, "s", Console(quiet=True))
    with log, LivePublication(files, wanted.sweep, lambda: news, log) as live:
        wait_for(lambda: (tmp_path / "claims.html").exists())
        assert list(pd.read_parquet(tmp_path / "sweeps/s/failures").id) == ["f" * 16]
        wait_for(lambda: curve(tmp_path, trial_id))
        assert curve(tmp_path, trial_id) == ("RUNNING", 7, 2.5)
        os.kill(live._process.pid, 9)
        carry_out(wanted, files)
        wait_for(lambda: len(pd.read_parquet(tmp_path / "sweeps/s/alignments")) == 2)
        process = live._process
    assert process.poll() is not None
    assert not (tmp_path / "sweeps/s/progress.json").exists()
    (line,) = [each for each in (tmp_path / log.name).read_text().splitlines() if "publication" in each]
    assert "its process has ended (exit status -9) and is started again" in line


def wait_for(condition):
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
