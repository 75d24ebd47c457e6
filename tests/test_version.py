"""The version of raysweep, and the versions of what it is built on."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from typer.testing import CliRunner

import raysweep
from raysweep.cli import app

PROJECT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())


def test_the_version_is_the_packages():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"raysweep {raysweep.__version__}\n"
    assert raysweep.__version__ == PYPROJECT["project"]["version"]
    assert f"\n## {raysweep.__version__} " in (PROJECT / "raysweep" / "CHANGELOG.md").read_text()


def test_continuous_integration_installs_the_oldest_supported_versions():
    """`.ci/oldest.txt` pins every dependency to its lower bound."""
    lines = (PROJECT / ".ci" / "oldest.txt").read_text().splitlines()
    pins = {Requirement(line) for line in lines if line and not line.startswith("#")}
    for text in PYPROJECT["project"]["dependencies"]:
        name, bound = re.match(r"([^>]+)>=([^,]+)", text).groups()
        assert Requirement(f"{name}=={bound}") in pins, text
