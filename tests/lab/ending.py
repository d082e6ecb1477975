"""How a program that started others ends: SIGTERM acts like Ctrl-C, and its children end with it."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

#: What a shell adds to the number of the signal that ended a program.
SIGNALLED = 128


def run(work: Coroutine[Any, Any, _T], runner: Callable[[Coroutine[Any, Any, _T]], _T] = asyncio.run) -> _T:
    """Run the work and return its result. If SIGTERM or Ctrl-C ends it, clean up and raise SystemExit with a shell's
    status.
    """
    try:
        return runner(_until_terminated(work))
    except _TerminatedError:
        raise SystemExit(SIGNALLED + signal.SIGTERM) from None
    except KeyboardInterrupt:
        raise SystemExit(SIGNALLED + signal.SIGINT) from None


class _TerminatedError(Exception):
    pass


async def _until_terminated(work: Coroutine[Any, Any, _T]) -> _T:
    task = asyncio.ensure_future(work)
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await task
    except asyncio.CancelledError:
        if terminated:
            raise _TerminatedError from None
        raise
