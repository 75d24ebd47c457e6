"""Are networks of two tasks connected, and does the permutation of one task align networks of another?"""

from pathlib import Path

import pandas as pd

from analysis.command import command
from analysis.figures.pairs import draw
from analysis.rows.members import ALIGNED
from analysis.rows.quality import themselves
from analysis.rows.settings import by_setting, by_width, ends, read_barriers
from analysis.statistics.pairs import named, report, summarise
from raysweep.tables.frames import read_frame
from raysweep.tables.variants import trial_of, word_of
from raysweep.vocabulary import DATA_KEYS, Interpolation, Kind

ALIGNMENTS = (Kind.UNALIGNED, Kind.DIRECT, Kind.TRANSFERRED)


def tasks_of(trials: pd.DataFrame) -> dict[str, str]:
    """Return the name of each trial's task: those of its data set and of the keys of data that differ."""
    each = trials.drop_duplicates("trial_id").to_dict("records")
    words = [{key: word_of(key, row[key]) for key in DATA_KEYS} for row in each]
    differing = [key for key in DATA_KEYS if len({word[key] for word in words}) > 1] or ["dataset"]
    return {
        row["trial_id"]: ", ".join(word[key] for key in differing)
        for row, word in zip(each, words, strict=True)
    }


def pairs(barriers: pd.DataFrame, alignments: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs with the columns of `statistics.pairs`; `series` names the tasks of the two networks.

    A pair of two tasks is evaluated on the data of the first task.
    """
    chosen = barriers[barriers.interpolation.eq(Interpolation.PAIR) & barriers.kind.isin(ALIGNMENTS)]
    task = tasks_of(trials)
    several = len(set(task.values())) > 2
    targets = {row["alignment_id"]: trial_of(row["networks"][0]) for row in alignments.to_dict("records")}
    members = [[trial_of(network) for network in networks] for networks in chosen.networks]
    series, alignment = [], []
    for kind, (one, other), ids in zip(chosen.kind, members, chosen.alignments, strict=True):
        here, there = task[one], task[other]
        series.append(here if here == there else f"{here} with {there}")
        alignment.append(
            f"{kind} from {task[targets[ids[0]]]}" if kind == Kind.TRANSFERRED and several else kind
        )
    return named(chosen, series, alignment, members, list(ALIGNMENTS))


def analyse(folder: Path) -> str:
    """Return tables and verdicts of a sweep as text; draw `figures/tasks_*.png` in its folder."""
    barriers = read_barriers(folder, "alignments")
    alignments, trials = read_frame(folder, "alignments", ALIGNED), read_frame(folder, "trials")
    if not (barriers.across == "tasks").any() and not (barriers.kind == Kind.TRANSFERRED).any():
        return "tasks: no networks of two tasks yet (compare.across)"
    chosen = pairs(ends(barriers[barriers.across != "widths"], trials), alignments, trials)
    chosen = chosen.assign(dataset=" and ".join(sorted(set(chosen.dataset))))
    parts = []
    for setting, rows in by_width(by_setting(chosen, trials, ignored=DATA_KEYS)):
        path = folder / "figures" / f"tasks_{setting.stem.replace(' ', '_')}.png"
        summary = summarise(rows)
        draw(rows, summary, setting.title, path)
        parts.append("\n".join([report(summary, setting.title), *themselves(rows, trials)]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    command(__doc__, "cross_task_digits", analyse)
