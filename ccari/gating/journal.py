"""A call's journal while it runs: each event is one log line at once, and one entry of the chain at the next commit."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_bytes
from time import monotonic
from typing import TypeVar
from uuid import UUID

import structlog

from ccari.errors import StoreError
from ccari.policy.chain import SALT_BYTES, Entry
from ccari.ports.metering import UNMETERED_CALL, CallMeter

_log = structlog.get_logger()
_T = TypeVar("_T")

#: For the last writes of a call, which nobody waits for on the line.
CLOSE_TRIES = 150
CLOSE_RETRY_SECONDS = 2.0
#: Of one thing that is told again and again, by somebody who drums on a key while the database is away, say: so many wait to
#: be durable. They go with each right that is kept on this node, and take room from it.
MOST_ALIKE = 20
#: The entry that has the number of the others, ``so_far`` in this call.
LEFT_OUT = "entries_left_out"


class Journal:
    """``bind`` gives every later log line more context; ``take`` gives the entries that are not yet durable.

    ``meter`` is told of each event, too.
    """

    def __init__(self, call_id: UUID, agent: str, meter: CallMeter = UNMETERED_CALL) -> None:
        self.meter = meter
        self._log = structlog.get_logger().bind(call_id=str(call_id), agent=agent)
        self._began = monotonic()
        self._entries: list[Entry] = []
        self._known: dict[str, str] = {}
        self._alike: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
        self._left_out, self._untold = 0, False
        self.is_open = False

    def bind(self, **context: str) -> None:
        self._log = self._log.bind(**context)

    def know(self, findings: Mapping[str, str]) -> None:
        """What the next entry rests on: kept with it as proof, and too much for a log line."""
        self._known |= findings

    def note(self, event: str, fields: Mapping[str, str]) -> None:
        """``since_request_ms`` is the time since the agent asked for the call."""
        self._log.info(event, **fields, since_request_ms=round((monotonic() - self._began) * 1000))
        self.meter.noted(event, fields)
        told, self._known = {**self._known, **fields}, {}
        alike = event, frozenset(told.items())
        self._alike[alike] += 1
        if self._alike[alike] > MOST_ALIKE:
            self._left_out, self._untold = self._left_out + 1, True
        else:
            self._entries.append(entry(event, told))

    def opened(self) -> None:
        """The call's row is there, so entries can refer to it."""
        self.is_open = True

    def take(self) -> Sequence[Entry]:
        return self.pending() if self.is_open else ()

    def pending(self) -> Sequence[Entry]:
        """The entries that are not yet durable, for a write that makes the row too."""
        if self._untold:
            # one: an earlier one that is durable already, with a right on this node, says less
            kept = [each for each in self._entries if each.event != LEFT_OUT]
            self._entries = [*kept, entry(LEFT_OUT, {"so_far": str(self._left_out)})]
            self._untold = False
        return tuple(self._entries)

    def written(self, entries: Sequence[Entry]) -> None:
        """These are durable now."""
        durable = {each.salt for each in entries}
        self._entries = [each for each in self._entries if each.salt not in durable]
        self._alike.clear()

    async def durably(self, write: Callable[[Sequence[Entry]], Awaitable[_T]]) -> _T:
        """Have ``write`` commit the entries that are not yet durable, together with what they are about."""
        entries = self.take()
        result = await write(entries)
        self.written(entries)
        return result


def entry(event: str, fields: Mapping[str, str], at: datetime | None = None) -> Entry:
    """What happened, for a journal. ``at``: None is now."""
    return Entry(at or datetime.now(UTC), event, fields, token_bytes(SALT_BYTES))


async def persistently(call_id: UUID, write: Callable[[], Awaitable[None]]) -> bool:
    """Try again while the database is away: the end of a call is worth waiting for one that restarts.

    True if it was written.
    """
    for attempt in range(1, CLOSE_TRIES + 1):
        try:
            await write()
        except StoreError as error:
            if attempt == CLOSE_TRIES:
                _log.error("call_not_closed", call_id=str(call_id), reason=str(error))
                return False
            await asyncio.sleep(CLOSE_RETRY_SECONDS)
        else:
            return True
    return False
