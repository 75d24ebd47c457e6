"""What each node of a cluster has room for; a process must fit on a single node."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import ray
from ray._private.state import available_resources_per_node

from raysweep.errors import UserError
from raysweep.plan.plan import Todo
from raysweep.sweep.schema import Resources, Worker

Needs = dict[str, float]  # amounts by Ray's name of the resource
TOLERANCE = 1e-6  # for sums of fractions of a GPU


def needs_of(worker: Worker) -> Needs:
    """Return the resources that a process of this kind requires."""
    return {kind: amount for kind, amount in (("CPU", worker.cpu), ("GPU", worker.gpu)) if amount}


def living_nodes() -> list[dict[str, Any]]:
    """Return Ray's descriptions of the nodes that are alive."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def slots(needs: Needs) -> int:
    """Return how many processes with these needs would fit on the living nodes if nothing else ran."""
    nodes = [node["Resources"] for node in living_nodes()]
    return sum(min(_times(kind, node.get(kind, 0), needs[kind]) for kind in needs) for node in nodes)


def room_for(needs: Needs, held: Iterable[tuple[str, Needs]]) -> bool:
    """Whether a node has room, with what is free there and what is `held` there by processes that may go."""
    room: dict[str, dict[str, float]] = {
        node: defaultdict(float, free) for node, free in available_resources_per_node().items()
    }
    for node, amounts in held:
        for kind, amount in amounts.items():
            if node in room:
                room[node][kind] += amount
    return any(all(free[kind] + TOLERANCE >= needs[kind] for kind in needs) for free in room.values())


def lacking(resources: Resources, work: Todo) -> list[str]:
    """Return a message for each kind of process that the work requires and no node has room for."""
    asked = {"trial": work.trials, "align": [*work.alignments, *work.barriers]}
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


def _times(kind: str, there: float, amount: float) -> int:
    """Return how often an amount fits; a process uses a fraction of a single GPU, or whole GPUs."""
    if kind == "GPU" and amount < 1:
        return int(there + TOLERANCE) * int(1 / amount + TOLERANCE)
    return int(there / amount + TOLERANCE)
