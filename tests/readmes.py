"""The READMEs: where they lie, their blocks, and how the commands in them are run."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from glob import glob
from itertools import chain
from pathlib import Path

from tests.inside import carried_out, here

PROJECT = Path(__file__).parent.parent
FOLDERS = (".", "sweeps", "analysis", "raysweep", "k8s", "tests", "tests/benchmarks")
_BLOCK = re.compile(r"(?:<!-- ([a-z ]+) -->\n)?```(\w*)\n(.*?)```", re.S)


@dataclass(frozen=True)
class Block:
    """A block of code: the mark in the comment above it ("": none), its language and its text."""

    mark: str
    language: str
    text: str

    @property
    def lines(self):
        return self.text.splitlines()


def readme(folder):
    return (PROJECT / folder / "README.md").read_text()


def blocks(folder, language=None, mark=None):
    """The blocks of a README in their order, of one language or with one mark where it is given."""
    found = [Block(*each) for each in _BLOCK.findall(readme(folder))]
    return [b for b in found if language in (None, b.language) and mark in (None, b.mark)]


def marked(folder, mark):
    """The only block of a README with this mark."""
    (block,) = blocks(folder, mark=mark)
    return block


def words_of(line, changes, cwd):
    """The words of a command with its `*` expanded in `cwd`, and `--set` for each of the changes."""
    words = [sorted(glob(w, root_dir=cwd)) if "*" in w else [w] for w in shlex.split(line)]
    return [*chain(*words), *(word for change in changes for word in ("--set", change))]


def in_this_process(line, cwd, changes=()):
    """Run `raysweep ...` here, in the folder `cwd`, and return what it prints.

    It starts no Ray: before `raysweep run` the jobs of its sweeps are carried out in this process.
    """
    program, command, *rest = words_of(line, changes, cwd)
    assert program == "raysweep", line
    with contextlib.chdir(cwd):
        if command == "run":
            for sweep in rest[: -2 * len(changes) or None]:
                carried_out(sweep, "runs", changes)
        return here(command, *rest)


def as_a_process(line, cwd, changes=()):
    """Run `raysweep ...` or `python ...`; returns what it prints."""
    program, *rest = words_of(line, changes, cwd)
    return execute({"raysweep": ["-m", "raysweep.cli"], "python": []}[Path(program).name] + rest, cwd)


def run_python(parts, cwd):
    """Run blocks of Python in one process and in their order, as in a notebook; a warning is an error."""
    script = "\n".join([*(block.text for block in parts), "print('the end')"])
    assert execute(["-W", "error", "-c", script], cwd).endswith("the end\n")


def execute(words, cwd):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
