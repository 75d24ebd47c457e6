"""`raysweep export`: copies stored networks into files that other programs read."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from raysweep.commands.chosen import chosen_networks
from raysweep.errors import CorruptObject, UserError
from raysweep.plan.identity import Network
from raysweep.store.files import Files
from raysweep.store.records import json_object
from raysweep.store.tensors import encode
from raysweep.store.trials import TrialStore

SUFFIX = ".safetensors"


def export(files: Files, words: Sequence[str], sweep: str | None, out: str) -> Iterator[str]:
    """Write the chosen networks and yield a line for each file.

    One network goes to the file `out` where that ends in .safetensors; else `out` is a folder, which gets a
    file `trial_id@level@step.safetensors` for each. The header of a file has the network's name and its
    configuration as JSON. Raises `UserError` for an `out` of another suffix or that exists, and as
    `chosen_networks` and `stored_network` do.
    """
    networks = chosen_networks(files, words, sweep)
    if Path(out).suffix == SUFFIX:
        if len(networks) > 1:
            raise UserError(
                f"--out {out}: is one file, but {len(networks)} networks are chosen; name a folder"
            )
        targets = [Path(out)]
    else:
        targets = [Path(out) / f"{network}{SUFFIX}" for network in networks]
    for target in targets:
        check_new(target)
    for network, target in zip(networks, targets, strict=True):
        state = stored_network(files, network)
        write_network(
            target, state, {"network": str(network), "config": json.dumps(config_of(files, network))}
        )
        yield f"{network} -> {target}"


def check_new(target: Path) -> None:
    """Raise `UserError` for a file that exists or that is not named as one of safetensors."""
    if target.suffix != SUFFIX:
        raise UserError(f"--out {target}: expected the name of a file that ends in {SUFFIX}")
    if target.exists():
        raise UserError(f"--out {target}: exists already; nothing is overwritten")


def config_of(files: Files, network: Network) -> dict[str, Any]:
    """Return what determined a trial's numbers.

    Raises `UserError` where no such trial is stored, and `CorruptObject` where it is missing or cannot be
    read.
    """
    content = files.find(f"trials/{network.trial_id}/config.json")
    if content is None and TrialStore(files).record(network.trial_id, network.level):
        raise CorruptObject(f"network {network}: its configuration is missing")
    if content is None:
        raise UserError(f"network {network}: there is no such trial under {files.root}")
    try:
        return json_object(content)
    except CorruptObject as error:
        raise CorruptObject(f"network {network}: its configuration is {error}") from error


def stored_network(files: Files, network: Network) -> dict[str, torch.Tensor]:
    """Return the state dict of a network. Raises `UserError` for a checkpoint that is not stored."""
    store = TrialStore(files)
    record = store.record(network.trial_id, network.level)
    if record is None or network.step not in record.checkpoints:
        steps = ", ".join(map(str, record.checkpoints)) if record else "none, because it is not finished"
        raise UserError(f"network {network}: there is no such checkpoint; the steps of its level: {steps}")
    return store.read_checkpoint(network.trial_id, network.level, network.step)


def write_network(target: Path, state: Mapping[str, torch.Tensor], header: dict[str, str]) -> None:
    """Write a state dict to a file that appears when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(encode(dict(state), header))
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)
