"""Work on a disk that may hang, in threads of its own: what all the service shares goes on beside it."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from ccari.errors import CcariError, StoreError

_T = TypeVar("_T")

#: Under way at once, those that wait for a thread among them. A disk that answers is through with each in some
#: milliseconds.
MOST_UNDER_WAY = 64
_THREADS = 4


class OwnThreads:
    """``name``: of the threads, for whoever looks at a process that hangs. ``refusal``: what is raised where more than ``most`` are
    under way.
    """

    def __init__(self, name: str, refusal: type[CcariError] = StoreError, most: int = MOST_UNDER_WAY) -> None:
        self._refusal = refusal
        self._threads = ThreadPoolExecutor(_THREADS, name)
        self._most = most
        self._room = threading.BoundedSemaphore(most)

    def begin(self, work: Callable[..., _T], *given: Any) -> asyncio.Future[_T]:
        """What ``work`` gives, or what it raises. Cancelled, it is not begun if it has not begun yet.

        Raises
        ------
        CcariError
            ``refusal``, if so much is under way already that the disk must be taken for one that does not answer.
        """
        if not self._room.acquire(blocking=False):
            raise self._refusal(f"the disk does not answer: {self._most} reads and writes are under way")
        working = self._threads.submit(work, *given)
        # only then: a thread that hangs keeps its place, though nobody waits for it any more
        working.add_done_callback(lambda _: self._room.release())
        return asyncio.wrap_future(working)

    async def run(self, work: Callable[..., _T], *given: Any) -> _T:
        """As :meth:`begin`, and wait for it."""
        return await self.begin(work, *given)

    async def within(
        self, seconds: float, work: Callable[..., _T], *given: Any, unwanted: Callable[[_T], object] | None = None
    ) -> _T:  # fmt: skip
        """As :meth:`run`, for no longer than that; ``refusal`` as well if it takes longer. A thread that hangs is left to itself.

        ``unwanted`` sees to what comes of it when nobody waits any more, such as a file that is open by then.
        """
        working = self.begin(work, *given)
        try:
            async with asyncio.timeout(seconds):
                return await (working if unwanted is None else asyncio.shield(working))
        except BaseException as error:
            if unwanted is not None:
                working.add_done_callback(partial(_let_go, unwanted))
            if isinstance(error, TimeoutError):
                raise self._refusal(f"the disk does not answer within {seconds:.0f} s") from None
            raise


def _let_go(unwanted: Callable[[_T], object], done: asyncio.Future[_T]) -> None:
    if not done.cancelled() and done.exception() is None:
        unwanted(done.result())
