"""What it costs a run to be published while it goes on, and how long a committed result waits for its row.

The results are made up (see `planning`), and nothing else goes on: all that this process computes is what
the run itself has to do. The publishing process is another one, of the lowest priority.
"""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console

from raysweep.commands.live import LivePublication
from raysweep.commands.news import News
from raysweep.commands.run_log import RunLog
from raysweep.digest import digest
from raysweep.plan.desired import Desired
from raysweep.plan.recording import record_sweep
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.sweep.load import Sweep, check
from tests.benchmarks.planning import fill, rows_of, sweep_of
from tests.benchmarks.records import Record

EVERY = 120.0  # seconds, the default of resources.publish_seconds
TICKS = os.sysconf("SC_CLK_TCK")


def records(quick: bool) -> Iterator[Record]:
    """Yield the figures of 15,810 barriers, half of them done (quick: of few)."""
    replicates, rounds, period = (4, 1, 2.0) if quick else (32, 5, 10.0)
    with tempfile.TemporaryDirectory() as root:
        fill(root, replicates)
        wanted, files = sweep_of(replicates), Files(root)
        record_sweep(files, wanted)
        yield from costs(files, wanted, rounds)
        yield from waits(files, wanted, rounds, period)


def costs(files: Files, wanted: Desired, rounds: int) -> Iterator[Record]:
    """Publications one after the other: the first with everything new, the others with nothing."""
    run, other = [], []
    with publication(files, wanted.sweep, 0.1) as live:
        for _ in range(rounds + 2):
            before = time.process_time(), _processor(live)
            _wait_until(_written(files, wanted))
            run.append(time.process_time() - before[0])
            other.append(_processor(live) - before[1])
    note = f"{len(wanted.barriers):,} barriers, half of them done"
    yield Record("processor of the run per publication", "ms", [1000 * each for each in run], None, note)
    yield Record("share of the time, every 120 s", "", [each / EVERY for each in run], 0.01)
    yield Record("processor of the publishing process, first", "s", other[:1], None, "with its imports")
    yield Record("processor of the publishing process, nothing new", "s", other[2:])


def waits(files: Files, wanted: Desired, rounds: int, period: float) -> Iterator[Record]:
    """Single results, committed at any moment: how long their rows are waited for."""
    store, shares = ResultStore(files), []
    jobs = islice(wanted.barriers.values(), 1, None, 2)
    with publication(files, wanted.sweep, period):
        _wait_until(_written(files, wanted))
        for number, job in enumerate(islice(jobs, rounds)):
            time.sleep(period * number / rounds)
            store.commit("barriers", digest([job.barrier_id]), list(rows_of(job, random.Random(number))))
            began, bucket = time.monotonic(), job.barrier_id[0]
            path = Path(files.root) / f"sweeps/{wanted.sweep.name}/barriers/{int(bucket, 16):02d}.parquet"
            _wait_until(lambda path=path, job=job: job.barrier_id in _ids(path))  # type: ignore[misc]
            shares.append((time.monotonic() - began) / period)
    yield Record("wait of a result for its row", "periods", shares, 2, f"a period of {period:g} s")


def publication(files: Files, sweep: Sweep, seconds: float) -> LivePublication:
    """What a run starts, with another period."""
    resources = {**sweep.resolved.get("resources", {}), "publish_seconds": seconds}
    renewed = check("live", {**sweep.resolved, "resources": resources})
    files.delete(f"sweeps/{sweep.name}/progress.json")
    log = RunLog(files, sweep.name, Console(quiet=True))
    return LivePublication(files, renewed, News, log)


def _processor(live: LivePublication) -> float:
    """The processor seconds of the publishing process, which are 0 before it starts."""
    if not live.begun:
        return 0.0
    assert live._process
    fields = Path(f"/proc/{live._process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _written(files: Files, wanted: Desired) -> Callable[[], bool]:
    """Return a function that tells whether a publication has ended since."""
    path = Path(files.root) / f"sweeps/{wanted.sweep.name}/progress.json"

    def stamp() -> Any:
        return path.stat().st_mtime_ns if path.exists() else None

    before = stamp()
    return lambda: stamp() not in (None, before)


def _ids(path: Path) -> set[str]:
    return set(pq.read_table(path, columns=["barrier_id"]).column(0).to_pylist()) if path.exists() else set()


def _wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.2)
