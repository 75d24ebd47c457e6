"""A cache in memory that is bounded in bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class Cache:
    """Keeps at most `limit` bytes of values, and drops the least recently used ones first."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """Return a value, or None when it is not kept."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of `size` bytes, unless it alone is larger than the limit."""
        if size > self._limit:
            return
        self._held += size - self._values.pop(key, (None, 0))[1]
        self._values[key] = (value, size)
        while self._held > self._limit:
            self._held -= self._values.popitem(last=False)[1][1]
