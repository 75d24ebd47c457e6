"""Which of the claims hold? A page of all sweeps under a root: verdicts, figures and the paper's numbers."""

import argparse
from pathlib import Path

from analysis.command import ROOT
from analysis.rows.tables import read
from analysis.summary.evidence import evidence
from analysis.summary.page import CLAIMS, Claim, render
from analysis.summary.reproduction import Reproduction, reproductions
from analysis.summary.sweep_report import report
from analysis.summary.verdict import Verdict
from raysweep.commands.process_exit import leave
from raysweep.errors import UserError
from raysweep.store.copies import as_directory
from raysweep.store.files import Files


def analyse(root: str | Path) -> str:
    """Write `claims.html` under the root and return the verdicts as text, with the location of the page.

    The root is a directory, `s3://bucket/prefix` or `gs://bucket/prefix`. Figures are drawn again.
    """
    files = Files(str(root))
    verdicts: list[Verdict] = []
    beside: list[tuple[str, Reproduction]] = []
    reports = []
    with as_directory(files, "sweeps") as sweeps:
        for folder in sorted(path for path in sweeps.glob("*") if path.is_dir()):
            tables = read(folder)
            verdicts += evidence(tables)
            beside += [(folder.name, found) for found in reproductions(tables)]
            reports.append(report(folder, tables))
    files.put("claims.html", render(verdicts, beside, reports).encode())
    lines = [line for claim in CLAIMS for line in _lines(claim, verdicts)]
    return "\n".join([*lines, f"page: {files.where('claims.html')}"])


def _lines(claim: Claim, verdicts: list[Verdict]) -> list[str]:
    own = [str(each) for each in verdicts if each.claim == claim.name]
    command = f"raysweep run sweeps/{claim.sweeps[0]}.yaml"
    return own or [f"{claim.name}: missing: no sweep has rows for it; run `{command}`"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", help=ROOT)
    root = parser.parse_args().root
    if "://" not in root and not Path(root).is_dir():
        parser.error(f"no folder {root}")
    try:
        print(analyse(root))
    except UserError as error:
        parser.error(str(error))
    leave(0)
