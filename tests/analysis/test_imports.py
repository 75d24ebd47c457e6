"""Imports inside `analysis/` point downwards, and only what draws needs matplotlib."""

import ast
from pathlib import Path

import pytest

from raysweep.vocabulary import ANALYSES

ANALYSIS = Path(__file__).parents[2] / "analysis"
ROOMS = ("rows", "statistics", "figures", "questions", "summary", "claims")  # from the bottom to the top
MODULES = [path for path in sorted(ANALYSIS.rglob("*.py")) if path.name not in ("__init__.py", "command.py")]


def room_of(module):
    """The room of a module written `analysis.room.module` or `analysis.question`."""
    first = module.split(".")[1]
    return "questions" if first in ANALYSES else first


def module_of(path):
    return ".".join(path.relative_to(ANALYSIS.parent).with_suffix("").parts)


def imported(path):
    """All modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", [*MODULES, *ANALYSIS.glob("*/__init__.py")], ids=module_of)
def test_imports_point_downwards(path):
    own = room_of(module_of(path))
    for module in imported(path):
        if module.startswith("analysis.") and not module.startswith("analysis.command"):
            room = room_of(module)
            assert ROOMS.index(room) <= ROOMS.index(own), f"{module_of(path)} imports {module}"
            if room == own == "questions":
                assert module.split(".")[1] == module_of(path).split(".")[1], "a question imports another"
        if own in ("rows", "statistics"):
            assert not module.startswith("matplotlib"), module_of(path)


def test_every_question_is_an_analysis_of_the_sweep_file_and_the_other_way_around():
    top = {
        path.stem for path in ANALYSIS.iterdir() if path.suffix == ".py" or (path / "__main__.py").exists()
    }
    assert top - {"__init__", "command", "claims"} == set(ANALYSES)
