"""Which of the claims hold? A page of all sweeps under a root: verdicts, figures and the paper's numbers."""

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from analysis.command import ROOT
from analysis.rows.tables import read
from analysis.summary.evidence import evidence
from analysis.summary.page import CLAIMS, Claim, render
from analysis.summary.remembered import Analysed, remember, remembered
from analysis.summary.reproduction import reproductions
from analysis.summary.sweep_report import Report, report
from analysis.summary.verdict import Verdict
from raysweep.commands.process_exit import leave
from raysweep.commands.standing import standings
from raysweep.errors import UserError
from raysweep.store.backends import Stamp
from raysweep.store.copies import as_directory
from raysweep.store.files import Files

PAGE = "claims.html"


class Page:
    """The page of a root, written any number of times; only sweeps that have changed are analysed again.

    Figures are drawn again with the analyses. What was found is kept beside the tables for later processes;
    with `anew`, what earlier ones kept is not used. The verdicts of a sweep that has jobs left are marked.
    """

    def __init__(self, files: Files, anew: bool = False) -> None:
        self._files, self._anew = files, anew
        self._analysed: dict[str, tuple[dict[str, Stamp], Analysed]] = {}

    def analyse(self, sweep: str) -> dict[str, str]:
        """Analyse a sweep, whatever is kept of it, and return the texts of its analyses that went well.

        The page shows what was found as long as the tables are the same.
        """
        stamps = self._stamps().get(sweep, {})
        found = self._found_anew(sweep, stamps)
        self._analysed[sweep] = stamps, found
        return found.report.texts

    def write(self) -> list[Verdict]:
        """Write `claims.html` under the root, if it has changed, and return the verdicts."""
        found = self._renewed()
        how_far = standings(self._files)
        partial = {each.sweep for each in how_far if not each.problem and not each.complete}
        verdicts = [
            replace(verdict, partial=verdict.sweep in partial) for each in found for verdict in each.verdicts
        ]
        beside = [(each.report.name, number) for each in found for number in each.reproductions]
        page = render(verdicts, beside, [each.report for each in found], how_far).encode()
        if not self._files.holds(PAGE, page):
            self._files.put(PAGE, page)
        return verdicts

    def problems(self) -> list[str]:
        """Return what the page says of the sweeps that could not be analysed, or only in part."""
        reports = [found.report for _, found in self._analysed.values()]
        return [f"{each.name}: {note}" for each in reports if each.failed for note in each.notes]

    def _renewed(self) -> list[Analysed]:
        """Analyse the sweeps whose tables or file have changed, and return all of them by name."""
        stamps = self._stamps()
        before, self._analysed = self._analysed, {}
        for sweep in sorted(stamps):
            if sweep in before and before[sweep][0] == stamps[sweep]:
                self._analysed[sweep] = before[sweep]
            else:
                self._analysed[sweep] = stamps[sweep], self._found(sweep, stamps[sweep])
        return [found for _, found in self._analysed.values()]

    def _stamps(self) -> dict[str, dict[str, Stamp]]:
        """Return the stamps of the tables and the file of every sweep."""
        stamps: dict[str, dict[str, Stamp]] = {}
        for name, stamp in self._files.stamps("sweeps").items():
            _, sweep, *rest = name.split("/")
            if rest:
                of = stamps.setdefault(sweep, {})
                if name.endswith((".parquet", ".yaml")):
                    of[name] = stamp
        return stamps

    def _found(self, sweep: str, stamps: dict[str, Stamp]) -> Analysed:
        """Return what was found in these tables before, or analyse them; failures are tried again."""
        found = None if self._anew else remembered(self._files, sweep, stamps)
        return found or self._found_anew(sweep, stamps)

    def _found_anew(self, sweep: str, stamps: dict[str, Stamp]) -> Analysed:
        with as_directory(self._files, f"sweeps/{sweep}") as folder:
            found = _analysed(folder)
        if not found.report.failed:
            remember(self._files, sweep, stamps, found)
        return found


def _analysed(folder: Path) -> Analysed:
    """Analyse a sweep; tables that cannot be analysed must not keep the other sweeps from the page."""
    try:
        tables = read(folder)
        return Analysed(evidence(tables), list(reproductions(tables)), report(folder, tables))
    except Exception as error:
        note = f"these tables cannot be analysed: {type(error).__name__}: {error}"
        return Analysed([], [], Report(folder.name, {}, [note], {}, [], failed=True))


def analyse(root: str | Path) -> str:
    """Write `claims.html` under the root and return the verdicts as text, with the location of the page.

    The root is a directory, `s3://bucket/prefix` or `gs://bucket/prefix`. All figures are drawn again. The
    text ends with what is wrong with sweeps that could not be analysed.
    """
    files = Files(str(root))
    page = Page(files, anew=True)
    verdicts = page.write()
    lines = [line for claim in CLAIMS for line in _lines(claim, verdicts)]
    return "\n".join([*lines, f"page: {files.where(PAGE)}", *page.problems()])


def _lines(claim: Claim, verdicts: Iterable[Verdict]) -> list[str]:
    own = [str(each) for each in verdicts if each.claim == claim.name]
    command = f"raysweep run sweeps/{claim.sweeps[0]}.yaml"
    return own or [f"{claim.name}: missing: no sweep has rows for it; run `{command}`"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m analysis.claims", description=__doc__)
    parser.add_argument("root", help=ROOT)
    root = parser.parse_args().root
    if "://" not in root and not Path(root).is_dir():
        parser.error(f"no folder {root}")
    try:
        print(analyse(root))
    except UserError as error:
        parser.error(str(error))
    leave(0)
