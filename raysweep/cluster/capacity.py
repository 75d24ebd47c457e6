"""What each node of a cluster has room for; a process must fit on a single node."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from typing import Any

import ray
from ray.util import placement_group_table

from raysweep.errors import UserError
from raysweep.plan.todo import Todo
from raysweep.sweep.resources import Resources, Worker

Needs = dict[str, float]  # amounts by Ray's name of the resource
TOLERANCE = 1e-6  # for sums of fractions of a GPU


def needs_of(worker: Worker) -> Needs:
    """Return the resources that a process of this kind requires."""
    return {kind: amount for kind, amount in (("CPU", worker.cpu), ("GPU", worker.gpu)) if amount}


def living_nodes() -> list[dict[str, Any]]:
    """Return Ray's descriptions of the nodes that are alive."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def living_ids() -> set[str]:
    """Return the ids of the nodes that are alive."""
    return {node["NodeID"] for node in living_nodes()}


def name_of(node: str) -> str:
    """Return the host name and the address of a node, given by its id, also of one that is lost."""
    for each in ray.nodes():  # type: ignore[no-untyped-call]
        if each["NodeID"] == node:
            return f"{each['NodeManagerHostname']} ({each['NodeManagerAddress']})"
    return node


def in_use() -> dict[str, tuple[float, float]]:
    """Return how many CPUs and GPUs of the cluster are in use, and how many there are."""
    there, free = ray.cluster_resources(), ray.available_resources()
    kinds = [kind for kind in ("CPU", "GPU") if there.get(kind)]
    return {kind: (there[kind] - free.get(kind, 0), there[kind]) for kind in kinds}


def slots(needs: Needs) -> int:
    """Return how many processes with these needs would fit on the living nodes if nothing else ran."""
    return sum(_fit(node, needs) for node in living_nodes())


def fitting_nodes(needs: Needs) -> frozenset[str]:
    """Return the ids of the living nodes that have room for such a process if nothing else runs."""
    return frozenset(node["NodeID"] for node in living_nodes() if _fit(node, needs))


def room_for(needs: Needs, held: Iterable[tuple[str, Needs]], avoided: Container[str] = ()) -> bool:
    """Whether some node that is not avoided has room for a process once the `held` ones, each given with its
    node, have ended.

    Ray's public interface says how much is free only for the cluster as a whole. So the cluster must have
    that much free, and some node must be large enough beside the placement groups on it, in which Tune runs
    trials. On one node this is exact. On several, what other programs use outside of placement groups is not
    attributed to its node, so the answer may be yes where there is no room.
    """
    there = [node for node in living_nodes() if node["NodeID"] not in avoided]
    capacity = {node["NodeID"]: defaultdict(float, node["Resources"]) for node in there}
    free = defaultdict(float, ray.available_resources())
    for node, amounts in held:
        if node in capacity:
            _add(free, amounts, 1)
    if not _covers(free, needs):
        return False
    for node, amounts in _reserved():
        if node in capacity:
            _add(capacity[node], amounts, -1)
    return any(_covers(unreserved, needs) for unreserved in capacity.values())


def placements_pending() -> bool:
    """Whether some placement group, in which Tune runs a trial, still waits for its resources.

    If none does, a trial that is not running yet waits only for its process to start.
    """
    return any(group["state"] not in ("CREATED", "REMOVED") for group in placement_group_table().values())


def lacking(resources: Resources, work: Todo) -> list[str]:
    """Return a message for each kind of process that the work requires and no node has room for."""
    asked = {"trial": work.trials, "align": work.alignments or work.barriers}
    workers = {"trial": resources.trial, "align": resources.align}
    return [
        f"resources.{key}: no node has cpu = {workers[key].cpu:g} and gpu = {workers[key].gpu:g}"
        for key, jobs in asked.items()
        if jobs and not slots(needs_of(workers[key]))
    ]


def check_needs(resources: Resources, work: Todo) -> None:
    """Raise `UserError` when no node has room for a process that the work requires."""
    if problems := lacking(resources, work):
        raise UserError("\n".join(problems))


def _reserved() -> Iterator[tuple[str, Needs]]:
    """Yield the node and the resources of every bundle of the placement groups that exist."""
    for group in placement_group_table().values():
        if group["state"] == "CREATED":
            for bundle, amounts in group["bundles"].items():
                yield group["bundles_to_node_id"][bundle], amounts


def _add(total: Needs, amounts: Needs, sign: int) -> None:
    for kind, amount in amounts.items():
        total[kind] += sign * amount


def _covers(amounts: Needs, needs: Needs) -> bool:
    return all(amounts[kind] + TOLERANCE >= needs[kind] for kind in needs)


def _fit(node: dict[str, Any], needs: Needs) -> int:
    """Return how many processes with these needs fit on a node."""
    return min(_times(kind, node["Resources"].get(kind, 0), needs[kind]) for kind in needs)


def _times(kind: str, there: float, amount: float) -> int:
    """Return how often an amount fits; a process uses a fraction of a single GPU, or whole GPUs."""
    if kind == "GPU" and amount < 1:
        return int(there + TOLERANCE) * int(1 / amount + TOLERANCE)
    return int(there / amount + TOLERANCE)
