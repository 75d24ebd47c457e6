import re
from pathlib import Path

from tests.faults import TABLE

README = Path(__file__).parent / "README.md"


def test_the_readme_says_how_often_the_tests_inject_each_fault():
    """Those that are injected once are not all counted."""
    rows = re.findall(r"^\| (.*?) \| (?:once|(\d+) times)(?: or more)? \|", README.read_text(), re.M)
    told = {fault: int(times or 1) for fault, times in rows}
    assert told == dict.fromkeys(told, 1) | TABLE
