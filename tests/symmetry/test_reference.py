"""raysweep/README.md: the table of operations is the registry's."""

from pathlib import Path

from raysweep.symmetry.operations import OPERATIONS
from raysweep.symmetry.reference import RULES, describe

README = (Path(__file__).parent.parent.parent / "raysweep" / "README.md").read_text()


def test_the_readme_has_the_table():
    _, _, rest = README.partition("<!-- operations -->\n")
    assert rest.startswith(describe() + "<!-- end of operations -->\n")


def test_every_operation_has_one_rule():
    names = [name for rule in RULES for name in rule.names]
    assert sorted(names) == sorted(OPERATIONS)
