"""What is seen while a run goes on: files as they come into the spool, and faults as they begin and end."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from tests.soak.account import RawFile, Window
from tests.soak.plan import Fault

LOOK_SECONDS = 0.05


class Watch:
    """``windows``: the faults that are over."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._seen: dict[str, float] = {}
        self.windows: list[Window] = []
        self.now: list[Fault] = []

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._look()
            await asyncio.sleep(LOOK_SECONDS)

    @contextmanager
    def fault(self, kind: Fault) -> Iterator[None]:
        """A fault lasts as long as the context."""
        began = time.time()
        self.now.append(kind)
        try:
            yield
        finally:
            self.now.remove(kind)
            self.windows.append(Window(kind, began, time.time()))

    def raw_files(self) -> tuple[RawFile, ...]:
        self._look()
        there = set(self._names())
        return tuple(RawFile(name, at, name in there) for name, at in self._seen.items())

    def _look(self) -> None:
        for name in self._names():
            self._seen.setdefault(name, time.time())

    def _names(self) -> Iterator[str]:
        """The files of calls' own recordings."""
        with contextlib.suppress(OSError):
            for path in list(self._spool.iterdir()):
                with contextlib.suppress(ValueError):
                    yield str(UUID(path.stem[:36]))
