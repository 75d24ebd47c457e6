"""The processes that tests kill."""

import collections
import contextlib
from pathlib import Path

TRAINING, ALIGNING = (
    "ray::ResourceTrainable",
    "ray::AlignWorker",
)  # what Ray calls the processes of our actors


def below(pid, start=""):
    """Return the processes that a process has started, and theirs, whose command begins like this.

    `start` may be several beginnings. No process is started for this, because some tests look often.
    """
    children = collections.defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            children[int(parent)].append((int(folder.name), (folder / "cmdline").read_text()))
    found, left = [], [pid]
    while left:
        for child, arguments in children[left.pop()]:
            left.append(child)
            if arguments.startswith(start):
                found.append(child)
    return found
