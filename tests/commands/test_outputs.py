"""Commands whose outputs nobody reads."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PRINTS = """
import sys
from raysweep.commands.console import RunConsole
console = RunConsole(highlight=False, soft_wrap=True)
for _ in range(30):
    console.print("x" * 5000)
sys.stderr.write("the end")
"""


def test_a_run_goes_on_when_the_reader_of_its_output_has_gone():
    process = subprocess.Popen([sys.executable, "-c", PRINTS], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b"the end"
    assert process.wait() == 0


def test_a_command_may_be_started_without_standard_streams():
    command = f'"{sys.executable}" -m raysweep.cli --version <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", command]).returncode == 0
