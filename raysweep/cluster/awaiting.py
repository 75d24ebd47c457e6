"""What Ray has ready of what is awaited."""

from typing import Any

import ray


def ready(awaited: list[Any], timeout: float, gather: float) -> list[Any]:
    """Wait at most `timeout` seconds for a result; return it and all that arrive within `gather` seconds."""
    if not awaited:
        return []
    first, others = ray.wait(awaited, num_returns=1, timeout=timeout)
    if not first or not others:
        return first
    return first + ray.wait(others, num_returns=len(others), timeout=gather)[0]


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
