"""A call's journal while it runs: each event is logged at once, and enters the chain with the next commit."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_bytes
from time import monotonic
from typing import TypeVar
from uuid import UUID

import structlog

from ccari.errors import RefusedError, StoreError
from ccari.policy.chain import SALT_BYTES, Entry
from ccari.ports.metering import UNMETERED_CALL, CallMeter

_log = structlog.get_logger()
_T = TypeVar("_T")

#: Retries for the last writes of a call, for which nobody is waiting on the line.
CLOSE_TRIES = 150
CLOSE_RETRY_SECONDS = 2.0
#: How many equal entries may wait for the next commit: somebody may drum on a key while the database is away,
#: and every right kept on this node's disk carries all waiting entries.
MOST_ALIKE = 20
#: The entry that counts those left out: ``so_far`` in this call.
LEFT_OUT = "entries_left_out"


class Journal:
    """The journal of one call while it runs. ``note`` logs an event, counts it (``meter``) and queues its entry; ``durably`` commits what
    is queued, together with what it is about.
    """

    def __init__(self, call_id: UUID, agent: str, meter: CallMeter = UNMETERED_CALL) -> None:
        self.meter = meter
        self.call_id = call_id
        self._log = structlog.get_logger().bind(call_id=str(call_id), agent=agent)
        self._began = monotonic()
        self._entries: list[Entry] = []
        #: Findings that go into the next entry.
        self._findings: dict[str, str] = {}
        self._alike: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
        #: How many entries were left out, and whether an entry must still say so.
        self._left_out, self._count_is_due = 0, False
        #: Whether the call's row, which entries refer to, is written.
        self.is_open = False

    def bind(self, **context: str) -> None:
        """Add context to every later log line."""
        self._log = self._log.bind(**context)

    def know(self, findings: Mapping[str, str]) -> None:
        """Add ``findings`` to the next entry, as evidence for it. They are too long for the log."""
        self._findings |= findings

    def retract(self, names: Container[str]) -> None:
        """Take these findings out of the entries that wait for a commit, and do not add them to the next one."""
        self._findings = {name: value for name, value in self._findings.items() if name not in names}
        self._entries = [
            replace(each, fields={name: value for name, value in each.fields.items() if name not in names})
            for each in self._entries
        ]

    def note(self, event: str, fields: Mapping[str, str]) -> None:
        """Log an event and queue its entry. In the log, ``since_request_ms`` is the time since the call was requested."""
        self._log.info(event, **fields, since_request_ms=round((monotonic() - self._began) * 1000))
        self.meter.noted(event, fields)
        fields, self._findings = {**self._findings, **fields}, {}
        alike = event, frozenset(fields.items())
        self._alike[alike] += 1
        if self._alike[alike] > MOST_ALIKE:
            self._left_out, self._count_is_due = self._left_out + 1, True
        else:
            self._entries.append(entry(event, fields))

    def opened(self) -> None:
        """Note that the call's row is written."""
        self.is_open = True

    def pending(self) -> Sequence[Entry]:
        """The entries that are not yet durable, for a write that also creates the row."""
        if self._count_is_due:
            # replace an older count that still waits; that one may be durable already, with a right kept on this node
            others = [each for each in self._entries if each.event != LEFT_OUT]
            self._entries = [*others, entry(LEFT_OUT, {"so_far": str(self._left_out)})]
            self._count_is_due = False
        return tuple(self._entries)

    def written(self, entries: Sequence[Entry]) -> None:
        """Drop these entries from the queue: they are durable now."""
        durable = {each.salt for each in entries}
        self._entries = [each for each in self._entries if each.salt not in durable]
        self._alike.clear()

    async def durably(self, write: Callable[[Sequence[Entry]], Awaitable[_T]]) -> _T:
        """Have ``write`` commit the entries that are not yet durable, together with what they are about."""
        # none before the call's row is written, since entries refer to it
        entries = self.pending() if self.is_open else ()
        result = await write(entries)
        self.written(entries)
        return result

    async def persistently(self, write: Callable[[Sequence[Entry]], Awaitable[None]]) -> bool:
        """Like :meth:`durably`, and try again for some minutes while the database is away: see :func:`persistently`."""
        return await persistently(self.call_id, lambda: self.durably(write))


def entry(event: str, fields: Mapping[str, str], at: datetime | None = None) -> Entry:
    """A new entry for a journal, with its own salt. ``at``: None means now."""
    return Entry(at or datetime.now(UTC), event, fields, token_bytes(SALT_BYTES))


async def persistently(call_id: UUID, write: Callable[[], Awaitable[None]]) -> bool:
    """Write, retrying for some minutes while the database is away, as in a restart. True if it was written."""
    for attempt in range(1, CLOSE_TRIES + 1):
        try:
            await write()
        except StoreError as error:
            if attempt == CLOSE_TRIES or isinstance(error, RefusedError):
                _log.error("call_not_closed", call_id=str(call_id), reason=str(error))
                return False
            await asyncio.sleep(CLOSE_RETRY_SECONDS)
        else:
            return True
    return False
