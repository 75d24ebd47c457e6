"""What a run says outlives its terminal. Those of whole runs are looked at where runs are tested."""

import io
import re
import time

import pytest
from rich.console import Console

from raysweep.commands import progress as progress_module
from raysweep.commands import run_log
from raysweep.commands.progress import LiveProgress
from raysweep.commands.run_log import RunLog
from raysweep.errors import UserError
from raysweep.store.files import Files
from raysweep.tables.failures import Failure
from raysweep.work import step_count
from raysweep.work.step_count import StepCount
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


def test_progress_has_rates_within_trials_and_what_is_in_use(tmp_path, monkeypatch):
    monkeypatch.setattr(progress_module, "EVERY", 0.0)
    shown = io.StringIO()
    with RunLog(Files(str(tmp_path)), "s", Console(file=shown)) as log, LiveProgress(log) as progress:
        progress.stage("training", 6)
        progress.uses({"CPU": (2.0, 4.0), "GPU": (0.5, 1.0)})
        time.sleep(0.1)
        progress.stepped(50)
        progress.advance("training", 1)
    assert "training 0/6, 2 of 4 CPUs, 0.5 of 1 GPUs\n" in shown.getvalue()
    (rate,) = set(re.findall(r"training 1/6, (\d+) steps/s, 2 of 4 CPUs", shown.getvalue()))
    assert 50 < int(rate) <= 500


def test_steps_are_told_of_now_and_then(monkeypatch):
    count = StepCount()
    count.report("one", 0, 0)
    count.report("two", 0, 7)  # it goes on from a resume point
    count.report("one", 0, 10)
    count.report("two", 0, 9)
    assert count.taken() == 0
    monkeypatch.setattr(step_count, "EVERY", 0.0)
    assert count.taken() == 12
    count.report("one", 1, 5)  # another level, of which this is the start
    count.report("one", 1, 6)
    assert count.taken() == 1


def test_storage_that_refuses_the_log_does_not_end_the_run(tmp_path):
    (tmp_path / "logs").write_text("a file where a folder should be")
    with RunLog(Files(str(tmp_path)), "s", Console(file=io.StringIO())) as log:
        log.print("goes on")
