"""Seconds of the commands that everybody types first.

The quickstart on a fresh root (with fresh facts), the same command again with nothing to do, and the commands
that only look. Each is timed from outside, interpreter and imports included, and beside it the seconds that
its processes had a processor (of all of them, Ray's too): on a machine that others use too, these say more.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.records import Record

QUICKSTART = "sweeps/quickstart.yaml"
GOALS = {"--help": 1, "status": 1, "plan": 1, "again": 6, "quickstart": 45}


def measured(*words: str, cache: str) -> tuple[float, float]:
    """Run a command; returns its seconds and those of the processor. Raises where it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "RAYSWEEP_CACHE": cache}
    command = [sys.executable, "-m", "raysweep.cli", *words]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.perf_counter() - began
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def large_imports(*words: str, cache: str) -> int:
    """How many of torch, Ray and MLflow a command imports."""
    script = f"import sys; from raysweep.cli import app; app({list(words)!r}, standalone_mode=False)"
    script += "; print(*sys.modules)"
    environment = {**os.environ, "RAYSWEEP_CACHE": cache}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    return len({"torch", "ray", "mlflow"} & set(re.findall(r"\w+", done.stdout.splitlines()[-1])))


def records(quick: bool) -> Iterator[Record]:
    """Yield all figures: of one quickstart, and of five rounds of the other commands (quick: one)."""
    rounds = 1 if quick else 5
    with tempfile.TemporaryDirectory() as folder:
        cache, root = str(Path(folder) / "cache"), str(Path(folder) / "root")
        fresh = [measured("run", QUICKSTART, "--root", root, cache=str(Path(folder) / "fresh"))]
        measured("plan", QUICKSTART, "--root", root, cache=cache)
        commands = {
            "--help": ["--help"],
            "status": ["status", root],
            "plan": ["plan", QUICKSTART, "--root", root],
            "again": ["run", QUICKSTART, "--root", root],
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, words in commands.items():
                times[name].append(measured(*words, cache=cache))
        for name, each in {**times, "quickstart": fresh}.items():
            seconds, processor = (list(part) for part in zip(*each, strict=True))
            yield Record(name, "s", seconds, GOALS[name])
            yield Record(f"{name}, processor", "s", processor)
        for name in ("--help", "status", "plan"):
            count = float(large_imports(*commands[name], cache=cache))
            yield Record(f"{name}, large imports", "modules", [count], 0)
