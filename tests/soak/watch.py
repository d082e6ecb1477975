"""What is seen during a run: files as they appear in the spool, faults as they begin and end, and the service's signs."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from tests.soak.account import RawFile, Sign, Window
from tests.soak.plan import Fault

LOOK_SECONDS = 0.05
SERVES = "service_started"
#: Log events of the service that say whether anybody hears keys.
SIGNS = frozenset({SERVES, "asterisk_connected", "asterisk_away", "call_ended"})


class Watch:
    """``signs``: the service's, in order."""

    def __init__(self, spool: Path, log: Path) -> None:
        self._spool = spool
        self._log = log
        self._read = 0
        self._seen: dict[str, float] = {}
        self._over: list[Window] = []
        self._going: list[tuple[Fault, float]] = []
        self.signs: list[Sign] = []

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._look()
            self._listen()
            await asyncio.sleep(LOOK_SECONDS)

    def has_served(self, since: float) -> bool:
        """Whether the service that began then has begun to take calls."""
        self._listen()
        return any(each.event == SERVES and each.at >= since for each in self.signs)

    @property
    def now(self) -> list[Fault]:
        return [kind for kind, _ in self._going]

    @property
    def windows(self) -> tuple[Window, ...]:
        """The faults so far; one that goes on counts until now, because it may already have had its effect."""
        return (*self._over, *(Window(kind, began, time.time()) for kind, began in self._going))

    @contextmanager
    def fault(self, kind: Fault) -> Iterator[None]:
        """Record a fault for as long as the context lasts."""
        going = kind, time.time()
        self._going.append(going)
        try:
            yield
        finally:
            self._going.remove(going)
            self._over.append(Window(*going, time.time()))

    def raw_files(self) -> tuple[RawFile, ...]:
        self._look()
        there = set(self._names())
        return tuple(RawFile(name, at, name in there) for name, at in self._seen.items())

    def _look(self) -> None:
        for name in self._names():
            self._seen.setdefault(name, time.time())

    def _listen(self) -> None:
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(self._read)
            whole, end, _ = log.read().rpartition(b"\n")
        self._read += len(whole) + len(end)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if told["event"] in SIGNS:
                    self.signs.append(Sign(time.time(), told["event"], told.get("call_id", "")))

    def _names(self) -> Iterator[str]:
        """The files of calls' own recordings."""
        with contextlib.suppress(OSError):
            for path in list(self._spool.iterdir()):
                with contextlib.suppress(ValueError):
                    yield str(UUID(path.stem[:36]))
