import re
from pathlib import Path

from tests.faults import TABLE

README = Path(__file__).parent / "README.md"


def test_the_readme_says_how_often_the_tests_inject_each_fault():
    rows = re.findall(r"^\| (.*?) \| (\d+) times(?: or more)? \|", README.read_text(), re.M)
    assert {fault: int(times) for fault, times in rows} == TABLE
