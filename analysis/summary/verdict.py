"""A verdict on a claim: what one kind of permutation shows of one kind of networks in one sweep."""

from dataclasses import dataclass, replace

from analysis.rows.settings import Setting
from analysis.statistics.deciding import THRESHOLD, with_reason
from analysis.statistics.jackknife import with_interval


@dataclass(frozen=True)
class Verdict:
    """What a mean error barrier (share), its interval (NaN: none) and spread say of a claim on one split.

    `what` are the permutations, `where` says to which place of a sequence the numbers belong. `connected` is
    the share of the `n` pairs or triples at or below the threshold; `why` says why it is undecided,
    or where in a sequence it fails.
    """

    claim: str
    what: str
    sweep: str
    setting: Setting
    split: str
    state: str
    why: str
    mean: float
    low: float
    high: float
    maximum: float
    connected: float
    n: int
    where: str = ""

    @property
    def family(self) -> str:
        """The networks without their width: verdicts of one family differ in it."""
        return replace(self.setting, width=None).title

    @property
    def said(self) -> str:
        """The state in words: of what holds, that it does so in the mean; of what is undecided, why."""
        return with_reason(self.state, self.why)

    def __str__(self) -> str:
        where = f" {self.where}" if self.where else ""
        return (
            f"{self.claim}: {self.sweep}: {self.setting.title}: {self.what}: {self.split} {self.said} "
            f"({with_interval(self.mean, self.low, self.high)}{where}, threshold {THRESHOLD}, maximum "
            f"{self.maximum:.3f}, {self.connected:.0%} of {self.n} connected)"
        )
