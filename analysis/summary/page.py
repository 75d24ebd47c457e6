"""The page of `analysis.claims` as HTML: verdicts by claim, the paper's numbers, reports of sweeps."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined

from analysis.statistics.deciding import THRESHOLD
from analysis.statistics.jackknife import with_interval
from analysis.summary import paper
from analysis.summary.evidence import PRUNING, STRONG, TRAINING, WEAK
from analysis.summary.reproduction import Reproduction
from analysis.summary.sweep_report import Report
from analysis.summary.verdict import Verdict
from raysweep.commands.standing import Standing
from raysweep.vocabulary import Split


@dataclass(frozen=True)
class Claim:
    """A claim, its definition, and the two sweeps that answer it: on two cores and at the paper's size."""

    name: str
    title: str
    definition: str
    sweeps: tuple[str, ...]


CLAIMS = (
    Claim(
        WEAK,
        "Weak linear connectivity modulo permutation",
        "For every pair of networks A and B there is a permutation P with a low barrier between A and P[B].",
        ("weak_digits", "weak_vgg16_cifar10"),
    ),
    Claim(
        TRAINING,
        "Simultaneous weak linear connectivity along training",
        "For two training runs there is one P with a low barrier between A and P[B] at every checkpoint.",
        ("trajectory_digits", "trajectory_vgg16_cifar10"),
    ),
    Claim(
        PRUNING,
        "Simultaneous weak linear connectivity along pruning",
        "For two runs of iterative magnitude pruning there is one P with a low barrier between A and P[B] at "
        "every level.",
        ("imp_digits", "imp_vgg16_cifar10"),
    ),
    Claim(
        STRONG,
        "Strong linear connectivity modulo permutation",
        "Every network has one permutation that connects it with all the others at once; measured on three.",
        ("quickstart", "strong_vgg16_cifar10"),
    ),
)


@dataclass(frozen=True)
class Row:
    """The verdicts on one kind of permutation and one width, by split; `chance` is that of the setting.

    The first row of a kind spans the `span` rows that share it; in the others `span` is 0.
    """

    what: str
    span: int
    width: int
    chance: str
    by_split: dict[str, Verdict]


@dataclass(frozen=True)
class Family:
    """The rows of one setting of a sweep, over all of its widths."""

    networks: str
    sweep: str
    rows: list[Row]


Key = TypeVar("Key")


def families(verdicts: Iterable[Verdict]) -> list[Family]:
    """Group the verdicts of a claim for its table."""
    found = _gathered(verdicts, lambda each: (each.sweep, each.family))
    return [Family(networks, sweep, list(_rows(same))) for (sweep, networks), same in found.items()]


def _rows(verdicts: list[Verdict]) -> Iterator[Row]:
    for what, same in _gathered(verdicts, lambda each: each.what).items():
        widths = _gathered(same, lambda each: each.setting.width or 0)
        for index, (width, splits) in enumerate(sorted(widths.items())):
            span = 0 if index else len(widths)
            chance = splits[0].setting.chance
            yield Row(what, span, width, chance, {each.split: each for each in splits})


def _gathered(verdicts: Iterable[Verdict], key: Callable[[Verdict], Key]) -> dict[Key, list[Verdict]]:
    """Group verdicts by a key, in the order in which its values first appear."""
    found: dict[Key, list[Verdict]] = {}
    for each in verdicts:
        found.setdefault(key(each), []).append(each)
    return found


def render(
    verdicts: list[Verdict],
    reproductions: list[tuple[str, Reproduction]],
    reports: list[Report],
    standings: list[Standing],
) -> str:
    """Return the page; each reproduction comes with the name of its sweep.

    While a run is in progress, the page has itself loaded again and again. Everything that comes from tables,
    names and files is escaped.
    """
    environment = Environment(
        loader=PackageLoader("analysis.summary"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = lambda each: with_interval(each.mean, each.low, each.high)
    tables = [(claim, families(each for each in verdicts if each.claim == claim.name)) for claim in CLAIMS]
    return environment.get_template("claims.html").render(
        tables=tables,
        reproductions=reproductions,
        reports=reports,
        standings=standings,
        refresh=min((each.progress.every for each in standings if each.progress), default=None),
        splits=tuple(Split),
        threshold=THRESHOLD,
        reading=paper.READING,
    )
