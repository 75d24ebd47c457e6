"""Does the permutation of two dense networks also align the sparse ones? Barriers along pruning."""

from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.bootstrap import with_interval
from analysis.command import command
from analysis.deciding import FAILS, HOLDS, NOT_INFORMATIVE, UNDECIDED, share_connected, state
from analysis.members import trial_of
from analysis.panels import UNITS
from analysis.pruning_figure import draw
from analysis.settings import by_setting, one_statistics
from analysis.simultaneous import Decision
from analysis.simultaneous import decide as decide_together
from analysis.sparsity import mean, pruned_groups
from analysis.style import THRESHOLD

KEYS = ["point", "level", "sparsity", "kind", "risk"]
SPREAD = ["mean", "low", "high", "n", "maximum", "connected"]
DECIDED = ["point", "level", "sparsity", "state", *SPREAD, "unaligned", "ratio"]
POINTS = {"rewind": "at the rewind point", "end": "at the end of training"}
UNALIGNED, DENSE, OWN = "unaligned", "dense permutation", "level's permutation"


def by_level(barriers: pd.DataFrame, trials: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """Return the mean barrier of pairs and its interval by point, level, kind and risk.

    The maximum over pairs and the share of connected ones stand beside it. The point is `end` at the last
    step of the networks' own trials and `rewind` elsewhere. At level 0 the dense permutation is the level's
    own.
    """
    chosen = barriers[
        barriers.interpolation.eq("pair")
        & barriers.kind.isin([UNALIGNED, "direct"])
        & barriers.split.eq(split)
    ]
    records = trials.set_index(["trial_id", "level"])
    at = list(zip(chosen.networks.str[0].map(trial_of), chosen.level, strict=True))
    chosen = chosen.assign(
        sparsity=[records.sparsity[key] for key in at],
        point=np.where(chosen.step == [records.steps[key] for key in at], "end", "rewind"),
    )
    rows = []
    for (point, level), part in chosen.groupby(["point", "level"]):
        kinds = {
            UNALIGNED: part[part.kind == UNALIGNED],
            DENSE: part[part.permutation_level == 0],
            OWN: part[part.permutation_level == part.level],
        }
        for kind, group in kinds.items():
            members = [[trial_of(network) for network in pair] for pair in group.networks]
            for risk in UNITS if len(group) else ():
                values = dict(zip(KEYS, (point, level, group.sparsity.mean(), kind, risk), strict=True))
                found = group[f"{risk}_barrier"]
                ends = {"maximum": found.max(), "connected": share_connected(found)}
                rows.append({**values, **mean(found, members), **ends})
    return pd.DataFrame(rows, columns=[*KEYS, *SPREAD])


def errors_by_level(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the mean test error of the dense networks and of their chains, with intervals, by level."""
    chains = trials[trials.branch.eq("main") & trials.level.gt(0)]
    dense = trials[trials.trial_id.isin(chains.parent_trial) & trials.level.eq(0)]
    rows = []
    for level, group in pd.concat([dense, chains]).groupby("level"):
        networks = group.parent_trial.where(group.level > 0, group.trial_id)
        values = {"level": level, "sparsity": group.sparsity.mean()}
        rows.append({**values, **mean(group.test_error, [[network] for network in networks])})
    return pd.DataFrame(rows)


def decide(means: pd.DataFrame) -> pd.DataFrame:
    """Return a row per point and level: what the dense permutation says of the claim there.

    `state` is decided by the test error barrier, whose `mean`, `low`, `high` and `n` stand beside it;
    `unaligned` is that of the same pairs without a permutation, and `ratio` the loss barrier as a share of
    the unaligned one (NaN where unaligned pairs have none).
    """
    wide = means.set_index(["kind", "risk", "point", "level"])["mean"].to_dict()
    rows = []
    for row in means[(means.kind == DENSE) & (means.risk == "error")].to_dict("records"):
        at = (row["point"], row["level"])
        bare = {risk: wide.get((UNALIGNED, risk, *at), float("nan")) for risk in UNITS}
        ratio = wide[DENSE, "loss", *at] / bare["loss"] if bare["loss"] > 0 else float("nan")
        word = state(row["low"], row["high"], bare["error"])
        rows.append({**row, "state": word, "unaligned": bare["error"], "ratio": ratio})
    return pd.DataFrame(rows, columns=DECIDED)


def decisions(decided: pd.DataFrame) -> dict[str, Decision]:
    """Decide whether the dense permutation connects the pairs at all levels, by point (rewind or end).

    A point without pruned networks decides nothing and is left out.
    """
    found = {}
    for point in POINTS:
        rows = decided[decided.point == point].rename(columns={"level": "place"})
        if (rows.place > 0).any():
            found[point] = decide_together(rows, dict(zip(rows.place, rows.unaligned, strict=True)))
    return found


def verdicts(decided: pd.DataFrame) -> list[str]:
    """Return two sentences per point: on the error barrier and on the ratio of the loss barriers."""
    words = {
        HOLDS: "the claim holds along pruning",
        FAILS: "the claim fails somewhere",
        UNDECIDED: "the claim is undecided",
        NOT_INFORMATIVE: "the claim is not informative",
    }
    sentences = []
    for point, found in decisions(decided).items():
        sentences.append(
            f"{point}: dense permutation: {words[found.state]} (error barrier at most {THRESHOLD} at "
            f"{found.holds} of {found.told} levels that can tell); largest mean "
            f"{with_interval(found.mean, found.low, found.high)} at level {found.place:g}, "
            f"n = {found.n} pairs"
        )
        rows = decided[decided.point == point]
        sentences.append(_ratio_sentence(point, rows[(rows.level > 0) & rows.ratio.notna()]))
    return sentences


def _ratio_sentence(point: str, rows: pd.DataFrame) -> str:
    if rows.empty:
        return f"{point}: not informative, because unaligned sparse pairs have no loss barrier"
    worst = max(rows.to_dict("records"), key=itemgetter("ratio"))
    word = "keeps" if (rows.ratio < 0.5).all() else "does not keep"
    return (
        f"{point}: the dense permutation {word} the test loss barrier below half of the unaligned one at "
        f"every level (at most {worst['ratio']:.2f} of it, at level {worst['level']})"
    )


def analyse(folder: Path) -> str:
    """Read the tables of a sweep, draw `figures/pruning_*.png` and return tables and verdicts."""
    barriers, trials = pd.read_parquet(folder / "barriers"), pd.read_parquet(folder / "trials")
    parts = []
    first = barriers.networks.str[0].map(trial_of)
    for networks, own in pruned_groups(trials):
        for setting, rows in by_setting(one_statistics(barriers[first.isin(own.trial_id)]), trials):
            means, named = by_level(rows, own), replace(setting, width=networks.width)
            path = folder / "figures" / f"pruning_{named.stem}.png"
            draw(means, errors_by_level(own), POINTS, named.title, path)
            parts.append("\n".join([*_tables(named.title, means), *verdicts(decide(means))]))
    return "\n\n".join(parts) or "pruning: no pruned networks yet"


def _tables(title: str, means: pd.DataFrame) -> list[str]:
    lines = []
    for risk in UNITS:
        wide = means[means.risk == risk].pivot(
            index=["level", "sparsity"], columns=["point", "kind"], values="mean"
        )
        table = wide.sort_index(axis=1, ascending=False).reset_index()
        body = table.to_string(index=False, float_format="{:.3f}".format)
        lines += [f"{title}: mean test {risk} barrier of pairs by level", body]
    return lines


if __name__ == "__main__":
    command(__doc__, "imp_digits", analyse)
