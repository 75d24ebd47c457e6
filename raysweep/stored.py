"""The weights and the permutations that the tables speak of, for use in a notebook."""

import re
from typing import Any

import pyarrow.compute as pc
import torch

from raysweep.errors import UserError
from raysweep.plan.applied_permutations import Move
from raysweep.plan.permutations import permutation_of
from raysweep.store.files import Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.symmetry import Permutation

_NETWORK = re.compile(r"(\w+)@(\d+)@(\d+)")


def stored_state(root: str, network: str) -> dict[str, torch.Tensor]:
    """Return the state dict of a network, which tables write `trial_id@level@step`.

    `root` is a directory, `s3://bucket/prefix` or `gs://bucket/prefix`. Raises `UserError` for text of
    another form and `CorruptObject` for a checkpoint that is missing or damaged.
    """
    parts = _NETWORK.fullmatch(network)
    if parts is None:
        raise UserError(f"network {network!r}: expected trial_id@level@step, as in the tables")
    return TrialStore(Files(root)).read_checkpoint(parts[1], int(parts[2]), int(parts[3]))


def stored_permutation(root: str, alignment_id: str, member: int | None = None) -> Permutation:
    """Return what an alignment found: for two networks the permutation of the second toward the first.

    Of a joint alignment each network has one; `member` is its place among `networks`, from 0. Raises
    `UserError` for an alignment that is not there, and where `member` is missing or out of place.
    """
    row = _row(ResultStore(Files(root)), alignment_id)
    if row is None:
        raise UserError(f"alignment {alignment_id!r}: there is none under {root}")
    found = permutation_of(Move(alignment_id, inverse=False, member=member), lambda _: row)
    joint = any("/" in group for group in row["groups"])
    if joint != (member is not None) or not (found.indices or not row["groups"]):
        raise UserError(
            f"alignment {alignment_id}: member = {member}; a joint alignment has one permutation for each of "
            "its networks (0, 1, ...), any other a single one (None)"
        )
    return found


def _row(results: ResultStore, alignment_id: str) -> dict[str, Any] | None:
    index = results.index("alignments")
    holds = pc.equal(pc.list_flatten(index.column("ids")), alignment_id)
    places = pc.list_parent_indices(index.column("ids")).filter(holds).to_pylist()
    if not places:
        return None
    name = index.column("object")[places[-1]].as_py()  # where several hold one, the last, as for the tables
    rows = results.read(name, ["alignment_id", "groups", "permutations"])
    (row,) = rows.filter(pc.equal(rows.column("alignment_id"), alignment_id)).to_pylist()
    return dict(row)
