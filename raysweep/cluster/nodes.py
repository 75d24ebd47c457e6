"""Checks that the nodes of a cluster see the same root and run the same code, also those that join later."""

import contextlib
import time
import uuid
from collections import Counter
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
QUESTIONS = 3  # that may fail before a node that has joined is avoided
LOOK = 1.0  # seconds between two looks at which nodes are lost
OTHER = (
    "another version of raysweep than that of this driver is installed there; install the same one, "
    "or use raysweep submit, which ships the code"
)


@ray.remote(num_cpus=0, max_retries=0)
def _problem(root: str, token: str, code: str) -> str:
    """Return what keeps this node from working for a driver that runs this code and has written the token."""
    if not Files(root).exists(token):
        return f"the root {root} is not seen there; give a directory that all nodes share, or s3:// or gs://"
    return OTHER if code_digest() != code else ""


class NodeCheck:
    """Asks the nodes of a cluster whether they see the root and run the driver's code."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._token = ""
        self._asked: dict[Any, dict[str, Any]] = {}  # nodes by the references to their answers
        self._asked_in_vain: Counter[str] = Counter()
        self._known = living_ids()

    def close(self) -> None:
        """Remove what the nodes have looked for."""
        if self._token:
            with contextlib.suppress(OSError):
                self._files.delete(self._token)

    def check_all(self) -> None:
        """Wait for the answers of all nodes.

        Raises `UserError` naming those that cannot work. Nodes that are lost meanwhile do not count.
        """
        self._ask(living_nodes())
        waiting, ends = list(self._asked), time.monotonic() + PATIENCE
        while waiting and time.monotonic() < ends:
            _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=LOOK)
            waiting = self._living(waiting)
        silent = f"no answer within {PATIENCE} seconds: the node is too busy, or the root hangs there"
        problems = {silent: [self._asked.pop(reference) for reference in waiting]}
        for node, problem, _ in self._answers(list(self._asked)):
            problems.setdefault(problem, []).append(node)
        for problem, found in problems.items():
            if addresses := sorted({node["NodeManagerAddress"] for node in found}):
                raise UserError(f"nodes {', '.join(addresses)}: {problem}")

    def check_new(self, suspects: Suspects) -> None:
        """Ask the nodes that have joined, and have those avoided whose answer is that they cannot work.

        This waits for nothing. A question that fails is asked again at the next call, but not for ever. What
        a bad node is given meanwhile fails there, or has to be done again.
        """
        with contextlib.suppress(OSError):
            self._ask([node for node in living_nodes() if node["NodeID"] not in self._known])
        if asked := list(self._asked):
            for node, problem, final in self._answers(ray.wait(asked, num_returns=len(asked), timeout=0)[0]):
                self._asked_in_vain[node["NodeID"]] += 1
                if final or self._asked_in_vain[node["NodeID"]] >= QUESTIONS:
                    suspects.avoid(node["NodeID"], problem)
                else:
                    self._known.discard(node["NodeID"])

    def _ask(self, nodes: list[dict[str, Any]]) -> None:
        if nodes:
            self._token = self._token or f"tmp/{uuid.uuid4().hex}"
            self._files.put(self._token, b"seen?")  # each time: other drivers remove what is a day old
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            question = _problem.options(scheduling_strategy=there)
            self._asked[question.remote(self._files.root, self._token, code_digest())] = node
        self._known |= {node["NodeID"] for node in nodes}

    def _answers(self, references: list[Any]) -> Iterator[tuple[dict[str, Any], str, bool]]:
        """Yield the nodes that have a problem, which may be final or not, but not those that are lost."""
        for reference, answer in results(self._living(references)):
            failed = isinstance(answer, ray.exceptions.RayError)
            problem, final = _of_error(answer) if failed else (answer, True)
            if problem:
                yield self._asked[reference], problem, final
        for reference in references:
            del self._asked[reference]

    def _living(self, references: list[Any]) -> list[Any]:
        """Return those that await an answer of a node that is alive."""
        alive = living_ids()
        return [each for each in references if self._asked[each]["NodeID"] in alive]


def _of_error(error: ray.exceptions.RayError) -> tuple[str, bool]:
    """Return what is wrong where a question ended in an error, and whether it would again."""
    cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
    text = f"raysweep does not run there: {f'{type(cause).__name__}: {cause}'.strip().splitlines()[-1]}"
    # Ray raises RuntimeError where it cannot import a function.
    final = RuntimeError | ImportError | UserError | ray.exceptions.RuntimeEnvSetupError
    return text, isinstance(cause, final)
