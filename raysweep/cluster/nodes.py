"""Checks that all nodes of a cluster see the same root and run the same code, before work starts."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysweep.cluster.capacity import living_ids, living_nodes
from raysweep.errors import UserError
from raysweep.store.files import Files
from raysweep.version import code_digest

PATIENCE = 60  # seconds within which a node must answer
LOOK = 1.0  # seconds between two looks at which nodes are lost


@dataclass(frozen=True)
class _Answer:
    sees_root: bool
    code: str


@ray.remote(num_cpus=0, max_retries=0)
def _probe(root: str, token: str) -> _Answer:
    return _Answer(Files(root).exists(token), code_digest())


def check_nodes(files: Files) -> None:
    """Ask every node whether it sees the root and runs the driver's code.

    Raises `UserError` naming the nodes that do not. A single node is the driver's own and is not asked.
    """
    nodes = living_nodes()
    if len(nodes) == 1:
        return
    token = f"tmp/{uuid.uuid4().hex}"
    files.put(token, b"seen?")
    try:
        answers, silent = _answers(nodes, files.root, token)
    finally:
        files.delete(token)
    if silent:
        raise UserError(
            f"the nodes {', '.join(sorted(silent))} did not answer within {PATIENCE} seconds: raysweep "
            f"is not installed there, or the root {files.root} hangs"
        )
    blind = sorted({node for node, answer in answers if not answer.sees_root})
    if blind:
        raise UserError(
            f"root {files.root}: the nodes {', '.join(blind)} do not see it; give a directory that all nodes "
            "share, or s3:// or gs://"
        )
    other = sorted({node for node, answer in answers if answer.code != code_digest()})
    if other:
        raise UserError(
            f"the nodes {', '.join(other)} have another version of raysweep installed than this driver; "
            "install the same one, or use raysweep submit, which ships the code"
        )


def _answers(
    nodes: list[dict[str, Any]], root: str, token: str
) -> tuple[list[tuple[str, _Answer]], set[str]]:
    """Return the addresses of nodes with their answers, and the addresses of those that did not answer.

    Nodes that are lost meanwhile are in neither.
    """
    asked = {
        _probe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            root, token
        ): node
        for node in nodes
    }
    waiting, ends = list(asked), time.monotonic() + PATIENCE
    while waiting and time.monotonic() < ends:
        _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=LOOK)
        waiting = _alive(waiting, asked)
    answers, silent = [], {asked[reference]["NodeManagerAddress"] for reference in waiting}
    for reference in _alive([each for each in asked if each not in waiting], asked):
        address = asked[reference]["NodeManagerAddress"]
        try:
            answers.append((address, ray.get(reference)))
        except ray.exceptions.RayError:  # raysweep is not installed there
            silent.add(address)
    return answers, silent


def _alive(references: list[Any], asked: dict[Any, dict[str, Any]]) -> list[Any]:
    alive = living_ids()
    return [each for each in references if asked[each]["NodeID"] in alive]
