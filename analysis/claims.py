"""Which of the claims hold? One page of all sweeps under a root: verdicts, figures, the paper's numbers."""

import argparse
from pathlib import Path

from analysis.claims_page import CLAIMS, Claim, render
from analysis.evidence import evidence
from analysis.reproduction import Reproduction, reproductions
from analysis.sweep_report import report
from analysis.tables import read
from analysis.verdict import Verdict


def analyse(root: Path) -> str:
    """Write `claims.html` under the root and return the verdicts as text, with the path of the page."""
    verdicts: list[Verdict] = []
    beside: list[tuple[str, Reproduction]] = []
    reports = []
    for folder in sorted(path for path in (root / "sweeps").glob("*") if path.is_dir()):
        tables = read(folder)
        verdicts += evidence(tables)
        beside += [(folder.name, found) for found in reproductions(tables)]
        reports.append(report(folder, tables))
    page = root / "claims.html"
    page.write_text(render(verdicts, beside, reports), encoding="utf-8")
    lines = [line for claim in CLAIMS for line in _lines(claim, verdicts)]
    return "\n".join([*lines, f"page: {page}"])


def _lines(claim: Claim, verdicts: list[Verdict]) -> list[str]:
    own = [str(each) for each in verdicts if each.claim == claim.name]
    command = f"raysweep run sweeps/{claim.sweeps[0]}.yaml"
    return own or [f"{claim.name}: missing: no sweep has rows for it; {command}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    arguments = parser.parse_args()
    if not arguments.root.is_dir():
        parser.error(f"no folder {arguments.root}")
    print(analyse(arguments.root))
