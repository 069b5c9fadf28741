"""Made once, and had by many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Once(Generic[K, T]):
    """One result for each key. Whoever comes first makes it, and the others wait for that."""

    def __init__(self) -> None:
        self._asked: dict[K, Future[T]] = {}
        self._asking = threading.Lock()

    def get(self, key: K, make: Callable[[], T]) -> T:
        """What `make` returns, or raises, the first time."""
        with self._asking:
            is_first = key not in self._asked
            future = self._asked.setdefault(key, Future())
        if is_first:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
        return future.result()


class Proven(Generic[K, T]):
    """One result for each key, from the first who succeeds; who fails lets the next one try."""

    def __init__(self) -> None:
        self._known: dict[K, T] = {}
        self._trying: dict[K, threading.Lock] = {}
        self._looking = threading.Lock()

    def keep(self, key: K, result: T) -> None:
        """What is known already."""
        self._known[key] = result

    def get(self, key: K, make: Callable[[], T]) -> tuple[T, bool]:
        """The result, and whether this call made it. Raises what `make` does."""
        with self._looking:
            trying = self._trying.setdefault(key, threading.Lock())
        if key in self._known:
            return self._known[key], False
        with trying:
            if key in self._known:
                return self._known[key], False
            made = make()
            self._known[key] = made
            return made, True
