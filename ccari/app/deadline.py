"""The last limit on the end of the service: even if a thread hangs, the process is over by then.

A thread waiting for a dead disk (an NFS server, say) can be neither cancelled nor left behind: asyncio waits
for its default executor, and the interpreter for the threads of every pool, for ever.
"""

import asyncio
import contextlib
import math
import os
import queue
import sys
import threading
from time import monotonic
from types import FrameType

import structlog

#: The exit status of a process that was cut off: something may have been left undone.
CUT_STATUS = 1
#: Time-out for writing the log line: whatever reads the log may hang too.
TELL_SECONDS = 2.0

_log = structlog.get_logger()


class Deadline:
    """Ends the process at the earliest of the times given to it; never, if none was given. Create it on the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # a SimpleQueue takes no lock that the interrupted code may hold, so a signal handler can put into it
        self._given: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        threading.Thread(target=self._watch, name="ccari-deadline", daemon=True).start()

    def within(self, seconds: float, reason: str = "") -> None:
        """End the process within so many seconds. A signal handler may call this. ``reason``: why the service
        ends, if it was not told to.
        """
        self._given.put((monotonic() + seconds, reason))

    def _watch(self) -> None:
        until, reason = math.inf, "told to stop"
        while True:
            try:
                given, why = self._given.get(
                    timeout=None if until == math.inf else max(0.0, until - monotonic())
                )
            except queue.Empty:
                break
            until, reason = min(until, given), why or reason
        # the interpreter starts no thread in its last steps: then there is nothing left to report
        with contextlib.suppress(RuntimeError):
            telling = threading.Thread(target=self._tell, args=(reason,), daemon=True)
            telling.start()
            telling.join(TELL_SECONDS)
        os._exit(CUT_STATUS)

    def _tell(self, reason: str) -> None:
        _log.error(
            "service_cut", reason=reason, threads=_at_work(), tasks=self._tasks(),
            advice="a thread that hangs waits for a disk: check the mounts of data_dir, [recordings] dir and [asterisk] spool",
        )  # fmt: skip

    def _tasks(self) -> list[str]:
        """The tasks still running on the loop, by the names of their coroutines."""
        # the loop may change the set meanwhile
        with contextlib.suppress(RuntimeError):
            return sorted({each.get_coro().__qualname__ for each in asyncio.all_tasks(self._loop)})  # type: ignore[union-attr]
        return []


def _at_work() -> list[str]:
    """Each busy thread, and where it is. Shows no values, which may be numbers."""
    names = {each.ident: each.name for each in threading.enumerate()}
    ours = {threading.get_ident(), *(ident for ident, name in names.items() if name == "ccari-deadline")}
    return [
        f"{names.get(ident, ident)}: {_place(frame)}"
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - the documented way to see other threads
        if ident not in ours and not _is_idle(frame)
    ]


def _is_idle(frame: FrameType) -> bool:
    return _module(frame) == "concurrent.futures.thread" and frame.f_code.co_name == "_worker"


def _place(frame: FrameType) -> str:
    """Where in our code the thread is; if it is not in our code, where it is at all."""
    within: FrameType | None = frame
    while within is not None and not _module(within).startswith("ccari."):
        within = within.f_back
    found = within or frame
    return f"{_module(found)}:{found.f_lineno} {found.f_code.co_name}"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?"))
