"""A session of Ray, joined or started."""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator

import ray

from raysweep.errors import UserError

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


def _check_address(address: str) -> None:
    """Raise `OSError` when nothing listens at the address, to which Ray would try to connect for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
