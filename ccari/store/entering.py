"""Entering data for a controller, which is allowed only until the controller leaves (Art 28(3)(g))."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from ccari.errors import InputError
from ccari.policy import leaving
from ccari.store.database import Connection, in_transaction
from ccari.store.queries import SQL


@asynccontextmanager
async def entering(connection: Connection, controller: str) -> AsyncIterator[None]:
    """A transaction that enters data for the controller; it calls :func:`let_in` first."""
    async with in_transaction(connection):
        await let_in(connection, controller)
        yield


async def let_in(connection: Connection, controller: str) -> None:
    """Keep a deletion of the controller from beginning until ``connection``'s transaction ends. Raises InputError like
    :func:`refuse_gone`. Call it before taking any other lock.
    """
    await connection.execute(SQL["share_controller"], controller)
    await refuse_gone(connection, controller)


async def refuse_gone(connection: Connection, controller: str) -> None:
    """Raise InputError if the controller's deletion has begun. If it does not raise, data read before this call were complete."""
    for row in await connection.fetch(SQL["controller_deletions"], [controller]):
        raise InputError("controller", leaving.entered_again(*deletion(dict(row))))


def deletion(row: Mapping[str, Any]) -> tuple[str, datetime, datetime | None]:
    """Of which controller a deletion is, when it began, and when it ended: in this machine's time zone, in which people are told of them."""
    finished = row["finished_at"]
    return row["controller"], row["begun_at"].astimezone(), finished.astimezone() if finished else None
