"""What a plan remarks: weights not treated as those of layers, methods for pairs, and undefined measures."""

from collections.abc import Iterator, Sequence

from raysweep.plan.desired import Desired
from raysweep.plan.identity import Trial, data_config
from raysweep.plan.own_measures import undefined
from raysweep.plan.own_methods import aligns_jointly
from raysweep.plan.own_networks import left_out
from raysweep.plan.probes import model_config, probe_data
from raysweep.vocabulary import Kind

NAMED = 8  # parameters in a line


def remarks(wanted: Desired) -> list[str]:
    """Return one line for each remark. Raises `UserError` for a network that cannot be built."""
    of_networks = dict.fromkeys(line for trial in wanted.trials.values() for line in _of(wanted, trial))
    return [*of_networks, *_of_methods(wanted)]


def _of_methods(wanted: Desired) -> Iterator[str]:
    sections = wanted.sweep.sections
    for method in sections.align.methods if Kind.JOINT in sections.compare.kinds else ():
        if not aligns_jointly(method):
            yield f"{method}: aligns two networks alone, so nothing is aligned jointly by it"


def _of(wanted: Desired, trial: Trial) -> Iterator[str]:
    facts = probe_data(data_config(trial.training, trial.replicate), wanted.sweep.sections.train)
    training = trial.training
    config = model_config(training, facts.shape, facts.classes)
    yield from undefined(wanted.sweep.sections.compare, facts, config)
    found = left_out(config, training.init, training.init_options)
    if found.initialisation and trial.branch != "imported":
        yield (
            f"{training.model}: init {training.init} leaves as the constructor made them: "
            f"{_named(found.initialisation)}"
        )
    if found.pruning and trial.prune is not None:
        yield f"{training.model}: pruning leaves dense, besides what is excluded: {_named(found.pruning)}"
    if found.evaluation:
        yield (
            f"{training.model}: read in training only, so no permutation moves them, and a permuted network "
            f"is the same in evaluation mode alone: {_named(found.evaluation)}"
        )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
