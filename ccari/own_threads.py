"""Threads for work on a disk or network that may hang, so that it does not use up the threads shared by the whole service."""

import asyncio
import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from ccari.errors import CcariError, StoreError

_T = TypeVar("_T")

#: Jobs under way, including those waiting for a thread. A healthy disk finishes each in some milliseconds.
MOST_UNDER_WAY = 64
_THREADS = 4
NO_THREAD = "the system lets ccari start no more threads"


class OwnThreads:
    """A pool of a few threads. ``name``: of the threads, for debugging a process that hangs. ``refusal``: the
    error raised if more than ``most`` jobs would be under way. ``threads``: how many; with one, jobs run one after the other.
    """

    def __init__(
        self,
        name: str,
        refusal: type[CcariError] = StoreError,
        most: int = MOST_UNDER_WAY,
        threads: int = _THREADS,
    ) -> None:
        self._refusal = refusal
        self._threads = ThreadPoolExecutor(threads, name)
        self._most = most
        self._room = threading.BoundedSemaphore(most)

    def begin(self, work: Callable[..., _T], *given: Any) -> asyncio.Future[_T]:
        """Run ``work`` in one of the threads; the future has its result. If cancelled before the work has
        begun, it never begins.

        Raises
        ------
        CcariError
            ``refusal``, if so many jobs are under way that the disk seems dead, or no thread can be started.
        """
        return asyncio.wrap_future(self._submit(work, *given))

    def _submit(self, work: Callable[..., _T], *given: Any) -> Future[_T]:
        if not self._room.acquire(blocking=False):
            raise self._refusal(f"the disk does not answer: {self._most} reads and writes are under way")
        is_wanted = True

        def begin() -> _T:
            if not is_wanted:
                raise self._refusal(NO_THREAD)
            return work(*given)

        try:
            working = self._threads.submit(begin)
        except RuntimeError:
            # the job is queued all the same, and another thread may come to it
            is_wanted = False
            self._room.release()
            raise self._refusal(NO_THREAD) from None
        # when the thread is done, not when the caller gives up: a hanging thread still takes up room
        working.add_done_callback(lambda _: self._room.release())
        return working

    async def run(self, work: Callable[..., _T], *given: Any) -> _T:
        """Like :meth:`begin`, but wait for the result."""
        return await self.begin(work, *given)

    async def within(
        self, seconds: float, work: Callable[..., _T], *given: Any, unwanted: Callable[[_T], object] | None = None
    ) -> _T:  # fmt: skip
        """Like :meth:`run`, with a time-out: then ``refusal`` is raised, and the thread is left to itself.

        ``unwanted``: called, in the thread, with a result that came too late, such as an opened file.
        """
        submitted = self._submit(work, *given)
        working = asyncio.wrap_future(submitted)
        try:
            return await in_time(working, seconds)
        except BaseException as error:
            if unwanted is None:
                working.cancel()
            else:
                # not in the loop: the disk may hang for it too, or the loop may be closed by then
                submitted.add_done_callback(partial(_let_go, unwanted))
            if isinstance(error, TimeoutError):
                raise self._refusal(f"the disk does not answer within {seconds:.0f} s") from None
            raise


async def in_time(working: asyncio.Future[_T], seconds: float) -> _T:
    """The result of a job from :meth:`OwnThreads.begin`, which goes on if this is given up. Raises TimeoutError after so
    many seconds, unless the thread is done by then: on a busy machine, a late loop hears of the time-out first.
    """
    # retrieve a later failure of a job that was given up: whoever gave it up has reported that
    working.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(working)
    except TimeoutError:
        # the loop hears of the thread's result in its next turn
        await asyncio.sleep(0)
        if not working.done():
            raise
    return working.result()


def alone(name: str, work: Callable[..., _T], *given: Any) -> Future[_T]:
    """Run ``work`` in a thread of its own, which nothing waits for, not even the end of the service. It
    cannot be cancelled: the future is done when the thread is. It has an OSError if no thread can be started.
    """
    done: Future[_T] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = work(*given)
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            done.set_exception(error)
        else:
            done.set_result(result)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:
        done.set_exception(OSError(errno.EAGAIN, NO_THREAD))
    return done


def _let_go(unwanted: Callable[[_T], object], done: Future[_T]) -> None:
    if not done.cancelled() and done.exception() is None:
        unwanted(done.result())
