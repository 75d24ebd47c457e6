"""What a process keeps of what it read, within a number of bytes."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class Cache:
    """Keeps the values that were used last; their sizes add up to at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """Return a value, or None where it is not kept."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of so many bytes, unless it alone is more than the limit."""
        if size > self._limit:
            return
        self._held += size
        self._values[key] = (value, size)
        while self._held > self._limit:
            self._held -= self._values.popitem(last=False)[1][1]
