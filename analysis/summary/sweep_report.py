"""The report of a sweep beside its verdicts: row counts, the texts of its analyses, and its figures."""

from base64 import b64encode
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from analysis.figures.style import caption_of
from analysis.rows.tables import READ, Tables
from raysweep.errors import UserError
from raysweep.sweep.load import parse
from raysweep.tables.mixtures import mixtures
from raysweep.vocabulary import ANALYSES


@dataclass(frozen=True)
class Figure:
    """A PNG as a data URL, with the name of its file, its caption and its text alternative."""

    name: str
    caption: str
    alt: str
    url: str


@dataclass(frozen=True)
class Report:
    """The section of a sweep: row counts, notes on what is missing, texts by analysis, and figures.

    `failed` says whether an analysis could not be run, as the notes say.
    """

    name: str
    counts: dict[str, int]
    notes: list[str]
    texts: dict[str, str]
    figures: list[Figure]
    failed: bool = False


def report(folder: Path, tables: Tables) -> Report:
    """Run the analyses of the sweep again, so that texts and figures show the tables as they are now."""
    counts = {table: len(getattr(tables, table)) for table in READ}
    notes, texts, failed = [*tables.damaged, *tables.notes], {}, bool(tables.damaged)
    notes += mixtures(tables.trials.to_dict("records"))
    if counts["failures"]:
        notes.append(f"{counts['failures']} failures recorded: the sweep is not complete")
    if counts["barriers"]:
        try:
            names = _analyses(folder)
        except UserError as error:
            names, failed = [], True
            notes.append(f"{_within(folder, error)}; raysweep run with the sweep's file writes it again")
        for name in names:
            try:
                texts[name] = renewed(folder, name)
            except (UserError, OSError, LookupError, AttributeError, TypeError, ValueError) as error:
                # An analysis reads whole tables; of a sweep in progress they may not fit together yet.
                failed = True
                reason = f"{type(error).__name__}: {_within(folder, error)}"
                notes.append(f"analysis {name} cannot read these tables: {reason}")
    else:
        notes.append("no barriers yet")
    return Report(folder.name, counts, notes, texts, figures(folder), failed)


def _within(folder: Path, error: Exception) -> str:
    """Return a message that names no root: the page is the same wherever that lies."""
    return str(error).replace(f"{folder}/", "")


def renewed(folder: Path, name: str) -> str:
    """Run an analysis and return its text; of its figures in the folder those are left that it draws now.

    The title of a setting, and so the name of its figure, may change where a sweep is extended.
    """
    before = {path: path.stat().st_mtime_ns for path in (folder / "figures").glob(f"{name}_*.png")}
    text: str = import_module(f"analysis.{name}").analyse(folder)
    for path, stamp in before.items():
        if path.stat().st_mtime_ns == stamp:
            path.unlink()
    return text


def _analyses(folder: Path) -> list[str]:
    """Return the analyses that the sweep file asks for; none where there is no such file yet.

    Raises `UserError` for a damaged one.
    """
    path = folder / "sweep.yaml"
    asked = parse(str(path), path.read_bytes()).get("analyses", []) if path.is_file() else []
    if not isinstance(asked, list):
        raise UserError(f"{path}: analyses = {asked!r}: expected a list")
    return [name for name in ANALYSES if name in asked]


def figures(folder: Path) -> list[Figure]:
    """Return the figures of a sweep, sorted by name."""
    return [_figure(path, folder.name) for path in sorted((folder / "figures").glob("*.png"))]


def _figure(path: Path, sweep: str) -> Figure:
    name = max((each for each in ANALYSES if path.stem.startswith(f"{each}_")), key=len, default="")
    of = path.stem.removeprefix(f"{name}_")
    caption = caption_of(path)
    url = f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"
    alt = f"{name.replace('_', ' ')} of {of}, sweep {sweep}: {caption}"
    return Figure(path.name, f"{caption} ({path.name})".lstrip(), alt, url)
