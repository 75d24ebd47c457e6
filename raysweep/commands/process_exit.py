"""The end of a command's process."""

import atexit
import contextlib
import logging
import os
import sys
from typing import NoReturn

STDERR = 2  # the largest descriptor of the standard streams


def leave(code: int) -> NoReturn:
    """Run the exit functions and end this process with an exit code, without finalising the interpreter.

    Arrow's S3 filesystem leaves threads that sometimes abort a process during finalisation ("terminate called
    without an active exception", in 12 of 40 processes with Arrow 25). The exit code would then report a
    failure although all work was done.
    """
    atexit._run_exitfuncs()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody is reading
            stream.flush()
    os._exit(code)


def open_streams() -> None:
    """Open the standard streams that a process was started without, so that what is written to them is lost.

    Otherwise the next files that are opened would take their place.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(STDERR, "w")
