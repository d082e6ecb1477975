"""An event loop whose time passes only when nothing is ready, and a clock for the code that runs on it.

A run on it takes no time to wait, and is the same each time: what happens first depends on the times alone, which a seed decides.
"""

import asyncio
import contextvars
import random
import selectors
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from weakref import WeakKeyDictionary

#: When every run begins.
BEGINNING = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


class NothingLeft(RuntimeError):  # noqa: N818 - what happened
    """Nothing is ready, and nothing ever will be: everybody waits for somebody."""


class _NoWaiting(selectors.SelectSelector):
    """Passes the loop's time instead of waiting. There is no input: a run has no sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeft
        self.now += max(0.0, timeout)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """``suspended`` is called each time that a task named in ``watched`` waits at an ``await``. ``order``: None keeps what is ready in the
    order of asyncio; otherwise it is shuffled.
    """

    def __init__(self, order: random.Random | None = None) -> None:
        self._passing = _NoWaiting()
        super().__init__(self._passing)
        self._order = order
        self.watched: frozenset[str] = frozenset()
        #: The context of each task.
        self.contexts: WeakKeyDictionary[asyncio.Task[Any], contextvars.Context] = WeakKeyDictionary()
        self.suspended: Callable[[asyncio.Task[Any]], None] = lambda _: None
        self.set_task_factory(_watching)

    def time(self) -> float:
        return self._passing.now

    def moment(self) -> datetime:
        """The time of day."""
        return BEGINNING + timedelta(seconds=self.time())

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]
        if self._order is not None and len(ready) > 1:
            self._order.shuffle(ready)
        super()._run_once()  # type: ignore[misc]


def _watching(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    if not isinstance(loop, SimulatedLoop):
        raise TypeError("it is the factory of that loop alone")
    if (context := options.get("context")) is None:
        context = options["context"] = contextvars.copy_context()
    if getattr(work, "__qualname__", "") in loop.watched:
        work = _Watched(work, loop)
    task = asyncio.Task(work, loop=loop, **options)
    if isinstance(work, _Watched):
        work.task = task
    loop.contexts[task] = context
    return task


class _Watched(Coroutine[Any, Any, Any]):
    """A coroutine that says when it waits."""

    task: asyncio.Task[Any]

    def __init__(self, work: Coroutine[Any, Any, Any], loop: SimulatedLoop) -> None:
        self._work = work
        self._loop = loop

    def send(self, value: Any) -> Any:
        waits_for = self._work.send(value)
        self._loop.suspended(self.task)
        return waits_for

    def throw(self, *error: Any) -> Any:
        waits_for = self._work.throw(*error)
        self._loop.suspended(self.task)
        return waits_for

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise AssertionError("a task runs it")


class _Clock(datetime):
    """What the code under test takes for the time of day."""

    loop: SimulatedLoop | None = None

    @classmethod
    def now(cls, _tz: tzinfo | None = None) -> "_Clock":
        if cls.loop is None:
            raise AssertionError("no run is under way")
        at = cls.loop.moment()
        return cls(at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, at.tzinfo)


@contextmanager
def clock_of(loop: SimulatedLoop, packages: tuple[str, ...]) -> Iterator[None]:
    """Have the modules of ``packages`` take the loop's time for the time of day."""
    changed = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(packages) and getattr(module, "datetime", None) is datetime
    ]
    for each in changed:
        each.datetime = _Clock  # type: ignore[attr-defined]
    _Clock.loop = loop
    try:
        yield
    finally:
        _Clock.loop = None
        for each in changed:
            each.datetime = datetime  # type: ignore[attr-defined]
