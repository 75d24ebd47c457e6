"""The tests in slow.txt are marked slow, because they take longer than `LIMIT`, though they start no Ray.

`python -m tests.slow REPORT.xml` adds what a report of `pytest --junitxml` shows. Measure more than once:
what a module's fixture costs is counted for whichever test comes first.
"""

import sys
from pathlib import Path
from xml.etree import ElementTree

LIMIT = 0.7  # seconds
LIST = Path(__file__).parent / "slow.txt"


def listed():
    """Return the tests of the list, as `tests/folder/test_file.py::test_name`."""
    return set(LIST.read_text().split())


def slow_tests(report):
    """Return the tests of a report, without their parameters, of which any took longer than the limit."""
    cases = ElementTree.parse(report).getroot().iter("testcase")
    slow = [case for case in cases if float(case.get("time")) > LIMIT]
    return {
        f"{case.get('classname').replace('.', '/')}.py::{case.get('name').partition('[')[0]}" for case in slow
    }


if __name__ == "__main__":
    LIST.write_text("".join(f"{each}\n" for each in sorted(listed().union(*map(slow_tests, sys.argv[1:])))))
