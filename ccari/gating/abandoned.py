"""Ends calls that are no longer run, but stayed open because the database hung or was away when they ended."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Never
from uuid import UUID

import structlog

from ccari.errors import StoreError
from ccari.ports.calls import CallStore

#: How often to look for them.
SWEEP_SECONDS = 60.0

_log = structlog.get_logger()


async def sweep(
    store: CallStore, asterisk: str, older_than: float, under_way: Callable[[], Sequence[UUID]] = lambda: ()
) -> Never:
    """At intervals, until cancelled, end the calls that were opened at least ``older_than`` seconds ago and are not ``under_way``."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await store.close_abandoned(asterisk, datetime.now(UTC), under_way(), older_than=older_than)
        except StoreError:
            continue
        except Exception:  # noqa: BLE001 - logged; it is tried again
            _log.exception("abandoned_calls_left")
