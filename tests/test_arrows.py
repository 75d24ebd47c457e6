"""No room of the house imports one above it, and one room alone knows Ray, one alone MLflow."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
FLOORS = (  # from the top of the house to its ground; rooms of one floor do not know each other
    ("cli",),
    ("commands",),
    ("cluster", "tracking", "merging"),
    ("tables", "work", "stored"),
    ("plan",),
    ("sweep", "store"),
    ("pruning", "alignment", "connectivity"),
    ("training",),
    ("symmetry", "data"),
    ("models", "accelerator"),
    ("registry",),
    ("choices", "digest", "errors", "interruption", "version", "vocabulary"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
LIBRARIES = {"ray": {"cluster"}, "mlflow": {"tracking"}, "typer": {"cli"}}
NUMERIC = ("training", "pruning", "alignment", "connectivity", "symmetry", "models", "data", "accelerator")
NOT_IN_NUMERICS = {"ray", "mlflow", "pyarrow", "pandas", "rich"}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{node.module}.{node.names[0].name}" if node.module == "raysweep" else str(node.module)


def files() -> Iterator[tuple[str, Path]]:
    """Every module with the room that it lies in."""
    for path in sorted((PROJECT / "raysweep").rglob("*.py")):
        room = path.relative_to(PROJECT / "raysweep").parts[0].removesuffix(".py")
        if room != "__init__":
            yield room, path


@pytest.mark.parametrize(("room", "path"), [pytest.param(*each, id=str(each[1])) for each in files()])
def test_no_module_imports_one_above_it(room, path):
    for module in imports(path):
        top, *rest = module.split(".")
        if top == "raysweep" and rest and rest[0] in FLOOR and rest[0] != room:
            assert FLOOR[rest[0]] > FLOOR[room], f"{path} imports {module}"
        assert room in LIBRARIES.get(top, {room}), f"{path} imports {module}"
        assert not (room in NUMERIC and top in NOT_IN_NUMERICS), f"{path} imports {module}"


@pytest.mark.parametrize("side", ["cost", "notices"])
def test_the_plan_knows_neither_its_cost_nor_what_is_said_of_it(side):
    for path in (PROJECT / "raysweep" / "plan").glob("*.py"):
        assert not any(module.startswith(f"raysweep.plan.{side}") for module in imports(path)), path
