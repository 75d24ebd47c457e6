"""`raysweep status`: the progress of every sweep under a root."""

from raysweep.errors import CorruptObject, UserError
from raysweep.plan.record import finished, read_record, sweep_names
from raysweep.store.files import Files
from raysweep.tables.schemas import read_table


def status_lines(files: Files) -> list[str]:
    """Return a line per sweep under the root, with its finished and desired jobs and its failures.

    They are those of its record. Where that, or the table of failures, cannot be read, the line says so.
    """
    return [_line(files, name) for name in sweep_names(files)] or [f"no sweep under {files.root}"]


def _line(files: Files, name: str) -> str:
    try:
        record = read_record(files, name)
        left = finished(files, record).left(record)
        attempts = read_table(files, name, "failures", ["attempts"]).column("attempts").to_pylist()
    except UserError as error:
        return f"{name}: {error}"
    except CorruptObject as error:
        return f"{name}: {error}; raysweep run writes it again"
    parts = [f"{what} {total - left[what]}/{total}" for what, total in record.counts().items()]
    return f"{name}: {', '.join(parts)}, failures {sum(map(bool, attempts))}"
