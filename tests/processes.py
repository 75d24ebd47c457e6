"""The processes that tests kill."""

import collections
import subprocess

TRAINING, ALIGNING = (
    "ray::ResourceTrainable",
    "ray::AlignWorker",
)  # what Ray calls the processes of our actors


def below(pid, start=""):
    """Return the processes that a process has started, and theirs, whose command begins like this."""
    rows = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    children = collections.defaultdict(list)
    for row in rows.stdout.splitlines():
        child, parent, arguments = row.split(maxsplit=2)
        children[int(parent)].append((int(child), arguments))
    found, left = [], [pid]
    while left:
        for child, arguments in children[left.pop()]:
            left.append(child)
            if arguments.startswith(start):
                found.append(child)
    return found
