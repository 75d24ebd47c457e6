"""`raysweep plan`: what a sweep asks for, how much of it is done, and what the rest will cost."""

from collections.abc import Iterable

from raysweep.data.load import draws_split
from raysweep.plan.cost.estimate import Hours, cpu_hours, estimate, gpu_hours
from raysweep.plan.cost.rates import DEFAULT, measured_like
from raysweep.plan.desired import Desired
from raysweep.plan.fitting import outdated_words
from raysweep.plan.notices.fruitless import fruitless
from raysweep.plan.notices.missing import missing_data
from raysweep.plan.notices.symmetries import symmetry_warnings
from raysweep.plan.notices.treatment import remarks
from raysweep.plan.todo import UNFIT, Todo
from raysweep.registry import is_own
from raysweep.sweep.load import Sweep
from raysweep.version import code_digest

LEAST = 0.001  # hours of a core that are worth a word
MEASURED_MODELS = ("vgg16", "resnet20")


def plan_table(wanted: Desired, work: Todo, gpu: str | None = None) -> str:
    """Return the counts of desired, finished and remaining work, the estimate, and remarks on networks.

    The estimate includes the hours of all of it on a `gpu` where one is given, otherwise those of GPUs and of
    cores for what the sweep computes there; see `raysweep.plan.cost.rates`.
    """
    left = work.counts()
    rows = [(what, total, left[what]) for what, total in wanted.counts().items()]
    unfinished = _checkpoints(wanted, [trial.trial_id for trial in work.trials])
    rows.insert(1, ("checkpoints", _checkpoints(wanted, wanted.trials), unfinished))
    lines = [f"sweep {wanted.sweep.name}", _digests(wanted.sweep)]
    lines.append(f"{'':12}{'all':>9}{'done':>9}{'to do':>9}")
    missing = missing_data(wanted)
    for what, total, to_do in rows:
        finished = "?" if missing else f"{total - to_do:,}"
        lines.append(f"{what:12}{total:9,}{finished:>9}{to_do:9,}")
    lines += [
        f"the files of {dataset} are not on this machine: its sizes are known, but not which results are "
        "there already, so all of it counts as to do"
        for dataset in missing
    ]
    if work.recomputed:
        lines.append(
            f"{work.recomputed:,} finished levels are computed again (the same numbers), because they lack "
            "checkpoints for which the sweep asks"
        )
    if work.outdated:
        lines.append(f"{outdated_words(work.outdated)}; they are trained again")
    unfit = sum(job.alignment_id in work.unfit for job in work.alignments)
    unfit += len(work.barriers.only(work.unfit))
    if unfit:
        lines.append(f"{unfit:,} {UNFIT}")
    cost = estimate(wanted, work)
    lines.append(
        f"to do: about {cost.bytes / 1e6:,.1f} MB to store, {cost.training_flops / 1e9:,.0f} GFLOP of "
        f"training, {cost.alignment_flops / 1e9:,.0f} GFLOP of alignments, {cost.barrier_flops / 1e9:,.0f} "
        "GFLOP of barriers"
    )
    lines += _hours_lines(wanted, work, gpu)
    warned = [f"warning: {line}" for line in fruitless(wanted)]
    remarked = [*warned, *remarks(wanted), *symmetry_warnings(wanted), *split_notes(wanted.sweep)]
    return "\n".join([*lines, *remarked])


def _digests(sweep: Sweep) -> str:
    """Return the digests by which a run on a cluster is compared with the plan on a laptop."""
    return f"digests: sweep {sweep.fingerprint}, code {code_digest()}"


def _hours_lines(wanted: Desired, work: Todo, gpu: str | None) -> list[str]:
    """Return lines with the hours of GPUs and of cores; none of what is not used."""
    card, lines = gpu or DEFAULT, []
    on_gpu = gpu_hours(wanted, work, card, everything=gpu is not None)
    if on_gpu.whole:
        models = {trial.training.model for trial in wanted.trials.values()}
        others = "".join(
            f"; {model} is taken for a {measured_like(model)} of as many operations"
            for model in sorted(models - set(MEASURED_MODELS))
        )
        lines.append(f"about {_parts(on_gpu, 'GPU-hours', card.upper())}{others}")
    on_cores = cpu_hours(wanted, work)
    if on_cores.whole >= LEAST and not gpu:
        lines.append(f"about {_parts(on_cores, 'CPU-hours', 'core of an AMD EPYC')}")
    own = [method for method in wanted.sweep.sections.align.methods if is_own(method)]
    return [*lines, f"there {', '.join(own)} is taken for weight matching"] if lines and own else lines


def _parts(hours: Hours, what: str, where: str) -> str:
    return (
        f"{_number(hours.whole)} {what} on one {where}: {_number(hours.training)} of training, "
        f"{_number(hours.alignments)} of alignments, {_number(hours.barriers)} of barriers"
    )


def _number(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def split_notes(sweep: Sweep) -> list[str]:
    """Return a note per data set whose test examples imported networks may have been trained on."""
    own = dict.fromkeys(each.dataset for each in sweep.trainings if draws_split(each.dataset))
    return [
        f"the test split of {dataset} is raysweep's own, because there is no official one; imported networks "
        "may have been trained on its examples"
        for dataset in own
        if sweep.sections.train.imports
    ]


def _checkpoints(wanted: Desired, trials: Iterable[str]) -> int:
    extents = [wanted.extents[trial_id] for trial_id in trials]
    return sum(len(extent.checkpoints) * len(extent.levels) for extent in extents)
