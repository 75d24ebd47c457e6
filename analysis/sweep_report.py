"""What a sweep has to show beside its verdicts: its counts, the texts of its analyses, its figures."""

from base64 import b64encode
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import yaml

from analysis.tables import READ, Tables
from raysweep.vocabulary import ANALYSES


@dataclass(frozen=True)
class Figure:
    """A PNG as a data URL, with what it answers and what it is of."""

    caption: str
    alt: str
    url: str


@dataclass(frozen=True)
class Report:
    """A sweep's section: rows by table, notes on what is not there, texts by analysis, figures."""

    name: str
    counts: dict[str, int]
    notes: list[str]
    texts: dict[str, str]
    figures: list[Figure]


def report(folder: Path, tables: Tables) -> Report:
    """Run the sweep's analyses again, so that texts and figures are of the tables as they are now."""
    counts = {table: len(getattr(tables, table)) for table in READ}
    notes, texts = list(tables.notes), {}
    if counts["failures"]:
        notes.append(f"{counts['failures']} failures recorded: the sweep is not complete")
    if counts["barriers"]:
        for name in _analyses(folder):
            try:
                texts[name] = import_module(f"analysis.{name}").analyse(folder)
            except (OSError, LookupError, AttributeError, TypeError, ValueError) as error:
                # An analysis reads whole tables; of a sweep in progress they may not fit together yet.
                why = str(error).replace(f"{folder}/", "")  # the page is the same wherever the root lies
                notes.append(f"analysis {name} cannot read these tables: {type(error).__name__}: {why}")
    else:
        notes.append("no barriers yet")
    return Report(folder.name, counts, notes, texts, figures(folder))


def _analyses(folder: Path) -> list[str]:
    """Return the analyses that the sweep file asks for; none where there is no such file yet."""
    path = folder / "sweep.yaml"
    content = yaml.safe_load(path.read_text()) if path.is_file() else None
    return [name for name in ANALYSES if name in (content or {}).get("analyses", [])]


def figures(folder: Path) -> list[Figure]:
    """Return the figures of a sweep, sorted by name."""
    return [_figure(path, folder.name) for path in sorted((folder / "figures").glob("*.png"))]


def _figure(path: Path, sweep: str) -> Figure:
    name = max((each for each in ANALYSES if path.stem.startswith(f"{each}_")), key=len, default="")
    of = path.stem.removeprefix(f"{name}_")
    what = (import_module(f"analysis.{name}").__doc__ or "").strip() if name else "Figure."
    url = f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"
    return Figure(f"{what} ({path.name})", f"{name.replace('_', ' ')} of {of}, sweep {sweep}: {what}", url)
