"""The plan of a sweep with a million barriers, half of them done, and its tables; and that of ten million.

The networks are not trained: the objects hold made-up rows of the true shape (25 points of a pair, 91 of a
triple, two splits), 200 barriers each. Every figure is taken in a process of its own, so that its peak of
memory is its own. The root is filled first, in some minutes.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from raysweep.commands.plan import plan_table
from raysweep.digest import digest
from raysweep.plan.desired import Desired, desired
from raysweep.plan.done import done
from raysweep.plan.frontier import Frontier
from raysweep.plan.identity import BarrierJob
from raysweep.plan.notices.why_again import why_again
from raysweep.plan.recording import record_sweep, recording
from raysweep.plan.todo import todo
from raysweep.store.files import Files
from raysweep.store.index import SLICE, Entry, store_index, table_of_entries
from raysweep.store.inputs import CHARACTERS, named_input, number_of
from raysweep.store.results import ResultStore
from raysweep.sweep.load import check
from raysweep.tables.publishing import publish_tables
from tests.benchmarks.records import Record

SECONDS, MEGABYTES = 20, 1000  # the goals of a plan
MOST, FIRST_SECONDS, MOST_MEGABYTES = (
    218,
    30,
    2000,
)  # networks with ten million barriers, and the goals of these
TILE = 200  # barriers an object, of 10 ms each
POINTS = {"pair": 25, "simplex": 91}


def sweep_of(replicates: int) -> Desired:
    train = {"dataset": "digits", "width": 8, "epochs": 1, "replicates": replicates}
    return desired(check("planning", {"name": "planning", "train": train, "compare": {}}))


def rows_of(job: BarrierJob, draw: random.Random) -> Iterator[dict[str, Any]]:
    """Made-up rows of a barrier, one for each split."""
    networks, points = len(job.networks), POINTS[job.comparison.interpolation]
    for split in ("train", "test"):
        yield {
            "barrier_id": job.barrier_id,
            "split": split,
            **{
                name: draw.random()
                for name in ("loss_barrier", "error_barrier", "loss_centre", "error_centre")
            },
            "loss_weights": [draw.random()] * networks,
            "error_weights": [draw.random()] * networks,
            "curve_weights": [[place / points] * networks for place in range(points)],
            "curve_loss": [draw.random() for _ in range(points)],
            "curve_error": [draw.randrange(400) / 400 for _ in range(points)],
            "seconds": draw.random(),
            **dict.fromkeys(("hardware", "software", "execution", "provenance")),
            "inputs": [
                named_input(str(each), "0" * 64) for each in (*job.networks, *job.comparison.alignments)
            ],
        }


def fill(root: str, replicates: int) -> None:
    """Commit the results of every other barrier."""
    wanted, store, draw = sweep_of(replicates), ResultStore(Files(root)), random.Random(0)
    chosen = islice(wanted.barriers.values(), 0, None, 2)
    while jobs := list(islice(chosen, TILE)):
        rows = [row for job in jobs for row in rows_of(job, draw)]
        store.commit("barriers", digest(sorted(job.barrier_id for job in jobs)), rows)


def index_half(root: str, replicates: int) -> None:
    """Write an index of the results of every other barrier, and objects that hold nothing.

    A plan reads the index alone, and the rows of five million barriers would take an hour to make up.
    """
    wanted, files, digest_number = sweep_of(replicates), Files(root), number_of("0" * CHARACTERS)
    chosen = islice(wanted.barriers.values(), 0, None, 2)
    entries = {}
    while jobs := list(islice(chosen, TILE)):
        ids = [job.barrier_id for job in jobs]
        name = f"results/barriers/{(tile := digest(sorted(ids)))[:2]}/{tile}"
        files.put_checked(name, b"")
        named = [map(number_of, map(str, (*job.networks, *job.comparison.alignments))) for job in jobs]
        inputs = [[number for each in numbers for number in (each, digest_number)] for numbers in named]
        rows = [pa.array(column * 2) for column in (ids, inputs)]
        splits = pa.array(["train"] * len(jobs) + ["test"] * len(jobs))
        entries[name] = Entry(rows[0], splits, rows[1], pa.nulls(len(splits)))
    stamps, names = files.stamps("results/barriers"), sorted(entries)
    slices = (names[start : start + SLICE] for start in range(0, len(names), SLICE))
    store_index(
        files,
        "barriers",
        (table_of_entries([(name, stamps[name], entries[name]) for name in some]) for some in slices),
    )


def add_one(root: str, replicates: int) -> None:
    wanted = sweep_of(replicates)
    job = next(islice(wanted.barriers.values(), 1, None))
    rows = list(rows_of(job, random.Random(1)))
    ResultStore(Files(root)).commit("barriers", digest([job.barrier_id]), rows)


def plan(root: str, replicates: int) -> None:
    wanted = sweep_of(replicates)
    plan_table(wanted, todo(wanted, done(wanted, Files(root))))


def first_job(root: str, replicates: int) -> tuple[Desired, Frontier]:
    """Plan until the first network can be sent to train, as a run does."""
    wanted, files = sweep_of(replicates), Files(root)
    present = done(wanted, files)
    work = todo(wanted, present)
    plan_table(wanted, work)
    why_again(files, wanted, work)
    frontier = Frontier(wanted, present, work)
    frontier.take_trials(1)
    return wanted, frontier


def first_job_again(root: str, replicates: int) -> None:
    """The same of a sweep that was recorded, of which the record is read."""
    wanted, _ = first_job(root, replicates)
    with recording(Files(root), wanted):
        pass


def record(root: str, replicates: int) -> Frontier:
    """Record the sweep while the frontier is there, as a run does."""
    wanted, frontier = first_job(root, replicates)
    record_sweep(Files(root), wanted)
    return frontier


def publish(root: str, replicates: int) -> None:
    wanted, files = sweep_of(replicates), Files(root)
    publish_tables(files, wanted, done(wanted, files), [])


WORK: dict[str, Callable[[str, int], object]] = {
    "fill": fill,
    "index half": index_half,
    "add one": add_one,
    "plan": plan,
    "first job": first_job,
    "first job again": first_job_again,
    "record": record,
    "publish": publish,
}


def measured(what: str, root: str, replicates: int) -> tuple[float, float, float]:
    """Do it in a process of its own; returns its seconds, those of the processor, and its peak in MB."""
    command = [sys.executable, "-m", "tests.benchmarks.planning", "--root", root, "--work", what]
    command += ["--replicates", str(replicates)]
    seconds, processor, peak = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return seconds, processor, peak


def buckets(root: str) -> dict[str, int]:
    """When each bucket of the large tables was written."""
    return {
        str(path): path.stat().st_mtime_ns
        for table in ("barriers", "curves")
        for path in Path(root).glob(f"sweeps/planning/{table}/*.parquet")
    }


def records(quick: bool) -> Iterator[Record]:
    """Yield all figures: of 100 networks (1 million barriers) and three plans, or of 4 and one."""
    with tempfile.TemporaryDirectory() as root:
        yield from _records(root, *((4, 1) if quick else (100, 3)))
    with tempfile.TemporaryDirectory() as root:
        yield from _beginnings(root, *((4, 1) if quick else (MOST, 3)))


def _records(root: str, replicates: int, rounds: int) -> list[Record]:
    measured("fill", root, replicates)
    measured("plan", root, 3)  # so that the facts of the network are known
    Files(root).delete("index/barriers")
    first = measured("plan", root, replicates)
    plans = [measured("plan", root, replicates) for _ in range(rounds)]
    published = measured("publish", root, replicates)
    before = buckets(root)
    nothing = measured("publish", root, replicates)
    untouched = buckets(root)
    measured("add one", root, replicates)
    one = measured("publish", root, replicates)
    after = buckets(root)
    again = sum(before[path] != untouched[path] for path in before)
    rewritten = sum(after[path] != untouched[path] for path in after)
    one_half = f"{len(sweep_of(replicates).barriers):,} barriers, half of them done"
    return [
        *figures("plan", plans, one_half, SECONDS, MEGABYTES),
        *figures("plan without an index", [first], "every object is read once"),
        *figures("tables", [published], "with the plan"),
        *figures("tables, nothing new", [nothing], "with the plan"),
        *figures("tables, one barrier more", [one], "with the plan"),
        Record("buckets rewritten, nothing new", "files", [again], 0),
        Record("buckets rewritten, one barrier more", "files", [rewritten], 2, f"of {len(after)}"),
    ]


def _beginnings(root: str, replicates: int, rounds: int) -> list[Record]:
    """The figures of the beginning of a run of which nothing is done."""
    measured("plan", root, 3)  # so that the facts of the network are known
    first = [measured("first job", root, replicates) for _ in range(rounds)]
    recorded, again = (measured("record", root, replicates) for _ in range(2))
    measured("add one", root, replicates)
    resumed = [measured("first job again", root, replicates) for _ in range(rounds)]
    published = [measured("publish", root, replicates) for _ in range(rounds)]
    measured("index half", root, replicates)
    half = [measured("first job again", root, replicates) for _ in range(rounds)]
    many = f"{len(sweep_of(replicates).barriers):,} barriers, none of them done"
    one = f"{len(sweep_of(replicates).barriers):,} barriers, one of them done, and a record"
    return [
        *figures("first job", first, many, FIRST_SECONDS, MOST_MEGABYTES),
        *figures("first job, and the record", [recorded], many, None, MOST_MEGABYTES),
        *figures("the same again", [again], many, None, MOST_MEGABYTES),
        *figures("first job again", resumed, one, FIRST_SECONDS, MOST_MEGABYTES),
        *figures("tables of one barrier", published, one, None, MOST_MEGABYTES),
        *figures("first job, half done", half, "half of them done", FIRST_SECONDS, MOST_MEGABYTES),
    ]


def figures(
    name: str,
    rounds: list[tuple[float, float, float]],
    note: str,
    seconds: float | None = None,
    megabytes: float | None = None,
) -> list[Record]:
    """The records of something that was measured."""
    times, processor, peaks = (list(each) for each in zip(*rounds, strict=True))
    return [
        Record(name, "s", times, seconds, note),
        Record(f"{name}, processor", "s", processor, None, "all threads, with the imports"),
        Record(f"{name}, peak", "MB", peaks, megabytes),
    ]


def main() -> None:
    """Do one thing, as `measured` asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", choices=WORK, required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--replicates", type=int, required=True)
    arguments = parser.parse_args()
    began = time.perf_counter()
    WORK[arguments.work](arguments.root, arguments.replicates)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps([time.perf_counter() - began, time.process_time(), peak]))


if __name__ == "__main__":
    main()
