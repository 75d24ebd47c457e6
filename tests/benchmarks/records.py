"""What a benchmark found, as a table."""

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.store.parquet import table_of

LIBRARIES = ("torch", "numpy", "scipy", "ray", "pyarrow")


@dataclass(frozen=True)
class Record:
    """One figure: a value per round; beside it, taken in turn in the same run, its `floor`.

    The floor is the least that the figure could be, or a plain reference. The `goal` is a bound of the ratio
    to it, or of the median where there is no floor (None: none was set); `least` turns the bound round.
    """

    name: str
    unit: str
    values: Sequence[float]
    goal: float | None = None
    note: str = ""
    floor: Sequence[float] = field(default=())
    least: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of neighbouring turns; None without a floor."""
        pairs = zip(self.values, self.floor, strict=True)
        return statistics.median(value / floor for value, floor in pairs) if self.floor else None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        held = self.median if self.ratio is None else self.ratio
        return None if self.goal is None else held >= self.goal if self.least else held <= self.goal

    def __str__(self) -> str:
        spread = f" ({min(self.values):.4g} to {max(self.values):.4g})" if len(self.values) > 1 else ""
        parts = [f"{self.name}: {self.median:.4g} {self.unit}{spread}, n = {len(self.values)}"]
        if self.ratio is not None:
            parts.append(f"floor {statistics.median(self.floor):.4g}, ratio {self.ratio:.2f}")
        if self.goal is not None:
            parts.append(f"goal at {'least' if self.least else 'most'} {self.goal:g}")
        return ", ".join(parts) + (f"; {self.note}" if self.note else "")


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    import torch  # here, because processes whose memory is measured import records

    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": models[0].partition(": ")[2] if models else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # a machine with a GPU may have no Ray
        return "none"


def write(path: str, found: dict[str, list[Record]]) -> None:
    """Write the records of all benchmarks as Parquet, with the machine in the metadata of the schema."""
    rows = [
        {
            "benchmark": benchmark,
            "name": record.name,
            "unit": record.unit,
            "values": list(record.values),
            "floor": list(record.floor),
            "median": record.median,
            "ratio": record.ratio,
            "goal": record.goal,
            "reached": record.reached,
            "note": record.note,
        }
        for benchmark, records in found.items()
        for record in records
    ]
    numbers = pa.list_(pa.float64())
    schema = pa.schema(
        [
            ("benchmark", pa.string()),
            ("name", pa.string()),
            ("unit", pa.string()),
            ("values", numbers),
            ("floor", numbers),
            ("median", pa.float64()),
            ("ratio", pa.float64()),
            ("goal", pa.float64()),
            ("reached", pa.bool_()),
            ("note", pa.string()),
        ],
        metadata=machine(),
    )
    pq.write_table(table_of(rows, schema), path)


def in_turn(works: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Take each figure once a round, one after the other, so that a drift of the machine meets all."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(work())
    return found
