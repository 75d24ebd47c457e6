"""Workers of the pool that say what they do: real ones, and some that sleep instead."""

import json
import os
import random
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from unittest import mock

import ray

from raysweep.store.files import Files
from raysweep.sweep.schema import Sections
from raysweep.work.tile import Tile, TileWorker

SPREAD = 0.5  # sigma of the logarithm of a sleeping tile's seconds


def notes_of(root: str) -> Path:
    """Where the workers of a root write what they did."""
    return Path(f"{root}.notes")


def node() -> str:
    return str(ray.get_runtime_context().get_node_id())


class CountedFiles(Files):
    """Counts what this process reads, and how long it reads and writes."""

    counts: ClassVar = {"loads": 0, "bytes": 0, "files": 0.0}

    def get(self, name: str) -> bytes:
        with _timed():
            content = super().get(name)
        self.counts["bytes"] += len(content)
        self.counts["loads"] += name.endswith(".safetensors")
        return content

    def put(self, name: str, content: bytes = b"") -> None:
        with _timed():
            super().put(name, content)


@contextmanager
def _timed() -> Iterator[None]:
    began = time.perf_counter()
    yield
    CountedFiles.counts["files"] += time.perf_counter() - began


class WatchedWorker(TileWorker):
    """A real worker that notes what each tile cost."""

    def __init__(self, root: str, sections: Sections, code: str) -> None:
        self._notes = Notes(root)
        with mock.patch("raysweep.work.tile.Files", CountedFiles):
            super().__init__(root, sections, code)

    def node(self) -> str:
        return node()

    def run(self, tile: Tile) -> tuple[str, float]:
        with self._notes.of(tile):
            return super().run(tile)


class SleepingWorker:
    """Sleeps as long as a tile might take, and says that its results were committed."""

    def __init__(self, root: str, sections: Sections, code: str) -> None:
        self._notes = Notes(root)
        self._seconds = float((notes_of(root) / "sleep").read_text())

    def node(self) -> str:
        return node()

    def run(self, tile: Tile) -> tuple[str, float]:
        factor = random.Random(tile.ids[0]).lognormvariate(-(SPREAD**2) / 2, SPREAD)  # of mean 1
        seconds = self._seconds * len(tile.jobs) * factor
        with self._notes.of(tile):
            time.sleep(seconds)
        return f"results/{tile.stage}/{tile.ids[0]}", seconds


class Notes:
    """A file with a line for each tile of this process."""

    def __init__(self, root: str) -> None:
        self._path = notes_of(root) / str(os.getpid())

    @contextmanager
    def of(self, tile: Tile) -> Iterator[None]:
        """Note what happens within the context."""
        began, processor, before = time.monotonic(), time.process_time(), dict(CountedFiles.counts)
        yield
        found = {name: count - before[name] for name, count in CountedFiles.counts.items()}
        found |= {"stage": tile.stage, "jobs": len(tile.jobs), "began": began, "ended": time.monotonic()}
        found |= {"processor": time.process_time() - processor}
        found |= {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}
        with self._path.open("a") as file:
            file.write(json.dumps(found) + "\n")
