"""A session of Ray, joined or started."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import ray

from raysweep.errors import UserError
from raysweep.interruption import holding

PATIENCE = 10  # seconds within which the address of a cluster must answer


@contextlib.contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Use an already initialised Ray, join the cluster at `address`, or start Ray on this machine.

    Raises `UserError` for an address that does not answer.
    """
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "16")  # with 1, the default, actors are not reused
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ours = not ray.is_initialized()
    try:
        _check_address(address or "")
        if ours:
            with holding(), _out_of_reach():
                ray.init(
                    address=address or "local",  # otherwise Ray joins the cluster last started here
                    include_dashboard=False if address is None else None,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                )
    except OSError as error:
        raise UserError(f"--address {address}: {error}") from error
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


@contextlib.contextmanager
def _out_of_reach() -> Iterator[None]:
    """Have Ray's processes survive signals that are meant for the driver, which ends them itself.

    `timeout` signals the whole process group, so that each of them gets a group of its own; Slurm sends
    SIGUSR1 to every process of a step, so that they inherit a mask that blocks it.
    """
    defaults = subprocess.Popen.__init__.__kwdefaults__
    assert defaults
    before = defaults["process_group"]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    defaults["process_group"] = 0
    try:
        yield
    finally:
        defaults["process_group"] = before
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


def _check_address(address: str) -> None:
    """Raise `OSError` when nothing listens at the address, to which Ray would try to connect for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
