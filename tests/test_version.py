"""What an installation says of itself."""

import tomllib
from pathlib import Path

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
