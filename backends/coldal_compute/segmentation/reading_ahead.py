"""Reads the next scans while the network works on the current one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")

_READERS = 2


def read_ahead(
    items: Sequence[Item],
    load: Callable[[Item], Loaded],
    ahead: int = _READERS,
    readers: int = _READERS,
) -> Iterator[tuple[Item, Callable[[], Loaded]]]:
    """Each item, in order, with a function that returns the loaded value or raises its error.

    At most ``ahead`` items are held besides the current one, so that volumes don't pile up;
    ``readers`` threads load them.
    """
    with ThreadPoolExecutor(max_workers=readers) as pool:
        waiting: deque[tuple[Item, Future[Loaded]]] = deque()
        coming = iter(items)
        try:
            for item in coming:
                waiting.append((item, pool.submit(load, item)))
                if len(waiting) > ahead:
                    first, future = waiting.popleft()
                    yield first, future.result
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result
        finally:
            for _, future in waiting:
                future.cancel()


def in_order(
    items: Sequence[Item], load: Callable[[Item], Loaded], threads: int
) -> Iterator[tuple[Item, Callable[[], Loaded]]]:
    """As ``read_ahead``, with ``threads`` readers for values that all stay; one: no thread."""
    if threads > 1 and len(items) > 1:
        return read_ahead(items, load, 2 * threads, min(threads, len(items)))
    return ((item, partial(load, item)) for item in items)
