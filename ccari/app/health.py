"""The checks of ``/readyz``: Asterisk (unless ARI is off) and the database answer, and the service takes calls."""

import asyncio
from collections.abc import Mapping

from ccari.calls.link import Link
from ccari.calls.switchboard import Switchboard
from ccari.errors import StoreError
from ccari.store.database import Database
from ccari.web.health import Check


def checks(link: Link | None, database: Database, calls: Switchboard) -> Mapping[str, Check]:
    asterisk = {"asterisk": _is_set(link.connected)} if link is not None else {}
    return {**asterisk, "database": _answers(database), "calls": _takes_calls(calls)}


def _is_set(event: asyncio.Event) -> Check:
    async def check() -> bool:
        return event.is_set()

    return check


def _takes_calls(calls: Switchboard) -> Check:
    async def check() -> bool:
        return calls.takes_calls

    return check


def _answers(database: Database) -> Check:
    async def check() -> bool:
        try:
            return await database.value("SELECT true") is True
        except StoreError:
            return False

    return check
