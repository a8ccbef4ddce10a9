"""What was made lately, kept in memory up to a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """Values by key, those not asked for the longest dropped first; safe to share between threads.

    Two threads that miss the same key at once both make its value, and the later one stays.

    Args:
        limit: the weight that all values together keep to; one that is heavier by itself is not kept.
        weigh: the weight of a value, bytes for instance.
    """

    def __init__(self, limit: int, weigh: Callable[[T], int]) -> None:
        self.limit, self.weight = limit, 0
        self._weigh, self._lock = weigh, Lock()
        self._values: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of ``key``, made if it is not there; what ``make`` raises is raised and nothing kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._keep(key, value)
        return value

    def _keep(self, key: Hashable, value: T) -> None:
        if self._weigh(value) > self.limit:
            return
        if key in self._values:
            self.weight -= self._weigh(self._values.pop(key))
        self._values[key] = value
        self.weight += self._weigh(value)
        while self.weight > self.limit:
            _, oldest = self._values.popitem(last=False)
            self.weight -= self._weigh(oldest)
