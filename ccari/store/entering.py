"""What is entered for a controller, and may be only as long as that has not left (Art 28(3)(g))."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ccari.errors import InputError
from ccari.policy import leaving
from ccari.store.database import Connection, in_transaction
from ccari.store.queries import SQL


@asynccontextmanager
async def entering(connection: Connection, controller: str) -> AsyncIterator[None]:
    """A transaction that enters something for the controller, in which :func:`let_in` is called first."""
    async with in_transaction(connection):
        await let_in(connection, controller)
        yield


async def let_in(connection: Connection, controller: str) -> None:
    """Until the end of the transaction that ``connection`` is in, no deletion of the controller can begin. Raises InputError as
    :func:`refuse_gone`. Call it before anything is locked.
    """
    await connection.execute(SQL["share_controller"], controller)
    await refuse_gone(connection, controller)


async def refuse_gone(connection: Connection, controller: str) -> None:
    """Raise InputError if the deletion of the controller has begun. What was read before this did not lack anything that it deletes."""
    for row in await connection.fetch(SQL["controller_deletions"], [controller]):
        raise InputError(
            "controller", leaving.entered_again(row["controller"], row["begun_at"], row["finished_at"])
        )
