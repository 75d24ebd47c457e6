"""Objects that are sound and have other content than those that were there."""

from dataclasses import replace

import torch

from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore


def moved(state):
    """Return the weights of a network as another kind of machine may have trained it: some way off."""
    return {
        name: tensor + torch.linspace(-0.5, 0.5, tensor.numel()).view_as(tensor)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in state.items()
    }


def replace_checkpoints(files, trial_id, change=moved, level=0, extra_step=None):
    """Replace all checkpoints of a level by others, with a record that fits them.

    With `extra_step` a further one is stored for this step.
    """
    store = TrialStore(files)
    record = store.record(trial_id, level)
    states = {step: change(store.read_checkpoint(trial_id, level, step)) for step in record.checkpoints}
    if extra_step is not None:
        states[extra_step] = states[max(states)]
    written = {step: store.write_checkpoint(trial_id, level, step, state) for step, state in states.items()}
    store.commit(trial_id, level, replace(record, checkpoints=written))


def rewrite(files, kind, change):
    """Commit all rows of a kind again, each changed by a function."""
    store = ResultStore(files)
    for name in files.list(f"results/{kind}"):
        rows = [change(row) for row in store.read(name).to_pylist()]
        store.commit(kind, name.rpartition("/")[2], rows)
