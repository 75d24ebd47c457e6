"""What the last analysis of a sweep found, kept beside its tables, so that no run repeats it in vain."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from analysis.summary.reproduction import Reproduction
from analysis.summary.sweep_report import Report, figures
from analysis.summary.verdict import Verdict
from raysweep.digest import digest
from raysweep.store.backends import Stamp
from raysweep.store.copies import as_directory
from raysweep.store.files import Files
from raysweep.version import code_digest, source_digest

ANALYSES = Path(__file__).parents[1]  # whose code decides what is found


@dataclass(frozen=True)
class Analysed:
    """What the page says of a sweep."""

    verdicts: list[Verdict]
    reproductions: list[Reproduction]
    report: Report


@dataclass(frozen=True)
class _Note:
    """What is kept: `shown` are the names of its figures, which lie in the sweep's folder."""

    inputs: str
    shown: list[str]
    found: Analysed


_NOTE = TypeAdapter(_Note)


def remember(files: Files, sweep: str, stamps: Mapping[str, Stamp], found: Analysed) -> None:
    """Keep what was found in the tables and the sweep file that had these stamps before they were read."""
    inputs = _inputs(stamps, files.list(f"sweeps/{sweep}/figures"))
    bare = replace(found, report=replace(found.report, figures=[]))
    note = _Note(inputs, [each.name for each in found.report.figures], bare)
    files.put(_name(sweep), json.dumps(asdict(note)).encode())


def remembered(files: Files, sweep: str, stamps: Mapping[str, Stamp]) -> Analysed | None:
    """Return what was kept of the same tables, figures, name of the sweep and code; None for any others."""
    try:
        note = _NOTE.validate_python(json.loads(files.find(_name(sweep)) or b"null"))
    except (ValueError, ValidationError):  # none, a damaged one, or one of another version
        return None
    folder = f"sweeps/{sweep}/figures"
    if note.inputs != _inputs(stamps, files.list(folder)):
        return None
    with as_directory(files, folder) as directory:
        shown = [each for each in figures(directory.parent) if each.name in note.shown]
    return replace(note.found, report=replace(note.found.report, figures=shown))


def _name(sweep: str) -> str:
    return f"sweeps/{sweep}/analysed.json"


def _inputs(stamps: Mapping[str, Stamp], drawn: list[str]) -> str:
    return digest([code_digest(), source_digest(ANALYSES), sorted(stamps.items()), drawn])
