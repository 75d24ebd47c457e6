"""What Ray has ready of what is awaited."""

from typing import Any

import ray


def ready(awaited: list[Any], timeout: float, gather: float) -> list[Any]:
    """Return what arrives within `gather` seconds, or else the first that does within `timeout` seconds.

    A look at thousands takes milliseconds, so there is one, as long as anything arrives.
    """
    if not awaited:
        return []
    found = ray.wait(awaited, num_returns=len(awaited), timeout=gather)[0]
    return found if found or not timeout else ray.wait(awaited, num_returns=1, timeout=timeout)[0]


def results(references: list[Any]) -> list[tuple[Any, Any]]:
    """Return each reference with its value, or with its `RayError`; all at once takes half as long."""
    try:
        return list(zip(references, ray.get(references), strict=True))
    except ray.exceptions.RayError:
        return [(reference, _result(reference)) for reference in references]


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return error
