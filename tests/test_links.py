"""What every README promises of the repository: its links lead somewhere and the files it names are there."""

import re
from importlib.util import find_spec

import pytest

from raysweep.vocabulary import ANALYSES
from tests.benchmarks.__main__ import BENCHMARKS
from tests.generated import PARTS
from tests.readmes import FOLDERS, PROJECT, blocks, readme, run_python
from tests.test_arrows import FLOORS

LONGEST = 200  # lines of README.md
RUNS = "runs/"  # the root of the examples: what lies there is made by their commands
NAMED = re.compile(r"`((?:[a-z0-9_.-]+/)+[a-z0-9_.-]+\.(?:py|md|yaml|toml|txt|png|env))`")


def anchors(text):
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(folder):
    """The targets of a README's links and images within the repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", readme(folder))
    return [target for target in targets if not target.startswith(("http://", "https://"))]


@pytest.mark.parametrize("folder", FOLDERS)
def test_links_lead_somewhere(folder):
    for target in links(folder):
        name, _, anchor = target.partition("#")
        path = (PROJECT / folder / name).resolve() if name else PROJECT / folder / "README.md"
        assert path.is_relative_to(PROJECT), target
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path.read_text()), target


@pytest.mark.parametrize("folder", FOLDERS)
def test_named_files_are_there(folder):
    for name in NAMED.findall(readme(folder)):
        there = any((PROJECT / base / name).exists() for base in (folder, "."))
        assert there or name.startswith(RUNS), name


@pytest.mark.parametrize("folder", FOLDERS)
def test_named_modules_are_there(folder):
    for module in re.findall(r"python -m ([\w.]+)", readme(folder)):
        placeholder = module.rpartition(".")[2].isupper()
        assert placeholder or find_spec(module), module


def test_every_readme_is_reached_from_the_first():
    found = {str(path.parent.relative_to(PROJECT)) for path in PROJECT.glob("[a-z]*/**/README.md")}
    assert found >= {*FOLDERS} - {"."}
    reached, left = set(), ["."]
    while left:
        folder = left.pop()
        reached.add(folder)
        names = [target.partition("#")[0] for target in links(folder)]
        others = {(PROJECT / folder / name).resolve().parent for name in names if name.endswith("README.md")}
        left += {str(other.relative_to(PROJECT)) for other in others} - reached
    assert found <= reached


def test_the_first_readme_is_short():
    assert len(readme(".").splitlines()) <= LONGEST


def test_every_sweep_and_analysis_is_in_the_table_of_experiments():
    text = readme(".")
    rows = text[text.index("## Experiments") : text.index("## A sweep file")]
    for name in [*(path.stem for path in (PROJECT / "sweeps").glob("*.yaml")), *ANALYSES]:
        assert f"`{name}`" in rows, name


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.folder)
def test_generated_tables_are_those_of_the_code(part):
    assert part.renewed() == readme(part.folder), "python -m tests.generated writes them anew"


def test_the_picture_of_the_house_is_the_one_that_is_tested():
    text = readme("raysweep")
    picture = re.search(r"```\n(.*?)```", text[text.index("## The house") :], re.S)[1]
    floors = [re.split(r" {6,}(?=\S)", line.strip()) for line in picture.splitlines() if line.strip() != "|"]
    rooms = {room for floor in FLOORS for room in floor}
    assert [{w for part in floor for w in part.split()} & rooms for floor in floors] == [*map(set, FLOORS)]


def test_every_benchmark_is_named():
    assert all(f"`{name}`" in readme("tests/benchmarks") for name in BENCHMARKS)


@pytest.mark.slow
def test_python_blocks_without_a_root_run(tmp_path):
    run_python([*blocks(".", "python"), *blocks("raysweep", "python")], tmp_path)
