"""The weights, the permutations and the sources that the tables name, for use in a notebook."""

import hashlib
import re

import torch

from raysweep.errors import UserError
from raysweep.plan.applied_permutations import FoundPermutation
from raysweep.plan.permutations import CommittedPermutations, permutation_of
from raysweep.plan.record import read_record, source_name
from raysweep.store.files import CorruptObject, Files
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.symmetry import Permutation

_NETWORK = re.compile(r"(\w+)@(\d+)@(\d+)")


def stored_state(root: str, network: str) -> dict[str, torch.Tensor]:
    """Return the state dict of a network, which the tables write as `trial_id@level@step`.

    `root` is a directory, `s3://bucket/prefix` or `gs://bucket/prefix`. Raises `UserError` for a name of
    another form and `CorruptObject` for a checkpoint that is missing or damaged.
    """
    parts = _NETWORK.fullmatch(network)
    if parts is None:
        raise UserError(f"network {network!r}: expected trial_id@level@step, as in the tables")
    return TrialStore(Files(root)).read_checkpoint(parts[1], int(parts[2]), int(parts[3]))


def stored_sources(root: str, sweep: str) -> dict[str, str]:
    """Return the texts of the files that define a user's own networks, by the paths at which they lay.

    With them in a folder of the Python path, `train.model` can be built again. Nothing of them is run here.
    Raises `UserError` for a sweep without a record, `CorruptObject` for a missing or damaged file.
    """
    files, found = Files(root), {}
    for path, source_digest in read_record(files, sweep).sources().items():
        content = files.find(source_name(source_digest)) or b""
        if hashlib.sha256(content).hexdigest() != source_digest:
            raise CorruptObject(f"{files.where(source_name(source_digest))}: missing or damaged")
        found[path] = content.decode()
    return found


def stored_permutation(root: str, alignment_id: str, member: int | None = None) -> Permutation:
    """Return what an alignment found: for two networks the permutation of the second toward the first.

    With rotations it applies to folded networks (`PermutationSpec.with_rotations` and `folded`). A joint
    alignment has one permutation for each network; `member` is the position of the network in the
    column `networks`, counted from 0. Raises `UserError` for an alignment that does not exist, and where
    `member` is missing or does not fit.
    """
    results = ResultStore(Files(root))
    objects = results.index("alignments").last([alignment_id])
    if not objects:
        raise UserError(f"alignment {alignment_id!r}: there is none under {root}")
    row = CommittedPermutations(results, limit=0).row(alignment_id, objects[alignment_id])
    found = permutation_of(FoundPermutation(alignment_id, inverse=False, member=member), lambda _: row)
    joint = any("/" in group for group in row["groups"])
    if joint != (member is not None) or not (found.indices or not row["groups"]):
        raise UserError(
            f"alignment {alignment_id}: member = {member}; a joint alignment has one permutation for each of "
            "its networks (0, 1, ...), any other alignment has a single one (None)"
        )
    return found
