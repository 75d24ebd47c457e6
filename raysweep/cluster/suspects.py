"""Nodes that are avoided, because work failed there for want of something that other nodes may have."""

from collections.abc import Collection

from raysweep.cluster.capacity import Needs, fitting_nodes, name_of
from raysweep.cluster.events import Listener

ATTEMPTS = 3  # nodes on which a trial or a tile is tried
NODE_LABEL = "ray.io/node-id"  # which Ray gives to every node


class Suspects:
    """Decides where work goes that failed because of a node: missing data or modules, a broken GPU or disk.

    Such a node is avoided from then on, or it would fail job after job, faster than others complete them.
    When the same work fails on other nodes too, this was not the nodes' fault.
    """

    def __init__(self, listener: Listener) -> None:
        self.avoided: frozenset[str] = frozenset()
        self._unfit: set[str] = set()  # nodes that can do no work
        self._listener = listener
        self._tried: dict[str, set[str]] = {}  # the nodes on which each work has failed

    def avoid(self, node: str, problem: str) -> None:
        """Have a node avoided that can do no work."""
        self._unfit.add(node)
        self.avoided |= {node}
        self._tell(node, problem)

    def avoided_by(self, needs: Needs) -> frozenset[str]:
        """Return the nodes that work with these needs avoids.

        Where no other node has room for it, these are only those that can do no work: it must not wait for
        ever.
        """
        if not self.avoided or fitting_nodes(needs) - self.avoided:
            return self.avoided
        return frozenset(self._unfit)

    def elsewhere(self, work: str, node: str, needs: Needs, error: str) -> bool:
        """Note that work failed on a node, and return whether it should be tried on another one."""
        tried = self._tried.setdefault(work, set())
        tried.add(node)
        others = fitting_nodes(needs) - self.avoided - {node}
        again = bool(others) and len(tried) < ATTEMPTS
        if not again:
            del self._tried[work]
        elif node not in self.avoided:
            self._tell(node, error.strip().splitlines()[-1])
        if not others:  # all are suspects, so that none is
            self._tried.clear()
        self.avoided = frozenset(self._unfit.union(*self._tried.values()))
        return again

    def _tell(self, node: str, problem: str) -> None:
        self._listener.waits(f"node {name_of(node)} is avoided: {problem}")


def labels(avoided: Collection[str]) -> dict[str, str]:
    """Return the label selector of all but some nodes."""
    return {NODE_LABEL: f"!in({','.join(sorted(avoided))})"}
