"""Fork for each launcher of `prefork.py` a process that becomes the worker whose start Ray asked of it.

It imports neither Ray, which reads the environment of its process at once, nor raysweep, of which a worker
may have another version.
"""

import gc
import importlib
import json
import os
import random
import runpy
import selectors
import signal
import socket
import sys
import tempfile
from pathlib import Path

IMPORTED = (
    "google.protobuf.json_format",
    "numpy",
    "pandas",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pydantic",
    "requests",
    "scipy.optimize",
    "torch.func",
    "yaml",
)


def serve(address: str) -> list[str]:
    """Fork until the process that started this one has ended; returns in a fork: its script and words."""
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()  # or the first collection in each fork would write to all pages
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # or forks that have ended would stay as zombies
    with socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as events:
        server.bind(address)
        server.listen(64)
        events.register(server, selectors.EVENT_READ)
        events.register(sys.stdin, selectors.EVENT_READ)
        print("ready", flush=True)
        while all(event.fileobj is server for event, _ in events.select()):
            launcher, _ = server.accept()
            with launcher:
                _, files, _, _ = socket.recv_fds(launcher, len(b"with these files:"), 3)
                worker = json.load(launcher.makefile())
                if not os.fork():
                    break
                for file in files:
                    os.close(file)
        else:
            sys.exit()
    return _become(worker, files)


def _become(worker: dict, files: list[int]) -> list[str]:
    """Take over what a process that Ray had started would have got from it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    before = _folders()
    given = worker["environment"]
    for name in os.environ.keys() - given.keys():
        del os.environ[name]
    # What is equal stays where it is: from there old versions of Ray find the place of a process's title.
    os.environ.update({name: value for name, value in given.items() if os.environ.get(name) != value})
    os.chdir(worker["folder"])
    os.nice(worker["niceness"] - os.nice(0))
    words = []
    for word in worker["words"]:  # what Ray's `setup_worker.py` would do with them
        name, _, value = word.partition("=")
        if name == "--serialized-runtime-env-context":
            os.environ.update(json.loads(value).get("env_vars") or {})
        elif name != "--language" and not name.endswith("setup_worker.py"):
            words.append(word)
    sys.path[:] = _folders() + [folder for folder in sys.path if folder not in before]
    tempfile.tempdir = None
    for module in (random, sys.modules["numpy"].random):
        module.seed()
    sys.modules["torch"].seed()
    return words


def _folders() -> list[str]:
    """Those of `PYTHONPATH`."""
    return [
        str(Path(folder).absolute())
        for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if folder
    ]


if __name__ == "__main__":
    sys.argv = serve(sys.argv[1])
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    runpy.run_path(sys.argv[0], run_name="__main__")
