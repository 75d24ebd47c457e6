"""Checks that the nodes of a cluster see the same root and run the same code, also those that join later."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysweep.cluster.awaiting import results
from raysweep.cluster.capacity import living_ids, living_nodes
from raysweep.cluster.suspects import Suspects
from raysweep.errors import UserError
from raysweep.store.files import Files
from raysweep.version import code_digest

PATIENCE = 60  # seconds within which a node must answer at the start
LOOK = 1.0  # seconds between two looks at which nodes are lost
SILENT = "no answer within {patience} seconds: the node is too busy, or the root {root} hangs there"
BLIND = "the root {root} is not seen there; give a directory that all nodes share, or s3:// or gs://"
OTHER = (
    "another version of raysweep than that of this driver is installed there; install the same one, "
    "or use raysweep submit, which ships the code"
)
UNABLE = "raysweep cannot be imported there"


@ray.remote(num_cpus=0, max_retries=0)
def _problem(root: str, token: str, code: str) -> str:
    """Return what keeps this node from working for a driver that runs this code and has written the token."""
    if not Files(root).exists(token):
        return BLIND
    return OTHER if code_digest() != code else ""


class NodeCheck:
    """Asks each node of a cluster once whether it sees the root and runs the driver's code."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._token = ""
        self._asked: dict[Any, dict[str, Any]] = {}  # nodes by the references to their answers
        self._known = living_ids()

    def close(self) -> None:
        """Remove what the nodes have looked for."""
        if self._token:
            self._files.delete(self._token)

    def check_all(self) -> None:
        """Wait for the answers of all nodes.

        Raises `UserError` naming those that cannot work. Nodes that are lost meanwhile do not count, and a
        single node is the driver's own and is not asked.
        """
        nodes = living_nodes()
        if len(nodes) == 1:
            return
        self._ask(nodes)
        waiting, ends = list(self._asked), time.monotonic() + PATIENCE
        while waiting and time.monotonic() < ends:
            _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=LOOK)
            waiting = self._living(waiting)
        problems = {SILENT: [self._asked.pop(reference) for reference in waiting]}
        for node, problem in self._answers(list(self._asked)):
            problems.setdefault(problem, []).append(node)
        for problem, found in problems.items():
            if addresses := sorted({node["NodeManagerAddress"] for node in found}):
                raise UserError(f"nodes {', '.join(addresses)}: {self._text(problem)}")

    def check_new(self, suspects: Suspects) -> None:
        """Ask the nodes that have joined, and have those avoided whose answer is that they cannot work.

        This waits for nothing. What such a node is given meanwhile fails there, or has to be done again.
        """
        self._ask([node for node in living_nodes() if node["NodeID"] not in self._known])
        if asked := list(self._asked):
            for node, problem in self._answers(ray.wait(asked, num_returns=len(asked), timeout=0)[0]):
                suspects.avoid(node["NodeID"], self._text(problem))

    def _ask(self, nodes: list[dict[str, Any]]) -> None:
        if not nodes:
            return
        if not self._token:
            self._token = f"tmp/{uuid.uuid4().hex}"
            self._files.put(self._token, b"seen?")
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            question = _problem.options(scheduling_strategy=there)
            self._asked[question.remote(self._files.root, self._token, code_digest())] = node
        self._known |= {node["NodeID"] for node in nodes}

    def _answers(self, references: list[Any]) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield the nodes that have a problem, but not those that are lost."""
        for reference, answer in results(self._living(references)):
            problem = UNABLE if isinstance(answer, ray.exceptions.RayError) else answer
            if problem:
                yield self._asked[reference], problem
        for reference in references:
            del self._asked[reference]

    def _living(self, references: list[Any]) -> list[Any]:
        """Return those that await an answer of a node that is alive."""
        alive = living_ids()
        return [each for each in references if self._asked[each]["NodeID"] in alive]

    def _text(self, problem: str) -> str:
        return problem.format(root=self._files.root, patience=PATIENCE)
