"""A machine's clock that is set back while it works: durations do not go by it."""

import json
import time
from itertools import count

import pytest

from raysweep.commands.standing import Meter
from raysweep.plan.done import done
from raysweep.store.files import Files
from raysweep.store.trials import TrialStore
from raysweep.tables.publishing import publish_tables
from tests.work.plans import carry_out, plan

pytestmark = pytest.mark.slow


def test_a_clock_that_is_set_back_changes_no_duration_and_no_rate(tmp_path, monkeypatch):
    files, wanted, first = Files(str(tmp_path)), plan(epochs=1), plan(epochs=1, replicates=1)
    meter, ticks = Meter(files, wanted), count(2e9, -100.0)
    monkeypatch.setattr(time, "time", lambda: next(ticks))
    for some in (first, wanted):
        carry_out(some, files, align=False)
        publish_tables(files, wanted, done(wanted, files), [])
        meter.write(done(wanted, files))
    assert all(0 < TrialStore(files).record(trial, 0).seconds < 60 for trial in wanted.trials)
    assert json.loads(files.get("sweeps/s/progress.json"))["rates"]["trials"] > 0
