"""All benchmarks, or those named: `python -m tests.benchmarks [NAME...] [--quick] [--out FILE]`.

Prints every figure with its spread and as a ratio to its floor, taken in turn in the same run, and writes
them as Parquet with a description of the machine. `--quick` takes each figure once, at a small size: it
shows that the benchmarks work, and no more.
"""

import argparse
import importlib

from tests.benchmarks.records import Record, machine, write

BENCHMARKS = (
    "training",
    "alignment",
    "barriers",
    "all_pairs",
    "dispatch",
    "tune",
    "memory",
    "planning",
    "storage",
    "live",
    "commands",
    "accelerator",
    "coverage",
    "symmetries",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", default="benchmarks.parquet")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    found: dict[str, list[Record]] = {}
    for name in arguments.names or BENCHMARKS:
        found[name] = []
        for record in importlib.import_module(f"tests.benchmarks.{name}").records(arguments.quick):
            print(f"{name}: {record}", flush=True)
            found[name].append(record)
            write(arguments.out, found)  # at once, so that nothing is lost if the next one takes too long
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
