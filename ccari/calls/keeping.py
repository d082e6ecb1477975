"""Keeps in the database what is needed to take a talk up after a crash."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import structlog

from ccari.calls.inbox import Inbox
from ccari.errors import StoreError
from ccari.policy.call import Call, Stage, Timer, resuming

_log = structlog.get_logger()

#: How long to wait before storing the talk again, while the database is away: each attempt holds up the call.
AGAIN_SECONDS = 5.0


#: Stores it; None: there is nothing to take up any more. Raises StoreError.
Storing = Callable[[Mapping[str, Any] | None], Awaitable[None]]


class TalkKeeper:
    """Keeps the talk of one call."""

    def __init__(self, call_id: UUID, inbox: Inbox) -> None:
        self._call_id = call_id
        self._inbox = inbox
        #: The talk as the database has it, as far as that is known: a write that failed may have been carried out.
        self._kept: Mapping[str, Any] | None = None
        self._is_known = True
        #: The talk as it was last tried to be stored, or as it need not be stored.
        self._tried: Mapping[str, Any] | None = None
        #: When to try again, by the loop's clock.
        self._again_at = 0.0

    async def keep(self, call: Call, store: Storing) -> None:
        """Store the talk if it has changed. A call that is ending needs none. While the database is away, only what
        forbids more than before is tried at once.
        """
        kept = resuming.to_keep(call)
        if (self._is_known and kept == self._kept) or call.stage in {Stage.CLOSE, Stage.CLOSED}:
            return
        waits = asyncio.get_running_loop().time() < self._again_at
        if waits and not resuming.is_stricter(kept, self._tried):
            return
        self._tried = kept
        try:
            await store(kept)
        except StoreError as error:
            _log.warning("talk_not_kept", call_id=str(self._call_id), reason=str(error))
            self._is_known = False
            self._keep_later()
        else:
            self._kept, self._is_known = kept, True

    def put_off(self, call: Call) -> None:
        """Store the talk later. The person on the line waits for an answer, and this node's disk already has what their right forbids."""
        self._tried = resuming.to_keep(call)
        self._keep_later()

    def _keep_later(self) -> None:
        self._again_at = asyncio.get_running_loop().time() + AGAIN_SECONDS
        self._inbox.arm(Timer.KEEP, AGAIN_SECONDS)
