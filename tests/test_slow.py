"""The list of slow tests names tests that exist, and is made of reports."""

import re

from tests.conftest import PROJECT
from tests.slow import LIMIT, listed, slow_tests

REPORT = """<testsuites><testsuite>
<testcase classname="tests.a.test_b" name="test_quick[{:.0f}-x]" time="{}"/>
<testcase classname="tests.a.test_b" name="test_long[slow]" time="{}"/>
</testsuite></testsuites>"""


def test_every_test_of_the_list_exists():
    for each in listed():
        file, name = each.split("::")
        assert re.search(rf"^def {name}\(", (PROJECT / file).read_text(), re.M), each


def test_what_took_long_is_slow_whatever_its_parameters(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT.format(1, LIMIT / 2, 2 * LIMIT))
    assert slow_tests(tmp_path / "report.xml") == {"tests/a/test_b.py::test_long"}
