"""Work beside the event loop: so many at a time, the rest in a queue, nothing for who has left."""

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request

T = TypeVar("T")


class Gone(Exception):
    """The one who asked has left."""


class Full(Exception):
    """Too many wait already."""


class Queue:
    """Runs functions in threads, ``at_once`` at a time, in the order in which they came.

    A slow answer holds no place: a place is given back when the function returns.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._places = anyio.CapacityLimiter(at_once)
        self._waiting = waiting

    async def run(self, request: Request, work: Callable[[], T]) -> T:
        """Return what the function does; raises Full, or Gone if the caller left meanwhile."""
        # Before the body is taken, nothing tells that the caller has left.
        await request.body()
        if self._places.statistics().tasks_waiting >= self._waiting:
            raise Full
        async with self._places:
            if await request.is_disconnected():
                raise Gone
            return await run_sync(work)
