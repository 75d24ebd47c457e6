"""A verdict on a claim: the decision on one kind of permutation in one setting of a sweep."""

from dataclasses import dataclass, replace

from analysis.rows.settings import Setting
from analysis.statistics.deciding import THRESHOLD, with_reason
from analysis.statistics.jackknife import Interval, with_interval
from analysis.statistics.spread import DecidedSpread


@dataclass(frozen=True, kw_only=True)
class Verdict(DecidedSpread):
    """The decision on a claim on one split, with the spread of the pairs or triples behind it.

    `what` describes the permutations, and `where` the epoch or level to which the spread belongs. `reason`
    says why the claim is undecided, or at which epochs or levels it fails. `partial` says that the sweep has
    jobs left, so that the verdict is one on what is done. `undecided` has the means of the epochs or levels
    that leave the claim undecided.
    """

    claim: str
    what: str
    sweep: str
    setting: Setting
    split: str
    where: str = ""
    undecided: tuple[Interval, ...] = ()
    partial: bool = False

    @property
    def family(self) -> str:
        """The title of the setting without what the verdicts of a family differ in.

        These are the width, and whether networks of this width are at chance.
        """
        return replace(self.setting, width=None, chance="").title

    @property
    def wording(self) -> str:
        """The state in words, with its reason, and `so far` where the sweep is not complete."""
        words = with_reason(self.state, self.reason)
        return f"so far {words}" if self.partial else words

    def __str__(self) -> str:
        where = f" {self.where}" if self.where else ""
        return (
            f"{self.claim}: {self.sweep}: {self.setting.title}: {self.what}: {self.split} {self.wording} "
            f"({with_interval(self.mean, self.low, self.high)}{where}, threshold {THRESHOLD}, maximum "
            f"{self.maximum:.3f}, {self.connected:.0%} of {self.n} connected)"
        )
