"""Starts Ray's workers as forks of one process of their node, which has imported what all of them import.

A worker imports Ray, PyTorch and pandas before it works: seconds of processor time, and far more than its
work takes in a test. A node to which `QUICK` is given starts this file for every worker in place of Ray's own
`setup_worker.py`. The first one of a node becomes the process that forks. The others hand over to it their
arguments, variables and streams, and end. A fork runs Ray's own code for workers from its first line. It has
a process id and group, a title and streams of its own, and can be killed like any other. Before, none of our
modules is imported.

Only for clusters of one node: others hear late of a new driver, and end workers that are ready before.
"""

import array
import contextlib
import json
import os
import random
import runpy
import signal
import socket
import sys

QUICK = {"setup_worker_path": os.path.abspath(__file__)}  # for the arguments of the node of a `Cluster`
MODULES = ("torch", "pandas", "pyarrow.parquet", "ray.tune", "safetensors.torch", "scipy.optimize")
OF_SETUP = ("--language", "--serialized-runtime-env-context")  # arguments that a worker does not know
STREAMS = range(3)
LOOK = 1  # seconds between two looks whether the node is still there


def main(raylet):
    """Have the process that forks for this raylet start a worker, or become that process."""
    job, name = _asked_for(), f"\0raysweep-tests-{raylet}"
    place = None
    while place is None:  # until one of both succeeds: another one may become that process meanwhile
        if _handed_over(job, name):
            return
        place = _listening(name)
    _work(*_forks(place, raylet, job))


def _asked_for():
    """The arguments, variables and folder of the worker, as Ray's own file would give them to it."""
    given = dict(word.partition("=")[::2] for word in sys.argv)
    context = json.loads(given.get(OF_SETUP[1], "{}"))
    assert not context.get("command_prefix"), context
    words = [word for word in sys.argv[1:] if word.partition("=")[0] not in OF_SETUP]
    return json.dumps([words, dict(os.environ) | context.get("env_vars", {}), os.getcwd()]).encode()


def _handed_over(job, name):
    """Whether there is a process that forks, which has everything by then."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(name)
        except ConnectionRefusedError:
            return False
        streams = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", STREAMS))
        connection.sendmsg([len(job).to_bytes(4, "little")], [streams])
        connection.sendall(job)
        connection.recv(1)
        return True


def _listening(name):
    """A socket of this name, or None where another process has it."""
    place = socket.socket(socket.AF_UNIX)
    try:
        place.bind(name)
    except OSError:
        return None
    place.listen(64)
    return place


def _receive(connection):
    length, streams, _, _ = socket.recv_fds(connection, 4, len(STREAMS))
    return connection.recv(int.from_bytes(length, "little"), socket.MSG_WAITALL), streams


def _forks(place, raylet, job):
    """Import, and fork for each job; returns, in the new processes, the job and its streams.

    The first one has the right streams already.
    """
    for module in MODULES:
        __import__(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that have ended
    streams = []
    place.settimeout(LOOK)
    with place:
        while os.fork():
            for stream in streams:
                os.close(stream)
            job, streams = _next(place, raylet)
    return job, streams


def _next(place, raylet):
    """Wait for a job; this process ends after its raylet."""
    while os.getppid() == raylet:
        with contextlib.suppress(TimeoutError):
            connection, _ = place.accept()
            with connection:
                connection.setblocking(True)
                return _receive(connection)
    os._exit(0)


def _work(job, streams):
    """Run a worker."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)  # Ray ends the group of a worker after it
    words, variables, folder = json.loads(job)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    random.seed()
    sys.argv = words
    sys.path.insert(0, os.path.dirname(words[0]))
    runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, which is none of a worker's
    main(os.getppid())
