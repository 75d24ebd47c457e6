"""What a run says outlives its terminal. Those of whole runs are looked at where runs are tested."""

import io
import time

import pytest
from rich.console import Console

from raysweep.commands import run_log
from raysweep.commands.progress import LiveProgress
from raysweep.commands.run_log import RunLog
from raysweep.errors import UserError
from raysweep.store.files import Files
from raysweep.tables.failures import Failure
from tests.test_run import logs


def end(log, error):
    log.print("[before]")
    raise error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UserError("no such thing"), "error: no such thing"),
        (KeyboardInterrupt(), "interrupted; the same command goes on from here"),
        (OSError("disk full"), "Traceback"),
    ],
)
def test_how_it_ended_is_kept(error, words, tmp_path):
    log = RunLog(Files(str(tmp_path)), "s", Console(file=io.StringIO()))
    with pytest.raises(type(error)), log:
        end(log, error)
    (kept,) = logs(tmp_path)
    assert words in kept
    assert "[before]" in kept


def test_lines_are_kept_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(run_log, "EVERY", 0.01)
    with RunLog(Files(str(tmp_path)), "s", Console(file=io.StringIO())) as log:
        log.print("so far")
        while "so far" not in logs(tmp_path)[0]:
            time.sleep(0.01)


def test_a_terminal_has_bars_and_the_log_lines(tmp_path):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True)
    with RunLog(Files(str(tmp_path)), "s", console) as log, LiveProgress(log) as progress:
        progress.stage("training", 6)
        progress.failed(Failure("abc", "trial", "Traceback\nValueError: bad", 1, "host"))
    assert "training: 6 to do" not in shown.getvalue()
    (kept,) = logs(tmp_path)
    assert "training: 6 to do" in kept
    assert "failed: trial abc: ValueError: bad" in kept


def test_storage_that_refuses_the_log_does_not_end_the_run(tmp_path):
    (tmp_path / "logs").write_text("a file where a folder should be")
    with RunLog(Files(str(tmp_path)), "s", Console(file=io.StringIO())) as log:
        log.print("goes on")
