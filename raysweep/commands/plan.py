"""What the commands print about plans and roots."""

from collections.abc import Iterable

from raysweep.data.names import OWN_SPLITS
from raysweep.errors import CorruptObject, UserError
from raysweep.plan.estimate import estimate
from raysweep.plan.plan import Desired, Todo, desired, done, todo
from raysweep.plan.remarks import remarks
from raysweep.plan.symmetries import symmetry_warnings
from raysweep.store.files import Files
from raysweep.sweep.load import Sweep, check, parse
from raysweep.tables.schemas import read_table

SUSTAINED = 10e12  # operations a second that one GPU keeps up in float32 on networks of this size, assumed


def plan_table(wanted: Desired, work: Todo) -> str:
    """Return desired, done and left by kind of work, the estimate, and remarks on the networks."""
    left = [trial.trial_id for trial in work.trials]
    rows = [
        ("trials", len(wanted.trials), len(work.trials)),
        ("checkpoints", _checkpoints(wanted, wanted.trials), _checkpoints(wanted, left)),
        ("alignments", len(wanted.alignments), len(work.alignments)),
        ("barriers", len(wanted.barriers), len(work.barriers)),
    ]
    lines = [f"sweep {wanted.sweep.name}", f"{'':12}{'all':>9}{'done':>9}{'to do':>9}"]
    lines += [f"{name:12}{total:9,}{total - left:9,}{left:9,}" for name, total, left in rows]
    if work.recomputed:
        lines.append(
            f"{work.recomputed:,} finished levels are computed again (the same numbers), because they lack "
            "checkpoints that the sweep asks for"
        )
    cost = estimate(wanted, work)
    lines.append(
        f"to do: about {cost.bytes / 1e6:,.1f} MB to store, {cost.training_flops / 1e9:,.0f} GFLOP of "
        f"training, {cost.barrier_flops / 1e9:,.0f} GFLOP of barriers"
    )
    hours = (cost.training_flops + cost.barrier_flops) / SUSTAINED / 3600
    if hours >= 1:
        lines.append(f"about {hours:,.0f} GPU-hours at {SUSTAINED / 1e12:.0f} TFLOP/s sustained")
    remarked = [*remarks(wanted), *symmetry_warnings(wanted), *split_notes(wanted.sweep)]
    return "\n".join([*lines, *remarked])


def split_notes(sweep: Sweep) -> list[str]:
    """Say of imported networks where their test examples may be examples that they were trained on."""
    own = dict.fromkeys(each.dataset for each in sweep.trainings if each.dataset in OWN_SPLITS)
    return [
        f"the test split of {dataset} is raysweep's own, for want of an official one: imported networks may "
        "have been trained on its examples"
        for dataset in own
        if sweep.sections.train.imports
    ]


def _checkpoints(wanted: Desired, trials: Iterable[str]) -> int:
    cursors = [wanted.cursors[trial_id] for trial_id in trials]
    return sum(len(cursor.checkpoints) * len(cursor.levels) for cursor in cursors)


def stored_sweeps(files: Files) -> list[Sweep]:
    """Return the sweeps that were run under a root. Raises `UserError` for a file that is not one."""
    return [stored_sweep(files, name) for name in sweep_files(files)]


def sweep_files(files: Files) -> list[str]:
    """Return the names of the sweep files under a root."""
    return [name for name in files.list("sweeps") if name.endswith("/sweep.yaml")]


def stored_sweep(files: Files, name: str) -> Sweep:
    """Read a sweep file under a root. Raises `UserError` for one that is none."""
    where = files.where(name)
    try:
        return check(where, parse(where, files.get(name)))
    except CorruptObject as error:
        raise UserError(str(error)) from error


def status_lines(files: Files) -> list[str]:
    """Return a line per sweep under the root: done of desired, and failures."""
    lines = []
    for sweep in stored_sweeps(files):
        wanted = desired(sweep)
        work = todo(wanted, done(wanted, files))
        parts = [
            f"{label} {len(total) - len(left)}/{len(total)}"
            for label, total, left in (
                ("trials", wanted.trials, work.trials),
                ("alignments", wanted.alignments, work.alignments),
                ("barriers", wanted.barriers, work.barriers),
            )
        ]
        lines.append(f"{wanted.sweep.name}: {', '.join(parts)}, failures {_failures(files, wanted)}")
    return lines or [f"no sweep under {files.root}"]


def _failures(files: Files, wanted: Desired) -> int:
    return read_table(files, wanted.sweep.name, "failures", ["id"]).num_rows
