"""What the nodes of a cluster have room for, node by node: a process cannot be spread over two."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import ray
from ray._private.state import available_resources_per_node

from raysweep.errors import UserError
from raysweep.plan.plan import Todo
from raysweep.sweep.schema import Resources, Worker

Needs = dict[str, float]  # by Ray's name of a resource
TOLERANCE = 1e-6  # of fractions of a GPU


def needs_of(worker: Worker) -> Needs:
    return {kind: amount for kind, amount in (("CPU", worker.cpu), ("GPU", worker.gpu)) if amount}


def living_nodes() -> list[dict[str, Any]]:
    """The nodes that Ray holds for alive, as it describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


def slots(needs: Needs) -> int:
    """How many processes with these needs would fit on the living nodes, if nothing else ran."""
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
    """Say what no node has that the work needs."""
    asked = {"trial": work.trials, "align": [*work.alignments, *work.barriers]}
    workers = {"trial": resources.trial, "align": resources.align}
    return [
        f"resources.{key}: no node has cpu = {workers[key].cpu:g} and gpu = {workers[key].gpu:g}"
        for key, jobs in asked.items()
        if jobs and not slots(needs_of(workers[key]))
    ]


def check_needs(resources: Resources, work: Todo) -> None:
    """Raise `UserError` when a process of the work fits on no node."""
    if problems := lacking(resources, work):
        raise UserError("\n".join(problems))


def _times(kind: str, there: float, amount: float) -> int:
    """A process has a part of one GPU, or whole ones."""
    if kind == "GPU" and amount < 1:
        return int(there + TOLERANCE) * int(1 / amount + TOLERANCE)
    return int(there / amount + TOLERANCE)
