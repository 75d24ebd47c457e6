"""What the code generates: tables in READMEs, and the costs in the headers of sweep files.

`python -m tests.generated` writes them anew.
"""

from collections.abc import Callable
from dataclasses import dataclass

from raysweep.sweep.reference import reference
from raysweep.symmetry.reference import describe as operations
from raysweep.tables.schemas import describe as tables
from tests.readmes import PROJECT, readme
from tests.sweeps.headers import FILES, renewed


@dataclass(frozen=True)
class Part:
    """What lies between two texts of a README; the second is its end unless given."""

    folder: str
    start: str
    end: str
    generate: Callable[[], str]

    def renewed(self) -> str:
        """The whole README with the part as the code generates it."""
        before, start, rest = readme(self.folder).partition(self.start)
        assert start, f"{self.folder}/README.md: no {self.start!r}"
        _, end, after = rest.partition(self.end) if self.end else (rest, "", "")
        return f"{before}{start}{self.generate().rstrip()}\n{end}{after}"


PARTS = (
    Part("sweeps", "# Every key\n\n", "", reference),
    Part("analysis", "<!-- tables -->\n", "<!-- end of tables -->", tables),
    Part("raysweep", "<!-- operations -->\n", "<!-- end of operations -->", operations),
)


def main() -> None:
    for part in PARTS:
        (PROJECT / part.folder / "README.md").write_text(part.renewed())
    for path in FILES:
        path.write_text(renewed(path))


if __name__ == "__main__":
    main()
