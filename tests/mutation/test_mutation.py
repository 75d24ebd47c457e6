import ast
from collections import Counter

import pytest

from tests.mutation.__main__ import files_for
from tests.mutation.mutants import mutants
from tests.mutation.running import Copy

MODULE = '''"""Says 1 < 2 in a text that stays."""


def inside(value: int | None, low=0, high=9) -> bool:
    if value is None:
        raise ValueError("not 1")
    return low <= value and not value > high


def larger(one, other):
    return max(one, other + 0.0)
'''
TESTS = """from raysweep.tiny import inside, larger


def test_inside():
    assert inside(5)
    assert inside(0)
    assert not inside(10)
    assert not inside(-1)


def test_larger():
    assert larger(1, 2) == 2
"""


def test_each_mutant_differs_in_one_place():
    found = mutants(MODULE)
    changes = Counter((each.before, each.after) for each in found)
    assert changes == Counter(
        {
            ("0", "1"): 1,
            ("9", "10"): 1,
            ("value is None", "value is not None"): 1,
            ("value is None", "not value is None"): 1,
            ("low <= value and (not value > high)", "low <= value or not value > high"): 1,
            ("low <= value", "low < value"): 1,
            ("not value > high", "value > high"): 1,
            ("value > high", "value >= high"): 1,
            ("max", "min"): 1,
            ("other + 0.0", "other - 0.0"): 1,
            ("0.0", "1.0"): 1,
        }
    )
    for each in found:
        ast.parse(each.source)
        lines = zip(MODULE.splitlines(), each.source.splitlines(), strict=True)
        assert [n for n, (old, new) in enumerate(lines, 1) if old != new] == [each.line]
        assert each.function == (4 if each.line < 10 else 10)


@pytest.mark.slow
def test_survivors_are_what_no_test_notices(tmp_path):
    """No test is at the upper end of the range, but one is at the lower end."""
    repository = tmp_path / "checkout"
    for name, text in {
        "raysweep/__init__.py": "",
        "raysweep/tiny.py": MODULE,
        "tests/__init__.py": "",
        "tests/test_tiny.py": TESTS,
    }.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    copy = Copy(repository, tmp_path)
    measured = copy.measure("raysweep/tiny.py", ["tests/test_tiny.py"])
    assert [len(measured.reaching(line)) for line in (4, 10, None)] == [1, 1, 2]
    found = {each.before: each for each in mutants(MODULE) if each.before in ("low <= value", "value > high")}
    outcomes = {
        before: copy.outcome("raysweep/tiny.py", each.source, measured.reaching(each.function), 1)
        for before, each in found.items()
    }
    assert outcomes == {"low <= value": "killed", "value > high": "survived"}
    assert (repository / "raysweep/tiny.py").read_text() == MODULE


def test_files_for_a_module():
    assert files_for("raysweep/alignment/joint.py") == [
        "tests/alignment/test_joint.py",
        "tests/alignment/test_golden.py",
    ]
    assert files_for("raysweep/connectivity/grids.py")[0] == "tests/connectivity/test_barrier.py"
